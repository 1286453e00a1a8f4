/* Known vectors of the CRC, and its residue. */
#include "sdk/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void knows_published_vectors(void **state)
{
	(void)state;
	assert_int_equal(bf_crc16_modbus((const uint8_t *)"", 0), 0xFFFF);
	/* the check value of CRC-16/MODBUS in the catalogue of parametrised CRC algorithms */
	assert_int_equal(bf_crc16_modbus((const uint8_t *)"123456789", 9), 0x4B37);
	/* MODBUS over Serial Line V1.02, section 6.2.2: frame 02 07 41 12 */
	static const uint8_t standard[] = {0x02, 0x07};
	assert_int_equal(bf_crc16_modbus(standard, sizeof(standard)), 0x1241);
	/* 01 03 00 00 00 0A C5 CD, the request that every tutorial begins with */
	static const uint8_t request[] = {0x01, 0x03, 0x00, 0x00, 0x00, 0x0A};
	assert_int_equal(bf_crc16_modbus(request, sizeof(request)), 0xCDC5);
}

/* The definition, bit by bit, beside the table. */
static uint16_t crc_bitwise(const uint8_t *bytes, size_t n)
{
	unsigned crc = 0xFFFF;
	for (size_t i = 0; i < n; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1;
	}
	return (uint16_t)crc;
}

static void agrees_with_the_definition(void **state)
{
	(void)state;
	for (unsigned byte = 0; byte < 65536; byte++) {
		uint8_t pair[2] = {(uint8_t)byte, (uint8_t)(byte >> 8)};
		assert_int_equal(bf_crc16_modbus(pair, 2), crc_bitwise(pair, 2));
	}
}

static void sound_frames_leave_nothing(void **state)
{
	(void)state;
	uint8_t frame[256];
	for (size_t n = 0; n < sizeof(frame) - 2; n++) {
		for (size_t i = 0; i < n; i++)
			frame[i] = (uint8_t)(i * 37 + n);
		uint16_t crc = bf_crc16_modbus(frame, n);
		frame[n] = (uint8_t)crc;
		frame[n + 1] = (uint8_t)(crc >> 8);
		assert_int_equal(bf_crc16_modbus(frame, n + 2), 0);
		frame[n / 2] ^= 0x10;
		assert_int_not_equal(bf_crc16_modbus(frame, n + 2), 0);
	}
}

/* The definition, bit by bit. */
static uint32_t crc32_bitwise(uint32_t crc, const uint8_t *bytes, size_t n)
{
	crc = ~crc;
	for (size_t i = 0; i < n; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
	}
	return ~crc;
}

static void crc32_agrees_with_the_definition(void **state)
{
	(void)state;
	uint8_t bytes[64];
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 167 + i / 7);
	assert_int_equal(bf_crc32(0, (const uint8_t *)"123456789", 9), 0xCBF43926);
	for (size_t from = 0; from < 8; from++)
		for (size_t n = 0; from + n <= sizeof(bytes); n++)
			assert_int_equal(bf_crc32(77, bytes + from, n), crc32_bitwise(77, bytes + from, n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_published_vectors),
		cmocka_unit_test(agrees_with_the_definition),
		cmocka_unit_test(sound_frames_leave_nothing),
		cmocka_unit_test(crc32_agrees_with_the_definition),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Known vectors of the checksums, their definitions beside the tables, and the residue of the CRC. */
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

/* Any reflected CRC-16 by its definition. */
static uint16_t crc16_bitwise(unsigned polynomial, unsigned crc, unsigned end, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ polynomial : crc >> 1;
	}
	return (uint16_t)(crc ^ end);
}

static uint8_t crc8_bitwise(const uint8_t *bytes, size_t n)
{
	unsigned crc = 0;
	for (size_t i = 0; i < n; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc & 0x80 ? crc << 1 ^ 0x07 : crc << 1) & 0xFF;
	}
	return (uint8_t)crc;
}

static void the_others_have_their_check_values(void **state)
{
	(void)state;
	const uint8_t *nine = (const uint8_t *)"123456789";
	assert_int_equal(bf_crc16_arc(nine, 9), 0xBB3D);
	assert_int_equal(bf_crc16_x25(nine, 9), 0x906E);
	assert_int_equal(bf_crc16_kermit(nine, 9), 0x2189);
	assert_int_equal(bf_crc8(nine, 9), 0xF4);
	assert_int_equal(bf_sum16(nine, 9), 0x01DD);
	assert_int_equal(bf_sum8(nine, 9), 0xDD);
	assert_int_equal(bf_xor8(nine, 9), 0x31);
	assert_int_equal(bf_crc16_x25(nine, 0), 0);
	assert_int_equal(bf_sum16(nine, 0), 0);
	assert_int_equal(bf_xor8(nine, 0), 0);
}

static void the_others_agree_with_the_definition(void **state)
{
	(void)state;
	for (unsigned byte = 0; byte < 65536; byte++) {
		uint8_t pair[2] = {(uint8_t)byte, (uint8_t)(byte >> 8)};
		assert_int_equal(bf_crc16_arc(pair, 2), crc16_bitwise(0xA001, 0, 0, pair, 2));
		assert_int_equal(bf_crc16_x25(pair, 2), crc16_bitwise(0x8408, 0xFFFF, 0xFFFF, pair, 2));
		assert_int_equal(bf_crc16_kermit(pair, 2), crc16_bitwise(0x8408, 0, 0, pair, 2));
		assert_int_equal(bf_crc8(pair, 2), crc8_bitwise(pair, 2));
	}
}

/* Sums keep their low bits only, however long the frame. */
static void sums_pass_their_width(void **state)
{
	(void)state;
	static uint8_t bytes[16384];
	memset(bytes, 0xFF, sizeof(bytes));
	assert_int_equal(bf_sum16(bytes, sizeof(bytes)), 0xFF * 16384 & 0xFFFF);
	assert_int_equal(bf_sum8(bytes, sizeof(bytes) - 1), 0x01);
	assert_int_equal(bf_xor8(bytes, 3), 0xFF);
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
		cmocka_unit_test(the_others_have_their_check_values),
		cmocka_unit_test(the_others_agree_with_the_definition),
		cmocka_unit_test(sums_pass_their_width),
		cmocka_unit_test(crc32_agrees_with_the_definition),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

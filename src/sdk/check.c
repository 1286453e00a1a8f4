/*
 * Checksums of frames.
 *
 * The CRC-16 are reflected and go four bits at a time: a table of 16 entries sits in one cache line, where one of 256
 * does not, and needs no proof-reading: each entry is the polynomial applied to its index four times.  Of each
 * polynomial there are two, which differ in what they begin with and whether the end is inverted.
 * The CRC-32 is what a row of the journal costs most, so it goes four bytes a step (Kounavis and Berry, "Novel table
 * lookup-based algorithms for high-performance CRC generation", 2008), with tables that are made at its first use.
 * Any thread.
 */
#include "sdk/check.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>

/* x^16 + x^15 + x^2 + 1 and x^16 + x^12 + x^5 + 1, their bits reversed. */
static const uint16_t nibbles_a001[16] = {0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401, 0xA001,
	0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400};
static const uint16_t nibbles_8408[16] = {0x0000, 0x1081, 0x2102, 0x3183, 0x4204, 0x5285, 0x6306, 0x7387, 0x8408,
	0x9489, 0xA50A, 0xB58B, 0xC60C, 0xD68D, 0xE70E, 0xF78F};

static uint16_t crc16(const uint16_t nibbles[16], unsigned crc, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ nibbles[crc & 15];
		crc = crc >> 4 ^ nibbles[crc & 15];
	}
	return (uint16_t)crc;
}

uint16_t bf_crc16_modbus(const uint8_t *bytes, size_t n)
{
	return crc16(nibbles_a001, 0xFFFF, bytes, n);
}

uint16_t bf_crc16_arc(const uint8_t *bytes, size_t n)
{
	return crc16(nibbles_a001, 0, bytes, n);
}

uint16_t bf_crc16_x25(const uint8_t *bytes, size_t n)
{
	return crc16(nibbles_8408, 0xFFFF, bytes, n) ^ 0xFFFF;
}

uint16_t bf_crc16_kermit(const uint8_t *bytes, size_t n)
{
	return crc16(nibbles_8408, 0, bytes, n);
}

uint8_t bf_crc8(const uint8_t *bytes, size_t n)
{
	static const uint8_t nibbles[16] = {
		0x00, 0x07, 0x0E, 0x09, 0x1C, 0x1B, 0x12, 0x15, 0x38, 0x3F, 0x36, 0x31, 0x24, 0x23, 0x2A, 0x2D};
	unsigned crc = 0;
	for (size_t i = 0; i < n; i++) {
		crc ^= bytes[i];
		crc = (crc << 4 & 0xFF) ^ nibbles[crc >> 4];
		crc = (crc << 4 & 0xFF) ^ nibbles[crc >> 4];
	}
	return (uint8_t)crc;
}

uint16_t bf_sum16(const uint8_t *bytes, size_t n)
{
	unsigned sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += bytes[i];
	return (uint16_t)sum;
}

uint8_t bf_sum8(const uint8_t *bytes, size_t n)
{
	return (uint8_t)bf_sum16(bytes, n);
}

uint8_t bf_xor8(const uint8_t *bytes, size_t n)
{
	unsigned all = 0;
	for (size_t i = 0; i < n; i++)
		all ^= bytes[i];
	return (uint8_t)all;
}

/* steps[k][byte] is the CRC-32 of the byte and k zeros. */
static uint32_t steps[4][256];
static pthread_once_t steps_once = PTHREAD_ONCE_INIT;

static void steps_init(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint32_t crc = i;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
		steps[0][i] = crc;
	}
	for (unsigned k = 1; k < 4; k++)
		for (unsigned i = 0; i < 256; i++)
			steps[k][i] = steps[k - 1][i] >> 8 ^ steps[0][steps[k - 1][i] & 255];
}

uint32_t bf_crc32(uint32_t crc, const uint8_t *bytes, size_t n)
{
	pthread_once(&steps_once, steps_init);
	crc = ~crc;
	for (; n >= 4; n -= 4, bytes += 4) {
		uint32_t word;
		memcpy(&word, bytes, sizeof(word));
		crc ^= le32toh(word);
		crc = steps[3][crc & 255] ^ steps[2][crc >> 8 & 255] ^ steps[1][crc >> 16 & 255] ^ steps[0][crc >> 24];
	}
	for (; n; n--, bytes++)
		crc = crc >> 8 ^ steps[0][(crc ^ *bytes) & 255];
	return ~crc;
}

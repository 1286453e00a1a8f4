/*
 * Checksums of frames.
 *
 * The CRC-16 goes through the polynomial x^16 + x^15 + x^2 + 1, reflected (0xA001), four bits at a
 * time: a table of 16 entries sits in one cache line, where the standard's two tables of 256 do
 * not, and needs no proof-reading: each entry is the polynomial applied to its index four times.
 * The CRC-32 is what a row of the journal costs most, so it goes four bytes a step (Kounavis and Berry, "Novel table
 * lookup-based algorithms for high-performance CRC generation", 2008), with tables that are made at its first use.
 * Any thread.
 */
#include "sdk/check.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>

uint16_t bf_crc16_modbus(const uint8_t *bytes, size_t n)
{
	static const uint16_t nibbles[16] = {0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401, 0xA001,
		0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400};
	unsigned crc = 0xFFFF;
	for (size_t i = 0; i < n; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ nibbles[crc & 15];
		crc = crc >> 4 ^ nibbles[crc & 15];
	}
	return (uint16_t)crc;
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

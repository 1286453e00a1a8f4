/*
 * Checksums of frames.
 *
 * The CRC goes through the polynomial x^16 + x^15 + x^2 + 1, reflected (0xA001), four bits at a
 * time: a table of 16 entries sits in one cache line, where the standard's two tables of 256 do
 * not, and needs no proof-reading: each entry is the polynomial applied to its index four times.
 * Pure; any thread.
 */
#include "sdk/check.h"

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

uint32_t bf_crc32(uint32_t crc, const uint8_t *bytes, size_t n)
{
	static const uint32_t nibbles[16] = {0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
		0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4,
		0xA00AE278, 0xBDBDF21C};
	crc = ~crc;
	for (size_t i = 0; i < n; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ nibbles[crc & 15];
		crc = crc >> 4 ^ nibbles[crc & 15];
	}
	return ~crc;
}

/*
 * Checksums of frames.  Pure: no state, any thread.
 */
#ifndef BF_SDK_CHECK_H
#define BF_SDK_CHECK_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-16 of Modbus RTU frames: MODBUS over Serial Line V1.02, section 6.2.2.  On the wire its low
 * byte comes first, so that the CRC over a whole sound frame, its own two bytes included, is 0.
 * Of no bytes it is 0xFFFF.
 */
uint16_t bf_crc16_modbus(const uint8_t *bytes, size_t n);

/*
 * CRC-32 as in IEEE 802.3 and zlib (ISO-HDLC, reflected 0xEDB88320).  Begins with crc 0; the result of one run can be
 * handed to the next.
 */
uint32_t bf_crc32(uint32_t crc, const uint8_t *bytes, size_t n);

#endif

/*
 * Checksums of frames.  Pure: no state, any thread.  "Check value": what comes of the nine characters "123456789"; the
 * names and check values of the CRCs are those of Greg Cook's catalogue of parametrised CRC algorithms.
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
 * CRC-16/ARC: the same polynomial, from 0, its low byte first on the wire; as four hexadecimal digits behind the "!" of
 * a DSMR P1 telegram (P1 Companion Standard).  Check value 0xBB3D.
 */
uint16_t bf_crc16_arc(const uint8_t *bytes, size_t n);

/*
 * CRC-16/IBM-SDLC, known as X.25: 0x1021 reflected, from 0xFFFF, inverted at the end, its low byte first on the wire
 * (HDLC, ISO/IEC 13239; RFC 1662, appendix C).  Check value 0x906E.
 */
uint16_t bf_crc16_x25(const uint8_t *bytes, size_t n);

/* CRC-16/KERMIT: 0x1021 reflected, from 0, not inverted (ITU-T V.41).  Check value 0x2189. */
uint16_t bf_crc16_kermit(const uint8_t *bytes, size_t n);

/*
 * CRC-8/SMBUS: x^8 + x^2 + x + 1 (0x07), from 0, not reflected (System Management Bus, its packet error code).  Check
 * value 0xF4.
 */
uint8_t bf_crc8(const uint8_t *bytes, size_t n);

/* The sum of all bytes, its low 16 or 8 bits.  Check values 0x01DD and 0xDD. */
uint16_t bf_sum16(const uint8_t *bytes, size_t n);
uint8_t bf_sum8(const uint8_t *bytes, size_t n);

/* All bytes, each bit by exclusive or: the checksum of NMEA 0183.  Check value 0x31. */
uint8_t bf_xor8(const uint8_t *bytes, size_t n);

/*
 * CRC-32 as in IEEE 802.3 and zlib (ISO-HDLC, reflected 0xEDB88320).  Begins with crc 0; the result of one run can be
 * handed to the next.
 */
uint32_t bf_crc32(uint32_t crc, const uint8_t *bytes, size_t n);

#endif

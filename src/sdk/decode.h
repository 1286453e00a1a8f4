/*
 * From bytes to values and back: the types and the byte and word orders of the device map.
 *
 * Registers are given as they come over the wire: two bytes each, high byte first (MODBUS Application Protocol
 * Specification V1.1b3, section 4.2).  A value of several registers starts with its high word unless words is
 * BF_LITTLE; bytes BF_LITTLE swaps the two bytes of each register.  So the four usual orders are
 *   ABCD  words big,    bytes big      CDAB  words little, bytes big
 *   BADC  words big,    bytes little   DCBA  words little, bytes little
 * The order of words is one of numbers: the registers of a string stand in reading order whatever it is, as a device
 * with CDAB counters still spells its name forwards.
 * Everything here is pure: no state, no allocation, any thread.
 */
#ifndef BF_SDK_DECODE_H
#define BF_SDK_DECODE_H

#include "sdk/value.h"

#include <stddef.h>
#include <stdint.h>

enum bf_type {
	BF_TYPE_U16, /* the default */
	BF_TYPE_U8,  /* low byte of a register */
	BF_TYPE_S8,
	BF_TYPE_S16,
	BF_TYPE_U24, /* low three bytes of two registers */
	BF_TYPE_U32,
	BF_TYPE_S32,
	BF_TYPE_U64,
	BF_TYPE_S64,
	BF_TYPE_F16,    /* IEEE 754 binary16 */
	BF_TYPE_F32,    /* IEEE 754 binary32 */
	BF_TYPE_F64,    /* IEEE 754 binary64 */
	BF_TYPE_BCD16,  /* four decimal digits, the highest first */
	BF_TYPE_BCD32,  /* eight */
	BF_TYPE_STRING, /* high byte of each register first */
	BF_TYPE_BOOL,   /* a coil or discrete input; of a register: not 0 */
	BF_N_TYPES,
};

enum bf_order { BF_BIG, BF_LITTLE };

#define BF_STRING_MAX 250 /* bytes of 125 registers, the longest read */

struct bf_shape {
	enum bf_type type;
	enum bf_order words;
	enum bf_order bytes;
	uint16_t length; /* bytes of a string, 1..BF_STRING_MAX; else 0 */
};

/* The name as it stands in the map ("u16", "bcd32", …); NULL outside the range. */
const char *bf_type_name(enum bf_type type);

/* The type of that name, or -EINVAL. */
int bf_type_from_name(const char *name);

/* How many registers a value takes: 1, 2 or 4; a string (length + 1) / 2. */
unsigned bf_shape_registers(const struct bf_shape *shape);

/*
 * Decodes one value from n bytes of registers (n must be twice bf_shape_registers).
 * A string is cut at its first NUL and loses blanks at both ends; its text is written to `text` and ret_value points
 * into it.
 * u8 u16 u24 u32 u64 bcd → BF_UNSIGNED, s… → BF_SIGNED, f16 → BF_FLOAT16, f32 → BF_FLOAT32, f64 → BF_FLOAT64,
 * bool → BF_BOOLEAN.
 * 0; -EINVAL when n does not fit; -EDOM for a digit above 9 in BCD, NaN or infinity; -EILSEQ for a text that is not
 * UTF-8.  ret_value is untouched on failure.
 */
int bf_decode(const struct bf_shape *shape, const uint8_t *bytes, size_t n, char text[static BF_STRING_MAX + 1],
	struct bf_value *ret_value);

/*
 * The raw bits of a value in its width, sorted into big-endian order, for comparing with a sentinel: s16 -32768 is
 * 0x8000, f32 NaN is 0x7FC00000.  A string gives 0.
 */
uint64_t bf_decode_raw(const struct bf_shape *shape, const uint8_t *bytes, size_t n);

/*
 * The way back: writes the registers of a value (simulated devices, write commands).  Floats are rounded to the
 * nearest integer for integer types; bool takes a boolean or the numbers 0 and 1, no other type takes a boolean.  NaN
 * and infinity fit the float types only.  A shorter text is filled up with NUL.  Returns the number of bytes written;
 * -ERANGE when the value does not fit the type; -EINVAL when it is of the wrong kind, the shape is none, or size is too
 * small; bytes untouched on failure.
 */
int bf_encode(const struct bf_shape *shape, const struct bf_value *value, uint8_t *bytes, size_t size);

#endif

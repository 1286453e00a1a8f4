/*
 * Registers to values and back.  See decode.h.
 *
 * Every numeric type goes through one 64 bit word: the registers are gathered into it high word
 * first, whatever their order on the wire, and only then is the type looked at.  So an order can't
 * be right for one type and wrong for another, and encoding is the same road backwards.  `rows`
 * says all that there is to know of a type.
 *
 * Invariant: of a word only the low `bits` are ever looked at or set.  Pure; any thread.
 */
#include "sdk/decode.h"
#include "base/utf8.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

static const struct row {
	const char *name;
	unsigned registers; /* 0 = by the length of the text */
	unsigned bits;
} rows[BF_N_TYPES] = {
	[BF_TYPE_U16] = {"u16", 1, 16},
	[BF_TYPE_U8] = {"u8", 1, 8},
	[BF_TYPE_S8] = {"s8", 1, 8},
	[BF_TYPE_S16] = {"s16", 1, 16},
	[BF_TYPE_U24] = {"u24", 2, 24},
	[BF_TYPE_U32] = {"u32", 2, 32},
	[BF_TYPE_S32] = {"s32", 2, 32},
	[BF_TYPE_U64] = {"u64", 4, 64},
	[BF_TYPE_S64] = {"s64", 4, 64},
	[BF_TYPE_F16] = {"f16", 1, 16},
	[BF_TYPE_F32] = {"f32", 2, 32},
	[BF_TYPE_F64] = {"f64", 4, 64},
	[BF_TYPE_BCD16] = {"bcd16", 1, 16},
	[BF_TYPE_BCD32] = {"bcd32", 2, 32},
	[BF_TYPE_STRING] = {"string", 0, 0},
	[BF_TYPE_BOOL] = {"bool", 1, 16},
};

static bool type_known(enum bf_type type)
{
	return (unsigned)type < BF_N_TYPES;
}

const char *bf_type_name(enum bf_type type)
{
	return type_known(type) ? rows[type].name : NULL;
}

int bf_type_from_name(const char *name)
{
	for (unsigned type = 0; type < BF_N_TYPES; type++)
		if (strcmp(rows[type].name, name) == 0)
			return (int)type;
	return -EINVAL;
}

unsigned bf_shape_registers(const struct bf_shape *shape)
{
	if (!type_known(shape->type))
		return 0;
	if (shape->type == BF_TYPE_STRING)
		return (shape->length + 1u) / 2;
	return rows[shape->type].registers;
}

/* False for shapes that nothing can have: an unknown type, a text without a length or with too
 * great a one. */
static bool shape_sound(const struct bf_shape *shape)
{
	if (!type_known(shape->type))
		return false;
	return shape->type != BF_TYPE_STRING || (shape->length > 0 && shape->length <= BF_STRING_MAX);
}

static uint64_t mask_of(unsigned bits)
{
	return bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

/* Where the high byte of register i (counted from the value's high word) lies; its low byte is at
 * that place ^ 1. */
static size_t high_byte_at(const struct bf_shape *shape, size_t n, size_t i)
{
	size_t at = 2 * (shape->words == BF_LITTLE ? n - 1 - i : i);
	return shape->bytes == BF_LITTLE ? at + 1 : at;
}

static uint64_t word_load(const struct bf_shape *shape, const uint8_t *bytes, size_t n_registers)
{
	uint64_t word = 0;
	for (size_t i = 0; i < n_registers; i++) {
		size_t high = high_byte_at(shape, n_registers, i);
		word = word << 16 | (uint64_t)bytes[high] << 8 | bytes[high ^ 1];
	}
	return word & mask_of(rows[shape->type].bits);
}

static void word_store(const struct bf_shape *shape, uint64_t word, uint8_t *bytes, size_t n_registers)
{
	for (size_t i = n_registers; i-- > 0; word >>= 16) {
		size_t high = high_byte_at(shape, n_registers, i);
		bytes[high] = (uint8_t)(word >> 8);
		bytes[high ^ 1] = (uint8_t)word;
	}
}

static int64_t sign_extended(uint64_t word, unsigned bits)
{
	uint64_t sign = UINT64_C(1) << (bits - 1);
	return (int64_t)((word ^ sign) - sign);
}

/* IEEE 754-2008, section 3.6: 1 sign, 5 exponent bits with bias 15, 10 of the fraction.  Exact. */
static float half_to_float(uint64_t word)
{
	int exponent = (int)(word >> 10 & 0x1F), fraction = (int)(word & 0x3FF);
	float number = 0.0f;
	if (exponent == 0x1F)
		return fraction ? NAN : INFINITY;
	if (exponent == 0)
		number = ldexpf((float)fraction, -24);
	else
		number = ldexpf((float)(fraction + 0x400), exponent - 25);
	return word & 0x8000 ? -number : number;
}

/* Straight from the double, so that it is rounded once. 0 or -ERANGE. */
static int half_from_double(double number, uint64_t *ret_word)
{
	double size = fabs(number);
	uint64_t sign = signbit(number) ? 0x8000 : 0, word = 0;
	if (isnan(number)) {
		word = 0x7E00;
	} else if (isinf(number)) {
		word = 0x7C00;
	} else if (size < 0x1p-14) {
		word = (uint64_t)rint(ldexp(size, 24));
	} else {
		int exponent = ilogb(size);
		if (exponent > 15)
			return -ERANGE;
		/* a fraction that rounds up to 0x800 carries into the exponent, as it should */
		word = (uint64_t)((exponent + 14) << 10) + (uint64_t)rint(ldexp(size, 10 - exponent));
		if (word >= 0x7C00)
			return -ERANGE;
	}
	*ret_word = sign | word;
	return 0;
}

static int bcd_load(uint64_t word, unsigned bits, uint64_t *ret_number)
{
	uint64_t number = 0;
	for (unsigned shift = bits; shift > 0; shift -= 4) {
		unsigned digit = (unsigned)(word >> (shift - 4) & 15);
		if (digit > 9)
			return -EDOM;
		number = number * 10 + digit;
	}
	*ret_number = number;
	return 0;
}

static uint64_t bcd_store(uint64_t number)
{
	uint64_t word = 0;
	for (unsigned shift = 0; number; shift += 4, number /= 10)
		word |= number % 10 << shift;
	return word;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Registers of a text stand in reading order whatever the words: their order is one of numbers. */
static int text_load(const struct bf_shape *shape, const uint8_t *bytes, char *text, struct bf_value *ret_value)
{
	size_t n = 0, swap = shape->bytes == BF_LITTLE;
	while (n < shape->length && bytes[n ^ swap] != 0) {
		text[n] = (char)bytes[n ^ swap];
		n++;
	}
	while (n > 0 && blank(text[n - 1]))
		n--;
	text[n] = '\0';
	char *start = text;
	while (blank(*start)) {
		start++;
		n--;
	}
	if (!utf8_valid(start, n))
		return -EILSEQ;
	*ret_value = (struct bf_value){.kind = BF_TEXT, .text = {.at = start, .n = n}};
	return 0;
}

int bf_decode(const struct bf_shape *shape, const uint8_t *bytes, size_t n, char text[static BF_STRING_MAX + 1],
	struct bf_value *ret_value)
{
	/* Most registers are of this type, so it has a way of its own; the rest below would do it too. */
	if (shape->type == BF_TYPE_U16 && n == 2) {
		unsigned high = shape->bytes == BF_BIG ? 0 : 1;
		*ret_value = (struct bf_value){.kind = BF_UNSIGNED, .u = (uint64_t)bytes[high] << 8 | bytes[high ^ 1]};
		return 0;
	}
	size_t n_registers = bf_shape_registers(shape);
	if (!shape_sound(shape) || n != 2 * n_registers)
		return -EINVAL;
	if (shape->type == BF_TYPE_STRING)
		return text_load(shape, bytes, text, ret_value);

	unsigned bits = rows[shape->type].bits;
	uint64_t word = word_load(shape, bytes, n_registers);
	struct bf_value value = {.kind = BF_UNSIGNED, .u = word};
	uint32_t low = (uint32_t)word;
	int r;
	switch (shape->type) {
	case BF_TYPE_S8:
	case BF_TYPE_S16:
	case BF_TYPE_S32:
	case BF_TYPE_S64:
		value = (struct bf_value){.kind = BF_SIGNED, .i = sign_extended(word, bits)};
		break;
	case BF_TYPE_F16:
		value = (struct bf_value){.kind = BF_FLOAT16, .f32 = half_to_float(word)};
		break;
	case BF_TYPE_F32:
		value.kind = BF_FLOAT32;
		memcpy(&value.f32, &low, sizeof(low));
		break;
	case BF_TYPE_F64:
		value.kind = BF_FLOAT64;
		memcpy(&value.f64, &word, sizeof(word));
		break;
	case BF_TYPE_BCD16:
	case BF_TYPE_BCD32:
		r = bcd_load(word, bits, &value.u);
		if (r < 0)
			return r;
		break;
	case BF_TYPE_BOOL:
		value = (struct bf_value){.kind = BF_BOOLEAN, .yes = word != 0};
		break;
	default:
		break;
	}
	if (!isfinite(bf_value_number(&value)))
		return -EDOM;
	*ret_value = value;
	return 0;
}

uint64_t bf_decode_raw(const struct bf_shape *shape, const uint8_t *bytes, size_t n)
{
	size_t n_registers = bf_shape_registers(shape);
	if (!shape_sound(shape) || shape->type == BF_TYPE_STRING || n != 2 * n_registers)
		return 0;
	return word_load(shape, bytes, n_registers);
}

/* A number as sign and size, so that both 64 bit types fit. */
struct whole {
	bool negative;
	uint64_t size;
};

static int whole_of(const struct bf_value *value, struct whole *ret_whole)
{
	if (value->kind == BF_UNSIGNED) {
		*ret_whole = (struct whole){.size = value->u};
	} else if (value->kind == BF_SIGNED) {
		bool negative = value->i < 0;
		*ret_whole = (struct whole){negative, negative ? 0 - (uint64_t)value->i : (uint64_t)value->i};
	} else {
		double number = round(bf_value_number(value));
		if (!(fabs(number) < 0x1p64)) /* NaN too */
			return -ERANGE;
		*ret_whole = (struct whole){number < 0.0, (uint64_t)fabs(number)};
	}
	return 0;
}

static int word_of_whole(enum bf_type type, struct whole whole, uint64_t *ret_word)
{
	bool is_signed = type == BF_TYPE_S8 || type == BF_TYPE_S16 || type == BF_TYPE_S32 || type == BF_TYPE_S64;
	uint64_t most = mask_of(rows[type].bits);
	if (is_signed)
		most = most / 2 + (whole.negative ? 1 : 0);
	else if (whole.negative)
		most = 0;
	else if (type == BF_TYPE_BCD16)
		most = 9999;
	else if (type == BF_TYPE_BCD32)
		most = 99999999;
	else if (type == BF_TYPE_BOOL)
		most = 1;
	if (whole.size > most)
		return -ERANGE;
	if (type == BF_TYPE_BCD16 || type == BF_TYPE_BCD32)
		*ret_word = bcd_store(whole.size);
	else
		*ret_word = whole.negative ? 0 - whole.size : whole.size;
	return 0;
}

static int word_of_number(enum bf_type type, const struct bf_value *value, uint64_t *ret_word)
{
	double number = bf_value_number(value);
	struct whole whole;
	float narrow;
	uint32_t low;
	int r;
	switch (type) {
	case BF_TYPE_F16:
		return half_from_double(number, ret_word);
	case BF_TYPE_F32:
		/* half an ulp above FLT_MAX a double rounds to infinity */
		if (isfinite(number) && fabs(number) >= (double)FLT_MAX + 0x1p103)
			return -ERANGE;
		narrow = (float)number;
		memcpy(&low, &narrow, sizeof(low));
		*ret_word = low;
		return 0;
	case BF_TYPE_F64:
		memcpy(ret_word, &number, sizeof(number));
		return 0;
	default:
		r = whole_of(value, &whole);
		return r < 0 ? r : word_of_whole(type, whole, ret_word);
	}
}

int bf_encode(const struct bf_shape *shape, const struct bf_value *value, uint8_t *bytes, size_t size)
{
	size_t n_registers = bf_shape_registers(shape);
	if (!shape_sound(shape) || size < 2 * n_registers)
		return -EINVAL;
	if (shape->type == BF_TYPE_STRING) {
		if (value->kind != BF_TEXT)
			return -EINVAL;
		if (value->text.n > shape->length)
			return -ERANGE;
		size_t swap = shape->bytes == BF_LITTLE;
		memset(bytes, 0, 2 * n_registers);
		for (size_t i = 0; i < value->text.n; i++)
			bytes[i ^ swap] = (uint8_t)value->text.at[i];
		return (int)(2 * n_registers);
	}
	uint64_t word = 0;
	if (value->kind == BF_BOOLEAN && shape->type == BF_TYPE_BOOL) {
		word = value->yes;
	} else if (value->kind >= BF_SIGNED && value->kind <= BF_FLOAT64) {
		int r = word_of_number(shape->type, value, &word);
		if (r < 0)
			return r;
	} else {
		return -EINVAL;
	}
	word_store(shape, word & mask_of(rows[shape->type].bits), bytes, n_registers);
	return (int)(2 * n_registers);
}

/*
 * Every type in every order, there and back; what is refused; texts.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sdk/decode.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 20000

static uint64_t seed = 4711;

static uint64_t chance(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 0x2545F4914F6CDD1Du;
}

static char text[BF_STRING_MAX + 1];

static struct bf_value decoded(struct bf_shape shape, const char *bytes, size_t n)
{
	struct bf_value value = {.kind = BF_NONE};
	assert_int_equal(bf_decode(&shape, (const uint8_t *)bytes, n, text, &value), 0);
	return value;
}

static void refused(struct bf_shape shape, const char *bytes, size_t n, int error)
{
	struct bf_value value = {.kind = BF_SIGNED, .i = 77};
	assert_int_equal(bf_decode(&shape, (const uint8_t *)bytes, n, text, &value), error);
	assert_int_equal(value.kind, BF_SIGNED);
	assert_int_equal(value.i, 77);
}

static void test_names(void **state)
{
	(void)state;
	static const char *const names[] = {"u16", "u8", "s8", "s16", "u24", "u32", "s32", "u64", "s64", "f16", "f32",
		"f64", "bcd16", "bcd32", "string", "bool"};
	static const unsigned registers[] = {1, 1, 1, 1, 2, 2, 2, 4, 4, 1, 2, 4, 1, 2, 0, 1};
	assert_int_equal(sizeof(names) / sizeof(names[0]), BF_N_TYPES);
	for (int i = 0; i < BF_N_TYPES; i++) {
		struct bf_shape shape = {.type = (enum bf_type)i};
		assert_string_equal(bf_type_name((enum bf_type)i), names[i]);
		assert_int_equal(bf_type_from_name(names[i]), i);
		assert_int_equal(bf_shape_registers(&shape), registers[i]);
	}
	assert_null(bf_type_name(BF_N_TYPES));
	assert_int_equal(bf_type_from_name("U16"), -EINVAL);
	assert_int_equal(bf_type_from_name("u1"), -EINVAL);
	assert_int_equal(bf_type_from_name(""), -EINVAL);
	struct bf_shape odd = {.type = BF_TYPE_STRING, .length = 15};
	assert_int_equal(bf_shape_registers(&odd), 8);
}

static void test_four_orders(void **state)
{
	(void)state;
	const struct {
		enum bf_order words, bytes;
		const char *wire32, *wire64;
	} cases[] = {
		{BF_BIG, BF_BIG, "\x12\x34\x56\x78", "\x01\x23\x45\x67\x89\xAB\xCD\xEF"},
		{BF_LITTLE, BF_BIG, "\x56\x78\x12\x34", "\xCD\xEF\x89\xAB\x45\x67\x01\x23"},
		{BF_BIG, BF_LITTLE, "\x34\x12\x78\x56", "\x23\x01\x67\x45\xAB\x89\xEF\xCD"},
		{BF_LITTLE, BF_LITTLE, "\x78\x56\x34\x12", "\xEF\xCD\xAB\x89\x67\x45\x23\x01"},
	};
	for (size_t i = 0; i < 4; i++) {
		struct bf_shape shape = {BF_TYPE_U32, cases[i].words, cases[i].bytes, 0};
		assert_int_equal(decoded(shape, cases[i].wire32, 4).u, 0x12345678);
		shape.type = BF_TYPE_U24;
		assert_int_equal(decoded(shape, cases[i].wire32, 4).u, 0x345678);
		shape.type = BF_TYPE_BCD32;
		assert_int_equal(decoded(shape, cases[i].wire32, 4).u, 12345678);
		shape.type = BF_TYPE_U64;
		assert_true(decoded(shape, cases[i].wire64, 8).u == 0x0123456789ABCDEF);
	}
}

static void test_narrow_ones(void **state)
{
	(void)state;
	struct bf_shape shape = {.type = BF_TYPE_U8};
	assert_int_equal(decoded(shape, "\xAB\xCD", 2).u, 0xCD);
	shape.bytes = BF_LITTLE;
	assert_int_equal(decoded(shape, "\xAB\xCD", 2).u, 0xAB);
	shape = (struct bf_shape){.type = BF_TYPE_S8};
	assert_int_equal(decoded(shape, "\x7F\x80", 2).i, -128);
	shape.type = BF_TYPE_S16;
	assert_int_equal(decoded(shape, "\x80\x00", 2).i, -32768);
	assert_int_equal(bf_decode_raw(&shape, (const uint8_t *)"\x80\x00", 2), 0x8000);
	shape.type = BF_TYPE_BOOL;
	assert_true(decoded(shape, "\x01\x00", 2).yes);
	assert_false(decoded(shape, "\x00\x00", 2).yes);
	shape.type = BF_TYPE_BCD16;
	assert_int_equal(decoded(shape, "\x90\x12", 2).u, 9012);
	refused(shape, "\x1A\x00", 2, -EDOM);
	shape.type = BF_TYPE_BCD32;
	refused(shape, "\x12\x34\x56\x7F", 4, -EDOM);
}

static void test_floats(void **state)
{
	(void)state;
	struct bf_shape shape = {.type = BF_TYPE_F32};
	assert_true(decoded(shape, "\x43\x66\x19\x9A", 4).f32 == 230.1f);
	refused(shape, "\x7F\xC0\x00\x00", 4, -EDOM);
	refused(shape, "\xFF\x80\x00\x00", 4, -EDOM);
	assert_true(bf_decode_raw(&shape, (const uint8_t *)"\x7F\xC0\x00\x00", 4) == 0x7FC00000);
	shape.type = BF_TYPE_F64;
	assert_true(decoded(shape, "\x40\x09\x21\xFB\x54\x44\x2D\x18", 8).f64 == 3.141592653589793);
	refused(shape, "\x7F\xF0\x00\x00\x00\x00\x00\x00", 8, -EDOM);
	shape.type = BF_TYPE_F16;
	assert_true(decoded(shape, "\x3C\x00", 2).f32 == 1.0f);
	assert_true(decoded(shape, "\xC0\x00", 2).f32 == -2.0f);
	assert_true(decoded(shape, "\x35\x55", 2).f32 == 0x1.554p-2f);
	assert_true(decoded(shape, "\x7B\xFF", 2).f32 == 65504.0f);
	assert_true(decoded(shape, "\x00\x01", 2).f32 == 0x1p-24f);
	assert_true(decoded(shape, "\x04\x00", 2).f32 == 0x1p-14f);
	refused(shape, "\x7C\x00", 2, -EDOM);
	refused(shape, "\x7E\x00", 2, -EDOM);
}

static void test_sizes(void **state)
{
	(void)state;
	const char *bytes = "\x01\x02\x03\x04\x05\x06\x07\x08";
	for (int t = 0; t < BF_N_TYPES; t++)
		for (size_t n = 0; n <= 8; n++) {
			struct bf_shape shape = {.type = (enum bf_type)t, .length = t == BF_TYPE_STRING ? 5 : 0};
			if (n == 2 * bf_shape_registers(&shape))
				continue;
			refused(shape, bytes, n, -EINVAL);
			assert_true(bf_decode_raw(&shape, (const uint8_t *)bytes, n) == 0);
		}
	refused((struct bf_shape){.type = BF_N_TYPES}, bytes, 0, -EINVAL);
	refused((struct bf_shape){.type = BF_TYPE_STRING}, bytes, 0, -EINVAL);
	refused((struct bf_shape){.type = BF_TYPE_STRING, .length = 251}, bytes, 252, -EINVAL);
}

static void reads(struct bf_shape shape, const char *bytes, const char *expected)
{
	struct bf_value value = decoded(shape, bytes, 2 * bf_shape_registers(&shape));
	assert_int_equal(value.kind, BF_TEXT);
	assert_int_equal(value.text.n, strlen(expected));
	assert_memory_equal(value.text.at, expected, value.text.n);
	assert_true(value.text.at >= text && value.text.at + value.text.n <= text + BF_STRING_MAX);
}

static void test_texts(void **state)
{
	(void)state;
	struct bf_shape shape = {.type = BF_TYPE_STRING, .length = 8};
	reads(shape, "SDM120\0\0", "SDM120");
	reads(shape, "SDM\0 120", "SDM");
	reads(shape, "SDM 120 ", "SDM 120");
	reads(shape, "  A \t  \0", "A");
	reads(shape, "        ", "");
	reads(shape, "\0\0\0\0\0\0\0\0", "");
	reads(shape, "ABCDEFGH", "ABCDEFGH");
	reads(shape,
		"12\xC2\xB0"
		"C\xE2\x82\xAC",
		"12\xC2\xB0"
		"C\xE2\x82\xAC");
	refused(shape,
		"ABC\xFF"
		"EFGH",
		8, -EILSEQ);
	refused(shape, "ABCDEFG\xC2", 8, -EILSEQ);
	reads(shape, "AB\0\xFF\xFF\xFF\xFF\xFF", "AB"); /* what is behind the NUL is nobody's */
	assert_true(bf_decode_raw(&shape, (const uint8_t *)"ABCDEFGH", 8) == 0);

	shape.bytes = BF_LITTLE;
	reads(shape, "DS1M02\0\0", "SDM120");
	shape.words = BF_LITTLE; /* an order of numbers */
	reads(shape, "DS1M02\0\0", "SDM120");
	shape.length = 5;
	reads(shape, "BADCXE", "ABCDE");
	shape.bytes = BF_BIG;
	reads(shape, "ABCDEX", "ABCDE");
}

static void test_longest_text(void **state)
{
	(void)state;
	struct bf_shape shape = {.type = BF_TYPE_STRING, .length = BF_STRING_MAX};
	char bytes[BF_STRING_MAX];
	memset(bytes, 'z', sizeof(bytes));
	struct bf_value value = decoded(shape, bytes, sizeof(bytes));
	assert_int_equal(value.text.n, BF_STRING_MAX);
	assert_int_equal(text[BF_STRING_MAX], 0);
}

static struct bf_value any_value(enum bf_type type)
{
	uint64_t bits = chance() >> (chance() % 64);
	struct bf_value value = {.kind = BF_UNSIGNED};
	uint32_t low = (uint32_t)chance();
	switch (type) {
	case BF_TYPE_U8:
		value.u = bits & 0xFF;
		break;
	case BF_TYPE_U16:
		value.u = bits & 0xFFFF;
		break;
	case BF_TYPE_U24:
		value.u = bits & 0xFFFFFF;
		break;
	case BF_TYPE_U32:
		value.u = bits & 0xFFFFFFFF;
		break;
	case BF_TYPE_U64:
		value.u = bits;
		break;
	case BF_TYPE_S8:
		value = (struct bf_value){.kind = BF_SIGNED, .i = (int8_t)bits};
		break;
	case BF_TYPE_S16:
		value = (struct bf_value){.kind = BF_SIGNED, .i = (int16_t)bits};
		break;
	case BF_TYPE_S32:
		value = (struct bf_value){.kind = BF_SIGNED, .i = (int32_t)bits};
		break;
	case BF_TYPE_S64:
		value = (struct bf_value){.kind = BF_SIGNED, .i = (int64_t)chance()};
		break;
	case BF_TYPE_F16:
		value = (struct bf_value){.kind = BF_FLOAT16,
			.f32 = ldexpf((float)((int)(bits & 0xFFF) - 0x800), (int)(chance() % 20) - 14)};
		if (fabsf(value.f32) > 65504.0f)
			value.f32 = -65504.0f;
		break;
	case BF_TYPE_F32:
		value.kind = BF_FLOAT32;
		memcpy(&value.f32, &low, sizeof(low));
		if (!isfinite(value.f32))
			value.f32 = FLT_MAX;
		break;
	case BF_TYPE_F64:
		bits = chance();
		value.kind = BF_FLOAT64;
		memcpy(&value.f64, &bits, sizeof(bits));
		if (!isfinite(value.f64))
			value.f64 = -DBL_MIN;
		break;
	case BF_TYPE_BCD16:
		value.u = bits % 10000;
		break;
	case BF_TYPE_BCD32:
		value.u = bits % 100000000;
		break;
	default:
		value = (struct bf_value){.kind = BF_BOOLEAN, .yes = bits & 1};
		break;
	}
	return value;
}

static void test_round_trip(void **state)
{
	(void)state;
	for (int t = 0; t < BF_N_TYPES; t++) {
		if (t == BF_TYPE_STRING)
			continue;
		for (unsigned i = 0; i < ROUNDS; i++) {
			struct bf_shape shape = {
				(enum bf_type)t, i & 1 ? BF_LITTLE : BF_BIG, i & 2 ? BF_LITTLE : BF_BIG, 0};
			struct bf_value value = any_value(shape.type), back = {.kind = BF_NONE};
			uint8_t bytes[10], again[8];
			size_t n = 2 * bf_shape_registers(&shape);
			memset(bytes, 0xA5, sizeof(bytes));
			assert_int_equal(bf_encode(&shape, &value, bytes, sizeof(bytes)), (int)n);
			assert_int_equal(bytes[n], 0xA5);
			assert_int_equal(bf_decode(&shape, bytes, n, text, &back), 0);
			assert_true(bf_value_equal(&value, &back));
			/* the raw word is the same in every order */
			struct bf_shape plain = {.type = shape.type};
			assert_int_equal(bf_encode(&plain, &value, again, sizeof(again)), (int)n);
			assert_true(bf_decode_raw(&shape, bytes, n) == bf_decode_raw(&plain, again, n));
		}
	}
}

/* All halves: what decodes encodes to the same bits. */
static void test_all_halves(void **state)
{
	(void)state;
	struct bf_shape shape = {.type = BF_TYPE_F16};
	for (unsigned bits = 0; bits < 0x10000; bits++) {
		uint8_t bytes[2] = {(uint8_t)(bits >> 8), (uint8_t)bits}, back[2];
		struct bf_value value = {.kind = BF_NONE};
		int r = bf_decode(&shape, bytes, 2, text, &value);
		if ((bits & 0x7C00) == 0x7C00) {
			assert_int_equal(r, -EDOM);
			continue;
		}
		assert_int_equal(r, 0);
		assert_int_equal(bf_encode(&shape, &value, back, 2), 2);
		assert_memory_equal(bytes, back, 2);
	}
}

static void prints_half(float number, int decimals, const char *expected)
{
	char shown[BF_NUMBER_SIZE];
	struct bf_value value = {.kind = BF_FLOAT16, .f32 = number};
	assert_true(bf_value_print(&value, decimals, shown) > 0);
	assert_string_equal(shown, expected);
}

/* Is the text, as a number, nearest to the half of these bits? */
static bool reads_as_half(const char *shown, const uint8_t bytes[2])
{
	struct bf_shape shape = {.type = BF_TYPE_F16};
	struct bf_value read = {.kind = BF_FLOAT64, .f64 = strtod(shown, NULL)};
	uint8_t back[2];
	return bf_encode(&shape, &read, back, 2) == 2 && memcmp(back, bytes, 2) == 0;
}

/* All halves print as the shortest text that reads back as them. */
static void test_halves_in_print(void **state)
{
	(void)state;
	prints_half(0x1.998p-4f, -1, "0.1");
	prints_half(0x1.998p-4f, 5, "0.09998");
	prints_half(65504.0f, -1, "65500");
	prints_half(-0x1p-24f, -1, "-6e-8");
	prints_half(0.0f, -1, "0");
	struct bf_shape shape = {.type = BF_TYPE_F16};
	for (unsigned bits = 1; bits < 0x7C00; bits++) {
		uint8_t bytes[2] = {(uint8_t)(bits >> 8), (uint8_t)bits};
		char shown[BF_NUMBER_SIZE], shorter[BF_NUMBER_SIZE];
		struct bf_value value;
		assert_int_equal(bf_decode(&shape, bytes, 2, text, &value), 0);
		assert_int_equal(value.kind, BF_FLOAT16);
		assert_true(bf_value_print(&value, -1, shown) > 0);
		if (!reads_as_half(shown, bytes))
			fail_msg("%04x prints as %s", bits, shown);
		for (int n = 0; n < 4; n++) {
			snprintf(shorter, sizeof(shorter), "%.*e", n, (double)value.f32);
			if (reads_as_half(shorter, bytes)) {
				assert_true(strtod(shorter, NULL) == strtod(shown, NULL));
				break;
			}
		}
	}
}

static void test_texts_round_trip(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct bf_shape shape = {BF_TYPE_STRING, i & 1 ? BF_LITTLE : BF_BIG, i & 2 ? BF_LITTLE : BF_BIG,
			(uint16_t)(1 + chance() % BF_STRING_MAX)};
		char letters[BF_STRING_MAX];
		uint8_t bytes[BF_STRING_MAX];
		size_t length = (size_t)(chance() % (shape.length + 1u));
		for (size_t k = 0; k < length; k++)
			letters[k] = (char)('!' + chance() % 94);
		struct bf_value value = {.kind = BF_TEXT, .text = {letters, length}}, back = {.kind = BF_NONE};
		size_t n = 2 * bf_shape_registers(&shape);
		assert_int_equal(bf_encode(&shape, &value, bytes, n), (int)n);
		assert_int_equal(bf_decode(&shape, bytes, n, text, &back), 0);
		assert_true(bf_value_equal(&value, &back));
	}
}

static void encodes(enum bf_type type, struct bf_value value, int expected, const char *bytes)
{
	struct bf_shape shape = {.type = type, .length = type == BF_TYPE_STRING ? 4 : 0};
	uint8_t out[8];
	memset(out, 0xEE, sizeof(out));
	assert_int_equal(bf_encode(&shape, &value, out, sizeof(out)), expected);
	if (expected > 0)
		assert_memory_equal(out, bytes, (size_t)expected);
	for (size_t i = expected > 0 ? (size_t)expected : 0; i < sizeof(out); i++)
		assert_int_equal(out[i], 0xEE);
}

static struct bf_value whole(int64_t i)
{
	return (struct bf_value){.kind = BF_SIGNED, .i = i};
}

static struct bf_value real(double number)
{
	return (struct bf_value){.kind = BF_FLOAT64, .f64 = number};
}

static void test_encode_bounds(void **state)
{
	(void)state;
	encodes(BF_TYPE_U16, whole(65535), 2, "\xFF\xFF");
	encodes(BF_TYPE_U16, whole(65536), -ERANGE, NULL);
	encodes(BF_TYPE_U16, whole(-1), -ERANGE, NULL);
	encodes(BF_TYPE_U16, real(-0.4), 2, "\x00\x00");
	encodes(BF_TYPE_U16, real(215.5), 2, "\x00\xD8");
	encodes(BF_TYPE_U16, real(65535.5), -ERANGE, NULL);
	encodes(BF_TYPE_U16, real(NAN), -ERANGE, NULL);
	encodes(BF_TYPE_S16, real(-INFINITY), -ERANGE, NULL);
	encodes(BF_TYPE_U8, whole(255), 2, "\x00\xFF");
	encodes(BF_TYPE_U8, whole(256), -ERANGE, NULL);
	encodes(BF_TYPE_S8, whole(-128), 2, "\x00\x80");
	encodes(BF_TYPE_S8, whole(-129), -ERANGE, NULL);
	encodes(BF_TYPE_S8, whole(128), -ERANGE, NULL);
	encodes(BF_TYPE_S16, real(-12.5), 2, "\xFF\xF3");
	encodes(BF_TYPE_U24, whole(0xFFFFFF), 4, "\x00\xFF\xFF\xFF");
	encodes(BF_TYPE_U24, whole(0x1000000), -ERANGE, NULL);
	encodes(BF_TYPE_S64, whole(INT64_MIN), 8, "\x80\0\0\0\0\0\0\0");
	encodes(BF_TYPE_S64, (struct bf_value){.kind = BF_UNSIGNED, .u = UINT64_C(1) << 63}, -ERANGE, NULL);
	encodes(BF_TYPE_U64, real(0x1p64), -ERANGE, NULL);
	encodes(BF_TYPE_U64, real(0x1p63), 8, "\x80\0\0\0\0\0\0\0");
	encodes(BF_TYPE_BCD16, whole(9999), 2, "\x99\x99");
	encodes(BF_TYPE_BCD16, whole(10000), -ERANGE, NULL);
	encodes(BF_TYPE_BCD32, whole(100000000), -ERANGE, NULL);
	encodes(BF_TYPE_BCD32, whole(-1), -ERANGE, NULL);
	encodes(BF_TYPE_F32, whole(1), 4, "\x3F\x80\x00\x00");
	encodes(BF_TYPE_F32, real(1e39), -ERANGE, NULL);
	encodes(BF_TYPE_F32, real((double)FLT_MAX * (1 + 0x1p-26)), 4, "\x7F\x7F\xFF\xFF");
	encodes(BF_TYPE_F32, real(NAN), 4, "\x7F\xC0\x00\x00");
	encodes(BF_TYPE_F16, real(65519.9), 2, "\x7B\xFF");
	encodes(BF_TYPE_F16, real(65520.0), -ERANGE, NULL);
	encodes(BF_TYPE_F16, real(1e300), -ERANGE, NULL);
	encodes(BF_TYPE_F16, real(0x1.ffcp-15), 2, "\x04\x00"); /* rounds up out of the subnormals */
	encodes(BF_TYPE_F16, real(1e-9), 2, "\x00\x00");
}

static void test_encode_kinds(void **state)
{
	(void)state;
	struct bf_value yes = {.kind = BF_BOOLEAN, .yes = true}, none = {.kind = BF_NONE};
	struct bf_value word = {.kind = BF_TEXT, .text = {"AB", 2}}, longer = {.kind = BF_TEXT, .text = {"ABCDE", 5}};
	encodes(BF_TYPE_BOOL, yes, 2, "\x00\x01");
	encodes(BF_TYPE_BOOL, whole(1), 2, "\x00\x01");
	encodes(BF_TYPE_BOOL, whole(2), -ERANGE, NULL);
	encodes(BF_TYPE_U16, yes, -EINVAL, NULL);
	encodes(BF_TYPE_U16, none, -EINVAL, NULL);
	encodes(BF_TYPE_U16, word, -EINVAL, NULL);
	encodes(BF_TYPE_STRING, word, 4, "AB\0\0");
	encodes(BF_TYPE_STRING, longer, -ERANGE, NULL);
	encodes(BF_TYPE_STRING, whole(1), -EINVAL, NULL);
	encodes(BF_N_TYPES, whole(1), -EINVAL, NULL);
	struct bf_shape shape = {.type = BF_TYPE_U32};
	uint8_t out[3] = {0};
	yes = whole(1);
	assert_int_equal(bf_encode(&shape, &yes, out, sizeof(out)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_four_orders),
		cmocka_unit_test(test_narrow_ones),
		cmocka_unit_test(test_floats),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_longest_text),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_all_halves),
		cmocka_unit_test(test_halves_in_print),
		cmocka_unit_test(test_texts_round_trip),
		cmocka_unit_test(test_encode_bounds),
		cmocka_unit_test(test_encode_kinds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

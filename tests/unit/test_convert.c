/*
 * From answered bytes to values: places, bits, sentinels, scale.
 */
#include "field/convert.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static char text[BF_STRING_MAX + 1];

static struct plan_metric metric_at(uint16_t at, uint16_t count, enum bf_type type)
{
	return (struct plan_metric){.place = {BF_SPACE_HOLDING, at, count},
		.shape = {.type = type},
		.scale = 1.0,
		.decimals = -1,
		.min = NAN,
		.max = NAN};
}

static void a_value_is_found_in_the_middle_of_a_read(void **state)
{
	(void)state;
	struct bf_place asked = {BF_SPACE_HOLDING, 100, 4};
	uint8_t bytes[] = {0, 1, 0x12, 0x34, 0x56, 0x78, 0, 2};
	struct plan_metric metric = metric_at(101, 2, BF_TYPE_U32);
	struct bf_value value;
	assert_int_equal(convert_metric(&metric, &asked, bytes, text, &value), QUALITY_GOOD);
	assert_int_equal(value.u, 0x12345678);
}

static void scale_and_offset(void **state)
{
	(void)state;
	struct bf_place asked = {BF_SPACE_HOLDING, 0, 1};
	uint8_t bytes[] = {0xFF, 0x9C}; /* -100 */
	struct plan_metric metric = metric_at(0, 1, BF_TYPE_S16);
	metric.scaled = true;
	metric.scale = 0.1;
	metric.offset = 5;
	struct bf_value value;
	assert_int_equal(convert_metric(&metric, &asked, bytes, text, &value), QUALITY_GOOD);
	assert_int_equal(value.kind, BF_FLOAT64);
	assert_true(fabs(value.f64 + 5.0) < 1e-9);
}

static void a_sentinel_is_invalid(void **state)
{
	(void)state;
	struct bf_place asked = {BF_SPACE_HOLDING, 0, 1};
	uint8_t bytes[] = {0x80, 0x00};
	uint64_t sentinels[] = {0x7FFF, 0x8000};
	struct plan_metric metric = metric_at(0, 1, BF_TYPE_S16);
	metric.invalid = sentinels;
	metric.n_invalid = 2;
	struct bf_value value;
	assert_int_equal(convert_metric(&metric, &asked, bytes, text, &value), QUALITY_INVALID);
	assert_int_equal(value.kind, BF_NONE);
	bytes[1] = 1;
	assert_int_equal(convert_metric(&metric, &asked, bytes, text, &value), QUALITY_GOOD);
}

/* A driver may make a number for an integer metric that no integer can hold. */
static void what_no_integer_can_hold_is_no_sentinel(void **state)
{
	(void)state;
	uint64_t nought = 0;
	struct plan_metric metric = metric_at(0, 4, BF_TYPE_U64);
	metric.invalid = &nought;
	metric.n_invalid = 1;
	struct bf_value raw = {.kind = BF_FLOAT64, .f64 = 0x1p70}, value;
	assert_int_equal(convert_value(&metric, &raw, &value), QUALITY_GOOD);
	assert_true(value.f64 == 0x1p70);
	raw.f64 = 0;
	assert_int_equal(convert_value(&metric, &raw, &value), QUALITY_INVALID);
}

static void not_a_number_is_invalid(void **state)
{
	(void)state;
	struct bf_place asked = {BF_SPACE_HOLDING, 0, 2};
	uint8_t bytes[] = {0x7F, 0xC0, 0, 0};
	struct plan_metric metric = metric_at(0, 2, BF_TYPE_F32);
	struct bf_value value;
	assert_int_equal(convert_metric(&metric, &asked, bytes, text, &value), QUALITY_INVALID);
}

static void bits_of_a_register(void **state)
{
	(void)state;
	struct bf_place asked = {BF_SPACE_HOLDING, 0, 1};
	uint8_t bytes[] = {0x05, 0x02}; /* bits 1, 8, 10 */
	struct plan_metric metric = metric_at(0, 1, BF_TYPE_U16);
	struct bf_value value;
	metric.bit = 1;
	metric.n_bits = 1;
	convert_metric(&metric, &asked, bytes, text, &value);
	assert_int_equal(value.kind, BF_BOOLEAN);
	assert_true(value.yes);
	metric.bit = 8;
	metric.n_bits = 3;
	convert_metric(&metric, &asked, bytes, text, &value);
	assert_int_equal(value.kind, BF_UNSIGNED);
	assert_int_equal(value.u, 5);
}

static void coils_are_taken_bit_by_bit(void **state)
{
	(void)state;
	struct bf_place asked = {BF_SPACE_COIL, 16, 12};
	uint8_t bytes[] = {0x01, 0x08};
	struct bf_value value;
	for (uint16_t i = 0; i < 12; i++) {
		struct plan_metric metric = metric_at((uint16_t)(16 + i), 1, BF_TYPE_BOOL);
		metric.place.space = BF_SPACE_COIL;
		assert_int_equal(convert_metric(&metric, &asked, bytes, text, &value), QUALITY_GOOD);
		assert_int_equal(value.yes, i == 0 || i == 11);
	}
}

static void the_power_of_ten_comes_from_a_register(void **state)
{
	(void)state;
	struct plan_metric metric = metric_at(10, 1, BF_TYPE_U16);
	metric.scale_from = true;
	metric.scale_place = (struct bf_place){BF_SPACE_HOLDING, 13, 1};
	struct bf_place asked = convert_place(&metric);
	assert_int_equal(asked.at, 10);
	assert_int_equal(asked.count, 4);
	uint8_t bytes[] = {0x09, 0x01, 0, 0, 0, 0, 0xFF, 0xFF}; /* 2305 × 10^-1 */
	struct bf_value value;
	assert_int_equal(convert_metric(&metric, &asked, bytes, text, &value), QUALITY_GOOD);
	assert_true(value.f64 == 230.5);
	bytes[0] = 0;
	bytes[1] = 3;
	assert_int_equal(convert_metric(&metric, &asked, bytes, text, &value), QUALITY_GOOD);
	assert_true(value.f64 == 0.3); /* and not 0.30000000000000004 */
	metric.scaled = true;
	metric.scale = 0.1;
	assert_int_equal(convert_metric(&metric, &asked, bytes, text, &value), QUALITY_GOOD);
	assert_true(value.f64 == 0.03);
	bytes[7] = 3; /* 3 × 10^(-1 + 4 - 1) */
	bytes[6] = 0;
	assert_int_equal(convert_metric(&metric, &asked, bytes, text, &value), QUALITY_GOOD);
	assert_true(value.f64 == 300);
	bytes[6] = 0x80; /* SunSpec: not implemented */
	bytes[7] = 0x00;
	assert_int_equal(convert_metric(&metric, &asked, bytes, text, &value), QUALITY_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_is_found_in_the_middle_of_a_read),
		cmocka_unit_test(scale_and_offset),
		cmocka_unit_test(a_sentinel_is_invalid),
		cmocka_unit_test(what_no_integer_can_hold_is_no_sentinel),
		cmocka_unit_test(not_a_number_is_invalid),
		cmocka_unit_test(bits_of_a_register),
		cmocka_unit_test(coils_are_taken_bit_by_bit),
		cmocka_unit_test(the_power_of_ten_comes_from_a_register),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

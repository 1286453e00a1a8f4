/*
 * Encoding is decoding backwards: of all types, orders and many scales, every raw value comes back as itself through
 * convert and encode, and what the registers can't hold is refused.
 */
#include "field/convert.h"
#include "field/encode.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static uint64_t seed = 88172645463325252u;

static uint64_t chance(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static struct plan_metric metric_of(enum bf_type type, unsigned order, double scale, double offset)
{
	struct plan_metric metric = {.topic = "t",
		.scale = scale,
		.offset = offset,
		.scaled = scale != 1 || offset != 0,
		.decimals = -1,
		.place = {BF_SPACE_HOLDING, 0, 1}};
	metric.shape = (struct bf_shape){
		.type = type, .words = order & 1 ? BF_LITTLE : BF_BIG, .bytes = order & 2 ? BF_LITTLE : BF_BIG};
	metric.place.count = (uint16_t)bf_shape_registers(&metric.shape);
	return metric;
}

static bool fills_its_registers(enum bf_type type)
{
	return type != BF_TYPE_STRING && type != BF_TYPE_U8 && type != BF_TYPE_S8 && type != BF_TYPE_U24;
}

/* Random registers; for what not all bits are a value of, a random value. */
static bool draw(const struct plan_metric *metric, uint8_t bytes[static 8])
{
	uint64_t bits = chance();
	struct bf_value value;
	char text[BF_STRING_MAX + 1];
	if (chance() % 4 == 0) /* the ends of the range and what is near */
		bits = chance() % 2 ? ~(chance() % 3) : chance() % 3;
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(bits >> 8 * i);
	if (metric->shape.type == BF_TYPE_BCD16 || metric->shape.type == BF_TYPE_BCD32)
		for (int i = 0; i < 8; i++)
			bytes[i] = (uint8_t)((bytes[i] & 0x0F) % 10 | (bytes[i] >> 4) % 10 << 4);
	if (metric->shape.type == BF_TYPE_BOOL)
		bytes[0] = bytes[1] = 0, bytes[metric->shape.bytes == BF_BIG] = bits & 1;
	if (metric->shape.type >= BF_TYPE_F16 && metric->shape.type <= BF_TYPE_F64 &&
		bf_decode(&metric->shape, bytes, 2u * metric->place.count, text, &value) == 0 &&
		bf_value_number(&value) == 0)
		memset(bytes, 0, 8); /* -0 comes back as the same number, not the same bits */
	return bf_decode(&metric->shape, bytes, 2u * metric->place.count, text, &value) == 0;
}

static void what_is_read_can_be_written(void **state)
{
	(void)state;
	static const struct {
		double scale, offset;
	} scales[] = {{1, 0}, {0.1, 0}, {0.01, -40}, {-0.5, 100}, {10, 0}, {1, -273}, {0.001, 0.5}};
	unsigned n = 0;
	for (int type = 0; type < BF_N_TYPES; type++)
		for (unsigned order = 0; order < 4 && fills_its_registers((enum bf_type)type); order++)
			for (size_t s = 0; s < sizeof(scales) / sizeof(scales[0]); s++) {
				struct plan_metric metric =
					metric_of((enum bf_type)type, order, scales[s].scale, scales[s].offset);
				bool wide = metric.place.count == 4 || type == BF_TYPE_F32 || type == BF_TYPE_F16;
				if (metric.scaled && wide) /* a double has no room for all of their digits, scaled */
					continue;
				for (int i = 0; i < 500; i++) {
					uint8_t bytes[8], again[8];
					char text[BF_STRING_MAX + 1];
					struct bf_value value;
					if (!draw(&metric, bytes))
						continue;
					assert_int_equal(convert_metric(&metric, &metric.place, bytes, text, &value),
						QUALITY_GOOD);
					assert_int_equal(encode_metric(&metric, &value, again, sizeof(again)),
						2 * metric.place.count);
					assert_memory_equal(again, bytes, 2u * metric.place.count);
					n++;
				}
			}
	assert_true(n > 60000);
}

static void floats_and_wide_integers_come_back_near(void **state)
{
	(void)state;
	for (int type = BF_TYPE_U64; type <= BF_TYPE_F64; type++)
		for (int i = 0; i < 2000; i++) {
			struct plan_metric metric = metric_of((enum bf_type)type, (unsigned)i % 4, 0.1, 3);
			uint8_t bytes[8];
			char text[BF_STRING_MAX + 1];
			struct bf_value value = {.kind = BF_FLOAT64, .f64 = 3 + (double)(chance() % 60000) * 0.1}, back;
			assert_true(encode_metric(&metric, &value, bytes, sizeof(bytes)) > 0);
			assert_int_equal(convert_metric(&metric, &metric.place, bytes, text, &back), QUALITY_GOOD);
			double off = type == BF_TYPE_F16 ? 4 : type == BF_TYPE_F32 ? 1e-3 : 1e-9;
			assert_true(fabs(bf_value_number(&back) - value.f64) <= off);
		}
}

static int encoded(const struct plan_metric *metric, struct bf_value value)
{
	uint8_t bytes[8];
	return encode_metric(metric, &value, bytes, sizeof(bytes));
}

#define NUMBER(n) ((struct bf_value){.kind = BF_FLOAT64, .f64 = (n)})

static void what_does_not_fit_is_refused(void **state)
{
	(void)state;
	struct plan_metric metric = metric_of(BF_TYPE_S16, 0, 0.1, 0);
	assert_int_equal(encoded(&metric, NUMBER(3276.7)), 2);
	assert_int_equal(encoded(&metric, NUMBER(3276.8)), -ERANGE);
	assert_int_equal(encoded(&metric, NUMBER(-3276.8)), 2);
	assert_int_equal(encoded(&metric, NUMBER(-3276.9)), -ERANGE);
	assert_int_equal(encoded(&metric, NUMBER(NAN)), -ERANGE);
	assert_int_equal(encoded(&metric, NUMBER(INFINITY)), -ERANGE);
	assert_int_equal(encoded(&metric, (struct bf_value){.kind = BF_NONE}), -EINVAL);
	assert_int_equal(encoded(&metric, (struct bf_value){.kind = BF_TEXT}), -EINVAL);
	assert_int_equal(encoded(&metric, (struct bf_value){.kind = BF_SIGNED, .i = 3}), 2);
	metric = metric_of(BF_TYPE_F32, 0, 1, 0);
	assert_int_equal(encoded(&metric, NUMBER(1e39)), -ERANGE);
	assert_int_equal(encoded(&metric, NUMBER(NAN)), -ERANGE);
	metric = metric_of(BF_TYPE_U64, 0, 1, 0);
	assert_int_equal(encoded(&metric, (struct bf_value){.kind = BF_UNSIGNED, .u = UINT64_MAX}), 8);
	assert_int_equal(encoded(&metric, (struct bf_value){.kind = BF_SIGNED, .i = -1}), -ERANGE);
	uint8_t bytes[8];
	struct bf_value one = NUMBER(1);
	assert_int_equal(encode_metric(&metric, &one, bytes, 7), -EINVAL);
	static const uint64_t none[] = {0x8000};
	metric = metric_of(BF_TYPE_S16, 0, 1, 0);
	metric.invalid = none;
	metric.n_invalid = 1;
	assert_int_equal(encoded(&metric, NUMBER(-32768)), -EDOM);
	metric.n_bits = 1;
	assert_int_equal(encoded(&metric, NUMBER(1)), -EINVAL);
}

static void coils_bools_and_words(void **state)
{
	(void)state;
	uint8_t bytes[8] = {9};
	struct plan_metric metric = {.place = {BF_SPACE_COIL, 3, 1}, .shape = {.type = BF_TYPE_BOOL}, .scale = 1};
	struct bf_value yes = {.kind = BF_BOOLEAN, .yes = true};
	assert_int_equal(encode_metric(&metric, &yes, bytes, sizeof(bytes)), 1);
	assert_int_equal(bytes[0], 1);
	assert_int_equal(encoded(&metric, NUMBER(2)), -ERANGE);
	metric = metric_of(BF_TYPE_BOOL, 0, 1, 0);
	assert_int_equal(encode_metric(&metric, &yes, bytes, sizeof(bytes)), 2);
	assert_int_equal(bytes[1], 1);
	static const struct plan_word words[] = {{0, "off"}, {255, "error"}};
	metric = metric_of(BF_TYPE_U16, 0, 0.1, 0); /* the number of a word is raw */
	metric.words = words;
	metric.n_words = 2;
	struct bf_value error = {.kind = BF_SIGNED, .i = 255};
	assert_int_equal(encode_metric(&metric, &error, bytes, sizeof(bytes)), 2);
	assert_int_equal(bytes[1], 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_can_be_written),
		cmocka_unit_test(floats_and_wide_integers_come_back_near),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(coils_bools_and_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

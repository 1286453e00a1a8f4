/*
 * Payloads of …/set: what is taken, and everything that looks like it and is not.
 */
#include "ship/wanted.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct plan_write any = {.min = NAN, .max = NAN, .step = NAN};
static char why[WANTED_WHY_SIZE];

static struct plan_metric number(const struct plan_write *write)
{
	return (struct plan_metric){.shape = {.type = BF_TYPE_F64}, .scale = 1, .write = write};
}

static int parse(const struct plan_metric *metric, const char *text, struct bf_value *ret_value)
{
	return wanted_parse(metric, text, strlen(text), ret_value, why);
}

static void numbers_are_taken(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		double number;
	} cases[] = {{"21.5", 21.5}, {"-3", -3}, {"0", 0}, {" 21\n", 21}, {"1e3", 1000}, {"1E+3", 1000}, {"25e-1", 2.5},
		{"-0.001", -0.001}, {"007", 7}, {"1e-300", 1e-300}, {"1e-999", 0},
		{"123456789012345678901234567890", 123456789012345678901234567890.0}};
	struct plan_metric metric = number(&any);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bf_value value;
		assert_int_equal(parse(&metric, cases[i].text, &value), 0);
		assert_true(bf_value_number(&value) == cases[i].number);
	}
	struct bf_value value;
	assert_int_equal(parse(&metric, "18446744073709551615", &value), 0);
	assert_int_equal(value.kind, BF_UNSIGNED);
	assert_true(value.u == UINT64_MAX);
	assert_int_equal(parse(&metric, "-9223372036854775808", &value), 0);
	assert_true(value.kind == BF_SIGNED && value.i == INT64_MIN);
}

static void what_only_looks_like_a_number_is_not(void **state)
{
	(void)state;
	static const char *const texts[] = {"", " ", "\n", "0x10", "0b1", "nan", "NaN", "inf", "-inf", "infinity",
		"1e999", "-1e999", "1,5", "1.5.", "1.", ".5", "+1", "--1", "- 1", "1 2", "1e", "1e+", "e3", "1_000",
		"1'000", "21.5°C", "21 ", "{\"value\":3}", "[3]", "\"3\"", "true", "on", "null",
		"\xef\xbc\x93" /* a wide 3 */, "\xff", "3\xc0\xaf", "3;rm", "1e99999999999999999999",
		"12345678901234567890123456789012345678901234567890123456789012345"};
	struct plan_metric metric = number(&any);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct bf_value value = {.kind = BF_NONE};
		if (strcmp(texts[i], "21 ") == 0)
			continue;
		assert_true(parse(&metric, texts[i], &value) < 0);
		assert_int_equal(value.kind, BF_NONE);
		assert_true(strlen(why) > 0);
		for (const char *c = why; *c; c++)
			assert_in_range(*c, ' ', '~');
	}
	struct bf_value value;
	assert_int_equal(wanted_parse(&metric, "3\0", 2, &value, why), -EINVAL);
	assert_int_equal(wanted_parse(&metric, NULL, 0, &value, why), -EINVAL);
	static char large[1 << 20];
	memset(large, '1', sizeof(large));
	assert_int_equal(wanted_parse(&metric, large, sizeof(large), &value, why), -EINVAL);
}

static void limits_and_steps_hold(void **state)
{
	(void)state;
	const struct plan_write write = {.min = 15, .max = 28, .step = 0.1, .from = 15};
	struct plan_metric metric = number(&write);
	struct bf_value value;
	static const char *const good[] = {"15", "15.1", "21.3", "27.9", "28", "28.0", "2.8e1"};
	static const char *const bad[] = {"14.9", "28.1", "-20", "15.05", "15.10001", "1e300"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(parse(&metric, good[i], &value), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(&metric, bad[i], &value), -ERANGE);
	const struct plan_write whole = {.min = NAN, .max = NAN, .step = 1};
	metric.write = &whole;
	assert_int_equal(parse(&metric, "18446744073709551615", &value), 0);
	assert_int_equal(parse(&metric, "1.5", &value), -ERANGE);
}

static void words_are_taken_as_they_are(void **state)
{
	(void)state;
	static const struct plan_word words[] = {{0, "off"}, {16, "eco mode"}, {20, "größer"}};
	struct plan_metric metric = {.words = words, .n_words = 3, .write = &any};
	struct bf_value value;
	assert_int_equal(parse(&metric, "eco mode", &value), 0);
	assert_int_equal(value.i, 16);
	assert_int_equal(parse(&metric, "größer\n", &value), 0);
	assert_int_equal(value.i, 20);
	assert_int_equal(parse(&metric, "16", &value), -EINVAL);
	assert_int_equal(parse(&metric, "OFF", &value), -EINVAL);
	assert_int_equal(parse(&metric, "of", &value), -EINVAL);
	assert_int_equal(parse(&metric, "offf", &value), -EINVAL);
}

static void true_and_false(void **state)
{
	(void)state;
	struct plan_metric metric = {.shape = {.type = BF_TYPE_BOOL}, .write = &any};
	struct bf_value value;
	static const char *const yes[] = {"true", "on", "1", "ON", "True", " on\n"};
	static const char *const no[] = {"false", "off", "0", "OFF"};
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		assert_true(parse(&metric, yes[i], &value) == 0 && value.yes);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_true(parse(&metric, no[i], &value) == 0 && !value.yes);
	static const char *const bad[] = {"2", "yes", "no", "-1", "1.0", "01", "o", "onn", ""};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(&metric, bad[i], &value), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_taken),
		cmocka_unit_test(what_only_looks_like_a_number_is_not),
		cmocka_unit_test(limits_and_steps_hold),
		cmocka_unit_test(words_are_taken_as_they_are),
		cmocka_unit_test(true_and_false),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Durations and sizes as people write them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sdk/key.h"

#include <errno.h>
#include <string.h>

#define SECOND INT64_C(1000000)
#define DAY    (86400 * SECOND)

static void test_durations(void **state)
{
	(void)state;
	const struct {
		const char *text;
		int64_t us;
	} cases[] = {{"500ms", 500000}, {"10s", 10 * SECOND}, {"5m", 300 * SECOND}, {"2h", 7200 * SECOND},
		{"7d", 7 * DAY}, {"1.5s", 1500000}, {"0.1s", 100000}, {"0.001s", 1000}, {"1.75ms", 1750},
		{"250us", 250}, {"10", 10 * SECOND}, {"0.5", 500000}, {"0s", 0}, {"0", 0}, {"007s", 7 * SECOND},
		{"0.25m", 15 * SECOND}, {"1.5d", 129600 * SECOND}, {"0.0000019s", 1},
		{"0.30000000000000000000000000000s", 300000}, {"0.99999999999999999999999999999999s", 999999},
		{"10000d", 10000 * DAY}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t us = -1;
		assert_int_equal(bf_duration_parse(cases[i].text, &us), 0);
		assert_true(us == cases[i].us);
	}
}

static void test_sizes(void **state)
{
	(void)state;
	const struct {
		const char *text;
		int64_t bytes;
	} cases[] = {{"64kB", 64000}, {"256MB", 256000000}, {"1GB", 1000000000}, {"1.5GB", 1500000000}, {"512", 512},
		{"512B", 512}, {"0", 0}, {"1000000GB", 1000000000000000}, {"0.5kB", 500}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t bytes = -1;
		assert_int_equal(bf_size_parse(cases[i].text, &bytes), 0);
		assert_true(bytes == cases[i].bytes);
	}
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const durations[] = {"", "s", "-1s", "+1s", "1.", "1.s", ".5s", "1,5s", "1 s", " 1s", "1s ",
		"1S", "1sec", "1e3s", "0x10", "1d2h", "1kB", "1..5s", "nan", "99999999999999999999999999x"};
	static const char *const sizes[] = {"", "kB", "1KB", "1k", "1kb", "1TB", "-1", "1s", "1.B"};
	static const char *const big_durations[] = {
		"10001d", "10000.1d", "99999999999999999999999s", "864000000.1s", "9223372036854775807us"};
	static const char *const big_sizes[] = {"1000001GB", "1000000000000001", "18446744073709551616B"};
	int64_t kept = 42;
	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++)
		assert_int_equal(bf_duration_parse(durations[i], &kept), -EINVAL);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_int_equal(bf_size_parse(sizes[i], &kept), -EINVAL);
	for (size_t i = 0; i < sizeof(big_durations) / sizeof(big_durations[0]); i++)
		assert_int_equal(bf_duration_parse(big_durations[i], &kept), -ERANGE);
	for (size_t i = 0; i < sizeof(big_sizes) / sizeof(big_sizes[0]); i++)
		assert_int_equal(bf_size_parse(big_sizes[i], &kept), -ERANGE);
	assert_true(kept == 42);
}

static void prints(int64_t us, const char *expected)
{
	char text[BF_DURATION_SIZE];
	memset(text, 'x', sizeof(text));
	assert_int_equal(bf_duration_print(us, text), (int)strlen(expected));
	assert_string_equal(text, expected);
}

static void test_print(void **state)
{
	(void)state;
	prints(0, "0s");
	prints(1500000, "1.5s");
	prints(500000, "500ms");
	prints(7 * DAY, "7d");
	prints(10 * SECOND, "10s");
	prints(90 * SECOND, "1.5m");
	prints(100 * SECOND, "100s");
	prints(36 * SECOND, "36s");
	prints(12 * 60 * SECOND, "12m");
	prints(25 * 3600 * SECOND, "25h");
	prints(1050000, "1.05s");
	prints(1001000, "1.001s");
	prints(1750, "1.75ms");
	prints(1, "1us");
	prints(-1500000, "-1.5s");
	prints(INT64_MAX, "9223372036854775.807ms");
	prints(INT64_MIN, "-9223372036854775.808ms");
}

/* What is printed reads back exactly. */
static void test_round_trip(void **state)
{
	(void)state;
	uint64_t seed = 99;
	for (int i = 0; i < 100000; i++) {
		static const int64_t steps[] = {1, 1000, 10000, SECOND / 2, SECOND, 60 * SECOND, 3600 * SECOND, DAY};
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		int64_t step = steps[seed >> 33 & 7];
		int64_t us = (int64_t)(seed >> 40) % (10000 * DAY / step) * step, back = -1;
		char text[BF_DURATION_SIZE];
		bf_duration_print(us, text);
		assert_int_equal(bf_duration_parse(text, &back), 0);
		assert_true(back == us);
	}
}

static void test_print_sizes(void **state)
{
	(void)state;
	static const struct {
		int64_t bytes;
		const char *text;
	} sizes[] = {{0, "0B"}, {1, "1B"}, {999, "999B"}, {1000, "1kB"}, {64000, "64kB"}, {65536, "65.536kB"},
		{1500000, "1.5MB"}, {1234567, "1234.567kB"}, {1000000001, "1000000.001kB"}, {256000000, "256MB"},
		{1000000000000, "1000GB"}, {-2000, "-2kB"}};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char text[BF_SIZE_SIZE];
		assert_int_equal(bf_size_print(sizes[i].bytes, text), strlen(sizes[i].text));
		assert_string_equal(text, sizes[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_print_sizes),
		cmocka_unit_test(test_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

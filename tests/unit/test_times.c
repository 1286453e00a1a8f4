/*
 * Counts of lengths and their quantiles.
 */
#include "field/times.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void a_quantile_is_at_most_a_fifth_too_long(void **state)
{
	(void)state;
	for (int64_t us = 64; us < 100000000; us += us / 7) {
		struct times times = {0};
		for (int i = 0; i < 10; i++)
			times_note(&times, us);
		assert_in_range(times_quantile(&times, 500), us, us + us / 5 + 1);
	}
}

static void quantiles_count_from_the_shortest(void **state)
{
	(void)state;
	struct times times = {0};
	assert_int_equal(times_quantile(&times, 999), 0);
	for (int i = 0; i < 995; i++)
		times_note(&times, 1000);
	for (int i = 0; i < 5; i++)
		times_note(&times, 500000);
	assert_in_range(times_quantile(&times, 990), 1000, 1200);
	assert_in_range(times_quantile(&times, 999), 500000, 600000);
	times_note(&times, -5);
	assert_int_equal(times_n(&times), 1001);
	times_note(&times, INT64_MAX);
	assert_true(times_quantile(&times, 1000) > 100000000);
}

static void old_ones_fade(void **state)
{
	(void)state;
	struct times times = {0};
	for (int i = 0; i < 100; i++)
		times_note(&times, 900000);
	for (int i = 0; i < 1000000; i++)
		times_note(&times, 1000);
	assert_in_range(times_n(&times), 1000, 70000);
	assert_in_range(times_quantile(&times, 1000), 1000, 1200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quantile_is_at_most_a_fifth_too_long),
		cmocka_unit_test(quantiles_count_from_the_shortest),
		cmocka_unit_test(old_ones_fade),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Waits: doubling, the cap, the jitter within its share.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/backoff.h"

#include <stdbool.h>

static void test_doubles_to_the_cap(void **state)
{
	(void)state;
	struct backoff backoff = {.first_us = 500000, .cap_us = 10000000};
	static const int64_t waits[] = {500000, 1000000, 2000000, 4000000, 8000000, 10000000, 10000000};
	for (int again = 0; again < 2; again++) {
		for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
			assert_true(backoff_next(&backoff) == waits[i]);
			assert_int_equal(backoff.round, i + 1);
		}
		backoff_reset(&backoff);
	}
}

static void test_for_ever(void **state)
{
	(void)state;
	struct backoff backoff = {.first_us = 1, .cap_us = INT64_MAX / 4, .jitter_percent = 0};
	int64_t before = 0;
	for (int i = 0; i < 1000; i++) {
		int64_t wait = backoff_next(&backoff);
		assert_true(wait >= before && wait <= backoff.cap_us);
		before = wait;
	}
	assert_true(before == backoff.cap_us);
	backoff = (struct backoff){.first_us = 10, .cap_us = 5};
	assert_true(backoff_next(&backoff) == 5);
	backoff = (struct backoff){.cap_us = 5};
	assert_true(backoff_next(&backoff) == 0);
}

static void spread(unsigned percent)
{
	struct backoff backoff = {.first_us = 1000000, .cap_us = 1000000, .jitter_percent = percent, .seed = 12};
	int64_t least = 1000000 - 10000 * (int64_t)percent, span = 1000000 - least;
	bool low = false, high = false;
	for (int i = 0; i < 2000; i++) {
		int64_t wait = backoff_next(&backoff);
		assert_true(wait >= least && wait <= 1000000);
		low = low || wait < least + span / 10;
		high = high || wait > 1000000 - span / 10;
	}
	assert_true(low && high);
}

static void test_jitter(void **state)
{
	(void)state;
	spread(30);
	spread(100);
}

static void test_seeds_part(void **state)
{
	(void)state;
	struct backoff a = {.first_us = 1000000, .cap_us = 60000000, .jitter_percent = 100, .seed = 1}, b = a, c = a;
	c.seed = 2;
	bool differ = false;
	for (int i = 0; i < 10; i++) {
		int64_t wait = backoff_next(&a);
		assert_true(wait == backoff_next(&b));
		differ = differ || wait != backoff_next(&c);
	}
	assert_true(differ);
	struct backoff unseeded = {.first_us = 1000000, .cap_us = 60000000, .jitter_percent = 100};
	assert_true(backoff_next(&unseeded) <= 1000000);
	assert_true(unseeded.seed != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doubles_to_the_cap),
		cmocka_unit_test(test_for_ever),
		cmocka_unit_test(test_jitter),
		cmocka_unit_test(test_seeds_part),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * When a silent broker is asked, and when it is given up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ship/pulse.h"

#define SECOND (1000000 * (int64_t)1)

/* From the last byte on, with a step whenever the pulse wants one. */
static int64_t silence_until_stopped(unsigned keepalive_s)
{
	struct pulse pulse;
	int64_t start_us = 1000 * SECOND, now_us = start_us;
	pulse_begin(&pulse, keepalive_s, start_us);
	for (int steps = 0; steps < 10; steps++) {
		now_us = pulse_due_at(&pulse);
		if (pulse_stopped(&pulse, now_us))
			return now_us - start_us;
	}
	fail();
	return 0;
}

static void test_within_the_keepalive(void **state)
{
	(void)state;
	static const unsigned keepalives[] = {7, 8, 10, 15, 30, 60, 3600, 64800};
	for (size_t i = 0; i < sizeof(keepalives) / sizeof(*keepalives); i++) {
		int64_t us = silence_until_stopped(keepalives[i]);
		assert_true(us <= keepalives[i] * SECOND + SECOND / 10);
		assert_true(us > keepalives[i] * SECOND * 3 / 4);
	}
	/* The library asks after 5 s at the earliest. */
	assert_true(silence_until_stopped(5) <= 6 * SECOND + SECOND / 10);
	assert_int_equal(pulse_ask_s(5), 5);
	assert_int_equal(pulse_ask_s(30), 23);
	assert_int_equal(pulse_ask_s(64800), 48600);
	assert_int_equal(pulse_ask_s(UINT32_MAX), UINT16_MAX);
}

static void test_an_answer_begins_anew(void **state)
{
	(void)state;
	struct pulse pulse;
	pulse_begin(&pulse, 30, SECOND);
	int64_t now_us = pulse_due_at(&pulse);
	assert_false(pulse_stopped(&pulse, now_us));
	assert_true(pulse_due_at(&pulse) == now_us + 7 * SECOND);
	pulse_heard(&pulse, now_us + SECOND);
	assert_false(pulse_stopped(&pulse, now_us + 7 * SECOND));
	assert_true(pulse_due_at(&pulse) > now_us + SECOND + 22 * SECOND);
}

/* A process that was stopped has asked nothing: the broker gets its time all the same. */
static void test_a_process_that_slept(void **state)
{
	(void)state;
	struct pulse pulse;
	pulse_begin(&pulse, 30, SECOND);
	assert_false(pulse_stopped(&pulse, 3600 * SECOND));
	assert_false(pulse_stopped(&pulse, 3600 * SECOND + 6 * SECOND));
	assert_true(pulse_stopped(&pulse, 3600 * SECOND + 7 * SECOND));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_within_the_keepalive),
		cmocka_unit_test(test_an_answer_begins_anew),
		cmocka_unit_test(test_a_process_that_slept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

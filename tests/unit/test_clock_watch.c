/*
 * The clock that is set, or jumps: one line each, and a clock that never rests is told more and more seldom.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "app/clock_watch.h"
#include "log_capture.h"
#include "virtual_clock.h"

#include <string.h>

#define S   ((int64_t)1000000)
#define SET INT64_C(2764000000000)

static unsigned n_lines(const char *text)
{
	unsigned n = 0;
	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void test_set(void **state)
{
	(void)state;
	struct clock_watch watch;
	virtual_now = 5 * S;
	virtual_wall_ms = 0;
	clock_watch_init(&watch, &virtual_clock);
	assert_non_null(strstr(log_captured(), "warning: the clock is not set, it shows 1970-01-01 00:00:05 UTC: "));
	virtual_now += 40 * S;
	clock_watch_look(&watch);
	assert_string_equal(log_captured(), "");
	virtual_wall_ms = SET;
	clock_watch_look(&watch);
	const char *text = log_captured();
	assert_non_null(strstr(text, "notice: the clock is set after 40 s, it shows 2057-08-02 "));
	assert_int_equal(n_lines(text), 1);
	virtual_now += 5 * S;
	virtual_wall_ms += 900; /* slewed */
	clock_watch_look(&watch);
	assert_string_equal(log_captured(), "");
}

static void test_jumps(void **state)
{
	(void)state;
	struct clock_watch watch;
	virtual_wall_ms = SET;
	clock_watch_init(&watch, &virtual_clock);
	assert_string_equal(log_captured(), "");
	virtual_wall_ms += 86400000;
	clock_watch_look(&watch);
	assert_non_null(strstr(log_captured(), "notice: the clock went forward by 24 h and shows "));
	virtual_now += 2 * 3600 * S;
	virtual_wall_ms -= 3600000;
	clock_watch_look(&watch);
	assert_non_null(strstr(log_captured(), "notice: the clock went back by 60 min and shows "));
	virtual_now += 2 * 3600 * S;
	virtual_wall_ms = -SET; /* before 1970 */
	clock_watch_look(&watch);
	assert_non_null(strstr(log_captured(), "went back by "));
	virtual_wall_ms = INT64_MAX / 2;
	clock_watch_look(&watch);
	assert_non_null(strstr(log_captured(), "is set after 4 h, it shows "));
}

static void test_never_rests(void **state)
{
	(void)state;
	struct clock_watch watch;
	virtual_wall_ms = SET;
	clock_watch_init(&watch, &virtual_clock);
	for (unsigned i = 0; i < 24 * 720; i++) {
		virtual_now += 5 * S;
		virtual_wall_ms = SET + (i % 2) * 60000;
		clock_watch_look(&watch);
	}
	assert_in_range(n_lines(log_captured()), 10, 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_set, log_capture_begin, log_capture_end),
		cmocka_unit_test_setup_teardown(test_jumps, log_capture_begin, log_capture_end),
		cmocka_unit_test_setup_teardown(test_never_rests, log_capture_begin, log_capture_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

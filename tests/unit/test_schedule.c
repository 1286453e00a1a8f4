/*
 * Due times: absolute, merged when overdue, earliest deadline first.
 */
#include "field/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void due_times_are_absolute(void **state)
{
	(void)state;
	struct schedule_entry entry = {.every_us = 1000, .due_at = 5000};
	schedule_served(&entry, 5300); /* served late: the next one is not late for it */
	assert_int_equal(entry.due_at, 6000);
	schedule_served(&entry, 6001);
	assert_int_equal(entry.due_at, 7000);
	assert_int_equal(entry.n_merged, 0);
}

static void overdue_polls_are_merged_and_counted(void **state)
{
	(void)state;
	struct schedule_entry entry = {.every_us = 1000, .due_at = 5000};
	schedule_served(&entry, 9500);
	assert_int_equal(entry.due_at, 10000);
	assert_int_equal(entry.n_merged, 4);
}

static void the_earliest_deadline_goes_first(void **state)
{
	(void)state;
	struct schedule_entry entries[] = {
		{.every_us = 10, .due_at = 300}, {.every_us = 10, .due_at = 100}, {.every_us = 10, .due_at = 200}};
	assert_int_equal(schedule_pick(entries, 3, 50), -1);
	assert_int_equal(schedule_wake(entries, 3), 100);
	assert_int_equal(schedule_pick(entries, 3, 1000), 1);
	entries[1].not_before = 2000; /* left alone */
	assert_int_equal(schedule_pick(entries, 3, 1000), 2);
	assert_int_equal(schedule_wake(entries, 3), 200);
}

static void as_fast_as_possible_goes_in_turn(void **state)
{
	(void)state;
	struct schedule_entry entries[3] = {0};
	int turns[3] = {0};
	for (int64_t now = 1; now <= 300; now++) {
		int i = schedule_pick(entries, 3, now);
		turns[i]++;
		schedule_served(&entries[i], now);
	}
	assert_int_equal(turns[0], 100);
	assert_int_equal(turns[1], 100);
	assert_int_equal(turns[2], 100);
}

static void nothing_due_wakes_never(void **state)
{
	(void)state;
	struct schedule_entry entries[] = {{.due_at = CLOCK_NEVER}, {.due_at = CLOCK_NEVER, .not_before = 5}};
	assert_int_equal(schedule_pick(entries, 2, 1000), -1);
	assert_true(schedule_wake(entries, 2) == CLOCK_NEVER);
	schedule_served(&entries[0], 7);
	assert_true(entries[0].due_at == CLOCK_NEVER);
}

static void first_polls_are_spread(void **state)
{
	(void)state;
	assert_int_equal(schedule_first(70, 10000000, 0, 1), 70);
	assert_int_equal(schedule_first(0, 10000000, 50, 100), 500000);
	assert_int_equal(schedule_first(0, 100000, 50, 100), 40000); /* on a tick */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(due_times_are_absolute),
		cmocka_unit_test(overdue_polls_are_merged_and_counted),
		cmocka_unit_test(the_earliest_deadline_goes_first),
		cmocka_unit_test(as_fast_as_possible_goes_in_turn),
		cmocka_unit_test(nothing_due_wakes_never),
		cmocka_unit_test(first_polls_are_spread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

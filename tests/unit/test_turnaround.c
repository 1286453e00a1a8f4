/*
 * The turnaround that plans count on: follows a device that is slower or faster than thought, and nothing that happens
 * once.
 */
#include "field/turnaround.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define MS 1000

/* So many answers that took so long; how often the plans were made anew. */
static unsigned note(struct turnaround *turnaround, unsigned n, int64_t took_us)
{
	unsigned changes = 0;
	for (unsigned i = 0; i < n; i++)
		changes += turnaround_note(turnaround, took_us);
	return changes;
}

static void what_is_as_planned_changes_nothing(void **state)
{
	(void)state;
	struct turnaround turnaround;
	turnaround_init(&turnaround, 5 * MS);
	assert_int_equal(note(&turnaround, 1000, 5 * MS), 0);
	assert_int_equal(note(&turnaround, 1000, 6 * MS), 0);
	assert_int_equal(turnaround.planned_us, 5 * MS);
}

static void a_slower_and_a_faster_device_are_followed(void **state)
{
	(void)state;
	static const int64_t took_us[] = {0, 2 * MS, 50 * MS, 400 * MS, 5 * MS};
	struct turnaround turnaround;
	turnaround_init(&turnaround, 5 * MS);
	for (unsigned i = 0; i < sizeof(took_us) / sizeof(took_us[0]); i++) {
		assert_int_equal(note(&turnaround, i ? 0 : 15, took_us[i]), 0); /* not before it is known */
		assert_in_range(note(&turnaround, 300, took_us[i]), 1, 12);
		int64_t off_us = turnaround.planned_us - took_us[i];
		assert_in_range(off_us < 0 ? -off_us : off_us, 0, took_us[i] / 4 + MS);
		assert_int_equal(note(&turnaround, 1000, took_us[i]), 0); /* and then it stays */
	}
}

static void what_is_late_now_and_then_says_nothing(void **state)
{
	(void)state;
	struct turnaround turnaround;
	turnaround_init(&turnaround, 5 * MS);
	for (unsigned i = 0; i < 1000; i++)
		assert_false(turnaround_note(&turnaround, i % 20 ? 5 * MS : 900 * MS));
	for (unsigned i = 0; i < 1000; i++)
		assert_false(turnaround_note(&turnaround, i % 3 ? 5 * MS : 12 * MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_as_planned_changes_nothing),
		cmocka_unit_test(a_slower_and_a_faster_device_are_followed),
		cmocka_unit_test(what_is_late_now_and_then_says_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Due times: absolute, merged when overdue; who goes first; phases; fairness when there is too little time.
 */
#include "field/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define S      1000000
#define NOBODY UINT32_MAX

static void due_times_are_absolute(void **state)
{
	(void)state;
	struct schedule_entry entry = {.every_us = 1000, .due_at = 5000, .grid_at = 6000};
	schedule_served(&entry, 5300); /* served late: the next one is not late for it */
	assert_int_equal(entry.due_at, 6000);
	schedule_served(&entry, 6001);
	assert_int_equal(entry.due_at, 7000);
	assert_int_equal(entry.n_merged, 0);
}

static void overdue_polls_are_merged_and_counted(void **state)
{
	(void)state;
	struct schedule_entry entry = {.every_us = 1000, .due_at = 5000, .grid_at = 6000};
	schedule_served(&entry, 9500);
	assert_int_equal(entry.due_at, 10000);
	assert_int_equal(entry.n_merged, 4);
}

static void a_probe_moves_no_due_time(void **state)
{
	(void)state;
	struct schedule_entry entry = {.every_us = 1000, .due_at = 5000, .grid_at = 6000, .probe_at = 4200};
	assert_false(schedule_is_due(&entry, 4199));
	assert_true(schedule_is_due(&entry, 4200));
	schedule_served(&entry, 4250);
	assert_int_equal(entry.due_at, 5000);
	assert_false(schedule_is_due(&entry, 4999));
	assert_int_equal(entry.n_merged, 0);
}

static void the_earliest_deadline_goes_first(void **state)
{
	(void)state;
	struct schedule_entry entries[] = {{.every_us = 10, .due_at = 300, .served_at = 290, .unit = 0},
		{.every_us = 10, .due_at = 100, .served_at = 90, .unit = 1},
		{.every_us = 10, .due_at = 200, .served_at = 190, .unit = 2}};
	assert_int_equal(schedule_pick(entries, 3, NOBODY, 50), -1);
	assert_int_equal(schedule_wake(entries, 3), 100);
	assert_int_equal(schedule_pick(entries, 3, NOBODY, 1000), 1);
	assert_int_equal(schedule_pick(entries, 3, 1, 1000), 2); /* not the same unit twice */
	assert_int_equal(schedule_pick(entries, 3, 1, 150), 1);  /* unless nobody else waits */
	entries[1].not_before = 2000;                            /* left alone */
	assert_int_equal(schedule_pick(entries, 3, NOBODY, 1000), 2);
	assert_int_equal(schedule_wake(entries, 3), 200);
	assert_int_equal(schedule_others_at(entries, 3, 2, 0), 300);
	assert_int_equal(schedule_others_at(entries, 3, 2, 500), 500);
	assert_true(schedule_others_at(entries, 1, 0, 500) == CLOCK_NEVER);
}

static void as_fast_as_possible_goes_in_turn(void **state)
{
	(void)state;
	struct schedule_entry entries[3] = {{.unit = 0}, {.unit = 1}, {.unit = 2}};
	int turns[3] = {0};
	uint32_t last = NOBODY;
	for (int64_t now = 1; now <= 300; now++) {
		int i = schedule_pick(entries, 3, last, now);
		last = (uint32_t)i;
		turns[i]++;
		schedule_served(&entries[i], now);
	}
	assert_int_equal(turns[0], 100);
	assert_int_equal(turns[1], 100);
	assert_int_equal(turns[2], 100);
}

/* What has an interval goes first, and what has none is asked now and then all the same. */
static void what_takes_the_rest_does_not_starve(void **state)
{
	(void)state;
	struct schedule_entry entries[2] = {{.every_us = S, .due_at = 0, .grid_at = S, .unit = 0}, {.unit = 1}};
	int turns[2] = {0};
	for (int64_t now = 0; now < 100 * (int64_t)S; now += S) { /* the first one takes all the time there is */
		int i = schedule_pick(entries, 2, NOBODY, now);
		turns[i]++;
		schedule_served(&entries[i], now);
	}
	assert_in_range(turns[1], 8, 10);
	assert_int_equal(turns[0] + turns[1], 100);
}

static void nothing_due_wakes_never(void **state)
{
	(void)state;
	struct schedule_entry entries[] = {{.due_at = CLOCK_NEVER}, {.due_at = CLOCK_NEVER, .not_before = 5}};
	assert_int_equal(schedule_pick(entries, 2, NOBODY, 1000), -1);
	assert_true(schedule_wake(entries, 2) == CLOCK_NEVER);
	schedule_served(&entries[0], 7);
	assert_true(entries[0].due_at == CLOCK_NEVER);
}

static void first_polls_come_soon_and_later_ones_are_spread(void **state)
{
	(void)state;
	struct schedule_entry entries[100] = {0};
	unsigned in_second[11] = {0};
	for (size_t i = 0; i < 100; i++) {
		struct schedule_entry *entry = &entries[i];
		*entry = (struct schedule_entry){.every_us = 10 * S};
		schedule_first(entry, 10 * S, 10 * S, i, 100, 1, 50 * (int64_t)S);
		assert_in_range(entry->due_at, 50 * (int64_t)S, 51 * (int64_t)S - 1);
		int64_t first_at = entry->due_at;
		schedule_served(entry, first_at);
		assert_in_range(entry->due_at - first_at, 1, 10 * S); /* no reading is older than its interval */
		in_second[(entry->due_at - 50 * (int64_t)S) / S]++;
		int64_t second_at = entry->due_at;
		schedule_served(entry, second_at);
		assert_int_equal(entry->due_at - second_at, 10 * S);
		assert_int_equal(entry->n_merged, 0);
	}
	for (int i = 0; i <= 10; i++)
		assert_in_range(in_second[i], 0, 11);
	schedule_first(&entries[50], S, S, 50, 100, 20000, 0);
	assert_int_equal(entries[50].due_at % 20000, 0); /* on a tick */
	assert_int_equal(entries[50].origin_at % 20000, 0);
}

/* All rates of a device meet where they can, and one that is much slower waits for the next instant of the fastest. */
static void slower_rates_fall_on_instants_of_faster_ones(void **state)
{
	(void)state;
	assert_int_equal(schedule_step(S, 9 * S), 0);
	assert_int_equal(schedule_step(7 * S, 60 * S), 0);
	assert_int_equal(schedule_step(3 * S, 70 * S), 3 * S);
	assert_int_equal(schedule_step(S, S), 0);
	for (size_t index = 0; index < 7; index++) {
		struct schedule_entry fast = {.every_us = 3 * S}, slow = {.every_us = 70 * S, .step_us = 3 * S};
		schedule_first(&fast, 3 * S, 70 * S, index, 7, 1, 1000);
		schedule_first(&slow, 3 * S, 70 * S, index, 7, 1, 1000);
		assert_int_equal(fast.due_at, slow.due_at);
		int64_t first_at = slow.due_at;
		unsigned together = 0, slow_ones = 0;
		for (int64_t now = first_at; now < first_at + 700 * (int64_t)S;
			now = fast.due_at < slow.due_at ? fast.due_at : slow.due_at) {
			bool both = fast.due_at == slow.due_at;
			together += both;
			if (slow.due_at == now) {
				slow_ones++;
				schedule_served(&slow, now);
			}
			if (fast.due_at == now)
				schedule_served(&fast, now);
		}
		assert_int_equal(together, slow_ones);
		assert_in_range(slow_ones, 10, 12);
		assert_int_equal(fast.n_merged + slow.n_merged, 0);
	}
}

static uint64_t seed = 4711;

static uint32_t chance(uint32_t below)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * 0x2545F4914F6CDD1Du >> 33) % below);
}

/* Over random sets of intervals that ask for 1.1 to 4 times what there is: equal ones are served equally often, nobody
 * starves, and all are slowed by about the same factor.  (With few of them a poll takes as long as an interval, and
 * that no unit is asked twice in a row is all that counts.) */
static void too_little_time_is_shared_in_proportion(void **state)
{
	(void)state;
	static const int64_t choices[] = {S, S, 2 * S, 5 * S, 10 * S};
	for (int round = 0; round < 60; round++) {
		struct schedule_entry entries[40] = {0};
		unsigned served[40] = {0}, n = 12 + chance(28);
		double asked = 0, least[11], most[11];
		for (unsigned i = 0; i < n; i++) {
			entries[i] = (struct schedule_entry){.every_us = choices[chance(5)], .unit = i};
			schedule_first(&entries[i], entries[i].every_us, entries[i].every_us, i, n, 1, 0);
			asked += 1e6 / (double)entries[i].every_us;
		}
		double overload = 1.1 + chance(300) / 100.0;
		int64_t cost_us = (int64_t)(1e6 * overload / asked), now = 0, last_for = 2000 * (int64_t)S;
		uint32_t last = NOBODY;
		while (now < last_for) {
			int i = schedule_pick(entries, n, last, now);
			if (i < 0) {
				now = schedule_wake(entries, n);
				continue;
			}
			assert_true((uint32_t)i != last || n == 1 || overload < 2);
			last = (uint32_t)i;
			now += cost_us;
			served[i]++;
			schedule_served(&entries[i], now);
		}
		for (int s = 0; s <= 10; s++) {
			least[s] = 1e9;
			most[s] = 0;
		}
		for (unsigned i = 0; i < n; i++) {
			int64_t s = entries[i].every_us / S;
			double share = served[i] * (double)entries[i].every_us / (double)last_for;
			if (share < least[s])
				least[s] = share;
			if (share > most[s])
				most[s] = share;
			assert_true(share * overload > 0.8 && share * overload < 1.35);
		}
		for (int s = 0; s <= 10; s++)
			assert_true(most[s] <= 1.05 * least[s]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(due_times_are_absolute),
		cmocka_unit_test(overdue_polls_are_merged_and_counted),
		cmocka_unit_test(a_probe_moves_no_due_time),
		cmocka_unit_test(the_earliest_deadline_goes_first),
		cmocka_unit_test(as_fast_as_possible_goes_in_turn),
		cmocka_unit_test(what_takes_the_rest_does_not_starve),
		cmocka_unit_test(nothing_due_wakes_never),
		cmocka_unit_test(first_polls_come_soon_and_later_ones_are_spread),
		cmocka_unit_test(slower_rates_fall_on_instants_of_faster_ones),
		cmocka_unit_test(too_little_time_is_shared_in_proportion),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Whose turn it is on a bus: what is shared, what comes when, and what happens when there is too little time.
 */
#include "wire_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* ---- Sharing ---- */

static void a_slow_register_rides_along(void **state)
{
	(void)state;
	stage_clear(9600);
	add_device(5 * MS);
	add_metric(0, 1, S);
	add_metric(3, 1, 5 * S);
	add_metric(6, 1, S);
	start(NULL);
	run(10 * S - 1);
	assert_string_equal(stage.wire.log, "10.003 1:input:0+7\n"
					    "11.000 1:input:0+7\n"
					    "12.000 1:input:0+7\n"
					    "13.000 1:input:0+7\n"
					    "14.000 1:input:0+7\n"
					    "15.000 1:input:0+7\n"
					    "16.000 1:input:0+7\n"
					    "17.000 1:input:0+7\n"
					    "18.000 1:input:0+7\n"
					    "19.000 1:input:0+7\n");
	assert_int_equal(stage.good[0], 10);
	assert_int_equal(stage.good[1], 2);
	assert_int_equal(stage.good[2], 10);
}

static void far_registers_are_read_when_they_are_due(void **state)
{
	(void)state;
	stage_clear(9600);
	add_device(5 * MS);
	add_metric(0, 1, 2 * S);
	add_metric(500, 2, 6 * S);
	start(NULL);
	run(8 * S - 1);
	assert_string_equal(stage.wire.log, "10.003 1:input:0+1\n"
					    "10.027 1:input:500+2\n"
					    "12.000 1:input:0+1\n"
					    "14.000 1:input:0+1\n"
					    "16.000 1:input:0+1\n"
					    "16.024 1:input:500+2\n");
}

/* ---- Turns ---- */

static void turns_go_on_side_by_side(void **state)
{
	(void)state;
	stage_clear(19200);
	for (int d = 0; d < 2; d++) {
		add_device(2 * MS);
		for (uint16_t i = 0; i < 4; i++) /* four requests each */
			add_metric((uint16_t)(i * 1000), 1, S);
	}
	start(NULL);
	stage.bus.turns.entries[1].due_at = virtual_now;
	run(S - 1);
	assert_int_equal(all_good(), 8);
	assert_int_equal(stage.wire.n_twice, 0);
	/* alone it goes on at once */
	stage_clear(19200);
	add_device(2 * MS);
	add_metric(0, 1, S);
	add_metric(1000, 1, S);
	start(NULL);
	run(S - 1);
	assert_int_equal(stage.wire.n_twice, 1);
}

static void ten_devices_as_fast_as_the_wire_allows(void **state)
{
	(void)state;
	static const uint32_t bauds[] = {9600, 19200, 115200};
	for (size_t b = 0; b < 3; b++) {
		stage_clear(bauds[b]);
		for (int d = 0; d < 10; d++) {
			add_device(2 * MS);
			add_block(20, 0);
		}
		start(NULL);
		run(60 * S);
		assert_true(all_good() / 2 + 2 >= perfect(60 * S, 20));
		for (int m = 2; m < 20; m += 2)
			assert_in_range(stage.good[m], stage.good[0] - 1, stage.good[0] + 1);
		assert_int_equal(stage.wire.n_twice, 0);
	}
}

/* Where instants lie on ticks: on the thread's, but on no fewer than ten and no more than fifty of an interval. */
static void ticks_fit_the_interval(void **state)
{
	(void)state;
	static const struct {
		int64_t every_us, tick_us, step_us;
	} cases[] = {
		{S, 100 * MS, 100 * MS},
		{S, 20 * MS, 20 * MS},
		{500 * MS, 100 * MS, 50 * MS},
		{100 * MS, 100 * MS, 20 * MS},
		{2 * S, 20 * MS, 40 * MS},
		{60 * S, 100 * MS, 200 * MS},
	};
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		bool fine = false;
		stage_clear(9600);
		add_device(2 * MS);
		add_metric(0, 1, cases[c].every_us);
		start(NULL);
		for (size_t first = 0; first < 100; first++) {
			const struct schedule_entry *entry = stage.bus.turns.entries;
			turns_start(&stage.bus.turns, first, 100, cases[c].tick_us, 0);
			assert_int_equal(entry->due_at % cases[c].step_us, 0);
			assert_int_equal(entry->origin_at % cases[c].step_us, 0);
			fine |= entry->origin_at % (2 * cases[c].step_us) != 0;
		}
		assert_true(fine);
	}
}

/* Slow polls of a few devices come one after the other, so that nobody has to wake up for each; but never all at once.
 */
static void slow_polls_come_in_bunches(void **state)
{
	(void)state;
	unsigned at_once[10] = {0};
	stage_clear(9600);
	for (int d = 0; d < 30; d++) {
		add_device(2 * MS);
		add_metric(0, 1, 10 * S);
	}
	start(NULL);
	run(20 * S);
	assert_int_equal(
		all_good(), 30 + 60 - 3); /* a first one each within a second, which is the proper one of three */
	for (size_t i = 0; i < 30; i++)
		at_once[stage.bus.turns.entries[i].due_at / S % 10]++;
	for (int s = 0; s < 10; s++)
		assert_int_equal(at_once[s], 3);
}

/* ---- Too little time ---- */

static void an_overloaded_bus_is_fair(void **state)
{
	(void)state;
	stage_clear(9600);
	for (int d = 0; d < 10; d++) { /* of one demand, of unlike lengths; about twice what there is */
		add_device((2 + d) * MS);
		add_block((uint16_t)(5 + 3 * d), 300 * MS);
	}
	add_device(2 * MS);
	add_metric(0, 1, 60 * S);
	add_device(2 * MS);
	add_metric(0, 1, 0);
	start(NULL);
	run(600 * S);
	unsigned least = stage.good[0], most = least;
	for (int m = 2; m < 20; m += 2) {
		least = stage.good[m] < least ? stage.good[m] : least;
		most = stage.good[m] > most ? stage.good[m] : most;
	}
	assert_true(most * 100 <= least * 105);
	assert_true(least < 600 * 1000 / 300 * 8 / 10); /* it was too much indeed */
	assert_in_range(stage.good[20], 5, 11);         /* the slow one is slowed as they are */
	assert_in_range(stage.good[21], 25, 40);        /* and the one without an interval does not starve */
	assert_true(stage.bus.counts.merged > 1000);
}

static void what_is_late_is_measured(void **state)
{
	(void)state;
	stage_clear(9600);
	add_device(2 * MS);
	add_metric(0, 1, S);
	start(NULL);
	run(100 * S);
	assert_in_range(times_quantile(&stage.bus.counts.late_by, 500), 0, 100);
	assert_int_equal(times_n(&stage.bus.counts.late_by), stage.wire.devices[1].n_asked);
}

/* ---- Gaps that are refused ---- */

static void a_refused_gap_is_learnt_and_remembered(void **state)
{
	(void)state;
	struct learnt learnt;
	char text[1024] = LEARNT_HEAD;
	for (int run_no = 0; run_no < 2; run_no++) {
		struct arena arena = {0};
		size_t n = strlen(text);
		stage_clear(9600);
		add_device(5 * MS);
		add_metric(0, 1, S);
		add_metric(4, 1, S);
		stage.wire.devices[1].bad_from = 2;
		stage.wire.devices[1].bad_to = 3;
		learnt_parse(text, n, &learnt, &arena);
		start(&learnt);
		run(2 * S - 1);
		arena_free(&arena);
		assert_string_equal(stage.wire.log, run_no ? "10.003 1:input:0+1\n"
							     "10.027 1:input:4+1\n"
							     "11.000 1:input:0+1\n"
							     "11.024 1:input:4+1\n"
							   : "10.003 1:input:0+5\n"
							     "10.025 1:input:0+1\n"
							     "10.050 1:input:4+1\n"
							     "11.000 1:input:0+1\n"
							     "11.024 1:input:4+1\n");
		learnt_print(&stage.plan, &stage.devices[0], &stage.bus.devices[0].refusals, text + n);
	}
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slow_register_rides_along),
		cmocka_unit_test(far_registers_are_read_when_they_are_due),
		cmocka_unit_test(turns_go_on_side_by_side),
		cmocka_unit_test(ten_devices_as_fast_as_the_wire_allows),
		cmocka_unit_test(ticks_fit_the_interval),
		cmocka_unit_test(slow_polls_come_in_bunches),
		cmocka_unit_test(an_overloaded_bus_is_fair),
		cmocka_unit_test(what_is_late_is_measured),
		cmocka_unit_test(a_refused_gap_is_learnt_and_remembered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

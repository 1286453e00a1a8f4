/*
 * What devices cost that do not answer, and how soon they are back.
 */
#include "wire_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static uint64_t seed = 5;

static uint32_t chance(uint32_t below)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * 0x2545F4914F6CDD1Du >> 33) % below);
}

/* The longest sum of silence within any ten seconds, of what is asked for. */
static int64_t worst_window(int device, bool firsts)
{
	int64_t worst = 0;
	for (size_t i = 0; i < stage.n_silences; i++) {
		int64_t sum = 0, from = stage.silences[i].until - 10 * S;
		for (size_t k = i + 1; k-- > 0 && stage.silences[k].until > from;) {
			const struct silence *silence = &stage.silences[k];
			if ((device >= 0 && silence->device != (uint32_t)device) || silence->whole ||
				(silence->first && !firsts))
				continue;
			sum += silence->until - silence->us < from ? silence->until - from : silence->us;
		}
		if (sum > worst)
			worst = sum;
	}
	return worst;
}

static unsigned n_whole(void)
{
	unsigned n = 0;
	for (size_t i = 0; i < stage.n_silences; i++)
		n += stage.silences[i].whole;
	return n;
}

static void ten_devices(uint32_t baud, int n_dead, int64_t every_us)
{
	stage_clear(baud);
	for (int d = 0; d < 10; d++) {
		add_device(2 * MS);
		add_block(20, every_us);
	}
	start(NULL);
	run(20 * S); /* all have answered */
	for (int d = 0; d < n_dead; d++)
		stage.wire.devices[2 * d + 1].dead = true;
}

/* The lines of the log for one unit. */
static const char *log_of(unsigned unit)
{
	static char lines[WIRE_LOG];
	char mark[8];
	size_t n = 0;
	snprintf(mark, sizeof(mark), " %u:", unit);
	for (const char *at = stage.wire.log, *end; (end = strchr(at, '\n')); at = end + 1) {
		const char *found = strstr(at, mark);
		if (found && found < end) {
			memcpy(lines + n, at, (size_t)(end - at) + 1);
			n += (size_t)(end - at) + 1;
		}
	}
	lines[n] = '\0';
	return lines;
}

static void a_dead_device_is_asked_as_the_budget_allows(void **state)
{
	(void)state;
	stage_clear(9600);
	for (int d = 0; d < 2; d++) {
		add_device(2 * MS);
		add_metric(0, 1, 500 * MS);
	}
	start(NULL);
	run(20 * S);
	stage.wire.devices[2].dead = true;
	stage.wire.log_n = 0;
	run(60 * S);
	assert_string_equal(log_of(2), "30.250 2:input:0+1\n"
				       "30.750 2:input:0+1\n" /* a second chance */
				       "40.296 2:input:0+1\n" /* one of a hundred */
				       "42.296 2:input:0+1\n"
				       "50.290 2:input:0+1\n"
				       "58.290 2:input:0+1\n"
				       "67.790 2:input:0+1\n"
				       "77.290 2:input:0+1\n"
				       "86.790 2:input:0+1\n");
	assert_in_range(stage.good[0], 159, 162);
	stage.wire.devices[2].dead = false;
	int64_t back_at = virtual_now;
	run(10 * S);
	assert_in_range(stage.wire.devices[2].answered_at - back_at, 1, 10 * S);
}

static void dead_devices_cost_their_neighbours_little(void **state)
{
	(void)state;
	static const struct {
		uint32_t baud;
		int n_dead;
		unsigned percent;
	} cases[] = {{9600, 1, 99}, {115200, 1, 99}, {9600, 5, 95}, {19200, 5, 95}, {115200, 5, 95}};
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		ten_devices(cases[c].baud, cases[c].n_dead, 0);
		uint64_t before = all_good();
		run(60 * S);
		assert_true((all_good() - before) / 2 * 100 >= perfect(60 * S, 20) * cases[c].percent);
		assert_true(worst_window(-1, true) <= 500 * MS);
		for (int d = 0; d < 10; d++) {
			assert_true(worst_window(d, false) <= 100 * MS);
			assert_true(worst_window(d, true) <= 120 * MS); /* in the ten seconds in which it goes silent */
		}
		assert_int_equal(n_whole(), 0);
	}
}

static void five_that_return_are_read_within_ten_seconds(void **state)
{
	(void)state;
	static const uint32_t bauds[] = {9600, 19200, 115200};
	for (int round = 0; round < 30; round++) {
		ten_devices(bauds[round % 3], 5, round % 2 ? 0 : S);
		run(20 * S + chance(20000) * MS);
		int64_t back_at = virtual_now;
		for (int d = 0; d < 10; d++)
			stage.wire.devices[d + 1].dead = false;
		run(10 * S + 100 * MS);
		for (int d = 0; d < 10; d++)
			assert_true(stage.wire.devices[d + 1].answered_at > back_at);
	}
}

/* A device of slow polls that was found offline is looked for all the same. */
static void a_slow_poll_does_not_keep_a_device_away(void **state)
{
	(void)state;
	stage_clear(9600);
	for (int d = 0; d < 2; d++) {
		add_device(2 * MS);
		add_metric(0, 1, 120 * S);
	}
	stage.wire.devices[1].dead = true;
	start(NULL);
	run(30 * S);
	stage.wire.devices[1].dead = false;
	run(10 * S);
	assert_int_equal(stage.good[0], 1);
}

static void a_device_slower_than_all_others_is_found(void **state)
{
	(void)state;
	stage_clear(9600);
	add_device(2 * MS);
	add_metric(0, 1, 10 * S);
	add_device(700 * MS);
	add_metric(0, 1, 10 * S);
	start(NULL);
	run(60 * S);
	assert_true(stage.good[1] >= 3);
	assert_true(stage.bus.devices[1].patience.learnt_us == S); /* the map's time-out is the most */
	/* and one that has become slow is found again */
	stage.wire.devices[2].turnaround_us = 2 * MS;
	stage.wire.devices[2].spread_us = 3 * MS;
	run(200000 * S);
	assert_true(stage.bus.devices[1].patience.learnt_us <= 50 * MS);
	stage.wire.devices[2].turnaround_us = 300 * MS;
	run(60 * S);
	assert_true(stage.wire.devices[2].answered_at > virtual_now - 20 * S);
}

static void an_all_dead_bus_finds_the_first_that_comes(void **state)
{
	(void)state;
	stage_clear(9600);
	for (int d = 0; d < 4; d++) {
		add_device(300 * MS);
		add_metric(0, 1, 0);
		stage.wire.devices[d + 1].dead = true;
	}
	start(NULL);
	run(300 * S);
	assert_true(n_whole() <= 300 * 5 / 100 + 1); /* a twentieth of the time */
	for (int d = 0; d < 4; d++)
		stage.wire.devices[d + 1].dead = false;
	run(200 * S);
	for (int d = 0; d < 4; d++)
		assert_true(stage.wire.devices[d + 1].answered_at > virtual_now - 10 * S);
}

/* ---- Any bus, any deaths ---- */

static void random_bus(void)
{
	static const uint32_t bauds[] = {4800, 9600, 19200, 38400, 115200};
	static const int64_t everys[] = {0, 100 * MS, S, 2 * S, 10 * S, 60 * S};
	uint32_t n = 2 + chance(14);
	stage_clear(bauds[chance(5)]);
	for (uint32_t d = 0; d < n; d++) {
		bool slow = chance(8) == 0;
		add_device(slow ? (50 + chance(150)) * MS : chance(20) * MS);
		stage.wire.devices[d + 1].spread_us = chance(10) * MS;
		for (uint32_t m = 1 + chance(4); m > 0; m--)
			add_metric((uint16_t)chance(300), 1, everys[chance(6)]);
	}
	stage.wire.seed ^= chance(1 << 30);
	start(NULL);
}

/* One after the other, a third of the devices at most: the shares hold as they are written. */
static void silence_takes_no_more_than_its_share(void **state)
{
	(void)state;
	for (int round = 0; round < 60; round++) {
		random_bus();
		uint32_t n = stage.told.n_devices;
		run(10 * S + chance(30) * S);
		for (int event = 0; event < 40; event++) {
			struct wire_device *device = &stage.wire.devices[1 + chance(n)];
			unsigned dead = 0;
			for (uint32_t d = 0; d < n; d++)
				dead += stage.wire.devices[d + 1].dead;
			device->dead = !device->dead && dead < 1 + n / 3;
			run(5 * S + chance(30000) * MS);
		}
		/* what waits for the budget never takes more than four of a hundred; with those that go silent
		 * meanwhile it is five, unless one question alone is more */
		int64_t longest = 0;
		for (size_t i = 0; i < stage.n_silences; i++)
			if (!stage.silences[i].whole && stage.silences[i].us > longest)
				longest = stage.silences[i].us;
		assert_true(worst_window(-1, false) <= (longest > 400 * MS ? longest : 400 * MS) + 1 * MS);
		assert_true(worst_window(-1, true) <= 500 * MS + longest);
		for (uint32_t d = 0; d < n; d++)
			assert_true(
				worst_window((int)d, true) <= (longest > 100 * MS ? longest : 100 * MS) + 2 * longest);
		/* in the long run it is one of a hundred for each */
		for (uint32_t d = 0; d < n; d++) {
			int64_t sum = 0;
			for (size_t i = 0; i < stage.n_silences; i++)
				if (stage.silences[i].device == d && !stage.silences[i].whole)
					sum += stage.silences[i].us;
			assert_true(sum <= (virtual_now - stage.began_at) / 80 + 3 * longest);
		}
		assert_true((int64_t)n_whole() <= (virtual_now - stage.began_at) / (20 * S) + 1);
	}
}

/* All at once: each is found out by one question, which nobody can spare; then the share holds. */
static void many_deaths_at_once_cost_one_question_each(void **state)
{
	(void)state;
	for (int round = 0; round < 40; round++) {
		random_bus();
		uint32_t n = stage.told.n_devices;
		run(60 * S);
		for (uint32_t d = 0; d < n; d++)
			stage.wire.devices[d + 1].dead = chance(4) > 0;
		run(200 * S);
		int64_t longest = 0, firsts = 0;
		for (size_t i = 0; i < stage.n_silences; i++) {
			const struct silence *silence = &stage.silences[i];
			firsts += silence->first ? silence->us : 0;
			if (!silence->whole && silence->us > longest)
				longest = silence->us;
		}
		assert_true(worst_window(-1, false) <= (longest > 400 * MS ? longest : 400 * MS) + 1 * MS);
		assert_true(worst_window(-1, true) <= (longest > 400 * MS ? longest : 400 * MS) + firsts);
		int64_t back_at = virtual_now;
		for (uint32_t d = 0; d < n; d++)
			stage.wire.devices[d + 1].dead = false;
		run(300 * S);
		for (uint32_t d = 0; d < n; d++)
			assert_true(stage.wire.devices[d + 1].answered_at > back_at);
	}
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dead_device_is_asked_as_the_budget_allows),
		cmocka_unit_test(dead_devices_cost_their_neighbours_little),
		cmocka_unit_test(five_that_return_are_read_within_ten_seconds),
		cmocka_unit_test(a_slow_poll_does_not_keep_a_device_away),
		cmocka_unit_test(a_device_slower_than_all_others_is_found),
		cmocka_unit_test(an_all_dead_bus_finds_the_first_that_comes),
		cmocka_unit_test(silence_takes_no_more_than_its_share),
		cmocka_unit_test(many_deaths_at_once_cost_one_question_each),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

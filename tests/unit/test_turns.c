/*
 * A bus in virtual time on a wire that takes its time: whose turn it is, what dead devices cost, what is shared, what
 * happens when there is too little time.
 */
#include "field/bus.h"
#include "wire_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MS      1000
#define S       (1000 * (int64_t)MS)
#define DEVICES 32
#define METRICS 256

static int64_t virtual_now;
static uint64_t seed = 5;

static uint32_t chance(uint32_t below)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * 0x2545F4914F6CDD1Du >> 33) % below);
}

static int64_t fake_mono(const struct clock *clock)
{
	(void)clock;
	return virtual_now;
}

static int64_t fake_wall(const struct clock *clock)
{
	(void)clock;
	return 1764000000000 + virtual_now / 1000;
}

static const struct clock fake_clock = {.mono_us = fake_mono, .wall_ms = fake_wall};

/* A question that had no answer. */
struct silence {
	int64_t until, us;
	uint32_t device;
	bool first; /* since the device answered, or at all */
	bool whole; /* with the whole time-out */
};

struct stage {
	struct plan plan;
	struct plan_bus told;
	struct plan_device devices[DEVICES];
	struct plan_metric metrics[METRICS];
	uint32_t list[DEVICES];
	struct wire_line wire;
	struct reading_sink sink;
	unsigned good[METRICS], bad[METRICS];
	struct bus bus;
	struct arena arena;
	int64_t wake, began_at;
	struct silence silences[20000];
	size_t n_silences;
};

static struct stage stage;

static void stage_take(struct reading_sink *sink, const struct batch *batch)
{
	(void)sink;
	for (size_t i = 0; i < batch->n; i++) {
		const struct reading *reading = &batch->readings[i];
		const struct plan_metric *metric = &stage.metrics[reading->metric];
		if (reading->quality != QUALITY_GOOD) {
			stage.bad[reading->metric]++;
			continue;
		}
		stage.good[reading->metric]++;
		assert_int_equal(
			reading->value.u, (stage.devices[metric->device].address * 1000u + metric->place.at) & 0xffff);
	}
}

/* An empty bus; devices and metrics are added, then it is started. */
static void stage_clear(uint32_t baud)
{
	arena_free(&stage.arena);
	memset(&stage, 0, sizeof(stage));
	virtual_now = 10 * S;
	stage.told = (struct plan_bus){.name = "rs485",
		.wire = WIRE_SERIAL,
		.port = "/dev/none",
		.line = {baud, 8, 'N', 1},
		.timeout_us = S,
		.gap_us = PLAN_ADAPTIVE,
		.retries = 1,
		.devices = stage.list};
	stage.plan =
		(struct plan){.buses = &stage.told, .n_buses = 1, .devices = stage.devices, .metrics = stage.metrics};
	stage.sink.take = stage_take;
	wire_line_init(&stage.wire, &stage.told);
}

static void add_device(int64_t turnaround_us)
{
	uint32_t d = stage.told.n_devices++;
	stage.plan.n_devices++;
	stage.list[d] = d;
	stage.devices[d] = (struct plan_device){.topic = "s/d",
		.path = "d",
		.name = "d",
		.address = (uint8_t)(d + 1),
		.first_metric = (uint32_t)stage.plan.n_metrics,
		.timeout_us = S,
		.max_registers = 125,
		.max_gap = PLAN_ADAPTIVE};
	stage.wire.devices[d + 1].turnaround_us = turnaround_us;
}

/* To the device added last. */
static void add_metric(uint16_t at, uint16_t count, int64_t every_us)
{
	struct plan_metric *metric = &stage.metrics[stage.plan.n_metrics++];
	*metric = (struct plan_metric){.topic = "t",
		.name = "n",
		.device = stage.told.n_devices - 1,
		.place = {BF_SPACE_INPUT, at, count},
		.scale = 1.0,
		.every_us = every_us};
	stage.devices[metric->device].n_metrics++;
}

/* The first and the last of n registers, which makes one read of n. */
static void add_block(uint16_t n, int64_t every_us)
{
	add_metric(0, 1, every_us);
	add_metric((uint16_t)(n - 1), 1, every_us);
}

static void start(const struct learnt *learnt)
{
	bus_init(&stage.bus, &stage.plan, 0, &stage.wire.line, learnt, &stage.sink, &fake_clock, false, &stage.arena);
	bus_schedule(&stage.bus, 0, stage.told.n_devices, virtual_now);
	stage.wake = stage.began_at = virtual_now;
}

/* Was a question given up in this step?  Notes it. */
static void note_silence(uint64_t timeouts, int asked, int64_t asked_at, bool whole)
{
	if (stage.bus.counts.timeouts == timeouts)
		return;
	assert_true(stage.n_silences < sizeof(stage.silences) / sizeof(stage.silences[0]));
	const struct patience *patience = &stage.bus.devices[asked].patience;
	stage.silences[stage.n_silences++] = (struct silence){.until = stage.bus.free_at,
		.us = stage.bus.free_at - asked_at,
		.device = (uint32_t)asked,
		.first = patience->missed == 1,
		.whole = whole};
}

static void run(int64_t for_us)
{
	int64_t end = virtual_now + for_us;
	unsigned turns = 0;
	while (stage.wake <= end) {
		turns = stage.wake > virtual_now ? 0 : turns + 1;
		assert_true(turns < 1000); /* time goes on */
		if (stage.wake > virtual_now)
			virtual_now = stage.wake;
		uint64_t timeouts = stage.bus.counts.timeouts;
		int asked = stage.bus.current;
		int64_t asked_at = stage.bus.asked_at;
		bool whole = asked >= 0 && stage.bus.devices[asked].patience.whole;
		stage.wake = bus_step(&stage.bus, false, virtual_now);
		note_silence(timeouts, asked, asked_at, whole);
	}
	virtual_now = end;
	assert_int_equal(stage.wire.n_early, 0);
}

static uint64_t all_good(void)
{
	uint64_t n = 0;
	for (size_t i = 0; i < stage.plan.n_metrics; i++)
		n += stage.good[i];
	return n;
}

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
		struct bf_place place = {BF_SPACE_INPUT, 0, 20};
		int64_t cycle_us = planner_request_us(&stage.told) + 2 * MS + planner_answer_us(&stage.told, &place) +
				   plan_bus_gap_us(&stage.told);
		assert_true(all_good() / 2 + 2 >= (uint64_t)(60 * S / cycle_us));
		for (int m = 2; m < 20; m += 2)
			assert_in_range(stage.good[m], stage.good[0] - 1, stage.good[0] + 1);
		assert_int_equal(stage.wire.n_twice, 0);
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

/* ---- Silence ---- */

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
		struct bf_place place = {BF_SPACE_INPUT, 0, 20};
		int64_t cycle_us = planner_request_us(&stage.told) + 2 * MS + planner_answer_us(&stage.told, &place) +
				   plan_bus_gap_us(&stage.told);
		uint64_t perfect = (uint64_t)(60 * S / cycle_us);
		assert_true((all_good() - before) / 2 * 100 >= perfect * cases[c].percent);
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
		cmocka_unit_test(a_slow_register_rides_along),
		cmocka_unit_test(far_registers_are_read_when_they_are_due),
		cmocka_unit_test(turns_go_on_side_by_side),
		cmocka_unit_test(ten_devices_as_fast_as_the_wire_allows),
		cmocka_unit_test(slow_polls_come_in_bunches),
		cmocka_unit_test(an_overloaded_bus_is_fair),
		cmocka_unit_test(what_is_late_is_measured),
		cmocka_unit_test(a_refused_gap_is_learnt_and_remembered),
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

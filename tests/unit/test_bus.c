/*
 * A bus in virtual time over a scripted line: order of polls, time-outs, exceptions, dead devices, ports that go.
 */
#include "field/bus.h"
#include "scripted_line.h"
#include "virtual_clock.h"

#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define MS 1000
#define S  1000000

/* What the sink saw. */
struct seen {
	struct reading_sink sink;
	unsigned good[8], bad[8];
	enum quality last_quality[8];
	uint8_t last_code[8];
	struct bf_value last_value[8];
	unsigned rounds_over, online, offline;
};

static void seen_take(struct reading_sink *sink, const struct batch *batch)
{
	struct seen *seen = (struct seen *)sink;
	seen->online += batch->availability == AVAILABILITY_ONLINE;
	seen->offline += batch->availability == AVAILABILITY_OFFLINE;
	seen->rounds_over += batch->round_over;
	for (size_t i = 0; i < batch->n; i++) {
		const struct reading *reading = &batch->readings[i];
		if (reading->quality == QUALITY_GOOD)
			seen->good[reading->metric]++;
		else
			seen->bad[reading->metric]++;
		seen->last_quality[reading->metric] = reading->quality;
		seen->last_code[reading->metric] = reading->code;
		seen->last_value[reading->metric] = reading->value;
	}
}

struct stage {
	struct plan plan;
	struct plan_bus bus_told;
	struct plan_device devices[2];
	struct plan_metric metrics[8];
	uint32_t device_list[2];
	struct scripted_line line;
	struct seen seen;
	struct bus bus;
	struct arena arena;
	int64_t wake;
};

/* Two devices on a bus at 9600 8N1: unit 1 with registers 0, 1, 5 each second, unit 2 with register 0 each second. */
static void stage_set(struct stage *stage, bool once)
{
	static const uint16_t places[] = {0, 1, 5, 0};
	*stage = (struct stage){0};
	virtual_now = 10 * S;
	for (int i = 0; i < 4; i++)
		stage->metrics[i] = (struct plan_metric){.topic = "t",
			.name = "n",
			.device = i == 3,
			.place = {BF_SPACE_INPUT, places[i], 1},
			.scale = 1.0,
			.every_us = S};
	for (uint32_t i = 0; i < 2; i++) {
		stage->device_list[i] = i;
		stage->devices[i] = (struct plan_device){.topic = "s/d",
			.path = i ? "two" : "one",
			.name = "d",
			.address = (uint8_t)(i + 1),
			.first_metric = i ? 3 : 0,
			.n_metrics = i ? 1 : 3,
			.timeout_us = 500 * MS,
			.max_registers = 125,
			.max_gap = PLAN_ADAPTIVE};
	}
	stage->bus_told = (struct plan_bus){.name = "rs485",
		.wire = WIRE_SERIAL,
		.port = "/dev/none",
		.line = {9600, 8, 'N', 1},
		.timeout_us = S,
		.gap_us = PLAN_ADAPTIVE,
		.retries = 1,
		.devices = stage->device_list,
		.n_devices = 2};
	stage->plan = (struct plan){.buses = &stage->bus_told,
		.n_buses = 1,
		.devices = stage->devices,
		.n_devices = 2,
		.metrics = stage->metrics,
		.n_metrics = 4};
	scripted_line_init(&stage->line, 20 * MS);
	stage->seen.sink.take = seen_take;
	bus_init(&stage->bus, &stage->plan, 0, &stage->line.line, NULL, &stage->seen.sink, &virtual_clock, once,
		&stage->arena);
	bus_schedule(&stage->bus, 0, 2, 1, virtual_now);
	stage->wake = virtual_now;
}

static void stage_run(struct stage *stage, int64_t for_us)
{
	int64_t end = virtual_now + for_us;
	unsigned turns = 0;
	while (stage->wake <= end) {
		if (stage->wake > virtual_now)
			virtual_now = stage->wake;
		stage->wake = bus_step(&stage->bus, false, virtual_now);
		assert_true(++turns < 1000000); /* no busy loop */
	}
	virtual_now = end;
}

static void stage_clear(struct stage *stage)
{
	bus_destroy(&stage->bus);
	arena_free(&stage->arena);
}

static void registers_are_merged_and_polled_on_time(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, false);
	stage_run(&stage, 10 * S - 1);
	assert_int_equal(stage.seen.good[0], 10);
	assert_int_equal(stage.seen.good[2], 10);
	assert_int_equal(stage.seen.good[3], 10);
	assert_int_equal(stage.seen.last_value[2].u, 1005);
	assert_int_equal(stage.seen.last_value[3].u, 2000);
	assert_int_equal(stage.seen.rounds_over, 20);
	assert_int_equal(stage.seen.online, 2);
	assert_int_equal(strncmp(stage.line.log, "1:input:0+6 2:input:0+1 1:input:0+6 2:input:0+1 ", 48), 0);
	stage_clear(&stage);
}

static void the_silence_between_frames_is_kept(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, false);
	for (int i = 0; i < 4; i++)
		stage.metrics[i].every_us = 0; /* as fast as the wire allows */
	bus_init(&stage.bus, &stage.plan, 0, &stage.line.line, NULL, &stage.seen.sink, &virtual_clock, false,
		&stage.arena);
	bus_schedule(&stage.bus, 0, 2, 1, virtual_now);
	stage_run(&stage, 10 * S);
	/* 20 ms for an answer and 3.5 characters of 10 bits at 9600 baud, 3.646 ms, before the next question. */
	unsigned polls = (unsigned)(stage.seen.good[0] + stage.seen.good[3]);
	assert_in_range(polls, 10 * S / 23660, 10 * S / 23640);
	assert_in_range(stage.seen.good[0], stage.seen.good[3] - 1, stage.seen.good[3] + 1);
	stage_clear(&stage);
}

/* Between the beginning of a step and its reading of the last bytes others may have had the processor. */
static void the_silence_is_counted_from_when_the_answer_was_read(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, false);
	for (int i = 0; i < 4; i++)
		stage.metrics[i].every_us = 0;
	bus_init(&stage.bus, &stage.plan, 0, &stage.line.line, NULL, &stage.seen.sink, &virtual_clock, false,
		&stage.arena);
	bus_schedule(&stage.bus, 0, 2, 1, virtual_now);
	stage.line.clock_us = &virtual_now;
	stage.line.held_up_us = 3 * MS;
	int64_t end = virtual_now + 10 * S;
	uint64_t n_asked = 0, n_gaps = 0;
	for (int64_t read_at = 0; virtual_now < end;) {
		enum bus_state before = stage.bus.state;
		if (stage.wake > virtual_now)
			virtual_now = stage.wake;
		int64_t asked_at = virtual_now;
		stage.wake = bus_step(&stage.bus, false, virtual_now);
		if (read_at && n_asked != stage.bus.counts.requests) {
			assert_true(asked_at - read_at >= 3646); /* 3.5 characters of 10 bits at 9600 baud */
			n_gaps++;
		}
		n_asked = stage.bus.counts.requests;
		if (before == BUS_ASKED && stage.bus.state == BUS_IDLE)
			read_at = virtual_now;
	}
	assert_in_range(n_gaps, 300, 400);
	stage_clear(&stage);
}

/* Reading an answer takes time; the step goes on with the clock as it is then, and does not ask for another step at
 * once.
 */
static void after_an_answer_the_bus_knows_when_it_is_due_next(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, false);
	stage.line.clock_us = &virtual_now;
	stage.line.held_up_us = 3 * MS;
	int64_t end = virtual_now + 10 * S;
	for (unsigned n_answers = 0; virtual_now < end || n_answers < 20;) {
		enum bus_state before = stage.bus.state;
		if (stage.wake > virtual_now)
			virtual_now = stage.wake;
		stage.wake = bus_step(&stage.bus, false, virtual_now);
		if (before == BUS_ASKED && stage.bus.state == BUS_IDLE) {
			assert_true(stage.wake > virtual_now);
			n_answers++;
		}
	}
	stage_clear(&stage);
}

/* 20 registers apart: two requests for a device that answers at once, one for a slow one. */
static void a_slow_device_is_read_over_wider_gaps(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, false);
	stage.metrics[2].place.at = 21;
	bus_init(&stage.bus, &stage.plan, 0, &stage.line.line, NULL, &stage.seen.sink, &virtual_clock, false,
		&stage.arena);
	bus_schedule(&stage.bus, 0, 2, 1, virtual_now);
	stage.line.latency_us = 30 * MS;
	stage_run(&stage, 30 * S);
	assert_null(strstr(stage.line.log, "1:input:0+22"));
	while (stage.bus.state == BUS_ASKED)
		stage_run(&stage, 10 * MS);
	stage.line.latency_us = 150 * MS;
	stage_run(&stage, 30 * S);
	size_t until = stage.line.log_n;
	unsigned bad = stage.seen.bad[2]; /* it became slow all of a sudden */
	assert_non_null(strstr(stage.line.log, "1:input:0+22"));
	stage_run(&stage, 10 * S);
	assert_null(strstr(stage.line.log + until, "1:input:0+2 "));
	assert_int_equal(stage.seen.last_value[2].u, 1021);
	assert_int_equal(stage.seen.bad[2], bad);
	stage_clear(&stage);
}

static void a_dead_device_goes_offline_and_leaves_time_to_its_neighbour(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, false);
	stage_run(&stage, 2 * S);
	stage.line.mishaps[1] = (struct scripted_mishap){MISHAP_SILENT, 0, ~0u};
	stage_run(&stage, 60 * S);
	assert_int_equal(stage.seen.offline, 1);
	assert_int_equal(stage.seen.last_quality[0], QUALITY_TIMEOUT);
	assert_int_equal(stage.seen.last_quality[2], QUALITY_TIMEOUT);
	assert_in_range(stage.seen.bad[0], 7, 12); /* backed off: not sixty time-outs */
	assert_in_range(stage.seen.good[3], 61, 63);
	assert_in_range(stage.bus.devices[0].counts.quiet_until, virtual_now - S, virtual_now + 10 * S);
	stage.line.mishaps[1].kind = MISHAP_NONE;
	stage_run(&stage, 11 * S);
	assert_int_equal(stage.seen.online, 3);
	assert_int_equal(stage.seen.last_quality[0], QUALITY_GOOD);
	stage_clear(&stage);
}

static void one_time_out_is_no_lost_device(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, false);
	stage_run(&stage, 2 * S);
	stage.line.mishaps[1] = (struct scripted_mishap){MISHAP_SILENT, 0, 2};
	stage_run(&stage, 10 * S);
	assert_int_equal(stage.seen.offline, 0);
	assert_int_equal(stage.seen.bad[0], 2);
	assert_int_equal(stage.line.n_opened, 1);
	stage_clear(&stage);
}

static void a_damaged_answer_is_asked_for_again(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, true);
	stage.line.mishaps[1] = (struct scripted_mishap){MISHAP_CHECKSUM, 0, 1};
	stage_run(&stage, S);
	assert_int_equal(stage.seen.good[0], 1);
	assert_int_equal(stage.seen.bad[0], 0);
	stage_clear(&stage);

	stage_set(&stage, true);
	stage.line.mishaps[1] = (struct scripted_mishap){MISHAP_CHECKSUM, 0, 2};
	stage_run(&stage, S);
	assert_int_equal(stage.seen.last_quality[0], QUALITY_CHECKSUM);
	assert_int_equal(stage.seen.good[3], 1);
	assert_true(bus_finished(&stage.bus));
	stage_clear(&stage);
}

static void an_exception_is_an_answer(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, true);
	stage.line.mishaps[1] = (struct scripted_mishap){MISHAP_EXCEPTION, 4, 9};
	stage_run(&stage, S);
	assert_int_equal(stage.seen.last_quality[0], QUALITY_EXCEPTION);
	assert_int_equal(stage.seen.last_code[0], 4);
	assert_int_equal(stage.seen.online, 2);
	assert_int_equal(stage.seen.offline, 0);
	stage_clear(&stage);
}

static void a_busy_device_is_asked_again_when_it_has_had_time(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, false);
	stage.line.mishaps[1] = (struct scripted_mishap){MISHAP_EXCEPTION, 6, 1};
	stage_run(&stage, 50 * MS); /* the neighbour goes on meanwhile */
	assert_int_equal(stage.seen.good[0] + stage.seen.bad[0], 0);
	stage_run(&stage, 100 * MS);
	assert_int_equal(stage.seen.good[0], 1);
	assert_int_equal(stage.seen.bad[0], 0);
	stage_clear(&stage);
}

/* Exception 11: a gateway had no answer from it.  Each question takes the gateway's own time-out. */
static void a_device_that_a_gateway_finds_silent_is_asked_ever_less(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, false);
	stage.line.mishaps[1] = (struct scripted_mishap){MISHAP_EXCEPTION, 11, ~0u};
	stage_run(&stage, 60 * S);
	assert_in_range(stage.seen.bad[0], 8, 12);
	assert_int_equal(stage.seen.last_quality[2], QUALITY_EXCEPTION);
	assert_int_equal(stage.seen.last_code[2], 11);
	assert_int_equal(stage.seen.offline, 0);
	assert_in_range(stage.seen.good[3], 59, 61);
	stage.line.mishaps[1].kind = MISHAP_NONE;
	stage_run(&stage, 12 * S);
	assert_int_equal(stage.seen.last_quality[2], QUALITY_GOOD);
	stage_clear(&stage);
}

static void a_refused_gap_is_split_and_stays_split(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, false);
	stage.line.holes_from = 2;
	stage.line.holes_to = 5;
	stage_run(&stage, 3 * S - 1);
	assert_int_equal(stage.seen.good[0], 3);
	assert_int_equal(stage.seen.good[2], 3);
	assert_int_equal(stage.seen.bad[0] + stage.seen.bad[1] + stage.seen.bad[2], 0);
	assert_non_null(strstr(stage.line.log, "1:input:0+6 1:input:0+2 1:input:5+1 2:input:0+1 1:input:0+2 "));
	stage_clear(&stage);
}

static void a_wrong_register_takes_no_neighbour_with_it(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, false);
	stage.line.holes_from = 1;
	stage.line.holes_to = 2;
	stage_run(&stage, 3 * S - 1);
	assert_int_equal(stage.seen.last_quality[0], QUALITY_GOOD);
	assert_int_equal(stage.seen.last_quality[1], QUALITY_EXCEPTION);
	assert_int_equal(stage.seen.last_code[1], 2);
	assert_int_equal(stage.seen.last_quality[2], QUALITY_GOOD);
	stage_clear(&stage);
}

static void a_port_that_goes_is_opened_again(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, false);
	stage_run(&stage, 2 * S);
	stage.line.mishaps[1] = (struct scripted_mishap){MISHAP_GONE, 0, 1};
	stage.line.absent = true;
	stage_run(&stage, 30 * S);
	assert_int_equal(stage.seen.offline, 2);
	assert_int_equal(stage.seen.last_quality[3], QUALITY_OFFLINE);
	stage.line.absent = false;
	stage_run(&stage, 12 * S);
	assert_int_equal(stage.line.n_opened, 2);
	assert_int_equal(stage.seen.online, 4);
	assert_int_equal(stage.seen.last_quality[0], QUALITY_GOOD);
	assert_int_equal(stage.seen.last_quality[3], QUALITY_GOOD);
	stage_clear(&stage);
}

static void an_absent_port_is_told_once(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, false);
	stage.line.absent = true;
	stage_run(&stage, 60 * S);
	assert_int_equal(stage.seen.offline, 2);
	assert_int_equal(stage.seen.bad[0], 1);
	stage_clear(&stage);
}

static void what_is_asked_at_the_start_is_asked_once_an_appearance(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, false);
	stage.metrics[2].every_us = PLAN_EVERY_START;
	bus_init(&stage.bus, &stage.plan, 0, &stage.line.line, NULL, &stage.seen.sink, &virtual_clock, false,
		&stage.arena);
	bus_schedule(&stage.bus, 0, 2, 1, virtual_now);
	stage_run(&stage, 20 * S);
	assert_int_equal(stage.seen.good[2], 1);
	assert_int_equal(stage.bus.counts.merged, 0);
	stage.line.mishaps[1] = (struct scripted_mishap){MISHAP_SILENT, 0, 4};
	stage_run(&stage, 30 * S);
	assert_int_equal(stage.seen.offline, 1);
	assert_int_equal(stage.seen.good[2], 2);
	stage_clear(&stage);
}

static void what_is_asked_at_the_start_is_asked_until_it_is_answered(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, false);
	for (int i = 0; i < 3; i++)
		stage.metrics[i].every_us = PLAN_EVERY_START;
	bus_init(&stage.bus, &stage.plan, 0, &stage.line.line, NULL, &stage.seen.sink, &virtual_clock, false,
		&stage.arena);
	bus_schedule(&stage.bus, 0, 2, 1, virtual_now);
	stage.line.mishaps[1] = (struct scripted_mishap){MISHAP_SILENT, 0, 6};
	stage_run(&stage, 20 * S);
	assert_int_equal(stage.seen.offline, 1);
	assert_int_equal(stage.seen.good[0], 0);
	stage_run(&stage, 60 * S);
	assert_int_equal(stage.seen.bad[0], 6);
	assert_int_equal(stage.seen.good[0], 1);
	assert_int_equal(stage.seen.online, 2);

	/* an exception is an answer; a damaged one is none */
	stage_clear(&stage);
	stage_set(&stage, false);
	for (int i = 0; i < 3; i++)
		stage.metrics[i].every_us = PLAN_EVERY_START;
	bus_init(&stage.bus, &stage.plan, 0, &stage.line.line, NULL, &stage.seen.sink, &virtual_clock, false,
		&stage.arena);
	bus_schedule(&stage.bus, 0, 2, 1, virtual_now);
	stage.line.mishaps[1] = (struct scripted_mishap){MISHAP_CHECKSUM, 0, 2};
	stage_run(&stage, 10 * S);
	assert_int_equal(stage.seen.bad[0], 1);
	assert_int_equal(stage.seen.good[0], 1);
	stage_clear(&stage);
	stage_set(&stage, false);
	stage.metrics[0].every_us = PLAN_EVERY_START;
	stage.devices[0].n_metrics = 1;
	bus_init(&stage.bus, &stage.plan, 0, &stage.line.line, NULL, &stage.seen.sink, &virtual_clock, false,
		&stage.arena);
	bus_schedule(&stage.bus, 0, 2, 1, virtual_now);
	stage.line.mishaps[1] = (struct scripted_mishap){MISHAP_EXCEPTION, 4, 100};
	stage_run(&stage, 10 * S);
	assert_int_equal(stage.seen.bad[0], 1);
	stage_clear(&stage);
}

static void a_port_unplugged_between_two_polls_is_closed_at_once(void **state)
{
	(void)state;
	struct stage stage;
	int ends[2];
	stage_set(&stage, false);
	for (int i = 0; i < 4; i++)
		stage.metrics[i].every_us = 60 * (int64_t)S;
	bus_init(&stage.bus, &stage.plan, 0, &stage.line.line, NULL, &stage.seen.sink, &virtual_clock, false,
		&stage.arena);
	bus_schedule(&stage.bus, 0, 2, 1, virtual_now);
	stage_run(&stage, 1500 * MS);
	assert_int_equal(stage.bus.state, BUS_IDLE);
	assert_int_equal(bus_events(&stage.bus), POLLHUP);
	assert_int_equal(pipe(ends), 0);
	stage.line.line.fd = ends[0];
	bus_step(&stage.bus, true, virtual_now); /* a wake-up without a reason */
	assert_int_equal(stage.bus.state, BUS_IDLE);
	close(ends[1]);
	int64_t wake = bus_step(&stage.bus, true, virtual_now);
	assert_int_equal(stage.line.line.fd, -1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(atomic_load(&stage.bus.devices[i].counts.availability), AVAILABILITY_OFFLINE);
	assert_int_equal(bus_events(&stage.bus), 0);
	assert_true(wake <= virtual_now + 500 * MS);
	stage.wake = wake;
	stage_run(&stage, wake + 100 * MS - virtual_now);
	for (int i = 0; i < 2; i++) /* at once, though their next poll is a minute away */
		assert_int_equal(atomic_load(&stage.bus.devices[i].counts.availability), AVAILABILITY_ONLINE);
	close(ends[0]);
	stage_clear(&stage);
}

/* The longest pause between two looks at a port or host that is not there, after an hour. */
static int64_t longest_pause(struct stage *stage)
{
	stage->line.absent = true;
	stage_run(stage, 3600 * (int64_t)S);
	int64_t longest = 0;
	for (int i = 0; i < 20; i++) {
		int64_t before = virtual_now = stage->wake;
		stage->wake = bus_step(&stage->bus, false, virtual_now);
		assert_true(stage->wake > before);
		if (stage->wake - before > longest)
			longest = stage->wake - before;
	}
	return longest;
}

static void an_absent_port_is_looked_for_twice_a_second_and_a_host_less(void **state)
{
	(void)state;
	struct stage stage;
	stage_set(&stage, false);
	assert_int_equal(longest_pause(&stage), 500 * MS);
	stage_clear(&stage);
	stage_set(&stage, false);
	bus_destroy(&stage.bus);
	stage.bus_told.wire = WIRE_TCP;
	stage.bus_told.port = NULL;
	stage.bus_told.host = "h";
	bus_init(&stage.bus, &stage.plan, 0, &stage.line.line, NULL, &stage.seen.sink, &virtual_clock, false,
		&stage.arena);
	bus_schedule(&stage.bus, 0, 2, 1, virtual_now);
	assert_int_equal(longest_pause(&stage), 10 * S);
	stage_clear(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_are_merged_and_polled_on_time),
		cmocka_unit_test(the_silence_between_frames_is_kept),
		cmocka_unit_test(the_silence_is_counted_from_when_the_answer_was_read),
		cmocka_unit_test(after_an_answer_the_bus_knows_when_it_is_due_next),
		cmocka_unit_test(a_slow_device_is_read_over_wider_gaps),
		cmocka_unit_test(a_dead_device_goes_offline_and_leaves_time_to_its_neighbour),
		cmocka_unit_test(one_time_out_is_no_lost_device),
		cmocka_unit_test(a_damaged_answer_is_asked_for_again),
		cmocka_unit_test(an_exception_is_an_answer),
		cmocka_unit_test(a_busy_device_is_asked_again_when_it_has_had_time),
		cmocka_unit_test(a_device_that_a_gateway_finds_silent_is_asked_ever_less),
		cmocka_unit_test(a_refused_gap_is_split_and_stays_split),
		cmocka_unit_test(a_wrong_register_takes_no_neighbour_with_it),
		cmocka_unit_test(a_port_that_goes_is_opened_again),
		cmocka_unit_test(an_absent_port_is_told_once),
		cmocka_unit_test(what_is_asked_at_the_start_is_asked_once_an_appearance),
		cmocka_unit_test(what_is_asked_at_the_start_is_asked_until_it_is_answered),
		cmocka_unit_test(a_port_unplugged_between_two_polls_is_closed_at_once),
		cmocka_unit_test(an_absent_port_is_looked_for_twice_a_second_and_a_host_less),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

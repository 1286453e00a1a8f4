/*
 * Errands on a bus in virtual time: they go ahead of polls but leave them room, writes are sent once and read back,
 * what fails is told with its reason and in time, silent units cost little.
 */
#include "field/bus.h"
#include "scripted_line.h"
#include "virtual_clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define MS 1000
#define S  ((int64_t)1000000)

static unsigned n_good[3], n_told[3];
static struct bf_value last_value[3];

static void take(struct reading_sink *sink, const struct batch *batch)
{
	(void)sink;
	for (size_t i = 0; i < batch->n; i++) {
		n_told[batch->readings[i].metric]++;
		n_good[batch->readings[i].metric] += batch->readings[i].quality == QUALITY_GOOD;
		last_value[batch->readings[i].metric] = batch->readings[i].value;
	}
}

/* One bus, two devices: unit 1 with holding register 300, a tenth of a degree, unit 2 with input register 0. */
static struct plan plan;
static struct plan_bus told;
static struct plan_device devices[2];
static struct plan_metric metrics[3];
static uint32_t list[2] = {0, 1};
static struct scripted_line line;
static struct reading_sink sink = {.take = take};
static struct bus bus;
static struct arena arena;
static struct errand_box box;
static int64_t wake;

static struct {
	struct errand_outcome outcome;
	int64_t at;
	uint16_t value;
} done[64];
static size_t n_done;

static void note(void *user, const struct errand *errand, const struct errand_outcome *outcome)
{
	(void)user;
	(void)errand;
	done[n_done].outcome = *outcome;
	done[n_done].at = virtual_now;
	done[n_done].value = outcome->bytes ? (uint16_t)(outcome->bytes[0] << 8 | outcome->bytes[1]) : 0;
	n_done++;
}

static int setup(void **state)
{
	(void)state;
	virtual_now = 10 * S;
	memset(n_good, 0, sizeof(n_good));
	memset(n_told, 0, sizeof(n_told));
	memset(done, 0, sizeof(done));
	n_done = 0;
	for (int i = 0; i < 2; i++) {
		metrics[i] = (struct plan_metric){.topic = "t", .name = "n", .device = (uint32_t)i, .every_us = S};
		devices[i] = (struct plan_device){.topic = "s/d",
			.path = i ? "two" : "one",
			.name = "d",
			.address = (uint8_t)(i + 1),
			.first_metric = (uint32_t)i,
			.n_metrics = 1,
			.timeout_us = 500 * MS,
			.max_registers = 125,
			.max_gap = PLAN_ADAPTIVE};
	}
	metrics[0].place = (struct bf_place){BF_SPACE_HOLDING, 300, 1};
	metrics[0].shape.type = BF_TYPE_S16;
	metrics[0].scale = 0.1;
	metrics[0].scaled = true;
	metrics[1].place = (struct bf_place){BF_SPACE_INPUT, 0, 1};
	metrics[1].scale = 1;
	told = (struct plan_bus){.name = "rs485",
		.wire = WIRE_SERIAL,
		.port = "/dev/none",
		.line = {9600, 8, 'N', 1},
		.timeout_us = S,
		.gap_us = PLAN_ADAPTIVE,
		.retries = 1,
		.devices = list,
		.n_devices = 2};
	plan = (struct plan){
		.buses = &told, .n_buses = 1, .devices = devices, .n_devices = 2, .metrics = metrics, .n_metrics = 2};
	scripted_line_init(&line, 20 * MS);
	line.line.echo_known = true;
	bus_init(&bus, &plan, 0, &line.line, NULL, &sink, &virtual_clock, false, &arena);
	bus_schedule(&bus, 0, 2, 1, virtual_now);
	wake = virtual_now;
	errand_box_init(&box, -1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	courier_fail(&bus, -ECANCELED);
	bus_destroy(&bus);
	arena_free(&arena);
	return 0;
}

static void run(int64_t for_us)
{
	int64_t end = virtual_now + for_us;
	unsigned turns = 0;
	while (wake <= end) {
		if (wake > virtual_now)
			virtual_now = wake;
		wake = bus_step(&bus, false, virtual_now);
		assert_true(++turns < 100000); /* no busy loop */
	}
	virtual_now = end;
}

static void put(const struct errand *errand)
{
	assert_int_equal(errand_put(&box, errand), 0);
	courier_add(&bus, errand_take(&box));
	wake = virtual_now;
}

static struct errand read_errand(uint8_t unit, uint16_t at)
{
	return (struct errand){.kind = ERRAND_READ,
		.metric = ERRAND_NO_METRIC,
		.unit = unit,
		.place = {BF_SPACE_HOLDING, at, 1},
		.deadline_us = virtual_now + 5 * S,
		.done = note};
}

static struct errand write_errand(uint8_t unit, uint16_t at, uint16_t value, uint32_t metric)
{
	struct errand errand = read_errand(unit, at);
	errand.kind = ERRAND_WRITE;
	errand.metric = metric;
	errand.bytes[0] = (uint8_t)(value >> 8);
	errand.bytes[1] = (uint8_t)value;
	return errand;
}

static const char *log_from(size_t before)
{
	return line.log + before;
}

static void a_place_that_the_map_does_not_have_is_read(void **state)
{
	(void)state;
	run(2 * S + 300 * MS);
	size_t before = line.log_n;
	struct errand errand = read_errand(7, 77);
	put(&errand);
	run(50 * MS);
	assert_int_equal(n_done, 1);
	assert_int_equal(done[0].outcome.rc, 0);
	assert_int_equal(done[0].value, 7077);
	assert_int_equal(strncmp(log_from(before), "7:holding:77+1 ", 15), 0);
}

static void a_write_is_sent_once_and_read_back_and_told(void **state)
{
	(void)state;
	run(2 * S + 300 * MS);
	size_t before = line.log_n;
	unsigned told_before = n_told[0];
	struct errand errand = write_errand(1, 300, 215, 0);
	put(&errand);
	run(100 * MS);
	assert_int_equal(n_done, 1);
	assert_int_equal(done[0].outcome.rc, 0);
	assert_true(done[0].outcome.same && done[0].outcome.taken);
	assert_true(done[0].outcome.value.f64 > 21.49 && done[0].outcome.value.f64 < 21.51);
	assert_int_equal(line.n_writes, 1);
	assert_int_equal(strncmp(log_from(before), "write 1:holding:300+1 1:holding:300+1 ", 38), 0);
	assert_int_equal(n_told[0], told_before + 1);
	assert_true(last_value[0].f64 > 21.49 && last_value[0].f64 < 21.51);
}

static void what_the_device_did_not_take_is_not_the_same(void **state)
{
	(void)state;
	run(2 * S + 300 * MS);
	line.loses_writes = true;
	struct errand errand = write_errand(1, 300, 215, 0);
	put(&errand);
	run(100 * MS);
	assert_int_equal(n_done, 1);
	assert_int_equal(done[0].outcome.rc, 0);
	assert_true(done[0].outcome.taken);
	assert_false(done[0].outcome.same);
	assert_int_equal(done[0].value, 1300);
}

/* The answer is lost, damaged or an exception: the write is never sent again. */
static void no_write_is_sent_twice(void **state)
{
	(void)state;
	const struct {
		enum mishap_kind kind;
		uint8_t code;
		bool taken_in_silence;
		int rc;
		bool same;
	} cases[] = {
		{MISHAP_SILENT, 0, false, -ETIMEDOUT, false},
		{MISHAP_SILENT, 0, true, -ETIMEDOUT, false},
		{MISHAP_CHECKSUM, 0, false, 0, false},
		{MISHAP_CHECKSUM, 0, true, 0, true},
		{MISHAP_EXCEPTION, 2, false, -EREMOTEIO, false},
		{MISHAP_EXCEPTION, 6, false, -EREMOTEIO, false},
		{MISHAP_EXCEPTION, 5, true, 0, true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		teardown(NULL);
		setup(NULL);
		run(2 * S + 300 * MS);
		line.mishaps[1] = (struct scripted_mishap){cases[i].kind, cases[i].code, 1};
		line.takes_in_silence = cases[i].taken_in_silence;
		struct errand errand = write_errand(1, 300, 215, 0);
		put(&errand);
		run(3 * S);
		assert_int_equal(line.n_writes, 1);
		assert_int_equal(n_done, 1);
		assert_int_equal(done[0].outcome.rc, cases[i].rc);
		assert_int_equal(done[0].outcome.same, cases[i].same);
		if (cases[i].kind == MISHAP_EXCEPTION && cases[i].rc)
			assert_int_equal(done[0].outcome.exception, cases[i].code);
	}
}

static void a_write_that_can_not_be_read_back_is_no_success(void **state)
{
	(void)state;
	run(2 * S + 300 * MS);
	line.refuses_reads = true;
	struct errand errand = write_errand(1, 300, 215, 0);
	put(&errand);
	run(100 * MS);
	assert_int_equal(n_done, 1);
	assert_int_equal(done[0].outcome.rc, -EREMOTEIO);
	assert_true(done[0].outcome.taken);
}

static void a_line_that_may_echo_is_looked_at_before_the_first_write(void **state)
{
	(void)state;
	run(2 * S + 300 * MS);
	line.line.echo_known = false;
	size_t before = line.log_n;
	struct errand errand = write_errand(1, 300, 215, 0);
	put(&errand);
	run(100 * MS);
	assert_int_equal(strncmp(log_from(before), "1:holding:300+1 write 1:holding:300+1 1:holding:300+1 ", 54), 0);
	assert_true(done[0].outcome.same);
}

static void a_silent_unit_is_told_quickly_and_costs_little(void **state)
{
	(void)state;
	run(2 * S + 300 * MS);
	line.mishaps[9] = (struct scripted_mishap){MISHAP_SILENT, 0, ~0u};
	struct errand errand = read_errand(9, 1);
	int64_t asked_at = virtual_now;
	put(&errand);
	run(1500 * MS);
	assert_int_equal(n_done, 1);
	assert_int_equal(done[0].outcome.rc, -ETIMEDOUT);
	assert_in_range(done[0].at - asked_at, 900 * MS, 1200 * MS);
	for (int i = 0; i < 20; i++) { /* others that want the same */
		put(&errand);
		run(100 * MS);
		assert_int_equal(n_done, 2 + i);
		assert_int_equal(done[1 + i].outcome.rc, -EHOSTDOWN);
	}
	line.mishaps[9] = (struct scripted_mishap){0};
	run(8 * S);
	errand = read_errand(9, 1);
	put(&errand);
	run(100 * MS);
	assert_int_equal(done[21].outcome.rc, 0);
}

static void a_device_that_is_offline_is_not_written_to(void **state)
{
	(void)state;
	run(2 * S + 300 * MS);
	line.mishaps[1] = (struct scripted_mishap){MISHAP_SILENT, 0, ~0u};
	run(20 * S);
	struct errand errand = write_errand(1, 300, 215, 0);
	put(&errand);
	run(MS);
	assert_int_equal(n_done, 1);
	assert_int_equal(done[0].outcome.rc, -EHOSTDOWN);
	assert_int_equal(line.n_writes, 0);
}

/* As many errands as there can be, without end: the polls go on. */
static void a_flood_leaves_the_polls_their_turns(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		metrics[i].every_us = 100 * MS;
	bus_init(&bus, &plan, 0, &line.line, NULL, &sink, &virtual_clock, false, &arena);
	bus_schedule(&bus, 0, 2, 1, virtual_now);
	unsigned asked = 0;
	for (int i = 0; i < 1000; i++) {
		struct errand errand = i % 2 ? write_errand(1, 300, (uint16_t)i, 0) : read_errand(2, 5);
		struct errand_slot *slot;
		while (errand_put(&box, &errand) == 0)
			asked++;
		while ((slot = errand_take(&box)))
			courier_add(&bus, slot);
		n_done = 0;
		wake = virtual_now;
		run(10 * MS);
		line.n_kept = 0;
	}
	/* ten seconds; two devices ten times a second each, no more than an errand of two questions before each */
	assert_true(n_good[1] >= 80);
	assert_in_range(line.n_writes, 50, 101); /* ten a second */
	assert_true(asked > 100);
}

static void an_errand_that_waits_too_long_is_answered(void **state)
{
	(void)state;
	run(2 * S + 300 * MS);
	struct errand errand = write_errand(1, 300, 215, 0);
	for (int i = 0; i < 16; i++) {
		errand.deadline_us = virtual_now + 500 * MS;
		put(&errand);
	}
	run(S);
	assert_int_equal(n_done, 16);
	unsigned late = 0;
	for (size_t i = 0; i < n_done; i++)
		late += done[i].outcome.rc == -EAGAIN;
	assert_in_range(line.n_writes, 4, 6);
	assert_int_equal(late, 16 - line.n_writes);
}

static void a_port_that_goes_answers_all(void **state)
{
	(void)state;
	run(2 * S + 300 * MS);
	line.mishaps[1] = (struct scripted_mishap){MISHAP_GONE, 0, 1};
	line.absent = true;
	struct errand errand = write_errand(1, 300, 215, 0);
	for (int i = 0; i < 4; i++)
		put(&errand);
	run(50 * MS);
	assert_int_equal(n_done, 4);
	for (size_t i = 0; i < n_done; i++)
		assert_int_equal(done[i].outcome.rc, -ENODEV);
	put(&errand);
	run(50 * MS);
	assert_int_equal(n_done, 5);
	assert_int_equal(done[4].outcome.rc, -ENODEV);
	assert_int_equal(line.n_writes, 1);
}

static void a_tcp_connection_that_was_closed_repeats_no_write(void **state)
{
	(void)state;
	told.wire = WIRE_TCP;
	run(2 * S + 300 * MS);
	line.mishaps[1] = (struct scripted_mishap){MISHAP_GONE, 0, 1};
	struct errand errand = write_errand(1, 300, 215, 0);
	put(&errand);
	run(100 * MS);
	assert_int_equal(n_done, 1);
	assert_int_equal(done[0].outcome.rc, -ENODEV);
	assert_int_equal(line.n_writes, 1);
	line.mishaps[2] = (struct scripted_mishap){MISHAP_GONE, 0, 1}; /* a read may be asked again */
	run(5 * S);
	errand = read_errand(2, 4);
	put(&errand);
	run(100 * MS);
	assert_int_equal(done[1].outcome.rc, 0);
}

static void a_device_is_polled_when_somebody_wants_it(void **state)
{
	(void)state;
	run(2 * S + 300 * MS);
	unsigned before[2] = {n_good[0], n_good[1]};
	struct errand errand = {.kind = ERRAND_POLL, .device = 1, .metric = ERRAND_NO_METRIC, .done = note};
	put(&errand);
	assert_int_equal(n_done, 1);
	assert_int_equal(done[0].outcome.rc, 0);
	run(50 * MS);
	assert_int_equal(n_good[0], before[0]);
	assert_int_equal(n_good[1], before[1] + 1);
	run(10 * S);
	assert_in_range(n_good[1], before[1] + 11, before[1] + 12); /* its own instants stay */
	assert_in_range(n_good[0], before[0] + 10, before[0] + 11);
	errand.device = 5;
	put(&errand);
	assert_int_equal(done[1].outcome.rc, -ENODEV);
}

/* One that is silent is asked when its patience allows, and nobody spins until then. */
static void a_silent_device_is_not_polled_without_end(void **state)
{
	(void)state;
	metrics[2] = metrics[1];
	metrics[1].device = 0; /* two rates of one device */
	metrics[1].every_us = 3 * S;
	devices[0].n_metrics = devices[1].first_metric = 2;
	plan.n_metrics = 3;
	bus_init(&bus, &plan, 0, &line.line, NULL, &sink, &virtual_clock, false, &arena);
	bus_schedule(&bus, 0, 2, 1, virtual_now);
	line.mishaps[1] = (struct scripted_mishap){MISHAP_SILENT, 0, ~0u};
	run(30 * S);
	size_t before = line.log_n;
	struct errand errand = {.kind = ERRAND_POLL, .device = 0, .metric = ERRAND_NO_METRIC, .done = note};
	unsigned steps = 0;
	for (int i = 0; i < 100; i++) {
		int64_t end = virtual_now + 100 * MS;
		put(&errand);
		n_done = 0;
		while (wake <= end) {
			virtual_now = wake > virtual_now ? wake : virtual_now;
			wake = bus_step(&bus, false, virtual_now);
			assert_true(++steps < 5000);
		}
		virtual_now = end;
	}
	assert_true(line.log_n - before < 40 * sizeof("1:holding:300+1")); /* a few questions */
}

static void the_end_answers_all(void **state)
{
	(void)state;
	run(2 * S + 300 * MS);
	struct errand errand = write_errand(1, 300, 215, 0);
	for (int i = 0; i < 3; i++)
		put(&errand);
	bus_step(&bus, false, virtual_now);
	courier_fail(&bus, -ECANCELED);
	assert_int_equal(n_done, 3);
	for (size_t i = 0; i < n_done; i++)
		assert_int_equal(done[i].outcome.rc, -ECANCELED);
}

#define UNIT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(a_place_that_the_map_does_not_have_is_read),
		UNIT(a_write_is_sent_once_and_read_back_and_told),
		UNIT(what_the_device_did_not_take_is_not_the_same),
		UNIT(no_write_is_sent_twice),
		UNIT(a_write_that_can_not_be_read_back_is_no_success),
		UNIT(a_line_that_may_echo_is_looked_at_before_the_first_write),
		UNIT(a_silent_unit_is_told_quickly_and_costs_little),
		UNIT(a_device_that_is_offline_is_not_written_to),
		UNIT(a_flood_leaves_the_polls_their_turns),
		UNIT(an_errand_that_waits_too_long_is_answered),
		UNIT(a_port_that_goes_answers_all),
		UNIT(a_tcp_connection_that_was_closed_repeats_no_write),
		UNIT(a_device_is_polled_when_somebody_wants_it),
		UNIT(a_silent_device_is_not_polled_without_end),
		UNIT(the_end_answers_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

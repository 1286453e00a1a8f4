/*
 * No value is ever published from a frame that does not belong to its request: the real bus and the real line over a
 * line on which everything goes wrong, in virtual time.  HOSTILE_FRAMES and HOSTILE_SEED choose another run.
 */
#include "field/bus.h"
#include "hostile_wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <string.h>
#include <cmocka.h>

#define MS 1000
#define S  1000000

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FRAMES 60000
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FRAMES 60000
#endif
#endif
#ifndef FRAMES
#define FRAMES 1000000
#endif

#define DEVICES_MAX 16
#define METRICS_MAX 144

struct hostile {
	struct plan plan;
	struct plan_bus bus_told;
	struct plan_device devices[DEVICES_MAX];
	struct plan_metric metrics[METRICS_MAX];
	uint32_t device_list[DEVICES_MAX];
	struct reading_sink sink;
	struct wire wire;
	struct bus bus;
	struct arena arena;
	struct errand_box box;
	int64_t write_at;
	uint16_t wanted; /* the value written last; each is another */
	bool writing;
	uint64_t n_written, n_not_written;
	uint64_t good[METRICS_MAX], n_good, n_bad, n_wrong;
	char first_wrong[200];
};

/* The stand-ins for the port: the wire is what is opened. */
static struct hostile *stage;

int line_serial_open(const struct plan_bus *bus, bool *told)
{
	(void)told;
	(void)bus;
	return wire_connect(&stage->wire);
}

void line_serial_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

int line_tcp_open(struct line_tcp *tcp, int *fd, short *events, int64_t *look_at, int64_t now_us)
{
	(void)tcp;
	(void)events;
	(void)look_at;
	(void)now_us;
	*fd = wire_connect(&stage->wire);
	return *fd < 0 ? *fd : 0;
}

void line_tcp_abort(struct line_tcp *tcp)
{
	(void)tcp;
}

static int64_t wire_mono(const struct clock *clock)
{
	(void)clock;
	return stage->wire.now_us;
}

static int64_t wire_wall(const struct clock *clock)
{
	(void)clock;
	return 1764000000000 + stage->wire.now_us / 1000;
}

static const struct clock wire_clock = {.mono_us = wire_mono, .wall_ms = wire_wall};

/* Is the value that of the very question that was asked last? */
static bool is_right(const struct hostile *hostile, const struct reading *reading)
{
	static const uint8_t functions[] = {1, 2, 4, 3};
	const struct plan_metric *metric = &hostile->metrics[reading->metric];
	struct bf_place there = metric->place;
	if (metric->n_models)
		there.at = (uint16_t)(there.at + (metric->models[0] == 1 ? WIRE_CHAIN_COMMON : WIRE_CHAIN_INVERTER));
	const struct bf_place *place = &there;
	const struct wire *wire = &hostile->wire;
	uint8_t unit = hostile->devices[metric->device].address, function = functions[place->space];
	if (unit != wire->asked_unit || function != wire->asked_function || place->at < wire->asked_place ||
		place->at + place->count > wire->asked_place + wire->asked_count)
		return false;
	if (function <= 2)
		return reading->value.u == wire_bit(unit, function, place->at, wire->asked_number);
	uint64_t expected = 0;
	if (unit == WIRE_WRITTEN_UNIT)
		return reading->value.u == wire->shown[wire->asked_number % 1024][place->at - WIRE_WRITTEN_AT];
	for (uint16_t i = 0; i < place->count; i++)
		expected =
			expected << 16 | wire_register(unit, function, (uint16_t)(place->at + i), wire->asked_number);
	return reading->value.u == expected;
}

static void hostile_take(struct reading_sink *sink, const struct batch *batch)
{
	struct hostile *hostile = (struct hostile *)(void *)((char *)sink - offsetof(struct hostile, sink));
	for (size_t i = 0; i < batch->n; i++) {
		const struct reading *reading = &batch->readings[i];
		if (reading->quality != QUALITY_GOOD) {
			hostile->n_bad++;
			continue;
		}
		hostile->good[reading->metric]++;
		hostile->n_good++;
		if (is_right(hostile, reading))
			continue;
		if (hostile->n_wrong++ == 0)
			snprintf(hostile->first_wrong, sizeof(hostile->first_wrong),
				"frame %llu, %lld us: metric %u (unit %u) shows %llx; question %llu, function %u, "
				"%u+%u",
				(unsigned long long)hostile->wire.n_frames, (long long)hostile->wire.now_us,
				reading->metric, hostile->devices[hostile->metrics[reading->metric].device].address,
				(unsigned long long)reading->value.u, (unsigned long long)hostile->wire.asked_number,
				hostile->wire.asked_function, hostile->wire.asked_place, hostile->wire.asked_count);
	}
}

static void metric(struct hostile *hostile, enum bf_space space, uint16_t at, enum bf_type type)
{
	uint16_t count = type == BF_TYPE_U64 ? 4 : type == BF_TYPE_U32 ? 2 : 1;
	uint32_t device = (uint32_t)hostile->plan.n_devices - 1;
	hostile->metrics[hostile->plan.n_metrics++] = (struct plan_metric){.topic = "t",
		.name = "n",
		.device = device,
		.place = {space, at, count},
		.shape = {.type = type},
		.scale = 1.0,
		.every_us = 0};
	hostile->devices[device].n_metrics++;
}

static void device(struct hostile *hostile, const char *path, uint8_t unit, enum wire_temper temper, int max_gap)
{
	size_t at = hostile->plan.n_devices++;
	hostile->device_list[at] = (uint32_t)at;
	hostile->devices[at] = (struct plan_device){.topic = "s/d",
		.path = path,
		.name = "d",
		.address = unit,
		.first_metric = (uint32_t)hostile->plan.n_metrics,
		.timeout_us = 500 * MS,
		.max_registers = 125,
		.max_gap = max_gap};
	hostile->wire.slaves[unit].temper = temper;
}

static void in_model(struct hostile *hostile, const uint16_t *model, uint16_t at)
{
	metric(hostile, BF_SPACE_HOLDING, at, BF_TYPE_U16);
	hostile->metrics[hostile->plan.n_metrics - 1].models = model;
	hostile->metrics[hostile->plan.n_metrics - 1].n_models = 1;
}

/* Each kind of device that makes it hard to tell answers apart. */
static void devices(struct hostile *hostile)
{
	static const uint16_t common[] = {1}, inverter[] = {103};
	device(hostile, "two-blocks", 1, TEMPER_QUEUES, 0);
	for (uint16_t at = 0; at < 10; at++)
		metric(hostile, BF_SPACE_HOLDING, at, BF_TYPE_U16);
	for (uint16_t at = 100; at < 110; at++)
		metric(hostile, BF_SPACE_HOLDING, at, BF_TYPE_U16);
	device(hostile, "single-registers", 2, TEMPER_QUEUES, 0);
	for (uint16_t at = 0; at < 100; at = (uint16_t)(at + 10))
		metric(hostile, BF_SPACE_INPUT, at, BF_TYPE_U16);
	device(hostile, "equal-blocks", 3, TEMPER_GLUES, 0);
	for (uint16_t at = 0; at < 400; at = (uint16_t)(at + 100))
		for (uint16_t i = 0; i < 4; i++)
			metric(hostile, BF_SPACE_HOLDING, (uint16_t)(at + i), BF_TYPE_U16);
	device(hostile, "coils", 4, TEMPER_QUEUES, 0);
	for (uint16_t at = 0; at < 60; at = (uint16_t)(at + 20))
		for (uint16_t i = 0; i < 12; i++)
			metric(hostile, BF_SPACE_COIL, (uint16_t)(at + i), BF_TYPE_BOOL);
	device(hostile, "one-register", 5, TEMPER_QUEUES, 0);
	metric(hostile, BF_SPACE_HOLDING, 5, BF_TYPE_U16);
	device(hostile, "shared-a", 6, TEMPER_QUEUES, 0);
	for (uint16_t at = 0; at < 3; at++)
		metric(hostile, BF_SPACE_INPUT, at, BF_TYPE_U16);
	device(hostile, "shared-b", 6, TEMPER_QUEUES, 0);
	for (uint16_t at = 40; at < 43; at++)
		metric(hostile, BF_SPACE_INPUT, at, BF_TYPE_U16);
	device(hostile, "long-values", 7, TEMPER_DROPS, 0);
	for (uint16_t at = 0; at < 24; at = (uint16_t)(at + 8))
		metric(hostile, BF_SPACE_INPUT, at, BF_TYPE_U64);
	metric(hostile, BF_SPACE_HOLDING, 200, BF_TYPE_U32);
	device(hostile, "many-coils", 8, TEMPER_QUEUES, 0);
	for (uint16_t i = 0; i < 20; i++)
		metric(hostile, BF_SPACE_COIL, (uint16_t)(0x0310 + i), BF_TYPE_BOOL);
	device(hostile, "dead", 9, TEMPER_DEAD, 0);
	metric(hostile, BF_SPACE_HOLDING, 0, BF_TYPE_U16);
	device(hostile, "refuses-one", 10, TEMPER_QUEUES, 0);
	metric(hostile, BF_SPACE_HOLDING, 0, BF_TYPE_U16);
	metric(hostile, BF_SPACE_HOLDING, 1, BF_TYPE_U16);
	metric(hostile, BF_SPACE_HOLDING, 60000, BF_TYPE_U16);
	device(hostile, "models", WIRE_CHAIN_UNIT, TEMPER_QUEUES, 0);
	for (uint16_t at = 14; at < 40; at = (uint16_t)(at + 8))
		in_model(hostile, inverter, at);
	in_model(hostile, common, 2);
	device(hostile, "written", WIRE_WRITTEN_UNIT, TEMPER_QUEUES, 0);
	for (uint16_t i = 0; i < WIRE_WRITTEN_N; i++)
		metric(hostile, BF_SPACE_HOLDING, (uint16_t)(WIRE_WRITTEN_AT + i), BF_TYPE_U16);
}

/* A write is good only if the slave has taken it. */
static void was_written(void *user, const struct errand *errand, const struct errand_outcome *outcome)
{
	struct hostile *hostile = user;
	bool good = outcome->rc == 0 && outcome->same;
	uint16_t value = (uint16_t)(errand->bytes[0] << 8 | errand->bytes[1]);
	hostile->writing = false;
	hostile->n_written += good;
	hostile->n_not_written += !good;
	if (!good || hostile->wire.n_taken[value] == 1)
		return;
	if (hostile->n_wrong++ == 0)
		snprintf(hostile->first_wrong, sizeof(hostile->first_wrong), "%u was not taken, but %s", value,
			outcome->taken ? "answered" : "read back");
}

/* One write after the other, each with a value that nothing else has. */
static void write_something(struct hostile *hostile)
{
	uint16_t value = (uint16_t)(hostile->wanted + 1);
	if (hostile->writing || hostile->wire.now_us < hostile->write_at || value == 0)
		return;
	struct errand errand = {.kind = ERRAND_WRITE,
		.metric = (uint32_t)hostile->plan.n_metrics - WIRE_WRITTEN_N + value % WIRE_WRITTEN_N,
		.unit = WIRE_WRITTEN_UNIT,
		.place = {BF_SPACE_HOLDING, (uint16_t)(WIRE_WRITTEN_AT + value % WIRE_WRITTEN_N), 1},
		.deadline_us = hostile->wire.now_us + 5 * S,
		.bytes = {(uint8_t)(value >> 8), (uint8_t)value},
		.done = was_written,
		.user = hostile};
	hostile->wanted = value;
	hostile->writing = true;
	hostile->write_at = hostile->wire.now_us + 700 * MS;
	assert_int_equal(errand_put(&hostile->box, &errand), 0);
	courier_add(&hostile->bus, errand_take(&hostile->box));
}

static void hostile_set(struct hostile *hostile, const struct wire_faults *faults, uint64_t seed, enum plan_wire kind)
{
	stage = hostile;
	*hostile = (struct hostile){.sink = {.take = hostile_take}};
	wire_init(&hostile->wire, faults, seed, 10 * S);
	devices(hostile);
	hostile->bus_told = (struct plan_bus){.name = "rs485",
		.wire = kind,
		.port = "/dev/none",
		.host = "none",
		.line = {19200, 8, 'N', 1},
		.timeout_us = S,
		.gap_us = PLAN_ADAPTIVE,
		.retries = 1,
		.devices = hostile->device_list,
		.n_devices = (uint32_t)hostile->plan.n_devices};
	errand_box_init(&hostile->box, -1);
	hostile->plan.buses = &hostile->bus_told;
	hostile->plan.n_buses = 1;
	hostile->plan.devices = hostile->devices;
	hostile->plan.metrics = hostile->metrics;
	struct line *line;
	assert_int_equal(line_modbus_init(&hostile->bus_told, &line), 0);
	bus_init(&hostile->bus, &hostile->plan, 0, line, NULL, &hostile->sink, &wire_clock, false, &hostile->arena);
	bus_schedule(&hostile->bus, 0, hostile->bus.told->n_devices, 1, hostile->wire.now_us);
}

static void hostile_run(struct hostile *hostile, uint64_t n_frames)
{
	struct wire *wire = &hostile->wire;
	int64_t wake = wire->now_us;
	unsigned still = 0;
	while (wire->n_frames < n_frames) {
		int64_t next_at = wire_next(wire), now_us = next_at < wake ? next_at : wake;
		still = now_us > wire->now_us ? 0 : still + 1;
		assert_true(still < 10000); /* no busy loop */
		bool ready = wire_step(wire, now_us > wire->now_us ? now_us : wire->now_us);
		uint64_t asked = hostile->bus.counts.requests;
		write_something(hostile);
		ready = ready && (bus_events(&hostile->bus) & 1);
		if (ready || wake <= wire->now_us)
			wake = bus_step(&hostile->bus, ready, wire->now_us);
		if (hostile->bus.counts.requests != asked)
			wire_look(wire);
	}
}

static void hostile_clear(struct hostile *hostile)
{
	courier_fail(&hostile->bus, -ECANCELED);
	bus_destroy(&hostile->bus);
	wire_destroy(&hostile->wire);
	arena_free(&hostile->arena);
}

static const struct wire_faults all_faults = {.lost = 20,
	.late = 30,
	.slow = 20,
	.cut = 10,
	.noisy = 20,
	.exception = 10,
	.wrong_unit = 5,
	.wrong_function = 5,
	.wrong_length = 5,
	.glitch = 30,
	.request_lost = 10,
	.late_from_us = 100 * MS,
	.late_to_us = 5 * S,
	.foreign_every_us = 2 * S,
	.noise_every_us = 60 * S,
	.babble_every_us = 1800 * (int64_t)S};

static void tell(const char *what, const struct hostile *hostile)
{
	const struct caution_counts *counts = &hostile->bus.caution.counts;
	print_message("%s: %llu frames in %lld s, %llu values, %llu wrong, %llu not good; %llu late, %llu foreign, "
		      "%llu canaries, %llu echoes, %llu noise\n",
		what, (unsigned long long)hostile->wire.n_frames, (long long)(hostile->wire.now_us / S),
		(unsigned long long)hostile->n_good, (unsigned long long)hostile->n_wrong,
		(unsigned long long)hostile->n_bad, (unsigned long long)counts->late,
		(unsigned long long)counts->foreign, (unsigned long long)counts->canaries,
		(unsigned long long)counts->echoes, (unsigned long long)counts->noise);
	if (getenv("HOSTILE_DETAIL"))
		for (size_t i = 0; i < hostile->plan.n_devices; i++) {
			const struct plan_device *told = &hostile->devices[i];
			const struct device_counts *c = &hostile->bus.devices[i].counts;
			print_message(
				"  %-16s good %6llu requests %6llu answers %6llu timeouts %5llu checksum %5llu late "
				"%5llu foreign %5llu\n",
				told->path, (unsigned long long)hostile->good[told->first_metric],
				(unsigned long long)c->requests, (unsigned long long)c->answers,
				(unsigned long long)c->timeouts, (unsigned long long)c->checksum,
				(unsigned long long)c->late, (unsigned long long)c->foreign);
		}
	print_message("  %llu writes good, %llu not\n", (unsigned long long)hostile->n_written,
		(unsigned long long)hostile->n_not_written);
	if (hostile->n_wrong)
		print_message("the first wrong one: %s\n", hostile->first_wrong);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void run_all(const char *what, bool echoes, bool collides, enum plan_wire kind, uint64_t share)
{
	struct hostile *hostile = calloc(1, sizeof(*hostile));
	struct wire_faults faults = all_faults;
	faults.echoes = echoes;
	faults.collides = collides;
	hostile_set(hostile, &faults, number("HOSTILE_SEED", 1), kind);
	hostile_run(hostile, number("HOSTILE_FRAMES", FRAMES) * share / 100);
	tell(what, hostile);
	assert_int_equal(hostile->n_wrong, 0);
	for (unsigned value = 1; value <= hostile->wanted; value++)
		assert_true(hostile->wire.n_taken[value] <= 1); /* none is repeated */
	assert_true(hostile->n_written > hostile->n_not_written / 4);
	for (size_t i = 0; i < hostile->plan.n_devices; i++) {
		const struct plan_device *told = &hostile->devices[i];
		if (hostile->wire.slaves[told->address].temper != TEMPER_DEAD)
			assert_true(hostile->good[told->first_metric] >= 10); /* cautious, not mute */
	}
	hostile_clear(hostile);
	free(hostile);
}

static void no_value_is_wrong_on_a_line_with_every_fault(void **state)
{
	(void)state;
	run_all("a port", false, true, WIRE_SERIAL, 40);
}

static void nor_behind_an_adapter_that_echoes(void **state)
{
	(void)state;
	run_all("an echoing port", true, true, WIRE_SERIAL, 30);
}

static void nor_behind_a_device_server_that_queues(void **state)
{
	(void)state;
	run_all("a device server", false, false, WIRE_SERIAL_TCP, 30);
}

/* The test of the test: without trusts the same line shows wrong values at once. */
static void without_canaries_there_are_wrong_values(void **state)
{
	(void)state;
	struct hostile *hostile = calloc(1, sizeof(*hostile));
	hostile_set(hostile, &all_faults, number("HOSTILE_SEED", 1), WIRE_SERIAL);
	free(hostile->bus.line->trusts);
	hostile->bus.line->trusts = NULL;
	hostile_run(hostile, 20000);
	tell("without canaries", hostile);
	assert_true(hostile->n_wrong > 0);
	hostile_clear(hostile);
	free(hostile);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_value_is_wrong_on_a_line_with_every_fault),
		cmocka_unit_test(nor_behind_an_adapter_that_echoes),
		cmocka_unit_test(nor_behind_a_device_server_that_queues),
		cmocka_unit_test(without_canaries_there_are_wrong_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Devices with a chain of models on a bus in virtual time: their metrics are read where the chain says, whatever
 * happens to the line or the chain meanwhile, and no value is ever told of a place where its model is not.
 */
#include "field/bus.h"
#include "scripted_line.h"
#include "virtual_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define MS        1000
#define S         1000000
#define N_METRICS 6

enum { POWER, PHASE_C, NAME, PLAIN, SERIAL_NUMBER, LATER };

struct seen {
	struct reading_sink sink;
	unsigned good[N_METRICS], exception[N_METRICS], invalid[N_METRICS], silent[N_METRICS], offline[N_METRICS];
	double value[N_METRICS];
	uint8_t code[N_METRICS];
	unsigned wrong; /* good values that are not the one that the device has for that metric */
	unsigned online;
};

/* What the device has for each metric: so that no other place can be taken for it. */
static const double truth[N_METRICS] = {
	[POWER] = 3210, [PHASE_C] = 231.4, [NAME] = 77, [PLAIN] = 9, [SERIAL_NUMBER] = 5151, [LATER] = 4};

static void seen_take(struct reading_sink *sink, const struct batch *batch)
{
	struct seen *seen = (struct seen *)sink;
	seen->online += batch->availability == AVAILABILITY_ONLINE;
	for (size_t i = 0; i < batch->n; i++) {
		const struct reading *reading = &batch->readings[i];
		uint32_t m = reading->metric;
		assert_true(m < N_METRICS);
		seen->good[m] += reading->quality == QUALITY_GOOD;
		seen->exception[m] += reading->quality == QUALITY_EXCEPTION;
		seen->invalid[m] += reading->quality == QUALITY_INVALID;
		seen->silent[m] += reading->quality == QUALITY_TIMEOUT || reading->quality == QUALITY_CHECKSUM;
		seen->offline[m] += reading->quality == QUALITY_OFFLINE;
		seen->code[m] = reading->code;
		if (reading->quality != QUALITY_GOOD)
			continue;
		seen->value[m] = bf_value_number(&reading->value);
		if (seen->value[m] < truth[m] - 1e-9 || seen->value[m] > truth[m] + 1e-9)
			seen->wrong++;
	}
}

/* The device: its holding registers. */
static uint16_t cells[65536];
static bool there[65536];

static bool holding(const struct scripted_line *scripted, uint8_t unit, uint16_t at, uint16_t *ret_value)
{
	(void)scripted;
	(void)unit;
	*ret_value = cells[at];
	return there[at];
}

static void put(unsigned at, unsigned value)
{
	cells[at] = (uint16_t)value;
	there[at] = true;
}

/* A model whose registers look like nothing that is expected of it. */
static unsigned put_model(unsigned at, unsigned id, unsigned length)
{
	put(at, id);
	put(at + 1, length);
	for (unsigned i = 2; i < 2 + length; i++)
		put(at + i, 0x6000 + i);
	return at + 2 + length;
}

static void device_clear(void)
{
	memset(cells, 0, sizeof(cells));
	memset(there, 0, sizeof(there));
	put(3, 9); /* PLAIN */
}

static void put_mark(unsigned base)
{
	put(base, 0x5375);
	put(base + 1, 0x6E53);
}

static unsigned put_common(unsigned at)
{
	unsigned end = put_model(at, 1, 66);
	put(at + 2, 77); /* NAME */
	put(at + 50, 5151);
	return end;
}

/* An inverter of one, two or three phases: 101, 102, 103. */
static unsigned put_inverter(unsigned at, unsigned id)
{
	unsigned end = put_model(at, id, 50);
	put(at + 12, 2314); /* PHASE_C, × 10^-1 */
	put(at + 13, 0xFFFF);
	put(at + 14, 321); /* POWER, × 10^1 */
	put(at + 15, 1);
	return end;
}

static void put_device(unsigned base, unsigned inverter)
{
	put_mark(base);
	put_model(put_inverter(put_common(base + 2), inverter), 0xFFFF, 0);
}

struct stage {
	struct plan plan;
	struct plan_bus bus_told;
	struct plan_device device;
	struct plan_metric metrics[N_METRICS];
	uint32_t device_list[1];
	struct scripted_line line;
	struct seen seen;
	struct bus bus;
	struct arena arena;
	int64_t wake;
};

static const uint16_t common[] = {1}, inverters[] = {101, 102, 103}, three_phases[] = {103}, meters[] = {203};

static void stage_set(struct stage *stage, enum plan_wire wire, bool once)
{
	memset(stage, 0, sizeof(*stage));
	virtual_now = 10 * S;
	const struct plan_metric metrics[N_METRICS] = {
		[POWER] = {.models = inverters,
			.n_models = 3,
			.place = {BF_SPACE_HOLDING, 14, 1},
			.scale_from = true,
			.scale_place = {BF_SPACE_HOLDING, 15, 1},
			.every_us = S},
		[PHASE_C] = {.models = three_phases,
			.n_models = 1,
			.place = {BF_SPACE_HOLDING, 12, 1},
			.scale_from = true,
			.scale_place = {BF_SPACE_HOLDING, 13, 1},
			.every_us = 5 * S},
		[NAME] = {.models = common,
			.n_models = 1,
			.place = {BF_SPACE_HOLDING, 2, 1},
			.every_us = PLAN_EVERY_START},
		[PLAIN] = {.place = {BF_SPACE_HOLDING, 3, 1}, .every_us = S},
		[SERIAL_NUMBER] = {.models = common,
			.n_models = 1,
			.place = {BF_SPACE_HOLDING, 50, 1},
			.every_us = 10 * S},
		[LATER] = {.models = meters,
			.n_models = 1,
			.place = {BF_SPACE_HOLDING, 2, 1},
			.every_us = PLAN_EVERY_START},
	};
	for (int i = 0; i < N_METRICS; i++) {
		stage->metrics[i] = metrics[i];
		stage->metrics[i].topic = stage->metrics[i].name = "m";
		stage->metrics[i].scale = 1;
		stage->metrics[i].decimals = -1;
		stage->metrics[i].shape.type = BF_TYPE_U16;
	}
	stage->device = (struct plan_device){.topic = "s/d",
		.path = "inverter",
		.name = "d",
		.address = 1,
		.n_metrics = N_METRICS,
		.timeout_us = 500 * MS,
		.max_registers = 125,
		.max_gap = PLAN_ADAPTIVE};
	stage->bus_told = (struct plan_bus){.name = "bus",
		.wire = wire,
		.port = "/dev/none",
		.host = "none",
		.line = {9600, 8, 'N', 1},
		.timeout_us = S,
		.gap_us = PLAN_ADAPTIVE,
		.retries = 1,
		.devices = stage->device_list,
		.n_devices = 1};
	stage->plan = (struct plan){.buses = &stage->bus_told,
		.n_buses = 1,
		.devices = &stage->device,
		.n_devices = 1,
		.metrics = stage->metrics,
		.n_metrics = N_METRICS};
	scripted_line_init(&stage->line, 20 * MS);
	stage->line.holding = holding;
	stage->seen.sink.take = seen_take;
	bus_init(&stage->bus, &stage->plan, 0, &stage->line.line, NULL, &stage->seen.sink, &virtual_clock, once,
		&stage->arena);
	bus_schedule(&stage->bus, 0, 1, 1, virtual_now);
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
		assert_true(++turns < 1000000);
	}
	virtual_now = end;
}

static void stage_clear(struct stage *stage)
{
	assert_int_equal(stage->seen.wrong, 0);
	bus_destroy(&stage->bus);
	arena_free(&stage->arena);
}

static void log_clear(struct stage *stage)
{
	stage->line.log_n = 0;
	stage->line.log[0] = '\0';
}

static struct stage stage;

static void metrics_are_read_where_the_chain_says_at_each_base(void **state)
{
	(void)state;
	for (unsigned b = 0; b < CHAIN_BASES; b++)
		for (int wire = 0; wire < 3; wire++) {
			device_clear();
			put_device(chain_bases[b], 103);
			stage_set(&stage, (enum plan_wire)wire, false);
			/* elsewhere, where the chain begins at 0 */
			stage.metrics[PLAIN].place.at = b == CHAIN_BASES - 1 ? 600 : 3;
			put(600, 9);
			rounds_init(&stage.bus.devices[0].rounds, &stage.plan, &stage.device,
				&stage.bus.devices[0].cost, &stage.bus.devices[0].refusals, &stage.arena);
			device_find_models(&stage.bus.devices[0], &stage.arena);
			stage_run(&stage, 21 * S);
			for (unsigned m = 0; m < LATER; m++)
				assert_true(stage.seen.good[m] > 0);
			assert_true(stage.seen.good[POWER] >= 20);
			assert_int_equal(stage.seen.good[NAME], 1);
			assert_int_equal(stage.seen.invalid[POWER], 0);
			assert_int_equal(stage.seen.online, 1);
			stage_clear(&stage);
		}
}

static void the_chain_is_read_once_and_before_all_else(void **state)
{
	(void)state;
	device_clear();
	put_device(40000, 103);
	stage_set(&stage, WIRE_TCP, false);
	stage_run(&stage, 900 * MS);
	const char *walk = "1:holding:40000+2 1:holding:40002+2 1:holding:40070+2 1:holding:40122+2 ";
	assert_memory_equal(stage.line.log, walk, strlen(walk));
	log_clear(&stage);
	stage_run(&stage, 60 * S);
	assert_null(strstr(stage.line.log, "1:holding:40000+2"));
	/* the head of the model is read along, for no request of its own */
	assert_non_null(strstr(stage.line.log, "1:holding:40070+16 "));
	stage_clear(&stage);
}

static void what_the_device_has_not_is_told_once(void **state)
{
	(void)state;
	device_clear();
	put_device(40000, 101);
	stage_set(&stage, WIRE_SERIAL, false);
	stage_run(&stage, 300 * S);
	assert_true(stage.seen.good[POWER] > 250);
	assert_int_equal(stage.seen.good[PHASE_C], 0);
	assert_int_equal(stage.seen.exception[PHASE_C], 1);
	assert_int_equal(stage.seen.code[PHASE_C], 2);
	assert_int_equal(stage.seen.exception[LATER], 1);
	assert_int_equal(stage.seen.invalid[PHASE_C] + stage.seen.silent[PHASE_C], 0);
	assert_int_equal(atomic_load(&stage.bus.devices[0].counts.exceptions), 0);
	stage_clear(&stage);
}

static void a_model_that_comes_later_is_found(void **state)
{
	(void)state;
	device_clear();
	put_device(40000, 103);
	stage_set(&stage, WIRE_TCP, false);
	stage_run(&stage, 60 * S);
	assert_int_equal(stage.seen.exception[LATER], 1);
	put_model(put_model(40122, 203, 10), 0xFFFF, 0);
	put(40124, 4);
	stage_run(&stage, 16 * 60 * S);
	assert_int_equal(stage.seen.good[LATER], 1); /* of every: "start" */
	assert_int_equal(stage.seen.invalid[POWER], 0);
	stage_clear(&stage);
}

static void another_chain_after_a_restart(void **state)
{
	(void)state;
	device_clear();
	put_device(40000, 103);
	stage_set(&stage, WIRE_SERIAL, false);
	stage_run(&stage, 10 * S);
	stage.line.mishaps[1] = (struct scripted_mishap){MISHAP_SILENT, 0, ~0u};
	stage_run(&stage, 30 * S);
	assert_true(stage.seen.silent[POWER] > 0);
	device_clear();
	put_mark(50000);
	put_model(put_inverter(put_model(put_common(50002), 160, 48), 103), 0xFFFF, 0);
	stage.line.mishaps[1] = (struct scripted_mishap){0};
	unsigned good = stage.seen.good[POWER];
	stage_run(&stage, 30 * S);
	assert_true(stage.seen.good[POWER] > good + 15);
	assert_int_equal(stage.seen.good[NAME], 2);
	assert_int_equal(stage.seen.invalid[POWER], 0);
	stage_clear(&stage);
}

/* Between two polls, so that nobody sees it go. */
static void another_chain_without_a_word(void **state)
{
	(void)state;
	device_clear();
	put_device(40000, 103);
	stage_set(&stage, WIRE_SERIAL, false);
	stage_run(&stage, 10 * S);
	put_model(put_inverter(put_model(put_common(40002), 120, 26), 103), 0xFFFF, 0);
	unsigned good = stage.seen.good[POWER];
	stage_run(&stage, 20 * S);
	assert_int_equal(stage.seen.invalid[POWER], 1);
	assert_true(stage.seen.good[POWER] > good + 15);
	stage_clear(&stage);

	/* the end of the chain comes earlier: the model's own registers are gone */
	device_clear();
	put_mark(40000);
	put_model(put_inverter(put_model(put_common(40002), 120, 26), 103), 0xFFFF, 0);
	stage_set(&stage, WIRE_SERIAL, false);
	stage_run(&stage, 10 * S);
	device_clear();
	put_device(40000, 103);
	good = stage.seen.good[POWER];
	stage_run(&stage, 20 * S);
	assert_true(stage.seen.good[POWER] > good + 15);
	stage_clear(&stage);
}

static void refused_heads_begin_a_new_walk(void **state)
{
	(void)state;
	device_clear();
	put_mark(40000);
	put_model(put_inverter(put_common(40002), 103), 0xFFFF, 0);
	stage_set(&stage, WIRE_SERIAL, false);
	stage_run(&stage, 10 * S);
	device_clear(); /* not even the place of the head is there any more */
	put_device(50000, 103);
	stage.seen.good[POWER] = 0;
	stage_run(&stage, 40 * S);
	assert_true(stage.seen.good[POWER] > 20);
	stage_clear(&stage);
}

static void lost_answers_in_the_midst_cost_time_only(void **state)
{
	(void)state;
	for (unsigned after = 0; after < 5; after++)
		for (int kind = MISHAP_SILENT; kind <= MISHAP_CHECKSUM; kind++) {
			device_clear();
			put_device(40000, 103);
			stage_set(&stage, WIRE_SERIAL, false);
			stage_run(&stage, after * 30 * MS);
			stage.line.mishaps[1] = (struct scripted_mishap){(enum mishap_kind)kind, 0, 2};
			stage_run(&stage, 30 * S);
			assert_true(stage.seen.good[POWER] > 15);
			assert_int_equal(stage.seen.good[NAME] > 0, 1);
			assert_int_equal(stage.seen.exception[POWER], 0);
			stage_clear(&stage);
		}
}

static void long_blocks_that_are_refused_are_no_hindrance(void **state)
{
	(void)state;
	for (unsigned longest = 2; longest < 20; longest++) {
		device_clear();
		put_device(40000, 103);
		stage_set(&stage, WIRE_TCP, false);
		stage.line.longest = longest;
		stage_run(&stage, 60 * S);
		for (unsigned m = 0; m < LATER; m++)
			assert_true(stage.seen.good[m] > 0);
		assert_int_equal(stage.seen.invalid[POWER], 0);
		stage_clear(&stage);
	}
}

static void without_a_chain_there_is_an_exception_and_another_try(void **state)
{
	(void)state;
	device_clear();
	stage_set(&stage, WIRE_SERIAL, false);
	stage_run(&stage, 30 * S);
	assert_int_equal(stage.seen.exception[POWER], 1);
	assert_int_equal(stage.seen.code[POWER], 2);
	assert_int_equal(stage.seen.exception[NAME], 1);
	assert_true(stage.seen.good[PLAIN] > 25); /* which lies in no model */
	put_device(50000, 102);
	stage_run(&stage, 65 * S);
	assert_true(stage.seen.good[POWER] > 20);
	assert_int_equal(stage.seen.good[NAME], 1);
	assert_int_equal(stage.seen.exception[PHASE_C], 2); /* once for each chain; the report tells it once */
	stage_clear(&stage);
}

static void nothing_but_models_and_none_there(void **state)
{
	(void)state;
	device_clear();
	stage_set(&stage, WIRE_SERIAL, false);
	stage.metrics[PLAIN] = stage.metrics[POWER];
	rounds_init(&stage.bus.devices[0].rounds, &stage.plan, &stage.device, &stage.bus.devices[0].cost,
		&stage.bus.devices[0].refusals, &stage.arena);
	device_find_models(&stage.bus.devices[0], &stage.arena);
	stage_run(&stage, 200 * S);
	uint64_t asked = atomic_load(&stage.bus.counts.requests);
	assert_true(asked >= 9 && asked <= 15); /* three bases, once a minute */
	/* and it is seen to go */
	stage.line.mishaps[1] = (struct scripted_mishap){MISHAP_SILENT, 0, ~0u};
	stage_run(&stage, 200 * S);
	assert_int_equal(atomic_load(&stage.bus.devices[0].counts.availability), AVAILABILITY_OFFLINE);
	stage_clear(&stage);
}

static void a_silent_device_has_all_its_metrics_told(void **state)
{
	(void)state;
	device_clear();
	put_device(40000, 103);
	stage_set(&stage, WIRE_SERIAL, false);
	stage.line.mishaps[1] = (struct scripted_mishap){MISHAP_SILENT, 0, ~0u};
	stage_run(&stage, 60 * S);
	for (unsigned m = 0; m < N_METRICS; m++)
		assert_true(stage.seen.silent[m] > 0);
	assert_int_equal(stage.seen.online, 0);
	stage.line.mishaps[1] = (struct scripted_mishap){0};
	stage_run(&stage, 30 * S);
	assert_true(stage.seen.good[POWER] > 15);
	stage_clear(&stage);
}

static void a_port_that_goes_takes_all_metrics_along(void **state)
{
	(void)state;
	device_clear();
	put_device(40000, 103);
	stage_set(&stage, WIRE_SERIAL, false);
	stage.line.absent = true;
	stage_run(&stage, 5 * S);
	for (unsigned m = 0; m < N_METRICS; m++)
		assert_true(stage.seen.offline[m] > 0);
	stage.line.absent = false;
	stage_run(&stage, 10 * S);
	assert_true(stage.seen.good[POWER] > 5);
	/* and comes back with another device */
	stage.line.mishaps[1] = (struct scripted_mishap){MISHAP_GONE, 0, 1};
	stage_run(&stage, 200 * MS);
	device_clear();
	put_device(50000, 102);
	unsigned good = stage.seen.good[POWER];
	stage_run(&stage, 20 * S);
	assert_true(stage.seen.good[POWER] > good + 10);
	stage_clear(&stage);
}

static void other_exceptions_say_nothing_of_the_chain(void **state)
{
	(void)state;
	device_clear();
	put_device(40000, 103);
	for (unsigned code = 4; code <= 11; code++) {
		stage_set(&stage, WIRE_TCP, false);
		stage.line.mishaps[1] = (struct scripted_mishap){MISHAP_EXCEPTION, (uint8_t)code, 5};
		stage_run(&stage, 60 * S);
		assert_true(stage.seen.good[POWER] > 10);
		assert_int_equal(stage.seen.code[LATER], 2); /* the last word on what it has not */
		stage_clear(&stage);
	}
}

/* `busferry read` asks once, and must come to an end. */
static void once_is_once(void **state)
{
	(void)state;
	const struct scripted_mishap mishaps[] = {{0}, {MISHAP_SILENT, 0, ~0u}, {MISHAP_CHECKSUM, 0, ~0u},
		{MISHAP_EXCEPTION, 4, ~0u}, {MISHAP_EXCEPTION, 11, ~0u}, {MISHAP_EXCEPTION, 2, ~0u},
		{MISHAP_GONE, 0, ~0u}};
	for (size_t i = 0; i < sizeof(mishaps) / sizeof(mishaps[0]); i++) {
		device_clear();
		put_device(40000, 103);
		stage_set(&stage, WIRE_SERIAL, true);
		stage.line.mishaps[1] = mishaps[i];
		stage_run(&stage, 10 * S);
		assert_true(bus_finished(&stage.bus));
		for (unsigned m = 0; m < LATER; m++)
			assert_int_equal(stage.seen.good[m], i == 0);
		for (unsigned m = 0; m < N_METRICS; m++)
			assert_true(stage.seen.good[m] + stage.seen.exception[m] + stage.seen.silent[m] +
					    stage.seen.offline[m] >
				    0);
		stage_clear(&stage);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metrics_are_read_where_the_chain_says_at_each_base),
		cmocka_unit_test(the_chain_is_read_once_and_before_all_else),
		cmocka_unit_test(what_the_device_has_not_is_told_once),
		cmocka_unit_test(a_model_that_comes_later_is_found),
		cmocka_unit_test(another_chain_after_a_restart),
		cmocka_unit_test(another_chain_without_a_word),
		cmocka_unit_test(refused_heads_begin_a_new_walk),
		cmocka_unit_test(lost_answers_in_the_midst_cost_time_only),
		cmocka_unit_test(long_blocks_that_are_refused_are_no_hindrance),
		cmocka_unit_test(without_a_chain_there_is_an_exception_and_another_try),
		cmocka_unit_test(nothing_but_models_and_none_there),
		cmocka_unit_test(a_silent_device_has_all_its_metrics_told),
		cmocka_unit_test(a_port_that_goes_takes_all_metrics_along),
		cmocka_unit_test(other_exceptions_say_nothing_of_the_chain),
		cmocka_unit_test(once_is_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

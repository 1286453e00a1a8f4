/*
 * The stage, see wire_stage.h.
 */
#include "wire_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

struct stage stage;
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

void stage_clear(uint32_t baud)
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

void add_device(int64_t turnaround_us)
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

void add_metric(uint16_t at, uint16_t count, int64_t every_us)
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

void add_block(uint16_t n, int64_t every_us)
{
	add_metric(0, 1, every_us);
	add_metric((uint16_t)(n - 1), 1, every_us);
}

void start(const struct learnt *learnt)
{
	bus_init(
		&stage.bus, &stage.plan, 0, &stage.wire.line, learnt, &stage.sink, &virtual_clock, false, &stage.arena);
	bus_schedule(&stage.bus, 0, stage.told.n_devices, 1, virtual_now);
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

void run(int64_t for_us)
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

uint64_t all_good(void)
{
	uint64_t n = 0;
	for (size_t i = 0; i < stage.plan.n_metrics; i++)
		n += stage.good[i];
	return n;
}

uint64_t perfect(int64_t for_us, uint16_t n_registers)
{
	struct bf_place place = {BF_SPACE_INPUT, 0, n_registers};
	int64_t cycle_us = planner_request_us(&stage.told) + 2 * MS + planner_answer_us(&stage.told, &place) +
			   plan_bus_gap_us(&stage.told);
	return (uint64_t)(for_us / cycle_us);
}

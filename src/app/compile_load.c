/*
 * What each bus is asked for, beside what its wire can carry.  See compile.h.
 *
 * The rounds and reads are those that polling will make, from the same code.  Twice: once as if every device answered
 * at once, which no device undercuts, so that more than all of the time is a fault; once with the time that devices
 * usually take, for the warning.  Modbus TCP has no wire time to speak of: there the requests are counted as round
 * trips of a millisecond, which may be wrong for a host next door, so that is never a fault.
 *
 * Intervals differ, so all is told in shares of one interval: the one at which most of the bus's time is asked for.
 */
#include "app/compile.h"
#include "field/device.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWERS_AT_ONCE_US 0
#define BUSY               0.8
#define FULL               1.0

_Static_assert(PLANNER_TURNAROUND_US == 5000, "a message says 5 ms");

/* What the rounds of one interval ask for. */
struct asked {
	int64_t every_us;
	double share;
};

struct load {
	double share;       /* of the bus's time */
	double most;        /* of one device */
	uint32_t device;    /* that one */
	struct asked *list; /* room for as many as metrics */
	size_t n;
};

/* Metrics without a place were told as faults: what is left of the plan can be planned. */
static void leave_out_placeless(struct plan *plan)
{
	uint32_t n = 0;
	for (size_t d = 0; d < plan->n_devices; d++) {
		struct plan_device *device = &plan->devices[d];
		uint32_t from = device->first_metric, end = from + device->n_metrics;
		device->first_metric = n;
		for (uint32_t m = from; m < end; m++)
			if (plan->metrics[m].place.count || plan->metrics[m].keys)
				plan->metrics[n++] = plan->metrics[m];
		device->n_metrics = n - device->first_metric;
	}
	plan->n_metrics = n;
}

static void ask(struct load *load, int64_t every_us, double share)
{
	size_t i = 0;
	while (i < load->n && load->list[i].every_us != every_us)
		i++;
	if (i == load->n)
		load->list[load->n++] = (struct asked){.every_us = every_us};
	load->list[i].share += share;
}

static double device_share(struct load *load, const struct device *device, const struct planner_cost *cost)
{
	double share = 0;
	for (uint32_t r = 0; r < device->rounds.n; r++) {
		const struct round *round = &device->rounds.list[r];
		if (round->per_s <= 0) /* "0s" and "start" ask for nothing */
			continue;
		/* The fastest of its rates asks for what it would need alone, the slowest for what comes on top. */
		uint32_t fastest = 0;
		while (!round_has(&device->rounds, round, fastest))
			fastest++;
		double part = (double)round_ns(round, cost) / 1e9 * round->per_s;
		double alone = (double)round_ns(&device->rounds.list[fastest], cost) / 1e9 * round->per_s;
		ask(load, device->rounds.every_us[fastest], alone);
		if (round->rate != fastest)
			ask(load, round->every_us, part - alone);
		share += part;
	}
	return share;
}

static struct load load_of(
	const struct plan *plan, const struct plan_bus *bus, int64_t turnaround_us, struct arena *arena)
{
	struct planner_cost cost = planner_cost_of(bus, turnaround_us);
	struct load load = {.device = bus->n_devices ? bus->devices[0] : 0};
	size_t n_metrics = 0;
	for (uint32_t d = 0; d < bus->n_devices; d++)
		n_metrics += plan->devices[bus->devices[d]].n_metrics;
	load.list = arena_array(arena, n_metrics + 1, sizeof(*load.list));
	for (uint32_t d = 0; d < bus->n_devices; d++) {
		struct device device = {0};
		device_init(&device, plan, bus->devices[d], &cost, NULL, NULL, arena);
		double share = device_share(&load, &device, &cost);
		load.share += share;
		if (share > load.most) {
			load.most = share;
			load.device = bus->devices[d];
		}
	}
	return load;
}

static int64_t main_interval(const struct load *load)
{
	size_t most = 0;
	for (size_t i = 1; i < load->n; i++)
		if (load->list[i].share > load->list[most].share)
			most = i;
	return load->n ? load->list[most].every_us : 0;
}

/* "7.4 s", "310 ms": three digits are enough. */
static const char *length_text(struct arena *arena, double us)
{
	if (us < 999500)
		return arena_format(arena, "%.3g ms", us / 1000);
	return us < 999.5e6 ? arena_format(arena, "%.3g s", us / 1e6) : arena_format(arena, "%.0f s", us / 1e6);
}

/* An interval that people write, no shorter than this. */
static int64_t round_up(double us)
{
	static const int64_t steps_ms[] = {2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 3000, 5000, 10000, 15000, 20000,
		30000, 60000, 120000, 180000, 300000, 600000, 900000, 1800000, 3600000};
	for (size_t i = 0; i < sizeof(steps_ms) / sizeof(steps_ms[0]); i++)
		if (us <= (double)steps_ms[i] * 1000)
			return steps_ms[i] * 1000;
	return (int64_t)ceil(us / 3600e6) * 3600000000;
}

/* What to do: an interval that would do when there is but one, and who takes most. */
static const char *advice(struct compile *compile, const struct plan_bus *bus, const struct load *usual)
{
	struct arena *arena = &compile->scratch;
	const char *most = "";
	if (bus->n_devices > 1)
		most = arena_format(arena, "; most is for \"%s\": %.0f %%", compile->plan->devices[usual->device].path,
			100 * usual->most / usual->share);
	if (usual->n == 1) {
		char every[BF_DURATION_SIZE];
		bf_duration_print(round_up((double)usual->list[0].every_us * usual->share / BUSY), every);
		return arena_format(arena, "every: \"%s\" would do%s%s", every,
			bus->wire == WIRE_TCP ? "" : ", or a faster line", most);
	}
	return arena_format(
		arena, "read less often or fewer metrics%s%s", bus->wire == WIRE_TCP ? "" : ", or a faster line", most);
}

static void check(struct compile *compile, uint32_t index)
{
	const struct plan *plan = compile->plan;
	const struct plan_bus *bus = &plan->buses[index];
	struct arena arena = {0};
	struct load usual = load_of(plan, bus, PLANNER_TURNAROUND_US, &arena);
	if (usual.share > BUSY) {
		struct load least = load_of(plan, bus, ANSWERS_AT_ONCE_US, &arena);
		bool full = least.share > FULL && bus->wire != WIRE_TCP;
		double every_us = (double)main_interval(full ? &least : &usual);
		char every[BF_DURATION_SIZE];
		bf_duration_print((int64_t)every_us, every);
		const char *needs = length_text(&compile->scratch, every_us * (full ? least.share : usual.share));
		const struct tree *at = compile_bus_at(compile, index);
		const char *hint = advice(compile, bus, &usual);
		if (full)
			compile_fault(compile, at, NULL, hint,
				"bus \"%s\" needs %s of wire time every %s, even if every device answers at once",
				bus->name, needs, every);
		else
			compile_warning(compile, at, NULL, hint,
				"bus \"%s\" has %s time left: if each answer takes %s to come, it needs %s every %s "
				"(%.0f %%)",
				bus->name, usual.share > FULL ? "no" : "little",
				bus->wire == WIRE_TCP ? "1 ms" : "5 ms", needs, every, 100 * usual.share);
	}
	arena_free(&arena);
}

void compile_load_check(struct compile *compile)
{
	leave_out_placeless(compile->plan);
	for (uint32_t i = 0; i < compile->plan->n_buses; i++)
		if (compile->plan->buses[i].way == BF_WAY_REGISTERS)
			check(compile, i);
}

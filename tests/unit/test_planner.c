/*
 * The planner against brute force, and its promises on big random sets.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "field/planner.h"

#include <string.h>

#define SMALL 8
#define MANY  600

static uint64_t seed = 31337;

static uint32_t chance(uint32_t below)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * 0x2545F4914F6CDD1Du >> 33) % below);
}

static const struct planner_cost serial = {.request_ns = 30000000, .register_ns = 2083333, .bits8_ns = 1041666};
static const struct planner_limits usual = {.max_registers = 125, .max_bits = 2000, .max_gap = PLAN_ADAPTIVE};

static struct planner_item items[MANY];
static struct planner_read reads[MANY];
static int64_t scratch[MANY + 1];

static bool is_bits(enum bf_space space)
{
	return space == BF_SPACE_COIL || space == BF_SPACE_DISCRETE;
}

static uint32_t end_of(const struct bf_place *place)
{
	return (uint32_t)place->at + place->count;
}

static struct planner_item holding(unsigned at, unsigned count, uint32_t metric)
{
	return (struct planner_item){{BF_SPACE_HOLDING, (uint16_t)at, (uint16_t)count}, metric};
}

/* What is promised of every plan; returns its cost. */
static int64_t sound(const struct planner_item *sorted, size_t n, const struct planner_limits *limits,
	const struct planner_cost *cost, const struct planner_read *plan, size_t n_reads)
{
	size_t next = 0;
	int64_t total = 0;
	for (size_t r = 0; r < n_reads; r++) {
		const struct bf_place *place = &plan[r].place;
		uint32_t longest = 0, reach = place->at;
		assert_int_equal(plan[r].first, next);
		assert_true(plan[r].n > 0);
		assert_true(next + plan[r].n <= n);
		assert_int_equal(sorted[next].place.at, place->at);
		for (uint32_t i = 0; i < plan[r].n; i++, next++) {
			const struct bf_place *item = &sorted[next].place;
			assert_int_equal(item->space, place->space);
			assert_true(item->at >= place->at && end_of(item) <= end_of(place));
			if (limits->max_gap >= 0)
				assert_true(item->at <= reach + (uint32_t)limits->max_gap);
			if (end_of(item) > reach)
				reach = end_of(item);
			if (item->count > longest)
				longest = item->count;
		}
		assert_int_equal(reach, end_of(place)); /* nothing behind the last item */
		assert_true(end_of(place) <= 65536);
		uint32_t most = is_bits(place->space) ? limits->max_bits : limits->max_registers;
		assert_true(place->count <= most || place->count == longest);
		total += planner_read_ns(cost, place);
	}
	assert_int_equal(next, n);
	return total;
}

/* Does a read hold what was refused, and not only that? */
static bool holds_refused(const struct bf_place *place, const struct planner_limits *limits)
{
	for (size_t i = 0; i < limits->n_refused; i++) {
		const struct planner_refusal *no = &limits->refused[i];
		bool exactly = place->at == no->from && end_of(place) == no->to;
		uint32_t cells = 0;
		for (uint32_t cell = no->from; cell < no->to; cell++)
			cells += cell >= place->at && cell < end_of(place);
		bool across = no->from == no->to && place->at < no->from && no->from < end_of(place);
		if (place->space == no->space && !exactly &&
			(across || (no->to > no->from && cells == no->to - no->from)))
			return true;
	}
	return false;
}

/* The cost of one group, or -1 when no request can read it. */
static int64_t group_cost(const struct planner_item *sorted, size_t n, const size_t *group_of, size_t group,
	const struct planner_limits *limits, const struct planner_cost *cost)
{
	struct bf_place place = {0};
	uint32_t end = 0, longest = 0;
	bool any = false;
	for (size_t i = 0; i < n; i++) {
		const struct bf_place *item = &sorted[i].place;
		if (group_of[i] != group)
			continue;
		if (!any)
			place = *item;
		else if (item->space != place.space)
			return -1;
		else if (limits->max_gap >= 0 && item->at > end + (uint32_t)limits->max_gap)
			return -1;
		any = true;
		if (end_of(item) > end)
			end = end_of(item);
		if (item->count > longest)
			longest = item->count;
	}
	place.count = (uint16_t)(end - place.at);
	uint32_t most = is_bits(place.space) ? limits->max_bits : limits->max_registers;
	if (place.count != longest && (place.count > most || holds_refused(&place, limits)))
		return -1;
	return planner_read_ns(cost, &place);
}

struct best {
	int64_t cost;
	size_t n_reads;
};

/* All partitions of the items, consecutive or not: item i joins one of the groups before it or
 * opens the next. */
static void partitions(const struct planner_item *sorted, size_t n, size_t i, size_t *group_of, size_t n_groups,
	const struct planner_limits *limits, const struct planner_cost *cost, struct best *best)
{
	if (i < n) {
		for (size_t group = 0; group <= n_groups; group++) {
			group_of[i] = group;
			partitions(sorted, n, i + 1, group_of, group == n_groups ? n_groups + 1 : n_groups, limits,
				cost, best);
		}
		return;
	}
	int64_t total = 0;
	for (size_t group = 0; group < n_groups; group++) {
		int64_t one = group_cost(sorted, n, group_of, group, limits, cost);
		if (one < 0)
			return;
		total += one;
	}
	if (total < best->cost || (total == best->cost && n_groups < best->n_reads))
		*best = (struct best){total, n_groups};
}

static void test_brute_force(void **state)
{
	(void)state;
	for (int round = 0; round < 1500; round++) {
		size_t n = 1 + chance(round % 8 ? 6 : SMALL), group_of[SMALL] = {0};
		uint32_t width = 4 + chance(60);
		struct planner_limits limits = {
			.max_registers = 1 + chance(20), .max_bits = 1 + chance(40), .max_gap = (int)chance(8) - 1};
		struct planner_cost cost = {
			.request_ns = 1 + chance(40), .register_ns = chance(6), .bits8_ns = chance(20)};
		bool one_space = chance(2);
		struct planner_refusal refused[3];
		limits.refused = refused;
		limits.n_refused = round % 3 ? chance(4) : 0;
		for (size_t i = 0; i < limits.n_refused; i++) {
			uint32_t from = chance(width);
			refused[i] = (struct planner_refusal){BF_SPACE_INPUT, from, from + chance(4)};
		}
		for (size_t i = 0; i < n; i++)
			items[i] = (struct planner_item){
				.place = {.space = one_space ? BF_SPACE_INPUT : (enum bf_space)chance(BF_N_SPACES),
					.at = (uint16_t)chance(width),
					.count = (uint16_t)(1 + chance(chance(4) ? 3 : 12))},
				.metric = (uint32_t)i};
		size_t n_reads = planner_merge(items, n, &limits, &cost, reads, scratch);
		struct best best = {INT64_MAX, 0};
		partitions(items, n, 0, group_of, 0, &limits, &cost, &best);
		assert_true(sound(items, n, &limits, &cost, reads, n_reads) == best.cost);
		assert_int_equal(n_reads, best.n_reads);
	}
}

static void test_many(void **state)
{
	(void)state;
	for (int round = 0; round < 200; round++) {
		size_t n = 1 + chance(MANY);
		uint32_t width = 1 + chance(round % 2 ? 3000 : 65536);
		struct planner_limits limits = {.max_registers = 4 + chance(122),
			.max_bits = 16 + chance(1985),
			.max_gap = round % 3 ? PLAN_ADAPTIVE : (int)chance(20)};
		for (size_t i = 0; i < n; i++) {
			uint32_t at = chance(width), count = 1u << chance(3);
			if (at + count > 65536)
				at = 65536 - count;
			items[i] = (struct planner_item){
				{(enum bf_space)chance(BF_N_SPACES), (uint16_t)at, (uint16_t)count}, (uint32_t)i};
		}
		size_t n_reads = planner_merge(items, n, &limits, &serial, reads, scratch);
		sound(items, n, &limits, &serial, reads, n_reads);
		bool seen[MANY] = {false};
		for (size_t i = 0; i < n; i++) { /* the same items, each once */
			assert_true(items[i].metric < n && !seen[items[i].metric]);
			seen[items[i].metric] = true;
		}
	}
}

static void test_none_and_one(void **state)
{
	(void)state;
	assert_int_equal(planner_merge(items, 0, &usual, &serial, reads, scratch), 0);
	items[0] = holding(65535, 1, 7);
	assert_int_equal(planner_merge(items, 1, &usual, &serial, reads, scratch), 1);
	assert_int_equal(reads[0].place.at, 65535);
	assert_int_equal(reads[0].place.count, 1);
	assert_int_equal(reads[0].first, 0);
	assert_int_equal(reads[0].n, 1);
}

static void test_last_register(void **state)
{
	(void)state;
	items[0] = holding(65532, 4, 0);
	items[1] = holding(65535, 1, 1);
	items[2] = holding(65530, 2, 2);
	items[3] = holding(0, 1, 3);
	size_t n_reads = planner_merge(items, 4, &usual, &serial, reads, scratch);
	assert_int_equal(n_reads, 2);
	sound(items, 4, &usual, &serial, reads, n_reads);
	assert_int_equal(reads[1].place.at, 65530);
	assert_int_equal(reads[1].place.count, 6);
}

static void test_contained_is_free(void **state)
{
	(void)state;
	items[0] = holding(12, 1, 0);
	items[1] = holding(10, 4, 1);
	items[2] = holding(10, 4, 2); /* the same place twice: two metrics of one register */
	items[3] = holding(10, 2, 3);
	struct planner_limits tight = {.max_registers = 4, .max_bits = 2000, .max_gap = 0};
	assert_int_equal(planner_merge(items, 4, &tight, &serial, reads, scratch), 1);
	assert_int_equal(reads[0].place.at, 10);
	assert_int_equal(reads[0].place.count, 4);
	assert_int_equal(reads[0].n, 4);
}

/* Longer than the device answers: on its own, its neighbours are not drawn in. */
static void test_too_long(void **state)
{
	(void)state;
	items[0] = holding(0, 2, 0);
	items[1] = holding(2, 40, 1);
	items[2] = holding(42, 2, 2);
	struct planner_limits tight = {.max_registers = 20, .max_bits = 2000, .max_gap = PLAN_ADAPTIVE};
	assert_int_equal(planner_merge(items, 3, &tight, &serial, reads, scratch), 3);
	assert_int_equal(reads[1].place.count, 40);
}

/* A hole is read over as long as its registers cost less than a request. */
static void test_adaptive_gap(void **state)
{
	(void)state;
	struct planner_cost cost = {.request_ns = 100, .register_ns = 10, .bits8_ns = 10};
	items[0] = holding(0, 1, 0);
	items[1] = holding(10, 1, 1);
	assert_int_equal(planner_merge(items, 2, &usual, &cost, reads, scratch), 1); /* 9 unused: 90 < 100 */
	items[1] = holding(11, 1, 1);
	assert_int_equal(planner_merge(items, 2, &usual, &cost, reads, scratch), 1); /* 10: equal, so one request */
	items[1] = holding(12, 1, 1);
	assert_int_equal(planner_merge(items, 2, &usual, &cost, reads, scratch), 2);
	struct planner_limits strict = usual;
	strict.max_gap = 0;
	items[1] = holding(2, 1, 1);
	assert_int_equal(planner_merge(items, 2, &strict, &cost, reads, scratch), 2);
	strict.max_gap = 1;
	assert_int_equal(planner_merge(items, 2, &strict, &cost, reads, scratch), 1);
}

/* What a device refuses is read around; alone it may still be asked for. */
static void test_refused(void **state)
{
	(void)state;
	struct planner_refusal gap = {BF_SPACE_HOLDING, 2, 5}, itself = {BF_SPACE_HOLDING, 5, 6},
			       across = {BF_SPACE_HOLDING, 1, 1};
	struct planner_limits limits = usual;
	items[0] = holding(0, 1, 0);
	items[1] = holding(1, 1, 1);
	items[2] = holding(5, 1, 2);
	items[3] = holding(6, 1, 3);
	assert_int_equal(planner_merge(items, 4, &limits, &serial, reads, scratch), 1);
	limits.n_refused = 1;
	limits.refused = &gap;
	assert_int_equal(planner_merge(items, 4, &limits, &serial, reads, scratch), 2);
	assert_int_equal(reads[0].place.count, 2);
	assert_int_equal(reads[1].place.at, 5);
	limits.refused = &itself;
	assert_int_equal(planner_merge(items, 4, &limits, &serial, reads, scratch), 3);
	assert_int_equal(reads[1].place.at, 5);
	assert_int_equal(reads[1].place.count, 1);
	limits.refused = &across;
	assert_int_equal(planner_merge(items, 4, &limits, &serial, reads, scratch), 2);
	assert_int_equal(reads[0].place.count, 1);
	assert_int_equal(reads[1].place.count, 6);
	gap.space = BF_SPACE_INPUT;
	limits.refused = &gap;
	assert_int_equal(planner_merge(items, 4, &limits, &serial, reads, scratch), 1);
}

static void test_cost(void **state)
{
	(void)state;
	struct plan_bus bus = {.wire = WIRE_SERIAL,
		.line = {.baud = 9600, .data_bits = 8, .parity = 'E', .stop_bits = 1},
		.gap_us = PLAN_ADAPTIVE};
	int64_t character = plan_line_char_ns(&bus.line); /* 11 bits */
	assert_true(character == 1145833);
	struct planner_cost cost = planner_cost_of(&bus, 5000);
	assert_true(cost.request_ns == 13 * character + 2 * plan_bus_gap_us(&bus) * 1000 + 5000000);
	assert_true(cost.register_ns == 2 * character);
	assert_true(cost.bits8_ns == character);

	struct bf_place registers = {BF_SPACE_INPUT, 0, 10}, coils = {BF_SPACE_COIL, 0, 9};
	assert_true(planner_read_ns(&cost, &registers) == cost.request_ns + 20 * character);
	assert_true(planner_read_ns(&cost, &coils) == cost.request_ns + 2 * character);
	coils.count = 8;
	assert_true(planner_read_ns(&cost, &coils) == cost.request_ns + character);

	bus.wire = WIRE_SERIAL_TCP; /* the same line at the far end */
	struct planner_cost far = planner_cost_of(&bus, 5000);
	assert_memory_equal(&far, &cost, sizeof(cost));
	bus.gap_us = 10000;
	assert_true(planner_cost_of(&bus, 0).request_ns == 13 * character + 20000000);

	bus.wire = WIRE_TCP;
	cost = planner_cost_of(&bus, 5000);
	assert_true(cost.request_ns == 1000000);
	assert_true(cost.register_ns == 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_brute_force),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_none_and_one),
		cmocka_unit_test(test_last_register),
		cmocka_unit_test(test_contained_is_free),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_adaptive_gap),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_cost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Rounds: what falls together is read by one plan, counted as often as it comes, and never dearer than apart; refused
 * gaps are learnt when they are proven, and no others.
 */
#include "field/round.h"
#include "field/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define S    1000000
#define MANY 60

static uint64_t seed = 2024;

static uint32_t chance(uint32_t below)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * 0x2545F4914F6CDD1Du >> 33) % below);
}

static const struct planner_cost cost = {.request_ns = 30000000, .register_ns = 2083333, .bits8_ns = 1041666};

struct stage {
	struct plan plan;
	struct plan_device told;
	struct plan_metric metrics[MANY];
	struct refusals refusals;
	struct rounds rounds;
	struct arena arena;
};

static void stage_clear(struct stage *stage)
{
	arena_free(&stage->arena);
	memset(stage, 0, sizeof(*stage));
	stage->told = (struct plan_device){.max_registers = 125, .max_gap = PLAN_ADAPTIVE};
	stage->plan.metrics = stage->metrics;
}

static void stage_add(struct stage *stage, uint16_t at, int64_t every_us)
{
	stage->metrics[stage->told.n_metrics++] =
		(struct plan_metric){.place = {BF_SPACE_INPUT, at, 1}, .every_us = every_us};
}

static void stage_plan(struct stage *stage)
{
	rounds_init(&stage->rounds, &stage->plan, &stage->told, &cost, &stage->refusals, &stage->arena);
}

static struct round *find(struct stage *stage, int64_t every_us, uint8_t due)
{
	uint32_t rate = 0;
	while (stage->rounds.every_us[rate] != every_us)
		rate++;
	return rounds_find(&stage->rounds, rate, due);
}

static void a_slow_register_inside_a_fast_block_costs_nothing(void **state)
{
	(void)state;
	static struct stage stage;
	stage_clear(&stage);
	stage_add(&stage, 0, S);
	stage_add(&stage, 3, 10 * S);
	stage_add(&stage, 6, S);
	stage_plan(&stage);
	struct round *fast = find(&stage, S, 1), *both = find(&stage, S, 3);
	assert_int_equal(fast->n_reads, 1);
	assert_int_equal(both->n_reads, 1);
	assert_int_equal(both->n_items, 3);
	assert_int_equal(round_ns(both, &cost), round_ns(fast, &cost));
	assert_true(fabs(fast->per_s - 0.9) < 1e-9);
	assert_true(fabs(both->per_s - 0.1) < 1e-9);
	assert_ptr_equal(find(&stage, 10 * S, 3), both);
	assert_true(find(&stage, 10 * S, 2)->per_s == 0); /* never alone */
	assert_int_equal(find(&stage, 10 * S, 2)->n_items, 1);
}

static void what_takes_the_rest_and_the_start_are_rounds_of_their_own(void **state)
{
	(void)state;
	static struct stage stage;
	stage_clear(&stage);
	stage_add(&stage, 0, PLAN_EVERY_START);
	stage_add(&stage, 1, 0);
	stage_add(&stage, 2, S);
	stage_plan(&stage);
	assert_int_equal(stage.rounds.n_rates, 3);
	assert_int_equal(stage.rounds.n, 3);
	assert_int_equal(stage.rounds.every_us[0], S);
	assert_int_equal(stage.rounds.every_us[1], 0);
	assert_int_equal(stage.rounds.every_us[2], PLAN_EVERY_START);
	for (uint32_t rate = 0; rate < 3; rate++) {
		assert_int_equal(rounds_find(&stage.rounds, rate, 1)->n_items, 1);
		assert_int_equal(round_has(&stage.rounds, &stage.rounds.list[rate], rate), true);
	}
	assert_true(stage.rounds.list[0].per_s == 1.0);
	assert_true(stage.rounds.list[1].per_s == 0 && stage.rounds.list[2].per_s == 0);
}

/* The wire time a second of the rounds as they are counted. */
static double counted(const struct rounds *rounds)
{
	double ns = 0;
	for (uint32_t r = 0; r < rounds->n; r++)
		ns += (double)round_ns(&rounds->list[r], &cost) * rounds->list[r].per_s;
	return ns;
}

/* The same by going through the due times, as polling does. */
static double walked(struct stage *stage, int64_t for_us)
{
	struct schedule_entry entries[16] = {0};
	const struct rounds *rounds = &stage->rounds;
	double ns = 0;
	uint32_t n = rounds->n_timed;
	for (uint32_t rate = 0; rate < n; rate++) {
		entries[rate] = (struct schedule_entry){
			.every_us = rounds->every_us[rate], .step_us = rounds_step(rounds, rate)};
		schedule_first(&entries[rate], rounds->every_us[0], rounds->every_us[n - 1], 1, 3, 1, 0);
	}
	for (int64_t now = schedule_wake(entries, n); now < for_us; now = schedule_wake(entries, n)) {
		int picked = schedule_pick(entries, n, UINT32_MAX, now);
		uint8_t due = 0;
		for (uint32_t rate = 0; rate < n && rate < ROUND_SHARED_MAX; rate++)
			due |= (uint8_t)(schedule_is_due(&entries[rate], now) << rate);
		struct round *round = rounds_find(rounds, (uint32_t)picked, due);
		for (uint32_t rate = 0; rate < n; rate++)
			if (round_has(rounds, round, rate))
				schedule_served(&entries[rate], now);
		ns += (double)round_ns(round, &cost);
	}
	return ns / ((double)for_us / 1e6);
}

static void what_is_counted_is_what_is_polled(void **state)
{
	(void)state;
	static const int64_t choices[] = {
		S / 2, S, 2 * S, 3 * S, 5 * S, 7 * S, 10 * S, 12 * S, 60 * S, 61 * S, 300 * S};
	static struct stage stage;
	for (int turn = 0; turn < 150; turn++) {
		stage_clear(&stage);
		uint32_t n = 1 + chance(MANY), n_rates = 1 + chance(turn % 10 ? 4 : 11), width = 20 + chance(400);
		for (uint32_t i = 0; i < n; i++) {
			uint16_t at = (uint16_t)chance(width);
			stage_add(&stage, at, choices[(chance(n_rates) * 5) % 11]);
		}
		stage_plan(&stage);
		/* every metric of a rate in each round that has it */
		for (uint32_t r = 0; r < stage.rounds.n; r++) {
			uint32_t items = 0;
			int64_t one_by_one = 0;
			for (uint32_t i = 0; i < n; i++)
				for (uint32_t rate = 0; rate < stage.rounds.n_rates; rate++)
					items += stage.metrics[i].every_us == stage.rounds.every_us[rate] &&
						 round_has(&stage.rounds, &stage.rounds.list[r], rate);
			assert_int_equal(stage.rounds.list[r].n_items, items);
			for (uint32_t rate = 0; rate < stage.rounds.n_rates; rate++)
				if (round_has(&stage.rounds, &stage.rounds.list[r], rate))
					one_by_one += round_ns(&stage.rounds.list[rate], &cost);
			assert_true(round_ns(&stage.rounds.list[r], &cost) <= one_by_one);
		}
		double apart = 0, as_counted = counted(&stage.rounds);
		for (uint32_t rate = 0; rate < stage.rounds.n_rates; rate++)
			apart += (double)round_ns(&stage.rounds.list[rate], &cost) * 1e6 /
				 (double)stage.rounds.every_us[rate];
		assert_true(as_counted <=
			    apart * 1.002); /* how often each comes is counted over many instants, not for ever */
		double as_walked = walked(&stage, 10000 * (int64_t)S);
		assert_true(fabs(as_walked / as_counted - 1) < 0.03); /* the first poll of all comes besides */
	}
	stage_clear(&stage);
}

/* A device that answers nothing that holds a cell of `bad`.  One turn; returns the number of requests. */
static unsigned turn(struct stage *stage, struct round *round, const uint16_t *bad, unsigned n_bad, unsigned *ret_wrong)
{
	unsigned n_asked = 0;
	*ret_wrong = 0;
	while (round->next < round->n_reads) {
		const struct bf_place *place = &round->reads[round->next].place;
		bool refused = false;
		for (unsigned i = 0; i < n_bad; i++)
			refused = refused || (bad[i] >= place->at && bad[i] < place->at + place->count);
		n_asked++;
		if (refused && round_cut(round, round->next))
			continue;
		if (refused) {
			(*ret_wrong)++;
			round_refused(&stage->rounds, round, round->next);
		} else {
			round->marks[round->next] |= ROUND_ANSWERED;
		}
		round->next++;
	}
	round_over(&stage->rounds, round);
	return n_asked;
}

static void only_the_gap_that_was_refused_is_learnt(void **state)
{
	(void)state;
	static struct stage stage;
	static const uint16_t bad[] = {16};
	unsigned wrong;
	stage_clear(&stage);
	stage_add(&stage, 0, S); /* a wider gap, and innocent */
	stage_add(&stage, 10, S);
	stage_add(&stage, 19, S);
	stage_plan(&stage);
	struct round *round = &stage.rounds.list[0];
	assert_int_equal(round->n_reads, 1);
	assert_int_equal(turn(&stage, round, bad, 1, &wrong), 5); /* all, 0, 10-19, 10, 19 */
	assert_int_equal(stage.refusals.n, 1);
	assert_int_equal(stage.refusals.list[0].from, 11);
	assert_int_equal(stage.refusals.list[0].to, 19);
	assert_true(stage.refusals.kept[0]);
	assert_int_equal(turn(&stage, round, bad, 1, &wrong), 2); /* 0-10, 19 */
	assert_int_equal(wrong, 0);
}

static void a_wrong_register_is_no_gap_to_remember(void **state)
{
	(void)state;
	static struct stage stage;
	static const uint16_t bad[] = {1};
	unsigned wrong;
	stage_clear(&stage);
	for (int i = 0; i < 3; i++) /* three metrics of the same register: bits of it */
		stage_add(&stage, 1, S);
	stage_add(&stage, 0, S);
	stage_add(&stage, 2, S);
	stage_plan(&stage);
	struct round *round = &stage.rounds.list[0];
	for (int i = 0; i < 4; i++)
		turn(&stage, round, bad, 1, &wrong);
	assert_int_equal(turn(&stage, round, bad, 1, &wrong), 3);
	assert_int_equal(wrong, 1);
	assert_int_equal(stage.refusals.n, 1);
	assert_false(stage.refusals.kept[0]);
}

/* Over random devices: after some turns no read is refused that need not be, every metric that can be read is, and the
 * plan is the cheapest that avoids what is refused. */
static void any_device_is_learnt(void **state)
{
	(void)state;
	static struct stage stage;
	for (int round_no = 0; round_no < 300; round_no++) {
		uint16_t bad[6];
		unsigned n_bad = chance(6), wrong = 0, n = 2 + chance(24), width = 8 + chance(120), can_not = 0;
		bool taken[200] = {false};
		stage_clear(&stage);
		for (unsigned i = 0; i < n_bad; i++)
			bad[i] = (uint16_t)chance(width);
		for (unsigned i = 0; i < n; i++) {
			uint16_t at = (uint16_t)chance(width);
			if (taken[at])
				continue;
			taken[at] = true;
			stage_add(&stage, at, S);
		}
		stage_plan(&stage);
		for (unsigned at = 0; at < width; at++) {
			bool is_bad = false;
			for (unsigned i = 0; i < n_bad; i++)
				is_bad = is_bad || bad[i] == at;
			can_not += taken[at] && is_bad;
		}
		struct round *round = &stage.rounds.list[0];
		for (int i = 0; i < 12; i++) {
			turn(&stage, round, bad, n_bad, &wrong);
			assert_int_equal(wrong, can_not);
		}
		assert_int_equal(turn(&stage, round, bad, n_bad, &wrong), round->n_reads);
	}
	stage_clear(&stage);
}

/* Metrics in models lie where the chain says, with a guard for each model; without a model they are in no round. */
static void rounds_are_placed_by_the_chain(void **state)
{
	(void)state;
	static struct stage stage;
	static const uint16_t common[] = {1}, inverter[] = {101, 103};
	const struct chain chains[] = {
		{.n = 0}, {.n = 1, .models = {{103, 50070, 50}}}, {.n = 2, .models = {{1, 2, 66}, {101, 70, 50}}}};
	stage_clear(&stage);
	for (uint16_t at = 14; at < 18; at++)
		stage_add(&stage, at, at % 2 ? S : 5 * S);
	stage_add(&stage, 50, 5 * S);
	stage_add(&stage, 7, S); /* in no model */
	for (unsigned i = 0; i < 5; i++) {
		stage.metrics[i].place.space = BF_SPACE_HOLDING;
		stage.metrics[i].models = i < 4 ? inverter : common;
		stage.metrics[i].n_models = i < 4 ? 2 : 1;
	}
	stage_plan(&stage);
	for (int again = 0; again < 20; again++) {
		unsigned which = chance(3);
		rounds_place(&stage.rounds, &stage.plan, &chains[which]);
		struct round *both = find(&stage, 5 * S, 3);
		uint32_t n = 0, guards = 0;
		for (uint32_t r = 0; r < both->n_reads; r++) {
			n += round_metrics(both, &both->reads[r]);
			guards += both->reads[r].n - round_metrics(both, &both->reads[r]);
		}
		assert_int_equal(n, which == 0 ? 1 : which == 1 ? 5 : 6);
		assert_int_equal(guards, which);
		for (uint32_t i = 0; i < both->n_items; i++) {
			const struct planner_item *item = &both->items[i];
			uint16_t base = which == 1 ? 50070 : 70;
			if (item->metric < 4)
				assert_int_equal(item->place.at, base + 14 + item->metric);
			else if (item->metric == 4)
				assert_int_equal(item->place.at, 2 + 50);
			else if (item->metric == 5)
				assert_int_equal(item->place.at, 7);
			else
				assert_true(item->place.count == 2 && (item->place.at == base || item->place.at == 2));
		}
	}
	stage_clear(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slow_register_inside_a_fast_block_costs_nothing),
		cmocka_unit_test(what_takes_the_rest_and_the_start_are_rounds_of_their_own),
		cmocka_unit_test(what_is_counted_is_what_is_polled),
		cmocka_unit_test(only_the_gap_that_was_refused_is_learnt),
		cmocka_unit_test(a_wrong_register_is_no_gap_to_remember),
		cmocka_unit_test(any_device_is_learnt),
		cmocka_unit_test(rounds_are_placed_by_the_chain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

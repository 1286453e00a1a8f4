/*
 * Rounds, their plans, and what a device refuses: see round.h.
 *
 * Invariant: the reads of a round together cover each of its items exactly once, whatever was cut.
 */
#include "field/round.h"
#include "field/convert.h"
#include "field/schedule.h"

#include <string.h>

#define ROUND_INSTANTS 840 /* of a rate that are looked at, to count what falls together: a multiple of 1 to 8 */
#define ROUND_MORE_MAX 24  /* rounds of several rates */

static void round_plan(const struct rounds *rounds, struct round *round)
{
	const struct refusals *refusals = rounds->refusals;
	struct planner_limits limits = {.max_registers = rounds->told->max_registers,
		.max_bits = 2000,
		.max_gap = rounds->told->max_gap,
		.refused = refusals->list,
		.n_refused = atomic_load_explicit(&refusals->n, memory_order_relaxed)};
	round->n_reads = (uint32_t)planner_merge(
		round->items, round->n_items, &limits, rounds->cost, round->reads, rounds->scratch);
	memset(round->marks, 0, round->n_items);
	round->next = 0;
}

bool round_has(const struct rounds *rounds, const struct round *round, uint32_t rate)
{
	if (rate < rounds->n_timed && rate < ROUND_SHARED_MAX)
		return round->shared >> rate & 1;
	return round == &rounds->list[rate];
}

int64_t rounds_step(const struct rounds *rounds, uint32_t rate)
{
	if (rate >= rounds->n_timed || rate >= ROUND_SHARED_MAX)
		return 0;
	return schedule_step(rounds->every_us[0], rounds->every_us[rate]);
}

/* Timed ones ascending, then "0s", then "start". */
static bool rate_before(int64_t a, int64_t b)
{
	return (a > 0) != (b > 0) ? a > 0 : a > 0 ? a < b : a > b;
}

static void collect_rates(struct rounds *rounds, const struct plan_metric *metrics, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = 0;
		while (at < rounds->n_rates && rate_before(rounds->every_us[at], metrics[i].every_us))
			at++;
		if (at < rounds->n_rates && rounds->every_us[at] == metrics[i].every_us)
			continue;
		memmove(&rounds->every_us[at + 1], &rounds->every_us[at],
			(rounds->n_rates - at) * sizeof(*rounds->every_us));
		rounds->every_us[at] = metrics[i].every_us;
		rounds->n_rates++;
		rounds->n_timed += metrics[i].every_us > 0;
	}
}

static uint32_t rate_of(const struct rounds *rounds, int64_t every_us)
{
	uint32_t rate = 0;
	while (rounds->every_us[rate] != every_us)
		rate++;
	return rate;
}

static void add_guard(struct round *round, uint16_t at)
{
	for (uint32_t i = 0; i < round->n_items; i++)
		if (round->items[i].metric == PLANNER_GUARD && round->items[i].place.at == at)
			return;
	round->items[round->n_items++] =
		(struct planner_item){.place = {BF_SPACE_HOLDING, at, CHAIN_HEAD}, .metric = PLANNER_GUARD};
}

/* Fills the round with the metrics of its rates, as far as they have places. */
static void round_fill(
	const struct rounds *rounds, const struct plan *plan, const struct chain *chain, struct round *round)
{
	const struct plan_device *told = rounds->told;
	round->n_items = 0;
	for (uint32_t i = 0; i < told->n_metrics; i++) {
		const struct plan_metric *metric = &plan->metrics[told->first_metric + i];
		struct planner_item item = {.place = convert_place(metric), .metric = told->first_metric + i};
		if (!round_has(rounds, round, rate_of(rounds, metric->every_us)))
			continue;
		if (metric->n_models) {
			const struct chain_model *model = chain_find(chain, metric);
			if (!model)
				continue;
			item.place.at = (uint16_t)(item.place.at + model->at);
			add_guard(round, model->at);
		}
		round->items[round->n_items++] = item;
	}
	round_plan(rounds, round);
}

/* Adds a round of the rates that round_has says. */
static void add_round(struct rounds *rounds, const struct plan *plan, uint32_t rate, uint8_t shared, double per_s,
	struct arena *arena)
{
	const struct plan_device *told = rounds->told;
	struct round *round = &rounds->list[rounds->n++];
	*round = (struct round){.rate = rate, .shared = shared, .every_us = rounds->every_us[rate], .per_s = per_s};
	uint32_t n = 0;
	for (uint32_t i = 0; i < told->n_metrics; i++) {
		const struct plan_metric *metric = &plan->metrics[told->first_metric + i];
		if (round_has(rounds, round, rate_of(rounds, metric->every_us)))
			n += metric->n_models ? 2 : 1; /* with a guard */
	}
	round->items = arena_array(arena, n, sizeof(*round->items));
	round->reads = arena_array(arena, n, sizeof(*round->reads));
	round->marks = arena_array(arena, n, sizeof(*round->marks));
	rounds->n_items_max = n > rounds->n_items_max ? n : rounds->n_items_max;
}

void rounds_place(struct rounds *rounds, const struct plan *plan, const struct chain *chain)
{
	rounds->n_planned = atomic_load_explicit(&rounds->refusals->n, memory_order_relaxed);
	for (uint32_t r = 0; r < rounds->n; r++)
		round_fill(rounds, plan, chain, &rounds->list[r]);
}

uint32_t round_metrics(const struct round *round, const struct planner_read *read)
{
	uint32_t n = 0;
	for (uint32_t i = read->first; i < read->first + read->n; i++)
		n += round->items[i].metric != PLANNER_GUARD;
	return n;
}

/* Does an instant t behind the origin belong to the rate? */
static bool rate_has(const struct rounds *rounds, uint32_t rate, int64_t t)
{
	int64_t every_us = rounds->every_us[rate], step = rounds_step(rounds, rate);
	return schedule_instant(every_us, step, t / every_us) == t;
}

/* The rates due at the k-th instant of one, as bits; 0 when a slower one has it too, to which it then belongs. */
static uint8_t due_with(const struct rounds *rounds, uint32_t n_shared, uint32_t rate, int64_t k)
{
	int64_t t = schedule_instant(rounds->every_us[rate], rounds_step(rounds, rate), k);
	uint8_t due = (uint8_t)(1u << rate);
	for (uint32_t slower = rate + 1; slower < n_shared; slower++)
		if (rate_has(rounds, slower, t))
			return 0;
	for (uint32_t faster = 0; faster < rate; faster++)
		if (rate_has(rounds, faster, t))
			due |= (uint8_t)(1u << faster);
	return due;
}

/* The rounds in which a rate is the slowest, and how often each comes. */
static void share_rate(
	struct rounds *rounds, const struct plan *plan, uint32_t n_shared, uint32_t rate, struct arena *arena)
{
	uint32_t comes[1 << ROUND_SHARED_MAX] = {0};
	for (int64_t k = 1; k <= ROUND_INSTANTS; k++)
		comes[due_with(rounds, n_shared, rate, k)]++;
	double per_instant = 1e6 / (double)rounds->every_us[rate] / ROUND_INSTANTS;
	rounds->list[rate].per_s += comes[1u << rate] * per_instant;
	for (unsigned due = 1; due < 1u << ROUND_SHARED_MAX; due++) {
		if (!comes[due] || due == 1u << rate)
			continue;
		if (rounds->n < rounds->n_rates + ROUND_MORE_MAX)
			add_round(rounds, plan, rate, (uint8_t)due, comes[due] * per_instant, arena);
		else /* read one after the other, as rounds_find finds them */
			for (uint32_t one = 0; one < n_shared; one++)
				rounds->list[one].per_s += (due >> one & 1) * comes[due] * per_instant;
	}
}

void rounds_init(struct rounds *rounds, const struct plan *plan, const struct plan_device *told,
	const struct planner_cost *cost, struct refusals *refusals, struct arena *arena)
{
	*rounds = (struct rounds){.told = told, .cost = cost, .refusals = refusals};
	rounds->every_us = arena_array(arena, told->n_metrics + 1, sizeof(*rounds->every_us));
	collect_rates(rounds, &plan->metrics[told->first_metric], told->n_metrics);
	uint32_t n_shared = rounds->n_timed < ROUND_SHARED_MAX ? rounds->n_timed : ROUND_SHARED_MAX;
	rounds->list = arena_array(arena, rounds->n_rates + (n_shared > 1 ? ROUND_MORE_MAX : 0), sizeof(*rounds->list));
	for (uint32_t rate = 0; rate < rounds->n_rates; rate++) {
		uint8_t shared = (uint8_t)((rate < n_shared) << rate % ROUND_SHARED_MAX);
		bool alone = rate < rounds->n_timed && (rate >= n_shared || n_shared == 1);
		double per_s = alone ? 1e6 / (double)rounds->every_us[rate] : 0;
		add_round(rounds, plan, rate, shared, per_s, arena);
	}
	for (uint32_t rate = n_shared; n_shared > 1 && rate-- > 0;)
		share_rate(rounds, plan, n_shared, rate, arena);
	rounds->scratch = arena_array(arena, rounds->n_items_max + 1, sizeof(*rounds->scratch));
	struct chain chain;
	chain_presume(plan, told, &chain);
	rounds_place(rounds, plan, &chain);
}

struct round *rounds_find(const struct rounds *rounds, uint32_t rate, uint8_t due)
{
	struct round *best = &rounds->list[rate];
	for (uint32_t r = rounds->n_rates; r < rounds->n && best->shared; r++) {
		struct round *round = &rounds->list[r];
		if (!(round->shared & ~due) && round_has(rounds, round, rate) &&
			__builtin_popcount(round->shared) > __builtin_popcount(best->shared))
			best = round;
	}
	return best;
}

int64_t round_ns(const struct round *round, const struct planner_cost *cost)
{
	int64_t ns = 0;
	for (uint32_t i = 0; i < round->n_reads; i++)
		ns += planner_read_ns(cost, &round->reads[i].place);
	return ns;
}

/* The end of what the items [first, at) of a read cover. */
static uint32_t covered_end(const struct round *round, uint32_t first, uint32_t at)
{
	uint32_t end = 0;
	for (uint32_t i = first; i < at; i++) {
		uint32_t item_end = (uint32_t)round->items[i].place.at + round->items[i].place.count;
		if (item_end > end)
			end = item_end;
	}
	return end;
}

/* Fits the place of a read to the items that it answers. */
static void read_fit(const struct round *round, struct planner_read *read)
{
	read->place = round->items[read->first].place;
	read->place.count = (uint16_t)(covered_end(round, read->first, read->first + read->n) - read->place.at);
}

static bool same_place(const struct bf_place *a, const struct bf_place *b)
{
	return a->at == b->at && a->count == b->count;
}

/* Where to cut: at the widest gap, of equal ones that nearest to the middle; between items that overlap only if all do.
 * 0 = all items are at one place. */
static uint32_t cut_at(const struct round *round, const struct planner_read *read)
{
	uint32_t best = 0, middle = read->first + read->n / 2, apart = 0;
	int64_t widest = -1;
	for (uint32_t i = read->first + 1; i < read->first + read->n; i++) {
		uint32_t at = round->items[i].place.at;
		int64_t gap = (int64_t)at - covered_end(round, read->first, i);
		if (!apart && !same_place(&round->items[i].place, &round->items[read->first].place))
			apart = i;
		if (gap < 0 || gap < widest)
			continue;
		uint32_t off = i > middle ? i - middle : middle - i,
			 best_off = best > middle ? best - middle : middle - best;
		if (gap > widest || off < best_off)
			best = i;
		widest = gap;
	}
	return best ? best : apart;
}

bool round_cut(struct round *round, uint32_t at)
{
	struct planner_read *read = &round->reads[at];
	uint32_t cut = cut_at(round, read);
	if (!cut)
		return false;
	uint32_t after = round->n_reads - at - 1;
	memmove(read + 2, read + 1, after * sizeof(*read));
	memmove(&round->marks[at + 2], &round->marks[at + 1], after);
	round->n_reads++;
	read[1] = (struct planner_read){.first = cut, .n = read->first + read->n - cut};
	read[0].n = cut - read->first;
	read_fit(round, &read[0]);
	read_fit(round, &read[1]);
	/* What lay on both sides of the cuts around it was not answered as it was cut: they prove nothing. */
	round->marks[at] = 0;
	round->marks[at + 1] = ROUND_CUT;
	if (after)
		round->marks[at + 2] &= (uint8_t)~ROUND_CUT;
	return true;
}

static void learn(struct refusals *refusals, enum bf_space space, uint32_t from, uint32_t to, bool kept)
{
	uint32_t n = atomic_load_explicit(&refusals->n, memory_order_relaxed);
	for (uint32_t i = 0; i < n; i++)
		if (refusals->list[i].space == space && refusals->list[i].from == from && refusals->list[i].to == to)
			return;
	if (from > to || n == REFUSALS_MAX)
		return;
	refusals->list[n] = (struct planner_refusal){.space = space, .from = from, .to = to};
	refusals->kept[n] = kept;
	atomic_store_explicit(&refusals->n, n + 1, memory_order_release);
}

void round_refused(struct rounds *rounds, struct round *round, uint32_t at)
{
	const struct bf_place *place = &round->reads[at].place;
	bool was_cut = round->marks[at] & ROUND_CUT || (at + 1 < round->n_reads && round->marks[at + 1] & ROUND_CUT);
	if (was_cut)
		learn(rounds->refusals, place->space, place->at, (uint32_t)place->at + place->count, false);
}

void round_reset(struct round *round)
{
	for (uint32_t r = 0; r < round->n_reads; r++)
		round->marks[r] &= ROUND_CUT;
	round->next = 0;
	round->tries = 0;
	round->unheard = false;
}

void rounds_outdated(struct rounds *rounds)
{
	rounds->n_planned = ROUNDS_OUTDATED;
}

void round_over(struct rounds *rounds, struct round *round)
{
	for (uint32_t r = 0; r + 1 < round->n_reads; r++) {
		const struct bf_place *before = &round->reads[r].place, *after = &round->reads[r + 1].place;
		bool proven = round->marks[r + 1] & ROUND_CUT && round->marks[r] & ROUND_ANSWERED &&
			      round->marks[r + 1] & ROUND_ANSWERED;
		if (proven)
			learn(rounds->refusals, before->space, (uint32_t)before->at + before->count, after->at, true);
	}
	round_reset(round);
	uint32_t known = atomic_load_explicit(&rounds->refusals->n, memory_order_relaxed);
	if (known == rounds->n_planned)
		return;
	rounds->n_planned = known;
	for (uint32_t r = 0; r < rounds->n; r++)
		round_plan(rounds, &rounds->list[r]);
}

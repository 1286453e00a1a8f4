/*
 * Due times, see schedule.h.  A linear look over the entries: a bus has at most a few hundred, and a transaction takes
 * milliseconds.
 *
 * Why a deadline in its own time and not in microseconds: for equal intervals it is the same, the earliest first.  For
 * different ones, when a bus is asked for more than it can carry, plain deadlines serve the slow ones in full and take
 * all that is missing from the fast ones, or the other way round; the share of the own interval slows all of them by
 * the same factor, and as long as the bus can carry what it is asked for no deadline is missed by it either.
 *
 * Invariant: what has an interval goes before what takes the time that is left, unless that has waited for
 * SCHEDULE_STARVED_US; the due times of an entry are origin_at + k × every_us, rounded up to step_us.
 */
#include "field/schedule.h"

#define SPREAD_US           1000000
#define SCHEDULE_STARVED_US 10000000 /* what takes the time that is left is asked this often even when none is left */
#define SHARED_TENTH        10

static int64_t schedule_ready_at(const struct schedule_entry *entry)
{
	int64_t at = entry->due_at > entry->not_before ? entry->due_at : entry->not_before;
	return entry->probe_at && entry->probe_at < at ? entry->probe_at : at;
}

bool schedule_is_due(const struct schedule_entry *entry, int64_t now_us)
{
	return schedule_ready_at(entry) <= now_us;
}

/* The interval by which the entry's waiting is measured; 0 = it takes the time that is left. */
static int64_t schedule_measure(const struct schedule_entry *entry, int64_t now_us)
{
	if (entry->every_us > 0)
		return entry->every_us;
	return now_us - entry->served_at >= SCHEDULE_STARVED_US ? SCHEDULE_STARVED_US : 0;
}

/* Does a go before b? */
static bool schedule_before(
	const struct schedule_entry *a, const struct schedule_entry *b, uint32_t last, int64_t now_us)
{
	int64_t a_us = schedule_measure(a, now_us), b_us = schedule_measure(b, now_us);
	if ((a_us > 0) != (b_us > 0))
		return a_us > 0;
	if ((a->unit == last) != (b->unit == last))
		return b->unit == last;
	if (a_us == 0)
		return a->served_at < b->served_at;
	double a_share = (double)(now_us - a->served_at) / (double)a_us;
	double b_share = (double)(now_us - b->served_at) / (double)b_us;
	return a_share > b_share;
}

int schedule_pick(const struct schedule_entry *entries, size_t n, uint32_t last, int64_t now_us)
{
	int best = -1;
	for (size_t i = 0; i < n; i++)
		if (schedule_is_due(&entries[i], now_us) &&
			(best < 0 || schedule_before(&entries[i], &entries[best], last, now_us)))
			best = (int)i;
	return best;
}

int64_t schedule_wake(const struct schedule_entry *entries, size_t n)
{
	int64_t wake = CLOCK_NEVER;
	for (size_t i = 0; i < n; i++)
		if (schedule_ready_at(&entries[i]) < wake)
			wake = schedule_ready_at(&entries[i]);
	return wake;
}

int64_t schedule_others_at(const struct schedule_entry *entries, size_t n, uint32_t unit, int64_t now_us)
{
	int64_t at = CLOCK_NEVER;
	for (size_t i = 0; i < n; i++) {
		const struct schedule_entry *entry = &entries[i];
		if (entry->unit == unit || schedule_ready_at(entry) == CLOCK_NEVER)
			continue;
		int64_t ready_at = schedule_ready_at(entry) > now_us ? schedule_ready_at(entry) : now_us;
		if (ready_at < at)
			at = ready_at;
	}
	return at;
}

static int64_t floor_to(int64_t value, int64_t step)
{
	int64_t rest = value % step;
	return value - (rest < 0 ? rest + step : rest);
}

static int64_t round_up(int64_t value, int64_t step)
{
	return step > 0 ? -floor_to(-value, step) : value;
}

/* When a poll whose own instant is grid_at falls due. */
static int64_t schedule_due(const struct schedule_entry *entry, int64_t grid_at)
{
	return entry->origin_at + round_up(grid_at - entry->origin_at, entry->step_us);
}

void schedule_served(struct schedule_entry *entry, int64_t now_us)
{
	entry->served_at = now_us;
	entry->probe_at = 0;
	if (entry->due_at == CLOCK_NEVER || now_us < entry->due_at)
		return;
	if (entry->every_us == 0) {
		entry->due_at = now_us;
		return;
	}
	if (schedule_due(entry, entry->grid_at) <= now_us) {
		int64_t missed = (now_us - entry->grid_at) / entry->every_us + 1;
		/* the last of them may still wait for its step */
		if (schedule_due(entry, entry->grid_at + (missed - 1) * entry->every_us) > now_us)
			missed--;
		entry->n_merged += (uint64_t)missed;
		entry->grid_at += missed * entry->every_us;
	}
	entry->due_at = schedule_due(entry, entry->grid_at);
	entry->grid_at += entry->every_us;
}

int64_t schedule_step(int64_t fastest_us, int64_t every_us)
{
	return every_us > fastest_us && fastest_us <= every_us / SHARED_TENTH ? fastest_us : 0;
}

int64_t schedule_instant(int64_t every_us, int64_t step_us, int64_t k)
{
	return round_up(every_us * k, step_us);
}

void schedule_first(struct schedule_entry *entry, int64_t fastest_us, int64_t slowest_us, size_t index, size_t n,
	int64_t tick_us, int64_t start_us)
{
	int64_t at = (int64_t)index, of = n ? (int64_t)n : 1;
	int64_t soon = (fastest_us < SPREAD_US ? fastest_us : SPREAD_US) * at / of;
	/* Whole intervals of the fastest rate for the slowest one, and a part of one for the fastest. */
	int64_t offset = slowest_us / fastest_us * at / of * fastest_us + fastest_us * at / of;
	entry->origin_at = start_us + floor_to(offset, tick_us);
	entry->due_at = start_us + floor_to(soon, tick_us);
	entry->served_at = entry->due_at - entry->every_us;
	entry->grid_at = entry->origin_at + floor_to(entry->due_at - entry->origin_at, entry->every_us);
	while (schedule_due(entry, entry->grid_at) <= entry->due_at)
		entry->grid_at += entry->every_us;
}

/*
 * Due times, see schedule.h.  A linear look over the entries: a bus has at most a few hundred, and a transaction takes
 * milliseconds.
 */
#include "field/schedule.h"

#define SPREAD_US 1000000
#define TICK_US   20000

static int64_t schedule_ready_at(const struct schedule_entry *entry)
{
	return entry->due_at > entry->not_before ? entry->due_at : entry->not_before;
}

int schedule_pick(const struct schedule_entry *entries, size_t n, int64_t now_us)
{
	int best = -1;
	for (size_t i = 0; i < n; i++) {
		const struct schedule_entry *entry = &entries[i];
		if (entry->due_at == CLOCK_NEVER || schedule_ready_at(entry) > now_us)
			continue;
		if (best >= 0) {
			const struct schedule_entry *other = &entries[best];
			if (entry->due_at > other->due_at)
				continue;
			if (entry->due_at == other->due_at && entry->served_at >= other->served_at)
				continue;
		}
		best = (int)i;
	}
	return best;
}

int64_t schedule_wake(const struct schedule_entry *entries, size_t n)
{
	int64_t wake = CLOCK_NEVER;
	for (size_t i = 0; i < n; i++) {
		int64_t at = schedule_ready_at(&entries[i]);
		if (entries[i].due_at != CLOCK_NEVER && at < wake)
			wake = at;
	}
	return wake;
}

void schedule_served(struct schedule_entry *entry, int64_t now_us)
{
	entry->served_at = now_us;
	if (entry->due_at == CLOCK_NEVER)
		return;
	if (entry->every_us == 0) {
		entry->due_at = now_us;
		return;
	}
	int64_t late = now_us - entry->due_at;
	int64_t missed = late > 0 ? late / entry->every_us : 0;
	entry->n_merged += (uint64_t)missed;
	entry->due_at += (missed + 1) * entry->every_us;
}

int64_t schedule_first(int64_t start_us, int64_t every_us, size_t index, size_t n)
{
	int64_t spread = every_us < SPREAD_US ? every_us : SPREAD_US;
	if (n < 2)
		return start_us;
	int64_t offset = spread * (int64_t)index / (int64_t)n;
	return start_us + offset - offset % TICK_US;
}

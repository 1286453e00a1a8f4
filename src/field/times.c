/*
 * Counts of lengths, see times.h.
 *
 * Why a scale of ratios: answers take 2 ms or 2 s, and what is asked of them is a quantile, for which a fifth more or
 * less does not matter.  When a count is full all are halved.
 *
 * Invariant: bucket i counts what is longer than the bound of i - 1 and at most its own; the last one all the rest.
 */
#include "field/times.h"

#define TIMES_FIRST_US 64

static uint16_t times_get(const struct times *times, unsigned i)
{
	return atomic_load_explicit(&times->n[i], memory_order_relaxed);
}

void times_note(struct times *times, int64_t took_us)
{
	unsigned bucket = 0;
	for (int64_t bound = TIMES_FIRST_US; bound < took_us && bucket + 1 < TIMES_BUCKETS; bucket++)
		bound += bound / 5;
	if (times_get(times, bucket) == UINT16_MAX)
		for (unsigned i = 0; i < TIMES_BUCKETS; i++)
			atomic_store_explicit(&times->n[i], times_get(times, i) / 2, memory_order_relaxed);
	atomic_store_explicit(&times->n[bucket], (uint16_t)(times_get(times, bucket) + 1), memory_order_relaxed);
}

uint64_t times_n(const struct times *times)
{
	uint64_t total = 0;
	for (unsigned i = 0; i < TIMES_BUCKETS; i++)
		total += times_get(times, i);
	return total;
}

int64_t times_quantile(const struct times *times, unsigned per_mille)
{
	uint64_t total = times_n(times), seen = 0;
	int64_t bound = TIMES_FIRST_US;
	for (unsigned i = 0; i < TIMES_BUCKETS && total; i++, bound += bound / 5) {
		seen += times_get(times, i);
		if (seen * 1000 >= total * per_mille)
			return bound;
	}
	return total ? bound : 0;
}

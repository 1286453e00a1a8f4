/*
 * Capped doubling waits.  Pure but for the caller's struct.
 */
#include "base/backoff.h"

/* xorshift64*, S. Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled" (2016). */
static uint64_t backoff_random(struct backoff *backoff)
{
	uint64_t x = backoff->seed ? backoff->seed : 0x9E3779B97F4A7C15u;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	backoff->seed = x;
	return x * 0x2545F4914F6CDD1Du;
}

int64_t backoff_next(struct backoff *backoff)
{
	int64_t wait = backoff->first_us;
	for (unsigned i = 0; i < backoff->round && wait < backoff->cap_us; i++)
		wait *= 2;
	if (wait > backoff->cap_us)
		wait = backoff->cap_us;
	if (backoff->round < 62)
		backoff->round++;
	int64_t drawn = wait * (int64_t)backoff->jitter_percent / 100;
	if (drawn > 0)
		wait = wait - drawn + (int64_t)(backoff_random(backoff) % (uint64_t)(drawn + 1));
	return wait;
}

void backoff_reset(struct backoff *backoff)
{
	backoff->round = 0;
}

/*
 * Waits between attempts: doubling from a first wait to a cap, with full jitter on request, so that a fleet does not
 * come back in step.  One owner thread.
 */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
	int64_t first_us, cap_us;
	unsigned jitter_percent; /* share of the wait that is drawn by chance; 0 = none, 100 = all of it */
	unsigned round;          /* failures in a row */
	uint64_t seed;           /* of the jitter; any number */
};

/* The wait before the next attempt; each call counts one more failure. */
int64_t backoff_next(struct backoff *backoff);

void backoff_reset(struct backoff *backoff);

#endif

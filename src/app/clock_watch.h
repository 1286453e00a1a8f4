/*
 * Does the wall clock jump, or become right?  For one log line; nothing else depends on it.  On one thread.
 */
#ifndef APP_CLOCK_WATCH_H
#define APP_CLOCK_WATCH_H

#include "base/clock.h"
#include "base/log.h"

struct clock_watch {
	const struct clock *clock;
	int64_t offset_ms; /* wall less monotonic, at the last look */
	int64_t since_us;  /* the first look */
	bool plausible;
	struct complaint jumps;
	int64_t jumped_at; /* monotonic, µs; 0 = never */
};

/* Says so when the clock is not set. */
void clock_watch_init(struct clock_watch *watch, const struct clock *clock);

/* Every few seconds.  A difference of more than a few seconds since the last look is told: once a minute at most, then
 * at growing intervals. */
void clock_watch_look(struct clock_watch *watch);

#endif

/*
 * The two clocks behind a struct, so that tests bring their own and nothing in a unit test sleeps.
 * Schedules and time-outs use the monotonic one only; the wall clock only ever stamps readings.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_NEVER INT64_MAX /* an instant that does not come */

struct clock {
	int64_t (*mono_us)(const struct clock *clock); /* µs since some start, never goes back */
	int64_t (*wall_ms)(const struct clock *clock); /* ms since 1970 UTC */
};

/* The machine's own clocks: CLOCK_MONOTONIC and CLOCK_REALTIME. Any thread. */
extern const struct clock clock_system;

static inline int64_t clock_now(const struct clock *clock)
{
	return clock->mono_us(clock);
}

/* False for a wall time before the program was built: a Pi without a battery clock that has not heard NTP yet. */
bool clock_plausible(int64_t wall_ms);

#endif

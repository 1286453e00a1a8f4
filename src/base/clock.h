/*
 * The two clocks behind a struct, so that tests bring their own and nothing in a unit test sleeps.
 * Schedules and time-outs use the monotonic one only; the wall clock only ever stamps readings.
 *
 * The monotonic one is CLOCK_MONOTONIC: it is the same for all processes between two starts of the machine, and stands
 * still while the machine sleeps, as do the timers of systemd's watchdog; a wire is then simply polled late.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define CLOCK_NEVER INT64_MAX /* an instant that does not come */

struct clock {
	int64_t (*mono_us)(const struct clock *clock); /* µs since some start, never goes back */
	int64_t (*wall_ms)(const struct clock *clock); /* ms since 1970 UTC */
	uint64_t (*boot)(const struct clock *clock);   /* NULL = unknown; see clock_boot */
};

#define CLOCK_BOOT_BITS 47

/* The machine's own clocks: CLOCK_MONOTONIC and CLOCK_REALTIME. Any thread. */
extern const struct clock clock_system;

/* Of two instants, CLOCK_NEVER among them. */
static inline int64_t clock_earlier(int64_t a_us, int64_t b_us)
{
	return a_us < b_us ? a_us : b_us;
}

static inline int64_t clock_now(const struct clock *clock)
{
	return clock->mono_us(clock);
}

/* A length or an instant of at least 0 µs, as the kernel takes it. */
static inline struct timespec clock_timespec(int64_t us)
{
	return (struct timespec){.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000 * 1000)};
}

/* Between which two starts of the machine mono_us counts: a number of CLOCK_BOOT_BITS bits; 0 = unknown. */
static inline uint64_t clock_boot(const struct clock *clock)
{
	return clock->boot ? clock->boot(clock) : 0;
}

/* False for a wall time before the program was built: a Pi without a battery clock that has not heard NTP yet. */
bool clock_plausible(int64_t wall_ms);

#endif

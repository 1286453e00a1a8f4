/*
 * The machine's clocks.  No state; any thread.
 */
#include "base/clock.h"

#include "build_epoch.h"

#include <time.h>

static int64_t system_mono_us(const struct clock *clock)
{
	(void)clock;
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t system_wall_ms(const struct clock *clock)
{
	(void)clock;
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

const struct clock clock_system = {.mono_us = system_mono_us, .wall_ms = system_wall_ms};

bool clock_plausible(int64_t wall_ms)
{
	return wall_ms / 1000 >= BUSFERRY_BUILD_EPOCH;
}

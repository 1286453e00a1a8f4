/*
 * The clock of unit tests, see virtual_clock.h.
 */
#include "virtual_clock.h"

int64_t virtual_now;
int64_t virtual_wall_ms = 1764000000000;
uint64_t virtual_boot;

static int64_t mono_us(const struct clock *clock)
{
	(void)clock;
	return virtual_now;
}

static int64_t wall_ms(const struct clock *clock)
{
	(void)clock;
	return virtual_time_ms();
}

static uint64_t boot(const struct clock *clock)
{
	(void)clock;
	return virtual_boot;
}

const struct clock virtual_clock = {.mono_us = mono_us, .wall_ms = wall_ms, .boot = boot};

int64_t virtual_time_ms(void)
{
	return virtual_wall_ms + virtual_now / 1000;
}

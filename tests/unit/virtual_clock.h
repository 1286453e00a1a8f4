/*
 * The clock of unit tests: it stands still until the test sets it.
 */
#ifndef TESTS_VIRTUAL_CLOCK_H
#define TESTS_VIRTUAL_CLOCK_H

#include "base/clock.h"

extern const struct clock virtual_clock;

extern int64_t virtual_now;     /* µs since the start of the machine */
extern int64_t virtual_wall_ms; /* what the wall clock showed then, ms since 1970; in 2025 unless the test says else */
extern uint64_t virtual_boot;   /* which start it was, see clock_boot; 0 = unknown */

/* What the wall clock shows, ms since 1970. */
int64_t virtual_time_ms(void);

#endif

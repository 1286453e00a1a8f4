/*
 * When readings were read while the clock was not set: what is known of the clock in this start of the machine and in
 * those before it.
 *
 * Not safe for several threads; the outbox's is under its mutex.
 */
#ifndef SHIP_DATES_H
#define SHIP_DATES_H

#include "base/clock.h"
#include "ship/journal.h"

struct dates {
	const struct clock *clock;
	uint64_t boot; /* this start of the machine; 0 = unknown */
	struct journal_clock known[JOURNAL_CLOCKS];
	size_t n_known;
	/* Of the clock that ages go by; store's thread. */
	int64_t settled_ms, moved_ms, moved_at;
};

void dates_init(struct dates *dates, const struct clock *clock);

/* The wall clock less the monotonic one, ms, if the wall clock can be right; else 0.  Any thread. */
int64_t dates_offset_ms(const struct clock *clock);

/* The wall time of an instant of this start of the machine, ms; 0 = not known yet. */
int64_t dates_of_instant(const struct dates *dates, int64_t at_us);

/* The wall time of a row, ms: its own, or, when the clock was not set, that of its instant; 0 = not known (yet). */
int64_t dates_of_row(const struct dates *dates, const struct journal_row *row);

/*
 * How old what was read at a wall time is now, ms, by the present clock and by the one that has stood for an hour,
 * whichever says less: a clock that is wrong for a while makes nothing old.  0 when either time can't be right. Store's
 * thread.
 */
int64_t dates_age_ms(struct dates *dates, int64_t time_ms);

#endif

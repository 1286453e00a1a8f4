/*
 * What is due next on one bus.  Absolute due times on the monotonic clock; of what is due, that whose deadline is
 * earliest in its own time: the share of its interval that has passed since it was served.  Polls that are overdue are
 * merged into one and counted, never queued.  Pure but for the caller's entries; one owner thread.
 */
#ifndef FIELD_SCHEDULE_H
#define FIELD_SCHEDULE_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct schedule_entry {
	int64_t every_us;   /* 0 = whenever nothing else is due, in turn */
	int64_t step_us;    /* 0, or: a due time waits for the next multiple of it behind origin_at */
	int64_t origin_at;  /* one of its due times, past or future */
	int64_t grid_at;    /* the due time behind due_at, before step_us */
	int64_t due_at;     /* CLOCK_NEVER = not until somebody says so */
	int64_t not_before; /* back-off: asked no sooner even if due; 0 = none */
	int64_t probe_at;   /* asked then though it is not due; 0 = no */
	int64_t served_at;  /* when it was last done */
	uint64_t n_merged;  /* polls that fell together with a later one */
	uint32_t unit;      /* who is asked */
};

/* May it be served now? */
bool schedule_is_due(const struct schedule_entry *entry, int64_t now_us);

/* The entry to serve now, or -1 when none may be.  `last`: the unit served before, which comes again only when nobody
 * else waits; UINT32_MAX = none. */
int schedule_pick(const struct schedule_entry *entries, size_t n, uint32_t last, int64_t now_us);

/* When schedule_pick will have something: an instant that may have passed, CLOCK_NEVER if nothing is due at all. */
int64_t schedule_wake(const struct schedule_entry *entries, size_t n);

/* When something with an interval that does not belong to `unit` will be due and may be asked; CLOCK_NEVER; now_us when
 * somebody waits for any time that is left. */
int64_t schedule_others_at(const struct schedule_entry *entries, size_t n, uint32_t unit, int64_t now_us);

/* The entry was served (or given up): it is due again at the next of its instants after now. */
void schedule_served(struct schedule_entry *entry, int64_t now_us);

/* When two rates of one device share instants: the slower one waits for the next instant of the faster one if that
 * makes it late by no more than a tenth of its interval.  The step_us of the slower one; 0 = it keeps its own instants.
 */
int64_t schedule_step(int64_t fastest_us, int64_t every_us);

/* The k-th due time of an interval, behind the origin. */
int64_t schedule_instant(int64_t every_us, int64_t step_us, int64_t k);

/*
 * The first due time of device `index` of n that share a thread, and the origin of all its due times: first readings
 * come within a second, later ones are spread over the whole of the interval, and all rates of a device share one
 * origin, so that its slower rounds fall on instants of the faster ones.  tick_us: instants are multiples of it.
 */
void schedule_first(struct schedule_entry *entry, int64_t fastest_us, int64_t slowest_us, size_t index, size_t n,
	int64_t tick_us, int64_t start_us);

#endif

/*
 * What is due next on one bus.  Absolute due times on the monotonic clock, the earliest deadline first; polls that are
 * overdue by more than one interval are merged into one and counted, never queued.  Pure but for the caller's entries;
 * one owner thread.
 */
#ifndef FIELD_SCHEDULE_H
#define FIELD_SCHEDULE_H

#include "base/clock.h"

#include <stddef.h>
#include <stdint.h>

struct schedule_entry {
	int64_t every_us;   /* 0 = whenever nothing else is due, in turn */
	int64_t due_at;     /* CLOCK_NEVER = not until somebody says so */
	int64_t not_before; /* back-off: asked no sooner even if due; 0 = none */
	int64_t served_at;  /* when it was last done: the tie-breaker */
	uint64_t n_merged;  /* polls that fell together with a later one */
};

/* The entry to serve now, or -1 when none may be. */
int schedule_pick(const struct schedule_entry *entries, size_t n, int64_t now_us);

/* When schedule_pick will have something: an instant that may have passed, CLOCK_NEVER if nothing is due at all. */
int64_t schedule_wake(const struct schedule_entry *entries, size_t n);

/* The entry was served (or given up): its next due time is the next multiple of its interval after now. */
void schedule_served(struct schedule_entry *entry, int64_t now_us);

/* First due times spread evenly over the shorter of one second and the interval, so that n polls of one kind do not
 * fall on one instant and the first readings still come at once; on ticks of 20 ms, because waking up costs a thread
 * that serves many hosts more than the poll does. */
int64_t schedule_first(int64_t start_us, int64_t every_us, size_t index, size_t n);

#endif

/*
 * The errands of one bus: what is asked besides its schedule.  They go ahead of reads that are due, but not twice in a
 * row while one is, and by the same rules: after the silence, with canaries, one question at a time.
 *
 * A write is sent once and never again, whatever becomes of it; then its place is read, and only that says what the
 * device has taken.  A part of the bus; one owner thread.
 */
#ifndef FIELD_COURIER_H
#define FIELD_COURIER_H

#include "field/errand.h"
#include "field/line.h"

#include <stdbool.h>
#include <stdint.h>

struct bus;

#define COURIER_WRITE_US 100000 /* from one write to the next, at least: ten a second */
#define COURIER_SILENT   4      /* units that are remembered not to have answered */

enum courier_step { COURIER_READS, COURIER_LOOKS, COURIER_WRITES, COURIER_READS_BACK };

struct courier {
	struct errand_slot *first; /* those that wait, the oldest first */
	struct errand_slot *slot;  /* the one under way; NULL */
	enum courier_step step;
	unsigned tries;     /* of that step */
	bool asking;        /* a question of it is on the line */
	bool served;        /* an errand was the last to have the line */
	bool taken;         /* the write was answered as done */
	int64_t not_before; /* of the one under way */
	int64_t write_at;   /* not before may be written again */
	struct {
		uint8_t unit;
		int64_t until; /* it is not asked again by an errand; 0 = none */
	} silent[COURIER_SILENT];
	unsigned next_silent;
};

/* The errand waits from now on. */
void courier_add(struct bus *bus, struct errand_slot *slot);

/* Is there something to ask now? */
bool courier_wants(const struct bus *bus, int64_t now_us);

/* Asks, in state IDLE and when the silence is over.  0, whether it was asked or not; else as line_ops.ask. */
int courier_ask(struct bus *bus, int64_t now_us);

/* What came of the question: rc as from line_ops.answer, or -ETIMEDOUT. */
void courier_answered(struct bus *bus, int rc, const struct line_answer *answer, int64_t now_us);

/* The connection was closed under the question that is on the line. */
void courier_cut_off(struct bus *bus);

/* Ends those whose deadline has passed.  Returns when something is to be done for the others; CLOCK_NEVER. */
int64_t courier_wake(struct bus *bus, int64_t now_us);

/* All of them fail with that: the port is gone, the thread ends. */
void courier_fail(struct bus *bus, int rc);

#endif

/*
 * What a wire did in the last minute, tenth of a second by tenth, for whoever looks; and its counters of that, which go
 * up with it.  Written by the wire's thread with a few stores an answer, read by any.
 */
#ifndef FIELD_STRIP_H
#define FIELD_STRIP_H

#include "field/counts.h"

#define STRIP_BLOCKS   600
#define STRIP_BLOCK_US 100000

/* What became of a question, or came by itself; of several in one block the worst is kept. */
enum outcome { OUTCOME_NONE, OUTCOME_ANSWER, OUTCOME_EXCEPTION, OUTCOME_CHECKSUM, OUTCOME_TIMEOUT, N_OUTCOMES };

#define STRIP_RING (STRIP_BLOCKS + 40) /* a reader sees nothing of what is just overwritten */

struct strip {
	_Atomic int64_t last; /* number of the newest block that was written */
	_Atomic uint8_t blocks[STRIP_RING];
};

/* Counts it, and notes it in the wire's strip if that has one. */
void strip_count(struct bus_counts *counts, enum outcome outcome, int64_t now_us);

/* The last minute up to now (monotonic), the oldest first: an enum outcome each. */
void strip_read(const struct strip *strip, int64_t now_us, uint8_t ret_blocks[static STRIP_BLOCKS]);

#endif

/*
 * The outbox as the store sees it: what has to go to disk, what is done there, what has to be read back.
 * Called by the store's thread only.
 */
#ifndef SHIP_OUTBOX_STORE_H
#define SHIP_OUTBOX_STORE_H

#include "ship/journal.h"
#include "ship/outbox.h"

struct acked;

#define BATCH_ROWS  1000
#define BATCH_BYTES ((size_t)1024 * 1024)
#define BATCH_SPANS 1000

/* Copies of what is written in one transaction. */
struct outbox_batch {
	struct journal_row rows[BATCH_ROWS];
	size_t n;
	uint64_t upto; /* every reading up to here is in this batch or before it, or never goes to disk */
	struct journal_span done[BATCH_SPANS];
	size_t n_unset;            /* of the rows, read while the clock was not set */
	size_t n_done, n_owed;     /* n_owed: after it nothing is left of so many that were owed */
	size_t n_bytes, max_bytes; /* max_bytes <= BATCH_BYTES: of the caller's */
	char bytes[BATCH_BYTES];
};

/*
 * Readings get sequences from here on; before any put.  The store takes them from the wall clock, so that what is only
 * in memory lies above what an older process has left on disk, also when that can be looked at only later.
 */
void outbox_number_from(struct outbox *outbox, uint64_t first);

/*
 * The journal is open for the first time: new readings get sequences from next on, if that is above what they have
 * already; rows first..last (0, 0 = none), n of them, lie on disk.  store_first: readings leave only when they are on
 * disk.
 */
void outbox_journal_opened(
	struct outbox *outbox, uint64_t next, uint64_t first, uint64_t last, uint64_t n, bool store_first);

/* What the journal knows of clocks, when it is opened and whenever that changes. */
void outbox_clocks(struct outbox *outbox, const struct journal_clock *clocks, size_t n);

/* What is acknowledged and on disk is noted there, from now on; NULL = nowhere, and the publisher has ended. */
void outbox_notes_in(struct outbox *outbox, struct acked *acked);

/* It is open again after a failure: what is in memory is written anew, whatever had been. */
void outbox_journal_reopened(struct outbox *outbox);

/* A row of which only the newest of its topic waits goes to memory (user is the outbox).  After the first opening,
 * before any put; true. */
bool outbox_take_latest(void *user, const struct journal_row *row);

/* It failed: everything that is in memory stays there until it works again, and leaves from there. */
void outbox_journal_failed(struct outbox *outbox);

/*
 * Fills the batch: readings that nobody has acknowledged, put at or before an instant, and what of them is done.
 * all: also while the batch would hold little that is done.  True when there is something to write.
 */
bool outbox_batch_fill(struct outbox *outbox, int64_t put_before_us, bool flush_done, struct outbox_batch *batch);

/* The batch is on disk, and room was made for it, or it was left out because there is none. */
void outbox_batch_stored(struct outbox *outbox, const struct outbox_batch *batch, const struct journal_room *room);

/* It is not: what it held will be in later ones. */
void outbox_batch_failed(struct outbox *outbox, const struct outbox_batch *batch);

/* Is there a row on disk alone whose age nobody knows, or (again) anyone's that may have passed max_age?  Then where to
 * look. */
bool outbox_wants_look(struct outbox *outbox, bool again, uint64_t *ret_first, uint64_t *ret_last);

/* The first rows of that range, until it says false: those that are too old are over (user is the outbox). */
bool outbox_look_at(void *user, const struct journal_row *row);

/* Does the publisher need rows from disk?  Then the range to read. */
bool outbox_wants_rows(struct outbox *outbox, uint64_t *ret_first, uint64_t *ret_last);

/* One row read back (user is the outbox). False when there is enough; then outbox_rows_taken knows it. */
bool outbox_take_row(void *user, const struct journal_row *row);

/* The reading back is over.  read_upto: nothing that was there up to this sequence is left on disk alone (0: there may
 * be).  damaged rows are lost. */
void outbox_rows_taken(struct outbox *outbox, uint64_t read_upto, uint64_t damaged);

/* For poll(): something may have to be done.  Cleared by the call; idle says that the store is about to sleep. */
int outbox_store_fd(const struct outbox *outbox);
void outbox_store_wake(struct outbox *outbox);
void outbox_store_fd_clear(struct outbox *outbox);
/* False when there is work after all. */
bool outbox_store_sleeps(struct outbox *outbox);

/* Is there anything that was never in a batch? */
bool outbox_has_unsaved(struct outbox *outbox);

/* Are there so many deletions that they are due at once? */
bool outbox_owes(struct outbox *outbox);

/* How the store should tick: is the broker there, and takes it what it gets? */
bool outbox_is_flowing(struct outbox *outbox, int64_t put_before_us);

#endif

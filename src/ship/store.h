/*
 * The store: moves readings from memory to disk when they have waited long enough, deletes what is done there, reads
 * back what the publisher needs.  The only thread that touches the journal.
 *
 * Lifecycle: init start stop join destroy; store_step is what the thread loops around.
 */
#ifndef SHIP_STORE_H
#define SHIP_STORE_H

#include "base/clock.h"
#include "model/plan.h"
#include "ship/outbox.h"

struct store;

/*
 * Opens the journal of plan->buffer, before anything is put.
 * 0 and *ret_store; -EBUSY another gateway has it; -errno when it can't be used.  With buffer->path_given false a file
 * that can't be used is no failure: *ret_store then tries again from time to time, and readings wait in memory only.
 */
int store_init(
	const struct plan_buffer *buffer, struct outbox *outbox, const struct clock *clock, struct store **ret_store);

/* One turn.  Returns when it wants to run again. */
int64_t store_step(struct store *store, int64_t now_us);

/*
 * Questions that the store's thread is to answer in each of its steps, until it ends: serve(inquiry, journal), journal
 * NULL while the file does not work; -errno when it failed.  Before the start.
 */
struct inquiry;
struct journal;
void store_answers(
	struct store *store, int (*serve)(struct inquiry *inquiry, struct journal *journal), struct inquiry *inquiry);

int store_start(struct store *store);
/* Asks: all that waits goes to disk, then the thread ends. */
void store_stop(struct store *store);
int store_join(struct store *store, int64_t timeout_us);
void store_destroy(struct store *store);

/* By when the next step must have happened, for the watchdog; a sync of a slow card has its own budget. Any thread. */
int64_t store_alive_until(const struct store *store);

struct store_status {
	bool durable;             /* the journal works */
	int64_t bytes, max_bytes; /* in use on disk, and what the disk has let it have of buffer.max_size */
	bool nearly_full;
	uint64_t rows_written, commits, damaged;
};

/* Any thread. */
void store_status(const struct store *store, struct store_status *ret_status);

#endif

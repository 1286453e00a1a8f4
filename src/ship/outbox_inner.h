/*
 * The inside of the outbox, shared by its two faces: outbox.c for wire threads and publisher, outbox_store.c for the
 * store.  No one else includes this.
 *
 * Where a reading lies, in ascending sequence:
 *
 *     backlog (memory, read back) < only on disk (disk_first .. disk_last) < readings (memory)
 *
 * but for those that were in flight when newer ones went to disk: order is always decided by the sequence.
 */
#ifndef SHIP_OUTBOX_INNER_H
#define SHIP_OUTBOX_INNER_H

#include "base/log.h"
#include "ship/journal.h"
#include "ship/lane.h"
#include "ship/outbox.h"
#include "ship/outbox_store.h"

#include <pthread.h>

#define OUTBOX_SPANS      1024                       /* of sequences that are done and still on disk */
#define OUTBOX_WINDOW     (4 * (int64_t)1024 * 1024) /* of readings in memory that are on disk as well */
#define OUTBOX_READ_AHEAD 500                        /* messages */

struct outbox {
	struct message_sink sink;
	const struct clock *clock;
	int64_t max_bytes, max_age_us; /* max_age_us 0 = none */
	enum plan_when_full when_full;
	int event_fd;

	pthread_mutex_t mutex;
	struct lane readings, standing;
	bool connected, attempted;
	uint32_t epoch, n_connections;
	bool starved; /* the publisher has seen -EAGAIN and was not woken since */
	uint64_t taken, done, dropped_full, dropped_offline, dropped_refused, dropped_expired, dropped_superseded;
	struct complaint full;

	/* The part that the store looks after; see outbox_store.h. */
	const struct retained *retained; /* NULL = all as they were */
	struct lane backlog;             /* read back from disk; all below what is only there */
	bool journal;                    /* it is open and works */
	bool store_first;                /* on disk before it is published */
	bool store_idle;                 /* the store sleeps until it is woken */
	bool read_asked;                 /* it was woken to read on, and has not looked since */
	int store_fd;
	uint64_t disk_first, disk_last; /* rows that are only on disk; 0, 0 = none */
	uint64_t n_disk;
	uint64_t taken_upto, stored_upto; /* sequences given to the store, and committed by it */
	struct journal_span done_spans[OUTBOX_SPANS];
	size_t n_spans;
	uint64_t n_spanned;
};

/* Wakes the publisher; outside of the mutex. */
void outbox_wake(struct outbox *outbox);

/* The record leaves: its row on disk, if it has one, is to be deleted.  Under the mutex. */
void outbox_unstore(struct outbox *outbox, const struct record *record);

/* Moves the oldest waiting reading from memory to "only on disk".  False when it is not there.  Under the mutex. */
bool outbox_evict(struct outbox *outbox);

/* Has the store to read rows back?  Under the mutex. */
bool outbox_reads_on(const struct outbox *outbox);

#endif

/*
 * The inside of the outbox, shared by its faces: outbox.c for wire threads and whoever looks on, outbox_publisher.c for
 * the publisher, outbox_store.c and outbox_disk.c for the store, outbox_view.c for who looks at what waits.  No one
 * else includes this.
 *
 * Where a reading lies, in ascending sequence:
 *
 *     backlog (memory, read back) < only on disk (disk_first .. disk_last) < readings (memory)
 *
 * but for those that were in flight when newer ones went to disk, and for those of which only the newest of a topic
 * waits, which always lie in memory (there are no more of them than topics): order is decided by the sequence.
 */
#ifndef SHIP_OUTBOX_INNER_H
#define SHIP_OUTBOX_INNER_H

#include "base/log.h"
#include "ship/acked.h"
#include "ship/dates.h"
#include "ship/journal.h"
#include "ship/lane.h"
#include "ship/outbox.h"
#include "ship/outbox_store.h"

#include <pthread.h>
#include <stdatomic.h>

#define OUTBOX_SPANS      65536                      /* at most, of sequences that are done and still on disk */
#define OUTBOX_WINDOW     (4 * (int64_t)1024 * 1024) /* of readings in memory that are on disk as well */
#define OUTBOX_READ_AHEAD 500                        /* messages */
#define OUTBOX_OWED       500                        /* deletions that are due at once, whatever the tick */

struct outbox {
	struct message_sink sink;
	const struct clock *clock;
	int64_t max_bytes, max_age_us; /* max_age_us 0 = none */
	_Atomic int when_full;         /* enum plan_when_full */
	bool live_first;
	unsigned replay; /* messages a second of what was put before the connection; 0 = no limit */
	int event_fd;

	pthread_mutex_t mutex;
	struct lane readings, standing;
	struct dates dates;
	bool connected, attempted;
	uint64_t born;     /* the first sequence of this process */
	uint64_t boundary; /* the first sequence that counts as put in this connection */
	int64_t replay_at_us;
	bool starved; /* the publisher has seen -EAGAIN or -EBUSY and was not woken since */
	uint64_t taken, done, dropped_full, dropped_offline, dropped_refused, dropped_expired, dropped_superseded,
		dropped_damaged, dropped_command;
	struct complaint full;

	const struct retained *retained; /* NULL = all as they were */
	uint64_t mapped_upto;            /* the last sequence put before the map was read again */
	uint64_t *newest;                /* of each topic in it, the newest sequence put in this process; 0 = none */

	/* The part that the store looks after; see outbox_store.h. */
	struct lane backlog; /* read back from disk; all below what is only there */
	bool journal;        /* it is open and works */
	bool overtaken;      /* newer ones have left while it could not be read */
	bool store_first;    /* on disk before it is published */
	bool store_idle;     /* the store sleeps until it is woken */
	bool read_asked;     /* it was woken to read on, and has not looked since */
	bool disk_full;      /* and new readings are those that have to go */
	int store_fd;
	uint64_t found_upto;            /* rows up to here were found when the journal was opened first */
	uint64_t disk_first, disk_last; /* rows that are only on disk; 0, 0 = none */
	uint64_t n_disk;
	bool row_left;      /* the last row that was read found no place */
	uint64_t disk_seen; /* disk_oldest_ms is the time of the first row from here on; 0 = not looked at */
	int64_t disk_oldest_ms;
	uint64_t storable;                /* the newest reading put that may go to disk; QoS 0 never does */
	uint64_t taken_upto, stored_upto; /* sequences given to the store, and committed by it */
	uint64_t evict_stuck_at;          /* stored_upto when nothing more could leave memory */
	struct journal_span *done_spans;
	size_t n_spans, max_spans;
	size_t n_owed;               /* rows that are done and whose deletion is not committed */
	struct acked *_Atomic acked; /* where it is noted that they are; NULL = nowhere */
};

/* Wakes the publisher; outside of the mutex. */
void outbox_wake(struct outbox *outbox);

uint64_t outbox_waiting(const struct outbox *outbox);

/* When a reading was read, ms: its own time, or what became known of it since.  Under the mutex. */
int64_t outbox_date(const struct outbox *outbox, const struct record *record);

/* Says that readings were dropped for lack of room; outside of the mutex. */
void outbox_tell_full(const struct outbox *outbox, uint64_t dropped);

/* With sync "0s" a reading leaves only when it is on disk, as long as there is one. */
bool outbox_may_leave(const struct outbox *outbox, const struct record *record);

/* The record leaves: its row on disk, if it has one, is to be deleted.  Under the mutex. */
void outbox_unstore(struct outbox *outbox, const struct record *record);

/* Moves the oldest waiting readings that are on disk as well out of memory, until the window is kept.  Under the mutex.
 */
void outbox_evict(struct outbox *outbox);

/* Sequences whose rows are to be deleted.  Under the mutex. */
void outbox_add_span(struct outbox *outbox, uint64_t first, uint64_t last);

/* The oldest rows went to make room; those that are in flight, or done, are not lost.  Under the mutex. */
void outbox_rows_went(struct outbox *outbox, const struct journal_room *room);

/* Has the store to read rows back?  Under the mutex. */
bool outbox_reads_on(const struct outbox *outbox);

#endif

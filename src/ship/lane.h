/*
 * A lane: messages in the order in which they were put, in memory.  The outbox keeps two of them and decides what may
 * leave and what must go; a lane only knows where each message lies.
 *
 * No lock: everything here is called under the outbox's mutex.
 */
#ifndef SHIP_LANE_H
#define SHIP_LANE_H

#include "model/message.h"
#include "ship/latest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct segment;

enum record_state { RECORD_WAITING, RECORD_IN_FLIGHT, RECORD_DONE };

enum record_flags {
	RECORD_RETAIN = 1,
	RECORD_JSON = 2,
	RECORD_BUFFER = 4,
	RECORD_HANDED = 8,    /* given to the publisher before, and not given back unsent */
	RECORD_REPLAYED = 16, /* decided at the first hand-over */
	RECORD_AGAIN = 32,    /* the broker may have it */
	RECORD_LATEST = 64,   /* of its topic only the newest waits */
	RECORD_STORED = 128,  /* the journal has it, or is about to */
	RECORD_LINE = 256,    /* influx line protocol */
	RECORD_UNSET = 512,   /* read while the clock was not set, which can be corrected: time_ms is right when it is
				 plausible, else put_us tells it once the clock is set */
};

/* One message where it lies.  `bytes` holds the topic with its NUL, then the payload. */
struct record {
	uint64_t sequence;
	struct segment *segment;
	int64_t time_ms; /* wall time of the reading */
	int64_t put_us;  /* monotonic */
	uint32_t size;   /* of the whole record, a multiple of 8 */
	uint32_t payload_n;
	uint32_t expire_s;
	uint16_t topic_n; /* without its NUL */
	uint8_t state, qos;
	uint16_t flags;
	char bytes[];
};

/* No record from `from` on that lies before the cursor is WAITING; those with a sequence >= sequence lie at or after
 * it. */
struct lane_cursor {
	struct segment *segment;
	size_t at;
	uint64_t sequence, from;
};

/* Where a walk over records that are not DONE stands. */
struct lane_walk {
	struct segment *segment;
	size_t at;
};

struct lane {
	struct segment *head, *tail; /* in the order of sequences; a segment without live records is not kept */
	struct segment *spare;
	unsigned n_spare;

	struct lane_cursor all, recent; /* recent: from lane_split on */

	struct record **in_flight; /* hash of the sequence, open addressing */
	size_t n_slots, n_in_flight;

	struct latest latest; /* of its topic's RECORD_LATEST ones the one that is WAITING */

	uint64_t last_sequence;
	uint64_t n_live, live_bytes; /* WAITING or IN_FLIGHT */
};

/* A zeroed lane is an empty one. */
void lane_destroy(struct lane *lane);

/* What a message will take of the limit. */
size_t lane_size_of(size_t topic_n, size_t payload_n);

/* Copies the message to the end.  The record, or NULL without memory.  topic_n <= MESSAGE_TOPIC_MAX.  With latest_only
 * none of its topic may wait already (lane_latest). */
struct record *lane_append(struct lane *lane, const struct message *message, size_t topic_n);

/* The same with a sequence of the caller's, above all that the lane has seen. */
struct record *lane_append_at(struct lane *lane, const struct message *message, size_t topic_n, uint64_t sequence);

/* The first record above a sequence that is not DONE, or NULL; the walk goes on from there. */
struct record *lane_after(const struct lane *lane, uint64_t sequence, struct lane_walk *ret_walk);

/* The next one, or NULL.  The one before it may be removed then, if nothing else of the lane is. */
struct record *lane_walk(struct lane_walk *walk);

/* The WAITING record of that topic that only its newest state keeps; NULL when there is none. */
static inline struct record *lane_latest(const struct lane *lane, const char *topic)
{
	return latest_find(&lane->latest, topic);
}

/* The oldest WAITING record, or NULL.  Amortised O(1).  Valid until the next call that changes the lane. */
struct record *lane_first(struct lane *lane);

/* From now on lane_first_recent looks at sequences from this one on only. */
void lane_split(struct lane *lane, uint64_t from);
struct record *lane_first_recent(struct lane *lane);

/* The oldest record that is not DONE, or NULL. */
const struct record *lane_oldest(const struct lane *lane);

/* WAITING → IN_FLIGHT.  0, or -ENOMEM and nothing changed. */
int lane_take(struct lane *lane, struct record *record);

/* The record in flight with that sequence, or NULL. */
struct record *lane_find(const struct lane *lane, uint64_t sequence);

/* Which record lane_return of this one would remove, because of a topic only the newest waits; NULL = none. */
struct record *lane_gives_way(const struct lane *lane, struct record *record);

/* IN_FLIGHT → WAITING, at its old place; the one that gives way is removed, be it this one. */
void lane_return(struct lane *lane, struct record *record);

/* Gone for good, from either state; its memory is free once its whole segment is. */
void lane_remove(struct lane *lane, struct record *record);

/* Removes all WAITING records up to that QoS.  Returns how many. */
uint64_t lane_drop_waiting(struct lane *lane, unsigned max_qos);

#endif

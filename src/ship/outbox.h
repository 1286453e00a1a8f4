/*
 * The outbox: one ordered queue of messages between the wire threads and the publisher, the only place where threads
 * meet.  Where a message lies (memory, later also disk) is nobody's business.
 *
 * Two lanes.  READINGS: strictly ascending sequence, kept until done, dropped only by the written limits and counted.
 * STANDING: state that is announced anew on every connect; served first, forgotten when the connection goes.
 *
 * Life of a message: put → WAITING → (outbox_next) → IN FLIGHT → outbox_done → gone, or → outbox_back → WAITING again.
 *
 * Threads: put and flush from any; next, done, back, connected, lost from the publisher only; counters from any.
 * One mutex, never held over I/O.  No allocation in the steady state: memory comes in segments that are reused.
 */
#ifndef SHIP_OUTBOX_H
#define SHIP_OUTBOX_H

#include "base/clock.h"
#include "model/message.h"
#include "model/plan.h"
#include "ship/retained.h"

#include <stddef.h>
#include <stdint.h>

struct outbox;

/* Of readings; taken == waiting + done + all dropped_…, at any instant. */
struct outbox_counts {
	uint64_t waiting; /* messages not yet done, in flight included */
	uint64_t waiting_bytes;
	uint64_t in_flight;
	int64_t oldest_ms; /* time of the oldest reading waiting; 0 = none, or nobody has looked on the disk yet; not
			      plausible while the clock is not set */
	uint64_t taken;    /* readings put since start, also those that were dropped at once */
	uint64_t done;     /* acknowledged, or handed to the socket at QoS 0 */
	uint64_t dropped_full, dropped_offline /* QoS 0 without a broker */, dropped_refused, dropped_expired,
		dropped_superseded /* a newer one of its topic came while it waited (backlog: "latest") */,
		dropped_damaged /* their rows on disk can't be read */,
		dropped_command /* somebody said so; see outbox_view.h */;
};

/* A message as the publisher gets it: a copy in the caller's memory. */
struct outbox_message {
	uint64_t sequence;      /* never 0, ascending; of its lane */
	struct message message; /* topic and payload point into the caller's buffer */
	bool standing;
	bool replayed; /* first sent in another connection than the one in which it was read */
	bool again;    /* the broker may have it already */
};

#define OUTBOX_MESSAGE_BYTES (MESSAGE_TOPIC_MAX + 1 + MESSAGE_PAYLOAD_MAX + 64)

/* max_bytes bounds the memory of waiting readings; limits->max_size too, when it is given and smaller.  clock outlives
 * the outbox.  0 and *ret_outbox, or -errno. */
int outbox_init(
	const struct plan_buffer *limits, int64_t max_bytes, const struct clock *clock, struct outbox **ret_outbox);
void outbox_destroy(struct outbox *outbox);

/* Readings that come back from disk are retained only if these are; without it as they were.  With order "live_first"
 * the backlog of other topics goes unretained.  Before all threads; retained outlives the outbox. */
void outbox_retain_only(struct outbox *outbox, const struct retained *retained);

/*
 * The same while the threads run, after the map was read again: also of what was put before only these are retained
 * from now on.  The old set is the caller's again.  0, or -ENOMEM with nothing changed.
 */
int outbox_retain_anew(struct outbox *outbox, const struct retained *retained);

/* Other limits from now on, as for outbox_init: max_size, max_age, when_full, replay.  Any thread. */
void outbox_relimit(struct outbox *outbox, const struct plan_buffer *limits, int64_t max_bytes);

/* Does the oldest reading go when there is no room?  Any thread. */
bool outbox_drops_oldest(const struct outbox *outbox);

/* The sink for report and announce.  A standing message that is put without a connection is forgotten: 0. */
struct message_sink *outbox_sink(struct outbox *outbox);

/* Readable (eventfd) when something may have come since outbox_next last said -EAGAIN or -EBUSY. */
int outbox_fd(const struct outbox *outbox);
/* Resets the fd; before looking with outbox_next. */
void outbox_fd_clear(struct outbox *outbox);

/* What the publisher has room for; the first message that waits is taken only if it fits. */
struct outbox_room {
	bool qos[3];        /* by the QoS that the message was put with */
	bool standing_only; /* last words: readings stay */
	int64_t now_us;     /* about now, for many messages in a row; 0 = look at the clock */
};

/*
 * The next message to send becomes IN FLIGHT.  Copied into buffer (OUTBOX_MESSAGE_BYTES bytes); topic and payload point
 * there.  message.expire_s is the time left.  room NULL: whatever comes.
 * 0; -EAGAIN when nothing waits or there is no connection; -EBUSY when `replay` holds back what waits until
 * outbox_replay_at; -ENOSPC when the first one does not fit.
 */
int outbox_next(
	struct outbox *outbox, const struct outbox_room *room, void *buffer, struct outbox_message *ret_message);

/* The instant from which on one more reading of the time before the connection may go. */
int64_t outbox_replay_at(struct outbox *outbox);

/* Why a message is gone for good. */
enum outbox_end {
	OUTBOX_ACKNOWLEDGED,
	OUTBOX_REFUSED,
	OUTBOX_EXPIRED,
	OUTBOX_UNSENT /* QoS 0 lost with its connection */
};
void outbox_done(struct outbox *outbox, bool standing, uint64_t sequence, enum outbox_end end);

/* One message goes back to WAITING, at its old place; maybe_sent marks it `again`. */
void outbox_back(struct outbox *outbox, bool standing, uint64_t sequence, bool maybe_sent);

/* The connection stands / is gone, or an attempt failed.  With it go the standing messages and what waits at QoS 0.
 * Messages in flight must be given back first. */
void outbox_connected(struct outbox *outbox);
void outbox_lost(struct outbox *outbox);

/* True when nothing waits and nothing is in flight, in neither lane. Any thread. */
bool outbox_empty(struct outbox *outbox);

/* True when nothing that stands waits or is in flight: all of it is acknowledged, or refused. Any thread. */
bool outbox_settled(struct outbox *outbox);

void outbox_counts(struct outbox *outbox, struct outbox_counts *ret_counts);

#endif

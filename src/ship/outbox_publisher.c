/*
 * The publisher's side of the outbox: what leaves next, and what becomes of it.
 *
 * `boundary` is the sequence from which on readings count as put in this connection.  Before the first attempt to
 * connect has ended that is all that this process has put; an attempt that fails makes a replay of what was read before
 * it as well as of what is read after it.
 *
 * Order.  "oldest_first": by sequence, wherever a reading lies.  "live_first": what was put in this connection passes
 * what was put before it; then by sequence.  `replay` holds back only what was put before, in either order.
 *
 * Thread: the publisher's; the mutex guards everything.
 */
#include "ship/outbox_inner.h"
#include "ship/payload_date.h"

#include <errno.h>
#include <string.h>

#define REPLAY_BURST_US 20000

/* A reading may come within the turn of which now_us is the beginning: then it is new, not younger than that. */
static int64_t outbox_age_us(const struct record *record, int64_t now_us)
{
	return now_us > record->put_us ? now_us - record->put_us : 0;
}

/* What is left of the message's time, in µs; <= 0 when it is over. */
static int64_t outbox_left_us(const struct outbox *outbox, const struct record *record, bool standing, int64_t now_us)
{
	int64_t age_us = outbox_age_us(record, now_us), left_us = CLOCK_NEVER;
	if (record->expire_s)
		left_us = (int64_t)record->expire_s * 1000000 - age_us;
	if (!standing && outbox->max_age_us > 0 && outbox->max_age_us - age_us < left_us)
		left_us = outbox->max_age_us - age_us;
	return left_us;
}

/* The oldest reading in memory that waits, and its lane. */
static struct record *outbox_oldest(struct outbox *outbox, struct lane **ret_lane)
{
	struct record *back = lane_first(&outbox->backlog), *reading = lane_first(&outbox->readings);
	bool from_backlog = back && (!reading || back->sequence < reading->sequence);
	*ret_lane = from_backlog ? &outbox->backlog : &outbox->readings;
	return from_backlog ? back : reading;
}

/* Was it put before this connection? */
static bool outbox_is_past(const struct outbox *outbox, uint64_t sequence)
{
	return sequence < outbox->boundary || sequence <= outbox->found_upto;
}

/* Removes the reading if its time is over. */
static bool outbox_expires(struct outbox *outbox, struct lane *lane, struct record *record, int64_t now_us)
{
	if (outbox_left_us(outbox, record, false, now_us) > 0)
		return false;
	outbox_unstore(outbox, record);
	lane_remove(lane, record);
	outbox->dropped_expired++;
	return true;
}

/* With "live_first": the oldest reading of this connection that waits in memory and may leave, or NULL. */
static struct record *outbox_live(struct outbox *outbox, int64_t now_us)
{
	struct record *record;
	while ((record = lane_first_recent(&outbox->readings)))
		if (!outbox_expires(outbox, &outbox->readings, record, now_us))
			return outbox_may_leave(outbox, record) ? record : NULL;
	return NULL;
}

struct choice {
	struct record *record;
	struct lane *lane;
	bool beside; /* of the backlog, which others may have passed */
};

/*
 * The message to hand over next, after removing what is too old.  0; -EAGAIN and `starved` when there is none; -EBUSY
 * and `starved` when the next one has to wait for replay_at_us.
 */
static int outbox_choose(struct outbox *outbox, int64_t now_us, struct choice *ret)
{
	struct record *record;
	struct lane *lane = &outbox->standing;
	int error = -EAGAIN;
	if (!outbox->connected)
		return -EAGAIN;
	while ((record = lane_first(lane))) {
		*ret = (struct choice){record, lane, false};
		if (outbox_left_us(outbox, record, true, now_us) > 0)
			return 0;
		lane_remove(lane, record);
	}
	if (outbox->live_first && (record = outbox_live(outbox, now_us))) {
		*ret = (struct choice){record, &outbox->readings, false};
		return 0;
	}
	while ((record = outbox_oldest(outbox, &lane))) {
		if (outbox->journal && outbox->disk_first && outbox->disk_first < record->sequence)
			break; /* older ones have to be read back first */
		if (outbox_expires(outbox, lane, record, now_us))
			continue;
		if (!outbox_may_leave(outbox, record))
			break;
		if (outbox->replay && outbox_is_past(outbox, record->sequence) && now_us < outbox->replay_at_us) {
			error = -EBUSY;
			break;
		}
		bool beside = outbox->live_first || (outbox->overtaken && lane == &outbox->backlog);
		*ret = (struct choice){record, lane, beside};
		return 0;
	}
	outbox->starved = true;
	return error;
}

/* One of the backlog goes: the next may follow at the pace of `replay`, a few at once so that the publisher can rest.
 */
static void outbox_pace(struct outbox *outbox, int64_t now_us)
{
	int64_t from_us = outbox->replay_at_us;
	if (from_us < now_us - REPLAY_BURST_US)
		from_us = now_us - REPLAY_BURST_US;
	outbox->replay_at_us = from_us + 1000000 / outbox->replay;
}

/*
 * Retained as it was put, with two exceptions.  What an older process left, or this one by an older map, is retained
 * only if this map still says so; otherwise it would bring back what the sweep has cleared.  What others have passed is
 * retained only if nothing newer of its topic was put, so that the newest value always is the last retained one.
 */
static bool outbox_retains(const struct outbox *outbox, const struct record *record, bool beside)
{
	bool old = record->sequence <= outbox->found_upto || record->sequence <= outbox->mapped_upto;
	if (!(record->flags & RECORD_RETAIN))
		return false;
	if (!outbox->retained)
		return !beside;
	if (!old && !beside)
		return true;
	ptrdiff_t at = retained_find(outbox->retained, record->bytes);
	return at >= 0 && (!beside || (outbox->newest && outbox->newest[at] <= record->sequence));
}

/* What was read while the clock was not set is dated on its way out.  payload: the copy.  Returns its length. */
static size_t outbox_correct(const struct record *record, char *payload, int64_t time_ms)
{
	size_t size = OUTBOX_MESSAGE_BYTES - record->topic_n - 1u;
	if (!(record->flags & RECORD_UNSET) || !clock_plausible(time_ms))
		return record->payload_n;
	return payload_date(
		payload, record->payload_n, size, record->flags & RECORD_JSON, record->flags & RECORD_LINE, time_ms);
}

static void outbox_hand_over(
	struct outbox *outbox, const struct choice *choice, int64_t now_us, char *buffer, struct outbox_message *ret)
{
	struct record *record = choice->record;
	bool standing = choice->lane == &outbox->standing, past = outbox_is_past(outbox, record->sequence);
	if (!standing && !(record->flags & RECORD_HANDED) && past)
		record->flags |= RECORD_REPLAYED;
	if (!standing && outbox->replay && past)
		outbox_pace(outbox, now_us);
	record->flags |= RECORD_HANDED;
	memcpy(buffer, record->bytes, record->topic_n + 1u + record->payload_n);
	int64_t time_ms = outbox_date(outbox, record);
	char *payload = buffer + record->topic_n + 1;
	uint32_t expire_s = 0;
	if (record->expire_s) {
		int64_t left_us = (int64_t)record->expire_s * 1000000 - outbox_age_us(record, now_us);
		expire_s = (uint32_t)((left_us + 999999) / 1000000);
	}
	*ret = (struct outbox_message){
		.sequence = record->sequence,
		.message =
			{
				.topic = buffer,
				.payload = payload,
				.payload_n = outbox_correct(record, payload, time_ms),
				.time_ms = time_ms,
				.expire_s = expire_s,
				.qos = record->qos,
				.retain = standing ? record->flags & RECORD_RETAIN
						   : outbox_retains(outbox, record, choice->beside),
				.json = record->flags & RECORD_JSON,
				.line = record->flags & RECORD_LINE,
				.buffer = record->flags & RECORD_BUFFER,
				.kind = standing ? MESSAGE_STANDING : MESSAGE_READING,
			},
		.standing = standing,
		.replayed = record->flags & RECORD_REPLAYED,
		.again = record->flags & RECORD_AGAIN,
	};
}

static bool outbox_fits(const struct outbox_room *room, const struct record *record, bool standing)
{
	return !room || (room->qos[record->qos] && (standing || !room->standing_only));
}

/* Of what was acknowledged. */
static void outbox_write_notes(struct outbox *outbox)
{
	struct acked *acked = atomic_load_explicit(&outbox->acked, memory_order_acquire);
	if (acked)
		acked_write(acked);
}

int outbox_next(struct outbox *outbox, const struct outbox_room *room, void *buffer, struct outbox_message *ret_message)
{
	int64_t now_us = room && room->now_us ? room->now_us : clock_now(outbox->clock);
	struct choice choice;
	outbox_write_notes(outbox); /* before anything new leaves: what a kill repeats is never more than the window */
	pthread_mutex_lock(&outbox->mutex);
	int error = outbox_choose(outbox, now_us, &choice);
	if (error == 0 && !outbox_fits(room, choice.record, choice.lane == &outbox->standing))
		error = -ENOSPC;
	if (error == 0 && lane_take(choice.lane, choice.record) < 0)
		error = -EAGAIN;
	if (error == 0)
		outbox_hand_over(outbox, &choice, now_us, buffer, ret_message);
	/* Not only an idle store: one that waits for its tick with present readings would let the backlog run dry. */
	bool read_on = !outbox->read_asked && outbox_reads_on(outbox);
	if (read_on) {
		outbox->read_asked = true;
		outbox->store_idle = false;
	}
	pthread_mutex_unlock(&outbox->mutex);
	if (read_on)
		outbox_store_wake(outbox);
	return error;
}

int64_t outbox_replay_at(struct outbox *outbox)
{
	pthread_mutex_lock(&outbox->mutex);
	int64_t at_us = outbox->replay_at_us;
	pthread_mutex_unlock(&outbox->mutex);
	return at_us;
}

/* The record in flight with that sequence, and its lane. */
static struct record *outbox_find(struct outbox *outbox, bool standing, uint64_t sequence, struct lane **ret_lane)
{
	*ret_lane = standing ? &outbox->standing : &outbox->readings;
	struct record *record = lane_find(*ret_lane, sequence);
	if (!record && !standing) {
		*ret_lane = &outbox->backlog;
		record = lane_find(*ret_lane, sequence);
	}
	return record;
}

static void outbox_count_end(struct outbox *outbox, enum outbox_end end)
{
	switch (end) {
	case OUTBOX_ACKNOWLEDGED:
		outbox->done++;
		break;
	case OUTBOX_REFUSED:
		outbox->dropped_refused++;
		break;
	case OUTBOX_EXPIRED:
		outbox->dropped_expired++;
		break;
	case OUTBOX_UNSENT:
		outbox->dropped_offline++;
		break;
	}
}

void outbox_done(struct outbox *outbox, bool standing, uint64_t sequence, enum outbox_end end)
{
	int64_t lasted_us = 0;
	char length[LOG_LENGTH_SIZE];
	bool emptied = false, store = false;
	pthread_mutex_lock(&outbox->mutex);
	struct lane *lane;
	struct record *record = outbox_find(outbox, standing, sequence, &lane);
	bool stored = record && record->flags & RECORD_STORED;
	struct acked *acked = stored ? atomic_load_explicit(&outbox->acked, memory_order_acquire) : NULL;
	size_t n_spans = outbox->n_spans, n_owed = outbox->n_owed;
	if (record) {
		outbox_unstore(outbox, record);
		lane_remove(lane, record);
		if (!standing) {
			outbox_count_end(outbox, end);
			emptied = outbox_waiting(outbox) == 0 &&
				  complaint_clear(&outbox->full, clock_now(outbox->clock), &lasted_us, NULL);
		}
	}
	store = (outbox->store_idle && n_spans == 0 && outbox->n_spans > 0) ||
		(n_owed < OUTBOX_OWED && outbox->n_owed >= OUTBOX_OWED);
	uint64_t dropped = outbox->dropped_full;
	pthread_mutex_unlock(&outbox->mutex);
	if (acked)
		acked_note(acked, sequence);
	if (store)
		outbox_store_wake(outbox);
	if (emptied)
		log_notice("buffer: empty again after %s, %llu readings were dropped since start",
			log_length(lasted_us, length), (unsigned long long)dropped);
}

void outbox_back(struct outbox *outbox, bool standing, uint64_t sequence, bool maybe_sent)
{
	pthread_mutex_lock(&outbox->mutex);
	struct lane *lane;
	struct record *record = outbox_find(outbox, standing, sequence, &lane);
	if (record && !outbox->connected && (standing || record->qos == 0)) {
		lane_remove(lane, record);
		outbox->dropped_offline += !standing;
	} else if (record) {
		if (maybe_sent && !standing)
			record->flags |= RECORD_AGAIN;
		if (!(record->flags & RECORD_AGAIN)) /* it never left: its first hand-over is still to come */
			record->flags &= (uint16_t) ~(RECORD_HANDED | RECORD_REPLAYED);
		const struct record *older = lane_gives_way(lane, record);
		if (older) {
			outbox_unstore(outbox, older);
			outbox->dropped_superseded++;
		}
		lane_return(lane, record);
	}
	pthread_mutex_unlock(&outbox->mutex);
}

void outbox_connected(struct outbox *outbox)
{
	pthread_mutex_lock(&outbox->mutex);
	outbox->boundary = outbox->attempted ? outbox->readings.last_sequence + 1 : outbox->born;
	outbox->connected = true;
	outbox->attempted = true;
	if (outbox->live_first)
		lane_split(&outbox->readings, outbox->boundary);
	pthread_mutex_unlock(&outbox->mutex);
}

void outbox_lost(struct outbox *outbox)
{
	outbox_write_notes(outbox);
	pthread_mutex_lock(&outbox->mutex);
	outbox->attempted = true;
	outbox->connected = false;
	outbox->starved = false;
	outbox->dropped_offline += lane_drop_waiting(&outbox->readings, 0);
	lane_drop_waiting(&outbox->standing, 2);
	pthread_mutex_unlock(&outbox->mutex);
}

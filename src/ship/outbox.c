/*
 * The outbox: what is put by the wire threads waits here until the broker has it.
 *
 * Why two lanes: what stands (availability, state, info) is true only now and is told anew on every connect, so it
 * passes all readings, is never kept across a connection and is not counted.  Readings are history: each is kept until
 * it is done, and whatever is dropped is dropped by a written limit and counted under its cause.
 *
 * Invariants: taken == waiting + done + all dropped_…; a message in flight is never dropped by a limit or for a newer
 * one; sequences of a lane leave in ascending order but for those given back, which leave next.
 *
 * `epoch` is the number of the connection in which a message was put, 0 without one.  Before the first attempt has
 * ended it is the number which that connection will get; an attempt that fails uses its number up, so that what was
 * read before it is as much a replay as what was read after it.
 *
 * Threads: the mutex guards everything; clocks are read and the eventfd and the log are written outside of it.
 */
#include "ship/outbox_inner.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Bounds what stands while a broker takes nothing: some 50 000 availabilities. */
#define STANDING_BYTES (8 * (int64_t)1024 * 1024)

static struct outbox *outbox_of(struct message_sink *sink)
{
	return (struct outbox *)(void *)((char *)sink - offsetof(struct outbox, sink));
}

/* Makes room by the rule.  False when the new message has to go; then an older one that it would replace stays. */
static bool outbox_make_room(struct outbox *outbox, const struct message *message, size_t topic_n)
{
	struct lane *lane = &outbox->readings;
	int64_t size = (int64_t)lane_size_of(topic_n, message->payload_n);
	while ((int64_t)lane->live_bytes + size > OUTBOX_WINDOW && outbox_evict(outbox))
		;
	struct record *older = message->latest_only ? lane_latest(lane, message->topic) : NULL;
	bool drops_newest = outbox->when_full == WHEN_FULL_DROP_NEWEST;
	int64_t waiting = (int64_t)lane->live_bytes - (older ? (int64_t)older->size : 0);
	if (size > outbox->max_bytes || (drops_newest && waiting + size > outbox->max_bytes))
		return false;
	if (older) {
		outbox_unstore(outbox, older);
		lane_remove(lane, older);
		outbox->dropped_superseded++;
	}
	while ((int64_t)lane->live_bytes + size > outbox->max_bytes) {
		struct record *oldest = drops_newest ? NULL : lane_first(lane);
		if (!oldest)
			return false;
		outbox_unstore(outbox, oldest);
		lane_remove(lane, oldest);
		outbox->dropped_full++;
	}
	return true;
}

static int outbox_put_reading(struct outbox *outbox, const struct message *message, size_t topic_n, int64_t now_us)
{
	outbox->taken++;
	if (topic_n > MESSAGE_TOPIC_MAX || message->payload_n > MESSAGE_PAYLOAD_MAX) {
		outbox->dropped_refused++;
		return -ENOBUFS;
	}
	if (message->qos == 0 && !outbox->connected) {
		outbox->dropped_offline++;
		return -ENOBUFS;
	}
	struct record *record = NULL;
	if (outbox_make_room(outbox, message, topic_n))
		record = lane_append(&outbox->readings, message, topic_n);
	if (!record) {
		outbox->dropped_full++;
		return -ENOBUFS;
	}
	record->put_us = now_us;
	record->epoch = outbox->epoch;
	return 0;
}

static int outbox_put_standing(struct outbox *outbox, const struct message *message, size_t topic_n, int64_t now_us)
{
	if (!outbox->connected)
		return 0;
	if (topic_n > MESSAGE_TOPIC_MAX || message->payload_n > MESSAGE_PAYLOAD_MAX)
		return -ENOBUFS;
	int64_t size = (int64_t)lane_size_of(topic_n, message->payload_n);
	if ((int64_t)outbox->standing.live_bytes + size > STANDING_BYTES)
		return -ENOBUFS;
	struct record *record = lane_append(&outbox->standing, message, topic_n);
	if (!record)
		return -ENOBUFS;
	record->put_us = now_us;
	return 0;
}

static int outbox_put(struct message_sink *sink, const struct message *message)
{
	struct outbox *outbox = outbox_of(sink);
	size_t topic_n = strlen(message->topic);
	int64_t now_us = clock_now(outbox->clock);
	bool tell = false;
	pthread_mutex_lock(&outbox->mutex);
	int error;
	if (message->kind == MESSAGE_STANDING) {
		error = outbox_put_standing(outbox, message, topic_n, now_us);
	} else {
		uint64_t before = outbox->dropped_full;
		error = outbox_put_reading(outbox, message, topic_n, now_us);
		if (outbox->dropped_full != before)
			tell = complaint_raise(&outbox->full, now_us);
	}
	uint64_t dropped = outbox->dropped_full;
	pthread_mutex_unlock(&outbox->mutex);
	if (tell)
		log_warning("buffer: full, the %s readings are dropped (%llu so far)",
			outbox->when_full == WHEN_FULL_DROP_OLDEST ? "oldest" : "newest", (unsigned long long)dropped);
	return error;
}

/* With sync "0s" a reading leaves only when it is on disk, as long as there is one. */
static bool outbox_may_leave(const struct outbox *outbox, const struct record *record)
{
	return !outbox->store_first || !outbox->journal || record->qos == 0 || !(record->flags & RECORD_BUFFER) ||
	       record->sequence <= outbox->stored_upto;
}

static bool outbox_has_news(struct outbox *outbox)
{
	struct record *reading = lane_first(&outbox->readings);
	return lane_first(&outbox->standing) || lane_first(&outbox->backlog) ||
	       (reading && outbox_may_leave(outbox, reading));
}

void outbox_wake(struct outbox *outbox)
{
	uint64_t one = 1;
	ssize_t written = write(outbox->event_fd, &one, sizeof(one));
	(void)written; /* only a full counter fails, and that is readable already */
}

static void outbox_flush(struct message_sink *sink)
{
	struct outbox *outbox = outbox_of(sink);
	pthread_mutex_lock(&outbox->mutex);
	bool wake = outbox->starved && outbox_has_news(outbox);
	bool store = outbox->store_idle && outbox->readings.last_sequence > outbox->taken_upto;
	if (wake)
		outbox->starved = false;
	if (store)
		outbox->store_idle = false;
	pthread_mutex_unlock(&outbox->mutex);
	if (wake)
		outbox_wake(outbox);
	if (store)
		outbox_store_wake(outbox);
}

int outbox_init(
	const struct plan_buffer *limits, int64_t max_bytes, const struct clock *clock, struct outbox **ret_outbox)
{
	struct outbox *outbox = calloc(1, sizeof(*outbox));
	if (!outbox)
		return -ENOMEM;
	*outbox = (struct outbox){
		.sink = {.put = outbox_put, .flush = outbox_flush},
		.clock = clock,
		.max_bytes = max_bytes,
		.max_age_us = limits->max_age_us,
		.when_full = limits->when_full,
		.epoch = 1,
	};
	if (limits->max_size > 0 && limits->max_size < max_bytes)
		outbox->max_bytes = limits->max_size;
	outbox->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	outbox->store_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (outbox->event_fd < 0 || outbox->store_fd < 0) {
		int error = -errno;
		if (outbox->event_fd >= 0)
			close(outbox->event_fd);
		free(outbox);
		return error;
	}
	pthread_mutex_init(&outbox->mutex, NULL);
	*ret_outbox = outbox;
	return 0;
}

void outbox_destroy(struct outbox *outbox)
{
	if (!outbox)
		return;
	lane_destroy(&outbox->readings);
	lane_destroy(&outbox->standing);
	lane_destroy(&outbox->backlog);
	pthread_mutex_destroy(&outbox->mutex);
	close(outbox->event_fd);
	close(outbox->store_fd);
	free(outbox);
}

struct message_sink *outbox_sink(struct outbox *outbox)
{
	return &outbox->sink;
}

int outbox_fd(const struct outbox *outbox)
{
	return outbox->event_fd;
}

void outbox_fd_clear(struct outbox *outbox)
{
	uint64_t count;
	ssize_t n = read(outbox->event_fd, &count, sizeof(count));
	(void)n; /* -EAGAIN: it was clear */
}

/* What is left of the message's time, in µs; <= 0 when it is over. */
static int64_t outbox_left_us(const struct outbox *outbox, const struct record *record, bool standing, int64_t now_us)
{
	int64_t age_us = now_us - record->put_us, left_us = CLOCK_NEVER;
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

/* The message to hand over next, after removing what is too old; NULL and `starved` when there is none. */
static struct record *outbox_first(struct outbox *outbox, int64_t now_us, struct lane **ret_lane)
{
	struct record *record;
	if (!outbox->connected)
		return NULL;
	while ((record = lane_first(&outbox->standing))) {
		*ret_lane = &outbox->standing;
		if (outbox_left_us(outbox, record, true, now_us) > 0)
			return record;
		lane_remove(&outbox->standing, record);
	}
	while ((record = outbox_oldest(outbox, ret_lane))) {
		if (outbox->journal && outbox->disk_first && outbox->disk_first < record->sequence)
			break; /* older ones have to be read back first */
		if (outbox_left_us(outbox, record, false, now_us) <= 0) {
			outbox_unstore(outbox, record);
			lane_remove(*ret_lane, record);
			outbox->dropped_expired++;
			continue;
		}
		if (!outbox_may_leave(outbox, record))
			break;
		return record;
	}
	outbox->starved = true;
	return NULL;
}

static void outbox_hand_over(struct outbox *outbox, struct record *record, bool standing, int64_t now_us, char *buffer,
	struct outbox_message *ret)
{
	if (!standing && !(record->flags & RECORD_HANDED) && record->epoch != outbox->epoch)
		record->flags |= RECORD_REPLAYED;
	record->flags |= RECORD_HANDED;
	memcpy(buffer, record->bytes, record->topic_n + 1u + record->payload_n);
	uint32_t expire_s = 0;
	if (record->expire_s) {
		int64_t left_us = (int64_t)record->expire_s * 1000000 - (now_us - record->put_us);
		expire_s = (uint32_t)((left_us + 999999) / 1000000);
	}
	*ret = (struct outbox_message){
		.sequence = record->sequence,
		.message =
			{
				.topic = buffer,
				.payload = buffer + record->topic_n + 1,
				.payload_n = record->payload_n,
				.time_ms = record->time_ms,
				.expire_s = expire_s,
				.qos = record->qos,
				.retain = record->flags & RECORD_RETAIN,
				.json = record->flags & RECORD_JSON,
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

int outbox_next(struct outbox *outbox, const struct outbox_room *room, void *buffer, struct outbox_message *ret_message)
{
	int64_t now_us = clock_now(outbox->clock);
	int error = -EAGAIN;
	struct lane *lane;
	pthread_mutex_lock(&outbox->mutex);
	struct record *record = outbox_first(outbox, now_us, &lane);
	bool standing = record && lane == &outbox->standing;
	if (record && !outbox_fits(room, record, standing)) {
		error = -ENOSPC;
	} else if (record && lane_take(lane, record) == 0) {
		outbox_hand_over(outbox, record, standing, now_us, buffer, ret_message);
		error = 0;
	}
	/* Not only an idle store: one that waits for its tick with present readings would let the backlog run dry. */
	bool read_on = !outbox->read_asked && outbox_reads_on(outbox);
	if (read_on)
		outbox->read_asked = true;
	pthread_mutex_unlock(&outbox->mutex);
	if (read_on)
		outbox_store_wake(outbox);
	return error;
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

static uint64_t outbox_waiting(const struct outbox *outbox)
{
	return outbox->readings.n_live + outbox->backlog.n_live + outbox->n_disk;
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
	bool emptied = false;
	pthread_mutex_lock(&outbox->mutex);
	struct lane *lane;
	struct record *record = outbox_find(outbox, standing, sequence, &lane);
	if (record) {
		outbox_unstore(outbox, record);
		lane_remove(lane, record);
		if (!standing) {
			outbox_count_end(outbox, end);
			emptied = outbox_waiting(outbox) == 0 &&
				  complaint_clear(&outbox->full, clock_now(outbox->clock), &lasted_us, NULL);
		}
	}
	uint64_t dropped = outbox->dropped_full;
	pthread_mutex_unlock(&outbox->mutex);
	if (emptied)
		log_notice("buffer: empty again after %lld min, %llu readings were dropped since start",
			(long long)(lasted_us / 60000000), (unsigned long long)dropped);
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
			record->flags &= (uint8_t) ~(RECORD_HANDED | RECORD_REPLAYED);
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
	outbox->connected = true;
	outbox->attempted = true;
	outbox->epoch = ++outbox->n_connections;
	pthread_mutex_unlock(&outbox->mutex);
}

void outbox_lost(struct outbox *outbox)
{
	pthread_mutex_lock(&outbox->mutex);
	if (!outbox->attempted) {
		outbox->attempted = true;
		outbox->n_connections++;
	}
	outbox->connected = false;
	outbox->epoch = 0;
	outbox->starved = false;
	outbox->dropped_offline += lane_drop_waiting(&outbox->readings, 0);
	lane_drop_waiting(&outbox->standing, 2);
	pthread_mutex_unlock(&outbox->mutex);
}

bool outbox_empty(struct outbox *outbox)
{
	pthread_mutex_lock(&outbox->mutex);
	bool empty = outbox_waiting(outbox) == 0 && outbox->standing.n_live == 0;
	pthread_mutex_unlock(&outbox->mutex);
	return empty;
}

bool outbox_settled(struct outbox *outbox)
{
	pthread_mutex_lock(&outbox->mutex);
	bool settled = outbox->standing.n_live == 0;
	pthread_mutex_unlock(&outbox->mutex);
	return settled;
}

void outbox_counts(struct outbox *outbox, struct outbox_counts *ret_counts)
{
	pthread_mutex_lock(&outbox->mutex);
	const struct record *oldest = lane_oldest(outbox->backlog.n_live > 0 ? &outbox->backlog : &outbox->readings);
	*ret_counts = (struct outbox_counts){
		.waiting = outbox_waiting(outbox),
		.waiting_bytes = outbox->readings.live_bytes + outbox->backlog.live_bytes,
		.in_flight = outbox->readings.n_in_flight + outbox->backlog.n_in_flight,
		.oldest_ms = oldest ? oldest->time_ms : 0,
		.taken = outbox->taken,
		.done = outbox->done,
		.dropped_full = outbox->dropped_full,
		.dropped_offline = outbox->dropped_offline,
		.dropped_refused = outbox->dropped_refused,
		.dropped_expired = outbox->dropped_expired,
		.dropped_superseded = outbox->dropped_superseded,
	};
	pthread_mutex_unlock(&outbox->mutex);
}

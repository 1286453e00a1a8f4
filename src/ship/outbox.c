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
#include "ship/outbox.h"
#include "base/log.h"
#include "ship/lane.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Bounds what stands while a broker takes nothing: some 50 000 availabilities. */
#define STANDING_BYTES (8 * (int64_t)1024 * 1024)

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
};

static struct outbox *outbox_of(struct message_sink *sink)
{
	return (struct outbox *)(void *)((char *)sink - offsetof(struct outbox, sink));
}

static struct lane *outbox_lane(struct outbox *outbox, bool standing)
{
	return standing ? &outbox->standing : &outbox->readings;
}

/* Makes room by the rule.  False when the new message has to go; then an older one that it would replace stays. */
static bool outbox_make_room(struct outbox *outbox, const struct message *message, size_t topic_n)
{
	struct lane *lane = &outbox->readings;
	int64_t size = (int64_t)lane_size_of(topic_n, message->payload_n);
	struct record *older = message->latest_only ? lane_latest(lane, message->topic) : NULL;
	bool drops_newest = outbox->when_full == WHEN_FULL_DROP_NEWEST;
	int64_t waiting = (int64_t)lane->live_bytes - (older ? (int64_t)older->size : 0);
	if (size > outbox->max_bytes || (drops_newest && waiting + size > outbox->max_bytes))
		return false;
	if (older) {
		lane_remove(lane, older);
		outbox->dropped_superseded++;
	}
	while ((int64_t)lane->live_bytes + size > outbox->max_bytes) {
		struct record *oldest = drops_newest ? NULL : lane_first(lane);
		if (!oldest)
			return false;
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

static void outbox_flush(struct message_sink *sink)
{
	struct outbox *outbox = outbox_of(sink);
	pthread_mutex_lock(&outbox->mutex);
	bool wake = outbox->starved && (lane_first(&outbox->standing) || lane_first(&outbox->readings));
	if (wake)
		outbox->starved = false;
	pthread_mutex_unlock(&outbox->mutex);
	if (!wake)
		return;
	uint64_t one = 1;
	ssize_t written = write(outbox->event_fd, &one, sizeof(one));
	(void)written; /* only a full counter fails, and that is readable already */
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
	if (outbox->event_fd < 0) {
		int error = -errno;
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
	pthread_mutex_destroy(&outbox->mutex);
	close(outbox->event_fd);
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

/* The message to hand over next, after removing what is too old; NULL and `starved` when there is none. */
static struct record *outbox_first(struct outbox *outbox, int64_t now_us, bool *ret_standing)
{
	if (!outbox->connected)
		return NULL;
	for (int standing = 1; standing >= 0; standing--) {
		struct lane *lane = outbox_lane(outbox, standing);
		struct record *record;
		while ((record = lane_first(lane))) {
			if (outbox_left_us(outbox, record, standing, now_us) > 0) {
				*ret_standing = standing;
				return record;
			}
			lane_remove(lane, record);
			if (!standing)
				outbox->dropped_expired++;
		}
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
	bool standing;
	pthread_mutex_lock(&outbox->mutex);
	struct record *record = outbox_first(outbox, now_us, &standing);
	if (record && !outbox_fits(room, record, standing)) {
		error = -ENOSPC;
	} else if (record && lane_take(outbox_lane(outbox, standing), record) == 0) {
		outbox_hand_over(outbox, record, standing, now_us, buffer, ret_message);
		error = 0;
	}
	pthread_mutex_unlock(&outbox->mutex);
	return error;
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
	struct lane *lane = outbox_lane(outbox, standing);
	struct record *record = lane_find(lane, sequence);
	if (record) {
		lane_remove(lane, record);
		if (!standing) {
			outbox_count_end(outbox, end);
			emptied = lane->n_live == 0 &&
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
	struct lane *lane = outbox_lane(outbox, standing);
	struct record *record = lane_find(lane, sequence);
	if (record && !outbox->connected && (standing || record->qos == 0)) {
		lane_remove(lane, record);
		outbox->dropped_offline += !standing;
	} else if (record) {
		if (maybe_sent && !standing)
			record->flags |= RECORD_AGAIN;
		if (!(record->flags & RECORD_AGAIN)) /* it never left: its first hand-over is still to come */
			record->flags &= (uint8_t) ~(RECORD_HANDED | RECORD_REPLAYED);
		unsigned n_superseded = lane_return(lane, record);
		outbox->dropped_superseded += standing ? 0 : n_superseded;
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
	bool empty = outbox->readings.n_live == 0 && outbox->standing.n_live == 0;
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
	const struct record *oldest = lane_oldest(&outbox->readings);
	*ret_counts = (struct outbox_counts){
		.waiting = outbox->readings.n_live,
		.waiting_bytes = outbox->readings.live_bytes,
		.in_flight = outbox->readings.n_in_flight,
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

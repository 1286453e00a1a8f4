/*
 * The outbox: what is put by the wire threads waits here until the broker has it.  This file: putting, and what holds
 * at all times; outbox_publisher.c: how it leaves; outbox_store.c: how it goes to disk and comes back.
 *
 * Why two lanes: what stands (availability, state, info) is true only now and is told anew on every connect, so it
 * passes all readings, is never kept across a connection and is not counted.  Readings are history: each is kept until
 * it is done, and whatever is dropped is dropped by a written limit and counted under its cause.
 *
 * Invariants: taken == waiting + done + all dropped_…; a message in flight is never dropped by a limit or for a newer
 * one; sequences of a lane leave in ascending order but for those given back, which leave next.
 *
 * Threads: the mutex guards everything; clocks are read (but see outbox_date) and the eventfd and the log are written
 * outside of it.
 */
#include "ship/outbox_inner.h"
#include "base/wake.h"

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

/* While the file has no room and the newest have to go: is there one already that it can't take? */
static bool outbox_is_shut(const struct outbox *outbox, const struct message *message)
{
	struct lane_walk walk;
	return outbox->disk_full && outbox->journal && message->qos > 0 && message->buffer &&
	       lane_after(&outbox->readings, outbox->stored_upto, &walk);
}

/* Makes room by the rule.  False when the new message has to go; then an older one that it would replace stays. */
static bool outbox_make_room(struct outbox *outbox, const struct message *message, size_t topic_n)
{
	struct lane *lane = &outbox->readings;
	int64_t size = (int64_t)lane_size_of(topic_n, message->payload_n);
	outbox_evict(outbox);
	struct record *older = message->latest_only ? lane_latest(lane, message->topic) : NULL;
	bool drops_newest = !outbox_drops_oldest(outbox);
	int64_t waiting = (int64_t)lane->live_bytes - (older ? (int64_t)older->size : 0);
	if (size > outbox->max_bytes || (drops_newest && waiting + size > outbox->max_bytes))
		return false;
	if (!older && outbox_is_shut(outbox, message))
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

/* Which of its topic is the newest, for what is retained. */
static void outbox_note_newest(struct outbox *outbox, const struct record *record)
{
	if (!outbox->newest || !(record->flags & RECORD_RETAIN))
		return;
	ptrdiff_t at = retained_find(outbox->retained, record->bytes);
	if (at >= 0)
		outbox->newest[at] = record->sequence;
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
	if (!clock_plausible(record->time_ms))
		record->flags |= RECORD_UNSET;
	if (record->qos > 0 && record->flags & RECORD_BUFFER)
		outbox->storable = record->sequence;
	outbox_note_newest(outbox, record);
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
	int64_t now_us = message->put_at ? message->put_at : clock_now(outbox->clock);
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
		outbox_tell_full(outbox, dropped);
	return error;
}

bool outbox_drops_oldest(const struct outbox *outbox)
{
	return atomic_load_explicit(&outbox->when_full, memory_order_relaxed) == WHEN_FULL_DROP_OLDEST;
}

void outbox_tell_full(const struct outbox *outbox, uint64_t dropped)
{
	log_warning("buffer: full, the %s readings are dropped (%llu so far)",
		outbox_drops_oldest(outbox) ? "oldest" : "newest", (unsigned long long)dropped);
}

bool outbox_may_leave(const struct outbox *outbox, const struct record *record)
{
	if (!outbox->journal || record->qos == 0 || !(record->flags & RECORD_BUFFER))
		return true;
	return !outbox->store_first || record->sequence <= outbox->stored_upto;
}

static bool outbox_has_news(struct outbox *outbox)
{
	struct record *reading = lane_first(&outbox->readings);
	return lane_first(&outbox->standing) || lane_first(&outbox->backlog) ||
	       (reading && outbox_may_leave(outbox, reading));
}

void outbox_wake(struct outbox *outbox)
{
	wake_up(outbox->event_fd);
}

static void outbox_flush(struct message_sink *sink)
{
	struct outbox *outbox = outbox_of(sink);
	pthread_mutex_lock(&outbox->mutex);
	bool wake = outbox->starved && outbox_has_news(outbox);
	bool store = outbox->store_idle && outbox->storable > outbox->taken_upto;
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

/* What may change while the threads run. */
static void outbox_limit(struct outbox *outbox, const struct plan_buffer *limits, int64_t max_bytes)
{
	outbox->max_bytes = limits->max_size > 0 && limits->max_size < max_bytes ? limits->max_size : max_bytes;
	outbox->max_age_us = limits->max_age_us;
	outbox->replay = limits->replay;
	atomic_store_explicit(&outbox->when_full, (int)limits->when_full, memory_order_relaxed);
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
		.live_first = limits->live_first,
		.born = 1,
		.boundary = 1,
	};
	outbox_limit(outbox, limits, max_bytes);
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
	dates_init(&outbox->dates, clock);
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
	free(outbox->done_spans);
	free(outbox->newest);
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

void outbox_retain_only(struct outbox *outbox, const struct retained *retained)
{
	outbox->retained = retained;
	free(outbox->newest);
	outbox->newest = calloc(retained->n + 1, sizeof(*outbox->newest));
}

int outbox_retain_anew(struct outbox *outbox, const struct retained *retained)
{
	uint64_t *newest = calloc(retained->n + 1, sizeof(*newest));
	if (!newest)
		return -ENOMEM;
	pthread_mutex_lock(&outbox->mutex);
	const struct retained *before = outbox->retained;
	for (size_t i = 0, b = 0; outbox->newest && i < retained->n; i++) {
		while (b < before->n && strcmp(before->topics[b], retained->topics[i]) < 0)
			b++;
		if (b < before->n && strcmp(before->topics[b], retained->topics[i]) == 0)
			newest[i] = outbox->newest[b];
	}
	uint64_t *old = outbox->newest;
	outbox->newest = newest;
	outbox->retained = retained;
	outbox->mapped_upto = outbox->readings.last_sequence;
	pthread_mutex_unlock(&outbox->mutex);
	free(old);
	return 0;
}

void outbox_relimit(struct outbox *outbox, const struct plan_buffer *limits, int64_t max_bytes)
{
	pthread_mutex_lock(&outbox->mutex);
	outbox_limit(outbox, limits, max_bytes);
	pthread_mutex_unlock(&outbox->mutex);
	outbox_wake(outbox); /* what `replay` held back may go */
}

uint64_t outbox_waiting(const struct outbox *outbox)
{
	return outbox->readings.n_live + outbox->backlog.n_live + outbox->n_disk;
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

/* Reads the clock under the mutex, but only for what was read while it was not set. */
int64_t outbox_date(const struct outbox *outbox, const struct record *record)
{
	if (!(record->flags & RECORD_UNSET) || clock_plausible(record->time_ms))
		return record->time_ms;
	int64_t time_ms = dates_of_instant(&outbox->dates, record->put_us);
	return time_ms ? time_ms : record->time_ms;
}

/* Wherever it lies; while nobody has looked at the first row on disk, the oldest in memory. */
static int64_t outbox_oldest_ms(const struct outbox *outbox)
{
	const struct record *back = lane_oldest(&outbox->backlog), *reading = lane_oldest(&outbox->readings);
	const struct record *oldest = !reading || (back && back->sequence < reading->sequence) ? back : reading;
	bool on_disk = outbox->n_disk && outbox->disk_seen && (!oldest || outbox->disk_first < oldest->sequence);
	return on_disk ? outbox->disk_oldest_ms : oldest ? outbox_date(outbox, oldest) : 0;
}

void outbox_counts(struct outbox *outbox, struct outbox_counts *ret_counts)
{
	pthread_mutex_lock(&outbox->mutex);
	*ret_counts = (struct outbox_counts){
		.waiting = outbox_waiting(outbox),
		.waiting_bytes = outbox->readings.live_bytes + outbox->backlog.live_bytes,
		.in_flight = outbox->readings.n_in_flight + outbox->backlog.n_in_flight,
		.oldest_ms = outbox_oldest_ms(outbox),
		.taken = outbox->taken,
		.done = outbox->done,
		.dropped_full = outbox->dropped_full,
		.dropped_offline = outbox->dropped_offline,
		.dropped_refused = outbox->dropped_refused,
		.dropped_expired = outbox->dropped_expired,
		.dropped_superseded = outbox->dropped_superseded,
		.dropped_damaged = outbox->dropped_damaged,
		.dropped_command = outbox->dropped_command,
	};
	pthread_mutex_unlock(&outbox->mutex);
}

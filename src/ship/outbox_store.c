/*
 * The store's side of the outbox.
 *
 * Sequences pass three marks: taken_upto, handed to the store in a batch; stored_upto, committed; and done, whose rows
 * are deleted with a later batch.  A record is flagged STORED when it is taken, so that an acknowledgement that comes
 * while the batch is being written still leads to the deletion of its row.  Only what is committed may leave memory.
 *
 * Losing a deletion costs a duplicate after a restart, never a reading; so a full list of deletions is allowed to
 * forget.
 */
#include "ship/outbox_store.h"
#include "ship/outbox_inner.h"

#include <string.h>
#include <unistd.h>

void outbox_store_wake(struct outbox *outbox)
{
	uint64_t one = 1;
	ssize_t written = write(outbox->store_fd, &one, sizeof(one));
	(void)written; /* only a full counter fails, and that is readable already */
}

/*
 * Ascending and apart, so that there are never more spans than readings in flight between those that are done: QoS 1
 * and 2 side by side are acknowledged in a different order than they were sent.
 */
static void outbox_span(struct outbox *outbox, uint64_t first, uint64_t last, bool may_begin)
{
	struct journal_span *spans = outbox->done_spans;
	size_t at = 0, end = outbox->n_spans; /* at: of the first span behind this one */
	while (at < end) {
		size_t middle = at + (end - at) / 2;
		if (spans[middle].first > first)
			end = middle;
		else
			at = middle + 1;
	}
	bool joins_older = at > 0 && spans[at - 1].last + 1 == first;
	bool joins_newer = at < outbox->n_spans && last + 1 == spans[at].first;
	if (joins_older && joins_newer) {
		spans[at - 1].last = spans[at].last;
		memmove(&spans[at], &spans[at + 1], (--outbox->n_spans - at) * sizeof(spans[0]));
	} else if (joins_older) {
		spans[at - 1].last = last;
	} else if (joins_newer) {
		spans[at].first = first;
	} else if (may_begin && outbox->n_spans < OUTBOX_SPANS) {
		memmove(&spans[at + 1], &spans[at], (outbox->n_spans++ - at) * sizeof(spans[0]));
		spans[at] = (struct journal_span){first, last};
	}
}

void outbox_unstore(struct outbox *outbox, const struct record *record)
{
	/* One that is not on disk begins no span, but joins its neighbours': what is not there does not matter. */
	bool stored = record->flags & RECORD_STORED;
	outbox->n_spanned += stored;
	if (stored || outbox->n_spans)
		outbox_span(outbox, record->sequence, record->sequence, stored);
}

bool outbox_evict(struct outbox *outbox)
{
	struct record *oldest = lane_first(&outbox->readings);
	if (!outbox->journal || !oldest || !(oldest->flags & RECORD_STORED) || oldest->sequence > outbox->stored_upto)
		return false;
	if (!outbox->disk_first || oldest->sequence < outbox->disk_first)
		outbox->disk_first = oldest->sequence;
	if (oldest->sequence > outbox->disk_last)
		outbox->disk_last = oldest->sequence;
	outbox->n_disk++;
	lane_remove(&outbox->readings, oldest);
	return true;
}

void outbox_retain_only(struct outbox *outbox, const struct retained *retained)
{
	outbox->retained = retained;
}

void outbox_journal_opened(
	struct outbox *outbox, uint64_t next, uint64_t first, uint64_t last, uint64_t n, bool store_first)
{
	pthread_mutex_lock(&outbox->mutex);
	if (outbox->readings.last_sequence + 1 < next) {
		outbox->readings.last_sequence = next - 1;
		outbox->taken_upto = outbox->stored_upto = next - 1; /* what is older stays in memory */
	}
	if (last) {
		outbox->disk_first = first;
		outbox->disk_last = last;
		outbox->n_disk = n;
		outbox->taken += n;
	}
	outbox->store_first = store_first;
	outbox->journal = true;
	pthread_mutex_unlock(&outbox->mutex);
}

void outbox_journal_failed(struct outbox *outbox)
{
	pthread_mutex_lock(&outbox->mutex);
	outbox->journal = false;
	outbox->taken_upto = outbox->stored_upto;
	bool wake = outbox->starved;
	outbox->starved = false;
	pthread_mutex_unlock(&outbox->mutex);
	if (wake)
		outbox_wake(outbox);
}

static bool batch_takes(struct outbox_batch *batch, struct record *record)
{
	size_t topic_n = record->topic_n + 1u, n = topic_n + record->payload_n;
	if (batch->n == BATCH_ROWS || batch->n_bytes + n > BATCH_BYTES)
		return false;
	char *bytes = batch->bytes + batch->n_bytes;
	memcpy(bytes, record->bytes, n);
	batch->n_bytes += n;
	batch->rows[batch->n++] = (struct journal_row){
		.sequence = record->sequence,
		.message = {.topic = bytes,
			.payload = bytes + topic_n,
			.payload_n = record->payload_n,
			.time_ms = record->time_ms,
			.expire_s = record->expire_s,
			.qos = record->qos,
			.retain = record->flags & RECORD_RETAIN,
			.json = record->flags & RECORD_JSON,
			.buffer = true,
			.kind = MESSAGE_READING},
		.again = record->flags & RECORD_AGAIN || record->state == RECORD_IN_FLIGHT,
	};
	return true;
}

bool outbox_batch_fill(struct outbox *outbox, int64_t put_before_us, bool flush_done, struct outbox_batch *batch)
{
	batch->n = batch->n_bytes = batch->n_done = 0;
	pthread_mutex_lock(&outbox->mutex);
	batch->upto = outbox->taken_upto;
	struct record *record;
	while ((record = lane_after(&outbox->readings, batch->upto)) && record->put_us <= put_before_us) {
		if (record->qos > 0 && record->flags & RECORD_BUFFER) {
			if (!batch_takes(batch, record))
				break;
			record->flags |= RECORD_STORED;
		}
		batch->upto = record->sequence;
	}
	outbox->taken_upto = batch->upto;
	if (batch->n || flush_done) {
		batch->n_done = outbox->n_spans < BATCH_SPANS ? outbox->n_spans : BATCH_SPANS;
		memcpy(batch->done, outbox->done_spans, batch->n_done * sizeof(batch->done[0]));
		outbox->n_spans -= batch->n_done;
		memmove(outbox->done_spans, outbox->done_spans + batch->n_done,
			outbox->n_spans * sizeof(batch->done[0]));
		if (outbox->n_spans == 0)
			outbox->n_spanned = 0;
	}
	pthread_mutex_unlock(&outbox->mutex);
	return batch->n || batch->n_done;
}

void outbox_batch_stored(struct outbox *outbox, const struct outbox_batch *batch, uint64_t dropped)
{
	pthread_mutex_lock(&outbox->mutex);
	outbox->stored_upto = batch->upto;
	outbox->dropped_full += dropped < outbox->n_disk ? dropped : outbox->n_disk;
	outbox->n_disk -= dropped < outbox->n_disk ? dropped : outbox->n_disk;
	bool wake = outbox->starved && outbox->store_first;
	if (wake)
		outbox->starved = false;
	pthread_mutex_unlock(&outbox->mutex);
	if (wake)
		outbox_wake(outbox);
}

void outbox_batch_failed(struct outbox *outbox, const struct outbox_batch *batch)
{
	pthread_mutex_lock(&outbox->mutex);
	for (size_t i = 0; i < batch->n_done; i++)
		outbox_span(outbox, batch->done[i].first, batch->done[i].last, true);
	outbox->taken_upto = outbox->stored_upto;
	pthread_mutex_unlock(&outbox->mutex);
}

/* Is there something on disk, and room for it?  At least one row then fits. */
bool outbox_reads_on(const struct outbox *outbox)
{
	return outbox->disk_first && outbox->backlog.n_live < OUTBOX_READ_AHEAD &&
	       outbox->backlog.live_bytes < BATCH_BYTES / 2;
}

bool outbox_wants_rows(struct outbox *outbox, uint64_t *ret_first, uint64_t *ret_last)
{
	pthread_mutex_lock(&outbox->mutex);
	bool wants = outbox->connected && outbox_reads_on(outbox);
	outbox->read_asked = false;
	*ret_first = outbox->disk_first;
	*ret_last = outbox->disk_last;
	pthread_mutex_unlock(&outbox->mutex);
	return wants;
}

/* Is the row of that sequence in memory still?  Those in flight stay when newer ones go to disk. */
static bool outbox_remembers(struct outbox *outbox, uint64_t sequence)
{
	const struct record *record = lane_after(&outbox->readings, sequence - 1);
	return record && record->sequence == sequence;
}

bool outbox_take_row(void *user, const struct journal_row *row)
{
	struct outbox *outbox = user;
	int64_t now_us = clock_now(outbox->clock), wall_ms = outbox->clock->wall_ms(outbox->clock);
	pthread_mutex_lock(&outbox->mutex);
	bool more = outbox->backlog.live_bytes < BATCH_BYTES;
	if (more && !outbox_remembers(outbox, row->sequence)) {
		struct record *record =
			lane_append_at(&outbox->backlog, &row->message, strlen(row->message.topic), row->sequence);
		more = record != NULL;
		if (record) {
			/* Its age by the wall clock, if both of its times can be right. */
			int64_t age_ms = wall_ms - row->message.time_ms;
			bool known = age_ms > 0 && clock_plausible(row->message.time_ms);
			record->put_us = known ? now_us - age_ms * 1000 : now_us;
			record->epoch = UINT32_MAX; /* no connection of this process: replayed */
			if (outbox->retained && !retained_has(outbox->retained, row->message.topic))
				record->flags &= (uint8_t)~RECORD_RETAIN; /* of an older map */
			record->flags |= (uint8_t)(RECORD_STORED | (row->again ? RECORD_AGAIN : 0));
			if (outbox->n_disk)
				outbox->n_disk--;
		}
	}
	if (more)
		outbox->disk_first = row->sequence + 1;
	pthread_mutex_unlock(&outbox->mutex);
	return more;
}

void outbox_rows_taken(struct outbox *outbox, bool complete, uint64_t damaged)
{
	pthread_mutex_lock(&outbox->mutex);
	if (complete || outbox->disk_first > outbox->disk_last) {
		outbox->disk_first = outbox->disk_last = 0;
		outbox->taken -= outbox->n_disk; /* an estimate that was too high */
		outbox->n_disk = 0;
	}
	(void)damaged;
	bool wake = outbox->starved;
	outbox->starved = false;
	pthread_mutex_unlock(&outbox->mutex);
	if (wake)
		outbox_wake(outbox);
}

int outbox_store_fd(const struct outbox *outbox)
{
	return outbox->store_fd;
}

void outbox_store_fd_clear(struct outbox *outbox)
{
	uint64_t count;
	ssize_t n = read(outbox->store_fd, &count, sizeof(count));
	(void)n; /* -EAGAIN: it was clear */
}

bool outbox_store_sleeps(struct outbox *outbox)
{
	pthread_mutex_lock(&outbox->mutex);
	bool idle = outbox->readings.last_sequence == outbox->taken_upto || outbox->readings.n_live == 0;
	if (outbox->connected && outbox_reads_on(outbox))
		idle = false;
	if (outbox->readings.n_live == 0)
		outbox->taken_upto = outbox->readings.last_sequence;
	outbox->store_idle = idle;
	pthread_mutex_unlock(&outbox->mutex);
	return idle;
}

bool outbox_is_flowing(struct outbox *outbox, int64_t put_before_us)
{
	pthread_mutex_lock(&outbox->mutex);
	const struct record *oldest = lane_oldest(&outbox->readings);
	bool flowing = outbox->connected && (!oldest || oldest->put_us > put_before_us);
	pthread_mutex_unlock(&outbox->mutex);
	return flowing;
}

/*
 * The store's side of the outbox.
 *
 * Sequences pass three marks: taken_upto, handed to the store in a batch; stored_upto, committed; and done, whose rows
 * are deleted with a later batch.  A record is flagged STORED when it is taken, so that an acknowledgement that comes
 * while the batch is being written still leads to the deletion of its row.  Only what is committed may leave memory.
 *
 * Losing a deletion costs a duplicate after a restart, never a reading; so a list of deletions that can't grow is
 * allowed to forget.  The store is woken when there are OUTBOX_OWED of them; what a kill would lose until they are
 * committed is noted by the publisher (acked.h), so nothing waits for them.
 */
#include "ship/outbox_store.h"
#include "base/wake.h"
#include "ship/outbox_inner.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void outbox_store_wake(struct outbox *outbox)
{
	wake_up(outbox->store_fd);
}

/* Room for one more.  False when there is none: the list then forgets. */
static bool outbox_spans_grow(struct outbox *outbox)
{
	if (outbox->n_spans < outbox->max_spans)
		return true;
	size_t n = outbox->max_spans ? 2 * outbox->max_spans : BATCH_SPANS;
	struct journal_span *grown = n <= OUTBOX_SPANS ? realloc(outbox->done_spans, n * sizeof(*grown)) : NULL;
	if (!grown)
		return false;
	outbox->done_spans = grown;
	outbox->max_spans = n;
	return true;
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
	} else if (may_begin && outbox_spans_grow(outbox)) {
		spans = outbox->done_spans;
		memmove(&spans[at + 1], &spans[at], (outbox->n_spans++ - at) * sizeof(spans[0]));
		spans[at] = (struct journal_span){first, last};
	}
}

void outbox_add_span(struct outbox *outbox, uint64_t first, uint64_t last)
{
	outbox_span(outbox, first, last, true);
}

void outbox_unstore(struct outbox *outbox, const struct record *record)
{
	/* One that is not on disk begins no span, but joins its neighbours': what is not there does not matter. */
	bool stored = record->flags & RECORD_STORED;
	outbox->n_owed += stored;
	if (stored || outbox->n_spans)
		outbox_span(outbox, record->sequence, record->sequence, stored);
}

void outbox_number_from(struct outbox *outbox, uint64_t first)
{
	pthread_mutex_lock(&outbox->mutex);
	outbox->born = outbox->boundary = first;
	outbox->readings.last_sequence = outbox->taken_upto = outbox->stored_upto = first - 1;
	pthread_mutex_unlock(&outbox->mutex);
}

void outbox_journal_opened(
	struct outbox *outbox, uint64_t next, uint64_t first, uint64_t last, uint64_t n, bool store_first)
{
	pthread_mutex_lock(&outbox->mutex);
	bool untouched = outbox->readings.last_sequence + 1 == outbox->born;
	outbox->overtaken = !untouched || outbox->connected;
	if (outbox->readings.last_sequence + 1 < next) {
		if (untouched)
			outbox->born = next;
		if (untouched && !outbox->connected)
			outbox->boundary = next;
		outbox->readings.last_sequence = next - 1;
		if (untouched || outbox->born <= last) /* what is older stays in memory: its numbers may be taken */
			outbox->taken_upto = outbox->stored_upto = next - 1;
	}
	outbox->found_upto = last;
	outbox->disk_first = first;
	outbox->disk_last = last;
	outbox->n_disk = n;
	outbox->taken += n;
	outbox->store_first = store_first;
	outbox->journal = true;
	pthread_mutex_unlock(&outbox->mutex);
}

void outbox_clocks(struct outbox *outbox, const struct journal_clock *clocks, size_t n)
{
	pthread_mutex_lock(&outbox->mutex);
	memcpy(outbox->dates.known, clocks, n * sizeof(*clocks));
	outbox->dates.n_known = n;
	outbox->disk_seen = 0;
	pthread_mutex_unlock(&outbox->mutex);
}

void outbox_notes_in(struct outbox *outbox, struct acked *acked)
{
	atomic_store_explicit(&outbox->acked, acked, memory_order_release);
}

/* Writing a row that is there already changes nothing. */
void outbox_journal_reopened(struct outbox *outbox)
{
	struct lane_walk walk;
	pthread_mutex_lock(&outbox->mutex);
	const struct record *oldest = lane_after(&outbox->readings, outbox->born - 1, &walk);
	if (oldest && oldest->sequence <= outbox->stored_upto)
		outbox->taken_upto = outbox->stored_upto = oldest->sequence - 1;
	outbox->journal = true;
	pthread_mutex_unlock(&outbox->mutex);
}

void outbox_journal_failed(struct outbox *outbox)
{
	pthread_mutex_lock(&outbox->mutex);
	outbox->journal = false;
	outbox->overtaken = outbox->overtaken || outbox->n_disk;
	outbox->taken_upto = outbox->stored_upto;
	bool wake = outbox->starved;
	outbox->starved = false;
	pthread_mutex_unlock(&outbox->mutex);
	if (wake)
		outbox_wake(outbox);
}

static bool batch_takes(struct outbox_batch *batch, const struct record *record, uint64_t boot)
{
	size_t topic_n = record->topic_n + 1u, n = topic_n + record->payload_n;
	if (batch->n == BATCH_ROWS || n > BATCH_BYTES || (batch->n && batch->n_bytes + n > batch->max_bytes))
		return false;
	char *bytes = batch->bytes + batch->n_bytes;
	/* Of a boot that nobody knows there is nothing to correct later. */
	bool unset = record->flags & RECORD_UNSET && boot;
	memcpy(bytes, record->bytes, n);
	batch->n_bytes += n;
	batch->rows[batch->n++] = (struct journal_row){
		.sequence = record->sequence,
		.message = {.topic = bytes,
			.payload = bytes + topic_n,
			.payload_n = record->payload_n,
			.time_ms = record->time_ms,
			.put_at = record->put_us,
			.expire_s = record->expire_s,
			.qos = record->qos,
			.retain = record->flags & RECORD_RETAIN,
			.json = record->flags & RECORD_JSON,
			.line = record->flags & RECORD_LINE,
			.buffer = true,
			.latest_only = record->flags & RECORD_LATEST,
			.kind = MESSAGE_READING},
		.again = record->flags & RECORD_AGAIN || record->state == RECORD_IN_FLIGHT,
		.boot = unset ? boot : 0,
	};
	batch->n_unset += unset;
	return true;
}

bool outbox_batch_fill(struct outbox *outbox, int64_t put_before_us, bool flush_done, struct outbox_batch *batch)
{
	batch->n = batch->n_bytes = batch->n_done = batch->n_unset = 0;
	pthread_mutex_lock(&outbox->mutex);
	batch->upto = outbox->taken_upto;
	struct lane_walk walk;
	struct record *record = lane_after(&outbox->readings, batch->upto, &walk);
	for (; record && record->put_us <= put_before_us; record = lane_walk(&walk)) {
		if (record->qos > 0 && record->flags & RECORD_BUFFER) {
			if (!batch_takes(batch, record, outbox->dates.boot))
				break;
			record->flags |= RECORD_STORED;
		}
		batch->upto = record->sequence;
	}
	if (batch->n == 0)
		outbox->disk_full = false;
	outbox->taken_upto = batch->upto;
	if (outbox->n_spans && (batch->n || flush_done)) {
		batch->n_done = outbox->n_spans < BATCH_SPANS ? outbox->n_spans : BATCH_SPANS;
		memcpy(batch->done, outbox->done_spans, batch->n_done * sizeof(batch->done[0]));
		outbox->n_spans -= batch->n_done;
		memmove(outbox->done_spans, outbox->done_spans + batch->n_done,
			outbox->n_spans * sizeof(batch->done[0]));
	}
	batch->n_owed = outbox->n_spans == 0 ? outbox->n_owed : 0;
	pthread_mutex_unlock(&outbox->mutex);
	return batch->n || batch->n_done;
}

/* Nothing above what is committed has a row. */
static void outbox_untake(struct outbox *outbox, bool no_use)
{
	struct lane_walk walk;
	for (struct record *record = lane_after(&outbox->readings, outbox->stored_upto, &walk); record;
		record = lane_walk(&walk)) {
		if (no_use && record->flags & RECORD_STORED)
			record->flags &= (uint16_t)~RECORD_BUFFER; /* larger than the file: it waits in memory */
		record->flags &= (uint16_t)~RECORD_STORED;
	}
	outbox->taken_upto = outbox->stored_upto;
}

void outbox_batch_stored(struct outbox *outbox, const struct outbox_batch *batch, const struct journal_room *room)
{
	int64_t now_us = clock_now(outbox->clock);
	bool wake = false, tell = false;
	pthread_mutex_lock(&outbox->mutex);
	uint64_t before = outbox->dropped_full;
	outbox->n_owed -= batch->n_owed;
	if (room->deleted_upto)
		outbox_rows_went(outbox, room);
	if (room->n_left_out) {
		outbox_untake(outbox, room->no_use);
		outbox->disk_full = !room->no_use && !outbox_drops_oldest(outbox);
	} else {
		outbox->stored_upto = batch->upto;
		outbox->disk_full = false;
		wake = outbox->starved && outbox->store_first;
	}
	if (wake)
		outbox->starved = false;
	if (outbox->dropped_full != before)
		tell = complaint_raise(&outbox->full, now_us);
	uint64_t dropped = outbox->dropped_full;
	pthread_mutex_unlock(&outbox->mutex);
	if (wake)
		outbox_wake(outbox);
	if (tell)
		outbox_tell_full(outbox, dropped);
}

void outbox_batch_failed(struct outbox *outbox, const struct outbox_batch *batch)
{
	pthread_mutex_lock(&outbox->mutex);
	for (size_t i = 0; i < batch->n_done; i++)
		outbox_add_span(outbox, batch->done[i].first, batch->done[i].last);
	outbox_untake(outbox, false);
	pthread_mutex_unlock(&outbox->mutex);
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
	if (outbox->readings.n_live == 0)
		outbox->taken_upto = outbox->readings.last_sequence;
	bool idle = outbox->storable <= outbox->taken_upto;
	if (outbox->connected && outbox_reads_on(outbox))
		idle = false;
	outbox->store_idle = idle;
	bool sleeps = idle && outbox->n_spans == 0;
	pthread_mutex_unlock(&outbox->mutex);
	return sleeps;
}

bool outbox_has_unsaved(struct outbox *outbox)
{
	struct lane_walk walk;
	pthread_mutex_lock(&outbox->mutex);
	bool has = lane_after(&outbox->readings, outbox->taken_upto, &walk) != NULL;
	pthread_mutex_unlock(&outbox->mutex);
	return has;
}

bool outbox_owes(struct outbox *outbox)
{
	pthread_mutex_lock(&outbox->mutex);
	bool owes = outbox->n_owed >= OUTBOX_OWED;
	pthread_mutex_unlock(&outbox->mutex);
	return owes;
}

bool outbox_is_flowing(struct outbox *outbox, int64_t put_before_us)
{
	struct lane_walk walk;
	pthread_mutex_lock(&outbox->mutex);
	const struct record *oldest = lane_after(&outbox->readings, outbox->stored_upto, &walk);
	bool flowing = outbox->connected && (!oldest || oldest->put_us > put_before_us);
	pthread_mutex_unlock(&outbox->mutex);
	return flowing;
}

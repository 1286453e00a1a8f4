/*
 * Readings that are only on disk: how they leave memory, come back, grow too old, or have to go.
 *
 * They are a range of sequences and a number.  What lies in the range may be in memory all the same (in flight, or the
 * newest of its topic), so each row that is met is looked up.  The number is exact as long as the file is sound; what
 * is missing at the end of the range counts as damaged.
 *
 * Thread: the store's, but for outbox_evict; the mutex guards everything.
 */
#include "ship/outbox_inner.h"

#include <string.h>

/*
 * Is the row of that sequence no longer to be counted or read?  It is in memory, where those in flight stay when newer
 * ones go to disk, or done, and only its deletion is still to come.
 */
static bool outbox_has_passed(struct outbox *outbox, uint64_t sequence)
{
	struct lane_walk walk;
	const struct record *record = lane_after(&outbox->readings, sequence - 1, &walk);
	if (record && record->sequence == sequence)
		return true;
	for (size_t i = 0; i < outbox->n_spans; i++)
		if (outbox->done_spans[i].first <= sequence && sequence <= outbox->done_spans[i].last)
			return true;
	return false;
}

/* May it be on disk only?  One that the broker may have stays, because the row does not say so. */
static bool outbox_evictable(const struct outbox *outbox, const struct record *record)
{
	return record->state == RECORD_WAITING && record->flags & RECORD_STORED &&
	       record->sequence <= outbox->stored_upto &&
	       !(record->flags & (RECORD_HANDED | RECORD_AGAIN | RECORD_LATEST));
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/*
 * In the range of what is only on disk sequences ascend, so nothing that lies before its end may join it.  What passes
 * the backlog stays in memory, or it would be part of it; unless it grows beyond all bounds.
 */
void outbox_evict(struct outbox *outbox)
{
	struct lane *lane = &outbox->readings;
	/* A small part of what the file holds, so that what is in memory is always the newest. */
	int64_t window = outbox->max_bytes / 8 < OUTBOX_WINDOW ? outbox->max_bytes / 8 : OUTBOX_WINDOW;
	if (!outbox->journal || (int64_t)lane->live_bytes <= window || outbox->evict_stuck_at == outbox->stored_upto)
		return;
	int64_t target = window - window / 16;
	bool keeps_live = outbox->live_first && outbox->connected && (int64_t)lane->live_bytes <= 2 * window;
	uint64_t until =
		keeps_live && outbox->boundary <= outbox->stored_upto ? outbox->boundary - 1 : outbox->stored_upto;
	struct lane_walk walk;
	struct record *record = lane_after(lane, larger(outbox->disk_last, outbox->backlog.last_sequence), &walk);
	while (record && record->sequence <= until && (int64_t)lane->live_bytes > target) {
		struct record *oldest = record;
		record = lane_walk(&walk);
		if (!outbox_evictable(outbox, oldest))
			continue;
		if (!outbox->disk_first) {
			outbox->disk_first = outbox->disk_seen = oldest->sequence;
			outbox->disk_oldest_ms = outbox_date(outbox, oldest);
		}
		outbox->disk_last = oldest->sequence;
		outbox->n_disk++;
		lane_remove(lane, oldest);
	}
	if ((int64_t)lane->live_bytes > window)
		outbox->evict_stuck_at = outbox->stored_upto;
}

/*
 * The monotonic instant of its reading: known when the clock was not set in this start of the machine; else by the wall
 * clock, if both of its times can be right; else now, so that nothing grows too old by a time that is not true.
 */
static int64_t put_us_of(struct outbox *outbox, const struct journal_row *row)
{
	if (row->boot && row->boot == outbox->dates.boot)
		return row->message.put_at;
	int64_t age_ms = dates_age_ms(&outbox->dates, dates_of_row(&outbox->dates, row));
	return clock_now(outbox->clock) - age_ms * 1000;
}

/* The row becomes a record at the end of a lane.  Under the mutex. */
static struct record *outbox_recall(
	struct outbox *outbox, struct lane *lane, const struct journal_row *row, int64_t put_us)
{
	struct record *record = lane_append_at(lane, &row->message, strlen(row->message.topic), row->sequence);
	if (!record)
		return NULL;
	record->put_us = put_us;
	record->flags |= (uint16_t)(RECORD_STORED | (row->again ? RECORD_AGAIN : 0));
	if (row->boot)
		record->time_ms = dates_of_row(&outbox->dates, row);
	if (row->boot && (row->boot == outbox->dates.boot || record->time_ms))
		record->flags |= RECORD_UNSET;
	if (outbox->n_disk)
		outbox->n_disk--;
	else
		outbox->taken++; /* more were there than was known */
	return record;
}

bool outbox_take_latest(void *user, const struct journal_row *row)
{
	struct outbox *outbox = user;
	struct lane *lane = &outbox->readings;
	int64_t put_us = put_us_of(outbox, row);
	pthread_mutex_lock(&outbox->mutex);
	uint64_t last_sequence = lane->last_sequence;
	struct record *older = lane_latest(lane, row->message.topic);
	if (older) {
		outbox_unstore(outbox, older);
		lane_remove(lane, older);
		outbox->dropped_superseded++;
	}
	outbox_recall(outbox, lane, row, put_us);
	lane->last_sequence = last_sequence;
	pthread_mutex_unlock(&outbox->mutex);
	return true;
}

/*
 * The rows of a lane up to there are gone from the disk, and what waits in memory goes with them: memory then never
 * holds older ones than the disk.  What is in flight stays.  Returns how many rows there were.
 */
static uint64_t lane_loses_rows(struct lane *lane, uint64_t upto, uint64_t *dropped)
{
	struct lane_walk walk;
	uint64_t n = 0;
	struct record *record = lane_after(lane, 0, &walk), *next;
	for (; record && record->sequence <= upto; record = next) {
		next = lane_walk(&walk);
		if (!(record->flags & RECORD_STORED))
			continue;
		n++;
		record->flags &= (uint16_t)~RECORD_STORED;
		if (record->state == RECORD_WAITING) {
			lane_remove(lane, record);
			(*dropped)++;
		}
	}
	return n;
}

/* How many rows up to there were done and only waited for their deletion. */
static uint64_t outbox_cut_spans(struct outbox *outbox, uint64_t upto)
{
	uint64_t n = 0;
	size_t kept = 0;
	for (size_t i = 0; i < outbox->n_spans; i++) {
		struct journal_span span = outbox->done_spans[i];
		if (span.first <= upto) {
			n += (span.last < upto ? span.last : upto) - span.first + 1;
			span.first = upto + 1;
		}
		if (span.first <= span.last)
			outbox->done_spans[kept++] = span;
	}
	outbox->n_spans = kept;
	return n;
}

/* When nothing is left of the range: what should have been there is lost. */
static void outbox_end_range(struct outbox *outbox)
{
	if (outbox->disk_first <= outbox->disk_last)
		return;
	outbox->dropped_damaged += outbox->n_disk;
	outbox->n_disk = 0;
	outbox->disk_first = outbox->disk_last = 0;
}

void outbox_rows_went(struct outbox *outbox, const struct journal_room *room)
{
	uint64_t upto = room->deleted_upto;
	uint64_t *dropped = &outbox->dropped_full;
	uint64_t known = lane_loses_rows(&outbox->backlog, upto, dropped) +
			 lane_loses_rows(&outbox->readings, upto, dropped) + outbox_cut_spans(outbox, upto);
	uint64_t lost = room->n_deleted > known ? room->n_deleted - known : 0;
	if (lost > outbox->n_disk)
		lost = outbox->n_disk;
	outbox->n_disk -= lost;
	outbox->dropped_full += lost;
	if (outbox->disk_first && outbox->disk_first <= upto) {
		outbox->disk_first = upto + 1;
		outbox->disk_seen = 0;
	}
	outbox_end_range(outbox);
}

bool outbox_wants_look(struct outbox *outbox, bool again, uint64_t *ret_first, uint64_t *ret_last)
{
	pthread_mutex_lock(&outbox->mutex);
	bool wants = outbox->disk_first && (!outbox->disk_seen || again);
	*ret_first = outbox->disk_first;
	*ret_last = outbox->disk_last;
	pthread_mutex_unlock(&outbox->mutex);
	return wants;
}

bool outbox_look_at(void *user, const struct journal_row *row)
{
	struct outbox *outbox = user;
	int64_t age_us = clock_now(outbox->clock) - put_us_of(outbox, row);
	pthread_mutex_lock(&outbox->mutex);
	bool over = outbox->max_age_us > 0 && age_us >= outbox->max_age_us;
	if (over && !outbox_has_passed(outbox, row->sequence)) {
		struct journal_span *last = outbox->n_spans ? &outbox->done_spans[outbox->n_spans - 1] : NULL;
		if (last && last->last + 1 == outbox->disk_first)
			last->last = row->sequence; /* nothing lies between */
		else
			outbox_add_span(outbox, row->sequence, row->sequence);
		outbox->dropped_expired++;
		if (outbox->n_disk)
			outbox->n_disk--;
		else
			outbox->taken++;
	}
	if (over)
		outbox->disk_first = row->sequence + 1;
	outbox->disk_seen = over ? 0 : outbox->disk_first;
	outbox->disk_oldest_ms = dates_of_row(&outbox->dates, row);
	outbox_end_range(outbox);
	pthread_mutex_unlock(&outbox->mutex);
	return over;
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
	outbox->row_left = false;
	pthread_mutex_unlock(&outbox->mutex);
	return wants;
}

/* A row of a file that was opened late may have been passed by a newer one of its topic already. */
static bool outbox_is_passed(const struct outbox *outbox, const struct journal_row *row)
{
	if (!row->message.latest_only)
		return false;
	if (lane_latest(&outbox->readings, row->message.topic))
		return true;
	ptrdiff_t at = outbox->newest ? retained_find(outbox->retained, row->message.topic) : -1;
	return at >= 0 && outbox->newest[at] > row->sequence;
}

bool outbox_take_row(void *user, const struct journal_row *row)
{
	struct outbox *outbox = user;
	int64_t put_us = put_us_of(outbox, row);
	pthread_mutex_lock(&outbox->mutex);
	bool more = outbox->backlog.live_bytes < BATCH_BYTES;
	if (more && !outbox_has_passed(outbox, row->sequence)) {
		struct journal_row kept = *row;
		kept.message.latest_only = false;
		struct record *record = outbox_recall(outbox, &outbox->backlog, &kept, put_us);
		more = record != NULL;
		if (record && outbox_is_passed(outbox, row)) {
			outbox_unstore(outbox, record);
			lane_remove(&outbox->backlog, record);
			outbox->dropped_superseded++;
		}
	}
	outbox->row_left = !more;
	if (more) {
		outbox->disk_first = row->sequence + 1;
		outbox->disk_seen = 0;
	}
	pthread_mutex_unlock(&outbox->mutex);
	return more;
}

void outbox_rows_taken(struct outbox *outbox, uint64_t read_upto, uint64_t damaged)
{
	pthread_mutex_lock(&outbox->mutex);
	uint64_t lost = damaged > outbox->n_disk ? outbox->n_disk : damaged;
	outbox->n_disk -= lost;
	outbox->dropped_damaged += lost;
	if (!outbox->row_left && read_upto >= outbox->disk_first && outbox->disk_first)
		outbox->disk_first = read_upto + 1;
	outbox_end_range(outbox);
	bool wake = outbox->starved;
	outbox->starved = false;
	pthread_mutex_unlock(&outbox->mutex);
	if (wake)
		outbox_wake(outbox);
}

/*
 * Looking at the outbox and dropping from it.  See outbox_view.h.
 *
 * Why by the rows and not by what the outbox remembers of them: of a reading that is only on disk memory knows no more
 * than that it is there.  So the rows are walked, each is laid beside what memory has at or below its sequence, and
 * memory's word counts: there it may be in flight, or done with its row still to be deleted.
 *
 * Why dropping deletes rows at once: a list of deletions in memory is allowed to forget, which costs a duplicate; here
 * it would bring back what somebody wanted gone.  A row that is on disk alone is counted when its deletion is
 * committed; one that is in memory as well leaves that first, so that it cannot go in flight meanwhile.
 *
 * Invariant: taken == waiting + done + all dropped_…, after each lock.  Thread: see outbox_view.h; the mutex is taken
 * for one message at a time.
 */
#include "ship/outbox_view.h"
#include "model/topic.h"
#include "ship/outbox_inner.h"

#include <errno.h>
#include <string.h>

/* One pull under way. */
struct pass {
	struct outbox_view *view;
	struct outbox *outbox;
	struct journal *journal;
	struct dates dates; /* of the file, when there is no outbox */
};

static bool outbox_view_matches(const struct outbox_view *view, const char *topic)
{
	return view->filter[0] == '\0' || topic_matches(view->filter, topic);
}

/* Has the view no room for one more, or has it looked at enough? */
static bool outbox_view_full(const struct outbox_view *view)
{
	return view->n == OUTBOX_VIEW_MESSAGES || view->n_spans == OUTBOX_VIEW_SPANS ||
	       view->n_bytes >= OUTBOX_VIEW_FULL || view->n_looks >= OUTBOX_VIEW_LOOKS;
}

/* unset: it was read while the clock was not set, and is shown as it will be published. */
static void outbox_view_copy(struct outbox_view *view, const struct message *message, bool unset)
{
	size_t topic_n = strlen(message->topic) + 1;
	char *topic = view->bytes + view->n_bytes, *payload = topic + topic_n;
	memcpy(topic, message->topic, topic_n);
	if (message->payload_n)
		memcpy(payload, message->payload, message->payload_n);
	size_t n = message->payload_n;
	if (unset && clock_plausible(message->time_ms))
		n = payload_date(payload, n, n + PAYLOAD_DATE_GROWS, message->json, message->line, message->time_ms);
	view->n_bytes += topic_n + n;
	view->messages[view->n++] = (struct outbox_view_message){.topic = topic,
		.payload = payload,
		.payload_n = n,
		.time_ms = message->time_ms,
		.qos = message->qos,
		.retain = message->retain};
}

/* Notes a message that matches. */
static void outbox_view_note(struct outbox_view *view, const struct message *message, bool unset)
{
	if (message->time_ms && (view->oldest_ms == 0 || message->time_ms < view->oldest_ms))
		view->oldest_ms = message->time_ms;
	if (view->kind == OUTBOX_VIEW_COPY)
		outbox_view_copy(view, message, unset);
}

static void outbox_view_span(struct outbox_view *view, uint64_t sequence, bool remembered)
{
	size_t n = view->n_spans;
	if (n && view->spans[n - 1].last + 1 == sequence && view->remembered[n - 1] == remembered) {
		view->spans[n - 1].last = sequence;
		return;
	}
	view->spans[n] = (struct journal_span){sequence, sequence};
	view->remembered[n] = remembered;
	view->n_spans++;
}

/* The first reading in memory above a sequence, and its lane.  Under the mutex. */
static struct record *outbox_view_after(struct outbox *outbox, uint64_t sequence, struct lane **ret_lane)
{
	struct lane *const lanes[] = {&outbox->backlog, &outbox->readings};
	struct record *first = NULL;
	for (size_t i = 0; i < sizeof(lanes) / sizeof(lanes[0]); i++) {
		struct lane_walk walk;
		struct record *record = lane_after(lanes[i], sequence, &walk);
		if (record && (!first || record->sequence < first->sequence)) {
			first = record;
			*ret_lane = lanes[i];
		}
	}
	return first;
}

/* A reading in memory goes.  Under the mutex. */
static void outbox_view_drop(struct pass *pass, struct lane *lane, struct record *record)
{
	if (pass->journal && record->flags & RECORD_STORED)
		outbox_view_span(pass->view, record->sequence, true);
	else
		outbox_unstore(pass->outbox, record); /* deleted when the journal is back */
	lane_remove(lane, record);
	pass->outbox->dropped_command++;
}

/* Under the mutex. */
static void outbox_view_record(struct pass *pass, struct lane *lane, struct record *record)
{
	struct outbox_view *view = pass->view;
	view->after = record->sequence;
	view->n_looks++;
	if (!outbox_view_matches(view, record->bytes))
		return;
	struct message message = {.topic = record->bytes,
		.payload = record->bytes + record->topic_n + 1,
		.payload_n = record->payload_n,
		.time_ms = outbox_date(pass->outbox, record),
		.qos = record->qos,
		.retain = record->flags & RECORD_RETAIN,
		.json = record->flags & RECORD_JSON,
		.line = record->flags & RECORD_LINE};
	outbox_view_note(view, &message, record->flags & RECORD_UNSET);
	if (record->state == RECORD_IN_FLIGHT) {
		view->n_in_flight++;
		return;
	}
	view->n_waiting++;
	if (view->kind == OUTBOX_VIEW_DROP)
		outbox_view_drop(pass, lane, record);
}

/* Looks at what memory has up to a sequence.  False when the view is full before. */
static bool outbox_view_memory(struct pass *pass, uint64_t upto)
{
	struct outbox *outbox = pass->outbox;
	bool more = outbox != NULL;
	while (more) {
		if (outbox_view_full(pass->view))
			return false;
		pthread_mutex_lock(&outbox->mutex);
		struct lane *lane = NULL;
		struct record *record = outbox_view_after(outbox, pass->view->after, &lane);
		more = record && record->sequence <= upto;
		if (more)
			outbox_view_record(pass, lane, record);
		pthread_mutex_unlock(&outbox->mutex);
	}
	return true;
}

/* Is it done, and its row only not deleted yet? */
static bool outbox_view_is_done(struct outbox *outbox, uint64_t sequence)
{
	bool done = false;
	if (!outbox)
		return false;
	pthread_mutex_lock(&outbox->mutex);
	for (size_t i = 0; i < outbox->n_spans && !done; i++)
		done = sequence >= outbox->done_spans[i].first && sequence <= outbox->done_spans[i].last;
	pthread_mutex_unlock(&outbox->mutex);
	return done;
}

/* One row of the journal (user is the pass).  False when the view is full before it. */
static bool outbox_view_row(void *user, const struct journal_row *row)
{
	struct pass *pass = user;
	struct outbox_view *view = pass->view;
	if (!outbox_view_memory(pass, row->sequence))
		return false;
	if (view->after == row->sequence) /* memory has it */
		return true;
	if (outbox_view_full(view))
		return false;
	view->after = row->sequence;
	view->n_looks++;
	if (!outbox_view_matches(view, row->message.topic) || outbox_view_is_done(pass->outbox, row->sequence))
		return true;
	struct message message = row->message;
	message.time_ms = dates_of_row(pass->outbox ? &pass->outbox->dates : &pass->dates, row);
	outbox_view_note(view, &message, row->boot != 0);
	view->n_waiting++;
	if (view->kind == OUTBOX_VIEW_DROP) {
		view->n_rows++;
		outbox_view_span(view, row->sequence, false);
	}
	return true;
}

/* The rows are still there: those of what has left memory are to be deleted later.  Under the mutex. */
static void outbox_view_keep_spans(struct outbox *outbox, const struct outbox_view *view)
{
	for (size_t i = 0; i < view->n_spans; i++)
		if (view->remembered[i])
			outbox_add_span(outbox, view->spans[i].first, view->spans[i].last);
}

/* Deletes the rows of what was dropped, and counts those that were on disk alone. */
static int outbox_view_delete(struct pass *pass)
{
	struct outbox_view *view = pass->view;
	struct outbox *outbox = pass->outbox;
	uint64_t none = 0;
	if (!view->n_spans)
		return 0;
	int error = journal_write(pass->journal, view->spans, view->n_spans, NULL, 0, false, &none);
	if (error)
		view->n_waiting -= view->n_rows;
	if (!outbox)
		return error;
	pthread_mutex_lock(&outbox->mutex);
	if (error) {
		outbox_view_keep_spans(outbox, view);
	} else {
		uint64_t known = view->n_rows < outbox->n_disk ? view->n_rows : outbox->n_disk;
		outbox->taken += view->n_rows - known; /* more were there than was known */
		outbox->n_disk -= known;
		outbox->dropped_command += view->n_rows;
		outbox->disk_seen = 0;
		if (outbox->n_disk == 0)
			outbox->disk_first = outbox->disk_last = 0;
	}
	pthread_mutex_unlock(&outbox->mutex);
	return error;
}

/* Are there messages that nobody can look at now, because the file does not work? */
static bool outbox_view_misses(struct outbox *outbox, const struct journal *journal)
{
	if (!outbox || journal)
		return false;
	pthread_mutex_lock(&outbox->mutex);
	bool misses = outbox->n_disk > 0;
	pthread_mutex_unlock(&outbox->mutex);
	return misses;
}

int outbox_view_pull(struct outbox_view *view, struct outbox *outbox, struct journal *journal)
{
	struct pass pass = {.view = view, .outbox = outbox, .journal = journal};
	int n = 0;
	if (!outbox) {
		dates_init(&pass.dates, &clock_system);
		n = journal_clocks(journal, pass.dates.known, &pass.dates.n_known);
	}
	view->ended = false;
	view->error = 0;
	view->n_waiting = view->n_in_flight = view->n_damaged = view->n_rows = 0;
	view->oldest_ms = 0;
	view->n = view->n_spans = view->n_bytes = view->n_looks = 0;
	if (journal && n == 0)
		n = journal_peek(journal, view->after + 1, INT64_MAX, OUTBOX_VIEW_LOOKS, outbox_view_row, &pass,
			&view->n_damaged);
	if (n < 0)
		view->error = n;
	else if (n == 0 && !outbox_view_full(view)) /* after rows comes another pull: they may have ended in an error */
		view->ended = outbox_view_memory(&pass, UINT64_MAX);
	int error = outbox_view_delete(&pass);
	if (view->ended && outbox_view_misses(outbox, journal))
		error = -EIO;
	if (error && !view->error)
		view->error = error;
	return view->error;
}

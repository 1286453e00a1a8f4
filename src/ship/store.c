/*
 * When what goes to disk.
 *
 * While the broker acknowledges promptly, a reading is done before it is half of `sync` old and is never written: the
 * store ticks every half of `sync` and takes only what is older than that.  Without a broker, or when it is slow, it
 * ticks every `sync` and takes everything.  Either way at most `sync` of readings is at risk.  With sync 0 it commits
 * whatever has come while it was busy, and readings leave only when they are on disk.
 *
 * What is done on disk is deleted there within a second, or as soon as there is much of it (outbox_owes): what a power
 * cut leaves undeleted is published again.  A kill is another matter: see acked.h.
 *
 * A disk that fails stops nothing: readings stay in memory, the journal is opened anew (a failed sync must not be
 * trusted to succeed the second time) after 1, 2, 4 .. 60 s.
 *
 * Thread: its own, but for stop, join and status.
 */
#include "ship/store.h"
#include "base/backoff.h"
#include "base/log.h"
#include "base/thread.h"
#include "ship/acked.h"
#include "ship/dates.h"
#include "ship/journal.h"
#include "ship/outbox_store.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define RESERVE       ((uint64_t)1 << 30) /* sequences; a second's worth by the wall clock */
#define DONE_AFTER_US 1000000
#define LOOK_AFTER_US 10000000
#define IDLE_US       5000000
#define ALIVE_US      60000000 /* a sync on a worn card takes seconds */
#define SETTLE_TURNS  4000
#define READ_ROWS     1000
#define CLOCK_SAME_MS 1000
#define KEPT_BYTES    524288 /* of a file for a batch and for what a deletion writes; not quite half of a small one */

struct store {
	const struct plan_buffer *buffer;
	struct outbox *outbox;
	const struct clock *clock;
	struct journal *journal;
	struct acked *acked;                                            /* NULL = none could be made */
	int (*serve)(struct inquiry *inquiry, struct journal *journal); /* NULL = nobody asks */
	struct inquiry *inquiry;
	bool opened_once, no_room;
	uint64_t boot;
	struct journal_clock clock_noted; /* of this boot; boot 0 = none */
	uint64_t born;                    /* sequences from the wall clock begin here */
	struct outbox_batch *batch;
	int64_t next_write_us, next_done_us, next_look_us, retry_us;
	struct backoff backoff;
	struct complaint down, rotten;
	struct thread thread;
	_Atomic int stopping;
	_Atomic int64_t alive_until, bytes, max_bytes;
	_Atomic int durable;
	_Atomic uint64_t rows_written, commits, damaged;
};

/* Readings on disk that can't be read: many at a time, when a card wears out. */
static void store_tell_damaged(struct store *store, uint64_t damaged, int64_t now_us)
{
	uint64_t all = atomic_fetch_add_explicit(&store->damaged, damaged, memory_order_relaxed) + damaged;
	if (damaged && complaint_raise(&store->rotten, now_us))
		log_warning("buffer: damaged readings are lost, %" PRIu64 " since start", all);
}

static void store_tell_found(const struct store *store, const struct journal_found *found)
{
	if (found->set_aside)
		log_warning("buffer: %s could not be used and is now %s; %" PRIu64 " readings were rescued from it",
			store->buffer->path, found->aside, found->rescued);
	if (found->short_kb)
		log_warning("buffer: %s: the disk has no room for all of max_size, only for %" PRId64 " kB",
			store->buffer->path, found->short_kb);
	if (found->unreserved)
		log_warning("buffer: %s: the disk has no space that could be kept for it", store->buffer->path);
}

/* The first time the file takes its place in the order: above all that was ever in it, and above the wall clock. */
static int store_reserve(struct journal *journal, uint64_t born, uint64_t *ret_next)
{
	uint64_t next = 0, moved = 0;
	int error = journal_reserve(journal, RESERVE, &next);
	if (error == 0 && next < born)
		error = journal_reserve(journal, born - next, &moved);
	if (error == 0)
		*ret_next = next < born ? born : next;
	return error;
}

/* What earlier starts of the machine, or earlier processes of this one, have noted of the clock. */
static int store_know_clocks(struct store *store, bool has_rows)
{
	struct journal_clock clocks[JOURNAL_CLOCKS];
	size_t n = 0;
	int error = journal_clocks(store->journal, clocks, &n);
	if (error == 0 && n && !has_rows && !store->opened_once) {
		error = journal_forget_clocks(store->journal);
		n = 0;
	}
	if (error)
		return error;
	store->clock_noted = (struct journal_clock){0};
	for (size_t i = 0; i < n; i++)
		if (store->boot && clocks[i].boot == store->boot)
			store->clock_noted = clocks[i];
	outbox_clocks(store->outbox, clocks, n);
	return 0;
}

/*
 * Rows that were read while the clock is not set need a note before they are there, and another one when it is set, or
 * set better.
 */
static int store_note_clock(struct store *store, bool unset_rows)
{
	if (!store->boot || (!unset_rows && !store->clock_noted.boot))
		return 0;
	struct journal_clock now = {store->boot, dates_offset_ms(store->clock)};
	int64_t moved_ms = now.offset_ms - store->clock_noted.offset_ms;
	if (store->clock_noted.boot && (!now.offset_ms || (moved_ms <= CLOCK_SAME_MS && -moved_ms <= CLOCK_SAME_MS)))
		return 0;
	int error = journal_note_clock(store->journal, &now);
	if (error == 0)
		store->clock_noted = now;
	if (error == 0)
		error = store_know_clocks(store, true);
	return error;
}

static void store_opened_first(struct store *store, const struct journal_found *found, uint64_t next, bool early)
{
	uint64_t damaged = 0;
	outbox_journal_opened(store->outbox, next, found->first, found->last, found->rows, store->buffer->sync_us == 0);
	if (early)
		journal_read_latest(store->journal, outbox_take_latest, store->outbox, &damaged);
	store->opened_once = true;
}

/* After the journal.  Without it a kill only repeats more. */
static void store_open_acked(struct store *store)
{
	if (store->acked) {
		acked_begin(store->acked, journal_opening(store->journal));
		return;
	}
	int error = acked_open(journal_path(store->journal), journal_opening(store->journal), &store->acked);
	if (error)
		log_debug("buffer: what is acknowledged can't be noted in %s-acks: %s", store->buffer->path,
			strerror(-error));
	else
		outbox_notes_in(store->outbox, store->acked);
}

static void store_measure(struct store *store)
{
	struct journal_size size;
	journal_size(store->journal, &size);
	atomic_store_explicit(&store->bytes, size.bytes, memory_order_relaxed);
	atomic_store_explicit(&store->max_bytes, size.max_bytes, memory_order_relaxed);
}

/* early: nothing was put yet. */
static int store_open(struct store *store, bool early)
{
	struct journal_found found = {0};
	struct journal *journal = NULL;
	uint64_t next = 0;
	int error = journal_open(store->buffer->path, store->buffer->max_size, &journal, &found);
	if (error == 0 && !store->opened_once)
		error = store_reserve(journal, store->born, &next);
	if (error) {
		journal_close(journal);
		return error;
	}
	store_tell_found(store, &found);
	store_tell_damaged(store, found.damaged, clock_now(store->clock));
	store->journal = journal;
	error = store_know_clocks(store, found.rows > 0);
	if (error) {
		journal_close(journal);
		store->journal = NULL;
		return error;
	}
	store_open_acked(store);
	atomic_store_explicit(&store->durable, 1, memory_order_relaxed);
	store_measure(store);
	size_t part = (size_t)(atomic_load_explicit(&store->max_bytes, memory_order_relaxed) / 8);
	store->batch->max_bytes = part < BATCH_BYTES ? part : BATCH_BYTES;
	if (store->opened_once)
		outbox_journal_reopened(store->outbox);
	else
		store_opened_first(store, &found, next, early);
	return 0;
}

static void store_failed(struct store *store, int error, int64_t now_us)
{
	journal_close(store->journal);
	store->journal = NULL;
	atomic_store_explicit(&store->durable, 0, memory_order_relaxed);
	store->retry_us = now_us + backoff_next(&store->backoff);
	outbox_journal_failed(store->outbox);
	if (complaint_raise(&store->down, now_us))
		log_error("buffer: %s: %s; readings wait in memory", store->buffer->path,
			error == -EBADMSG ? "the file is damaged" : strerror(-error));
}

static void store_recover(struct store *store, int64_t now_us)
{
	int64_t lasted_us;
	char length[LOG_LENGTH_SIZE];
	int error = store_open(store, false);
	if (error) {
		store_failed(store, error, now_us);
		return;
	}
	backoff_reset(&store->backoff);
	if (complaint_clear(&store->down, now_us, &lasted_us, NULL))
		log_notice("buffer: %s works again after %s", store->buffer->path, log_length(lasted_us, length));
}

/* Writes one batch.  1 when it was a full one, 0, or -errno. */
static int store_write(struct store *store, int64_t put_before_us, bool flush_done)
{
	struct outbox_batch *batch = store->batch;
	struct journal_room room = {0};
	uint64_t dropped = 0;
	bool something = outbox_batch_fill(store->outbox, put_before_us, flush_done, batch);
	int error = 0;
	if (something)
		error = store_note_clock(store, batch->n_unset > 0);
	if (something && error == 0)
		error = journal_write(store->journal, batch->done, batch->n_done, batch->rows, batch->n,
			outbox_drops_oldest(store->outbox), &dropped);
	if (error) {
		outbox_batch_failed(store->outbox, batch);
		return error;
	}
	if (something)
		journal_room(store->journal, &room);
	outbox_batch_stored(store->outbox, batch, &room);
	if (something) {
		atomic_fetch_add_explicit(
			&store->rows_written, batch->n - (size_t)room.n_left_out, memory_order_relaxed);
		atomic_fetch_add_explicit(&store->commits, 1, memory_order_relaxed);
		store_measure(store);
	}
	store->no_room = room.n_left_out && !room.no_use;
	if (store->no_room)
		return 0; /* until something is done, or too old */
	return batch->n >= BATCH_ROWS / 2 || batch->n_bytes > batch->max_bytes / 2 || batch->n_done == BATCH_SPANS;
}

static int store_read(struct store *store)
{
	uint64_t first, last, damaged = 0;
	if (!outbox_wants_rows(store->outbox, &first, &last))
		return 0;
	int n = journal_read(store->journal, first, last, READ_ROWS, outbox_take_row, store->outbox, &damaged);
	store_tell_damaged(store, damaged, clock_now(store->clock));
	if (n < 0)
		return n;
	outbox_rows_taken(store->outbox, n == 0 ? last : 0, damaged);
	return 0;
}

/* What is only on disk grows old there, also while no broker asks for it. */
static int store_look(struct store *store, int64_t now_us)
{
	uint64_t first, last, damaged = 0;
	bool again = now_us >= store->next_look_us;
	if (again)
		store->next_look_us = now_us + LOOK_AFTER_US;
	if (!outbox_wants_look(store->outbox, again, &first, &last))
		return 0;
	int n = journal_read(store->journal, first, last, READ_ROWS, outbox_look_at, store->outbox, &damaged);
	return n < 0 ? n : 0;
}

/* owes: what is done goes at once. */
static int store_tick(struct store *store, int64_t now_us, bool owes)
{
	int64_t sync_us = store->buffer->sync_us, age_us = 0, every_us = sync_us;
	if (sync_us > 0 && outbox_is_flowing(store->outbox, now_us - sync_us))
		age_us = every_us = sync_us / 2;
	bool flush_done = owes || now_us >= store->next_done_us;
	if (flush_done)
		store->next_done_us = now_us + DONE_AFTER_US;
	int full = 0;
	do
		full = store_write(store, now_us - age_us, flush_done);
	while (full > 0);
	store->next_write_us = now_us + every_us;
	return full;
}

int64_t store_step(struct store *store, int64_t now_us)
{
	atomic_store_explicit(&store->alive_until, now_us + ALIVE_US, memory_order_relaxed);
	outbox_store_fd_clear(store->outbox);
	if (!store->journal && now_us >= store->retry_us)
		store_recover(store, now_us);
	int error = store->serve ? store->serve(store->inquiry, store->journal) : 0;
	if (!store->journal)
		return store->retry_us;
	if (error == 0)
		error = store_note_clock(store, false);
	if (error == 0)
		error = store_read(store);
	if (error == 0)
		error = store_look(store, now_us);
	bool owes = outbox_owes(store->outbox);
	if (error == 0 && (now_us >= store->next_write_us || store->buffer->sync_us == 0))
		error = store_tick(store, now_us, owes);
	else if (error == 0 && owes)
		error = store_write(store, INT64_MIN, true);
	if (error < 0) {
		store_failed(store, error, now_us);
		return store->retry_us;
	}
	if (outbox_owes(store->outbox))
		return now_us;
	if (outbox_store_sleeps(store->outbox))
		return now_us + IDLE_US;
	if (store->buffer->sync_us > 0)
		return store->next_write_us;
	return outbox_has_unsaved(store->outbox) && !store->no_room ? now_us : now_us + DONE_AFTER_US;
}

/* At the end: everything that waits, whatever its age. */
static void store_settle(struct store *store)
{
	int more = 1;
	for (int turn = 0; store->journal && more > 0 && turn < SETTLE_TURNS; turn++)
		more = store_write(store, CLOCK_NEVER, true);
	if (more < 0)
		log_error("buffer: %s: %s; what waited in memory is lost", store->buffer->path, strerror(-more));
	journal_close(store->journal);
	store->journal = NULL;
}

static void store_run(void *user)
{
	struct store *store = user;
	while (!atomic_load_explicit(&store->stopping, memory_order_relaxed)) {
		int64_t wake_us = store_step(store, clock_now(store->clock));
		int64_t wait_us = wake_us - clock_now(store->clock);
		struct pollfd woken = {.fd = outbox_store_fd(store->outbox), .events = POLLIN};
		if (wait_us > 0)
			poll(&woken, 1, (int)((wait_us + 999) / 1000));
	}
	store_settle(store);
	atomic_store_explicit(&store->alive_until, CLOCK_NEVER, memory_order_relaxed);
}

/* A million sequences a millisecond: what a process puts lies above what others have put before it. */
static uint64_t sequence_of(int64_t wall_ms)
{
	const int64_t most = (int64_t)1 << 42; /* the year 2109 */
	if (wall_ms < 0 || wall_ms > most)
		wall_ms = 0;
	return ((uint64_t)wall_ms << 20) + 1;
}

int store_init(
	const struct plan_buffer *buffer, struct outbox *outbox, const struct clock *clock, struct store **ret_store)
{
	struct store *store = calloc(1, sizeof(*store));
	if (!store)
		return -ENOMEM;
	*store = (struct store){.buffer = buffer,
		.outbox = outbox,
		.clock = clock,
		.batch = malloc(sizeof(*store->batch)),
		.backoff = {.first_us = 1000000, .cap_us = 60000000},
		.boot = clock_boot(clock),
		.born = sequence_of(clock->wall_ms(clock)),
		.alive_until = CLOCK_NEVER};
	if (store->batch)
		outbox_number_from(outbox, store->born);
	int error = store->batch ? store_open(store, true) : -ENOMEM;
	if (error && (buffer->path_given || error == -EBUSY || error == -ENOMEM)) {
		store_destroy(store);
		return error;
	}
	if (error) {
		log_warning("buffer: %s: %s; readings wait in memory only", buffer->path, strerror(-error));
		complaint_raise(&store->down, clock_now(clock));
		store->retry_us = clock_now(clock) + backoff_next(&store->backoff);
	}
	*ret_store = store;
	return 0;
}

void store_answers(
	struct store *store, int (*serve)(struct inquiry *inquiry, struct journal *journal), struct inquiry *inquiry)
{
	store->serve = serve;
	store->inquiry = inquiry;
}

int store_start(struct store *store)
{
	return thread_start(&store->thread, "store", store_run, store);
}

void store_stop(struct store *store)
{
	atomic_store_explicit(&store->stopping, 1, memory_order_relaxed);
	outbox_store_wake(store->outbox);
}

int store_join(struct store *store, int64_t timeout_us)
{
	return thread_join(&store->thread, timeout_us);
}

void store_destroy(struct store *store)
{
	if (!store)
		return;
	journal_close(store->journal);
	if (store->acked)
		outbox_notes_in(store->outbox, NULL);
	acked_close(store->acked);
	free(store->batch);
	free(store);
}

int64_t store_alive_until(const struct store *store)
{
	return atomic_load_explicit(&store->alive_until, memory_order_relaxed);
}

void store_status(const struct store *store, struct store_status *ret_status)
{
	int64_t bytes = atomic_load_explicit(&store->bytes, memory_order_relaxed);
	int64_t max_bytes = atomic_load_explicit(&store->max_bytes, memory_order_relaxed);
	int64_t kept = max_bytes / 100 * 45 < KEPT_BYTES ? max_bytes / 100 * 45 : KEPT_BYTES;
	*ret_status = (struct store_status){
		.durable = atomic_load_explicit(&store->durable, memory_order_relaxed),
		.bytes = bytes,
		.max_bytes = max_bytes,
		.nearly_full = max_bytes && bytes >= max_bytes / 10 * 9 - kept,
		.rows_written = atomic_load_explicit(&store->rows_written, memory_order_relaxed),
		.commits = atomic_load_explicit(&store->commits, memory_order_relaxed),
		.damaged = atomic_load_explicit(&store->damaged, memory_order_relaxed),
	};
}

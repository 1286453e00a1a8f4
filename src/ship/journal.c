/*
 * Writing and reading the journal.  Its tables and how it is opened are in journal_open.c.
 *
 * The rule of validity: a row counts only if its CRC fits.  A flipped bit in a SQLite page is otherwise a silently
 * wrong payload; with the CRC it is one lost row, counted.  What a CRC can't tell is whether a row lies where it
 * should: rows out of order, or a damaged one that its key does not find, make the file a damaged one.  A page in the
 * place of another leads a search for what follows its rows past all that lies between.  So before rows are given out
 * the order is looked at, from the row before them to a page beyond them, where such a page would end.
 *
 * When the file is full, room is made by the rule before anything is inserted: an insertion that fails for lack of
 * pages would have to be undone with all else.
 *
 * Invariant: outside of a function no transaction is open and no statement is in use.  Thread: the store's.
 */
#include "ship/acked.h"
#include "ship/journal_inner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAKE_ROOM_ROUNDS 256

int journal_commit(struct journal *journal, int rc, int64_t more_rows)
{
	if (rc == 0 && more_rows) {
		journal_db_bind(journal->statements[COUNT], 1, more_rows);
		rc = journal_db_do(journal->statements[COUNT]);
		rc = rc < 0 ? rc : 0;
	}
	if (rc == 0)
		rc = journal_db_run(journal->db, "COMMIT");
	if (rc == 0)
		journal->rows += more_rows;
	else if (journal_db_in_transaction(journal->db))
		journal_db_run(journal->db, "ROLLBACK");
	return rc;
}

int journal_reserve(struct journal *journal, uint64_t n, uint64_t *ret_first)
{
	int64_t next = 0;
	char text[96];
	int rc = journal_db_ask(journal->db, "SELECT v FROM meta WHERE k='next'", &next);
	snprintf(text, sizeof(text), "UPDATE meta SET v = v + %llu WHERE k='next'", (unsigned long long)n);
	if (rc == 0)
		rc = next > 0 ? journal_db_run(journal->db, text) : -EBADMSG;
	journal->bad = journal->bad || rc == -EBADMSG;
	if (rc == 0)
		*ret_first = (uint64_t)next;
	return rc;
}

const char *journal_path(const struct journal *journal)
{
	return journal->path;
}

uint64_t journal_opening(const struct journal *journal)
{
	return (uint64_t)journal->opening;
}

/* The number of rows that went, or -errno. */
static int erase(struct journal *journal, uint64_t first, uint64_t last)
{
	journal_db_bind(journal->statements[ERASE], 1, (int64_t)first);
	journal_db_bind(journal->statements[ERASE], 2, (int64_t)last);
	return journal_db_do(journal->statements[ERASE]);
}

/* In one transaction, so that notes of an opening can't be met by rows of a later one. */
int journal_begin(struct journal *journal)
{
	static const char ask[] = "SELECT coalesce(max(v), 0) FROM meta WHERE k='opening'";
	struct journal_span *spans = NULL;
	int64_t more_rows = 0;
	int rc = journal_db_run(journal->db, "BEGIN IMMEDIATE");
	if (rc == 0)
		rc = journal_db_ask(journal->db, ask, &journal->opening);
	size_t n = rc == 0 ? acked_read(journal->path, (uint64_t)journal->opening, &spans) : 0;
	for (size_t i = 0; i < n && rc >= 0; i++) {
		rc = erase(journal, spans[i].first, spans[i].last);
		more_rows -= rc > 0 ? rc : 0;
	}
	free(spans);
	if (rc >= 0)
		rc = journal_db_run(journal->db, "INSERT OR REPLACE INTO meta VALUES('opening', random() | 1)");
	if (rc == 0)
		rc = journal_db_ask(journal->db, ask, &journal->opening);
	return journal_commit(journal, rc, more_rows);
}

static int answer_of(struct sqlite3_stmt *statement, int64_t *ret_number)
{
	int rc = journal_db_next(statement);
	if (rc > 0)
		*ret_number = journal_db_number(statement, 0);
	journal_db_reset(statement);
	return rc < 0 ? rc : 0;
}

int journal_used_pages(struct journal *journal, int64_t *ret_pages)
{
	int64_t pages = 0, unused = 0;
	int rc = answer_of(journal->statements[PAGES], &pages);
	if (rc == 0)
		rc = answer_of(journal->statements[UNUSED_PAGES], &unused);
	if (rc == 0 && (unused < 0 || unused >= pages))
		rc = -EBADMSG; /* by a number that can't be true everything would be dropped to make room */
	*ret_pages = pages - unused;
	return rc;
}

static int free_pages(struct journal *journal, int64_t *ret_pages)
{
	int64_t used = 0;
	int rc = journal_used_pages(journal, &used);
	*ret_pages = journal->max_pages - used - journal->spare_pages;
	return rc;
}

/* Deletes oldest rows until so many pages are free.  0, -ENOSPC when there is nothing left to delete. */
static int make_room(struct journal *journal, int64_t pages, struct journal_room *room)
{
	struct sqlite3_stmt *nth = journal->statements[NTH_OLDEST];
	for (int round = 0; round < MAKE_ROOM_ROUNDS; round++) {
		int64_t unused = 0;
		int rc = free_pages(journal, &unused);
		if (rc < 0 || unused >= pages)
			return rc;
		int64_t upto = 0;
		journal_db_bind(nth, 1, 4 * (pages - unused) + 4);
		rc = answer_of(nth, &upto);
		if (rc == 0)
			rc = erase(journal, 0, (uint64_t)upto);
		if (rc < 0)
			return rc;
		if (rc == 0)
			return -ENOSPC;
		room->n_deleted += (uint64_t)rc;
		room->deleted_upto = (uint64_t)upto;
	}
	return -ENOSPC;
}

/* Bytes of pages that a row can cost.  What is longer than a page overflows into pages of its own; what is left of it
 * lies beside other rows, and what does not fit there leaves the rest of a page empty. */
static int64_t row_cost(const struct journal_row *row)
{
	const int64_t page = JOURNAL_PAGE_BYTES, least = page / 8;
	int64_t n = (int64_t)(row->message.payload_n + strlen(row->message.topic)) + 48, pages = 0;
	if (n > page - 64) {
		pages = (n - least) / page + 1;
		n = least + (n - least) % page;
	}
	int64_t beside = n <= least ? n + n / 4 : n <= page / 2 ? 2 * n : page;
	return pages * page + beside;
}

static int64_t pages_of(const struct journal_row *rows, size_t n)
{
	int64_t cost = 0;
	for (size_t i = 0; i < n; i++)
		cost += row_cost(&rows[i]);
	return cost / JOURNAL_PAGE_BYTES + 4;
}

int journal_append(struct journal *journal, const struct journal_row *rows, size_t n, bool drop_oldest,
	struct journal_room *room, int64_t *more_rows)
{
	int64_t unused = 0, needed = pages_of(rows, n);
	int rc = free_pages(journal, &unused);
	if (rc == 0 && unused < needed)
		rc = drop_oldest ? make_room(journal, needed, room) : -ENOSPC;
	if (rc == -ENOSPC) {
		room->n_left_out = n;
		return 0;
	}
	for (size_t i = 0; i < n && rc >= 0;) {
		bool many = n - i >= JOURNAL_MANY;
		size_t n_now = many ? JOURNAL_MANY : 1;
		rc = journal_db_insert(journal->statements[many ? INSERT_MANY : INSERT], &rows[i], n_now);
		*more_rows += rc > 0 ? rc : 0;
		i += n_now;
	}
	return rc < 0 ? rc : 0;
}

int journal_write(struct journal *journal, const struct journal_span *done, size_t n_done,
	const struct journal_row *rows, size_t n_rows, bool drop_oldest, uint64_t *ret_dropped)
{
	struct journal_room room = {0};
	int64_t more_rows = 0;
	int rc = journal->bad ? -EBADMSG : journal_db_run(journal->db, "BEGIN IMMEDIATE");
	for (size_t i = 0; i < journal->n_damaged + n_done && rc >= 0; i++) {
		bool is_damaged = i < journal->n_damaged;
		const struct journal_span *span = is_damaged ? &journal->damaged[i] : &done[i - journal->n_damaged];
		rc = erase(journal, span->first, span->last);
		if (is_damaged && rc == 0)
			rc = -EBADMSG; /* it does not lie where its id says: the id is damaged, and the order with it */
		more_rows -= rc > 0 ? rc : 0;
	}
	rc = rc < 0 ? rc : 0;
	if (rc == 0 && n_rows)
		rc = journal_append(journal, rows, n_rows, drop_oldest, &room, &more_rows);
	more_rows -= (int64_t)room.n_deleted;
	rc = journal_commit(journal, rc, more_rows);
	journal->bad = journal->bad || rc == -EBADMSG;
	if (rc < 0)
		return rc;
	room.no_use = room.n_left_out && journal->rows == 0;
	journal->n_damaged = 0;
	journal->room = room;
	*ret_dropped = room.n_deleted + room.n_left_out;
	return 0;
}

void journal_room(const struct journal *journal, struct journal_room *ret_room)
{
	*ret_room = journal->room;
}

/* Counted once, however often it is met before it is erased. */
static void meet_damaged(struct journal *journal, uint64_t id, uint64_t *damaged)
{
	for (size_t i = 0; i < journal->n_damaged; i++)
		if (journal->damaged[i].first == id)
			return;
	if (journal->n_damaged < sizeof(journal->damaged) / sizeof(journal->damaged[0]))
		journal->damaged[journal->n_damaged++] = (struct journal_span){id, id};
	(*damaged)++;
}

/* The order of the sound rows alone: an id that is damaged says nothing. */
static int order_of_sound(struct journal *journal, uint64_t first, size_t n_max)
{
	struct sqlite3_stmt *select = journal->statements[SELECT];
	uint64_t from = first;
	int rc = 0;
	journal_db_bind(select, 1, (int64_t)first);
	for (size_t n = 0; n < n_max && (rc = journal_db_next(select)) > 0; n++) {
		struct journal_row row;
		if (!journal_db_row(select, &row))
			continue;
		if (row.sequence < from) {
			rc = -EBADMSG;
			break;
		}
		from = row.sequence + 1;
	}
	journal_db_reset(select);
	return rc < 0 ? rc : 0;
}

/* Does what lies before a sequence end below it?  By a key that is damaged on the way a search ends too far ahead,
 * where all that follows is in order. */
static int order_before(struct journal *journal, uint64_t first)
{
	struct sqlite3_stmt *before = journal->statements[SELECT_BEFORE];
	struct journal_row row;
	bool sound = false;
	int rc = 0;
	journal_db_bind(before, 1, (int64_t)first);
	for (size_t n = 0; n < JOURNAL_PAGE_ROWS && !sound && (rc = journal_db_next(before)) > 0; n++)
		sound = journal_db_row(before, &row);
	if (sound && row.sequence >= first)
		rc = -EBADMSG;
	journal_db_reset(before);
	return rc < 0 ? rc : 0;
}

/* Of n_max rows up to the last, and of a page of those that follow. */
static int order(struct journal *journal, uint64_t first, uint64_t last, size_t n_max)
{
	struct sqlite3_stmt *ids = journal->statements[SELECT_IDS];
	int64_t from = (int64_t)first;
	size_t n = 0, n_beyond = 0;
	bool ascends = true;
	int rc = 0;
	journal_db_bind(ids, 1, from);
	while (ascends && n_beyond < JOURNAL_PAGE_ROWS && (rc = journal_db_next(ids)) > 0) {
		int64_t id = journal_db_number(ids, 0);
		ascends = id >= from && id < INT64_MAX;
		from = ascends ? id + 1 : from;
		n++;
		n_beyond += n > n_max || id > (int64_t)last;
	}
	journal_db_reset(ids);
	if (rc < 0 || ascends)
		return rc < 0 ? rc : 0;
	return order_of_sound(journal, first, n + JOURNAL_PAGE_ROWS);
}

/* Goes through the rows of a statement from a sequence on.  The id of a damaged row may be anything, so only a sound
 * one ends it; a sound one that is out of order lies on a page where another should be. */
static int read_rows(struct journal *journal, struct sqlite3_stmt *statement, uint64_t from, uint64_t last,
	size_t n_max, bool (*take)(void *user, const struct journal_row *row), void *user, uint64_t *ret_damaged)
{
	size_t n = 0;
	int rc = journal->bad ? -EBADMSG : 0;
	while (rc >= 0 && n < n_max && (rc = journal_db_next(statement)) > 0) {
		struct journal_row row;
		if (!journal_db_row(statement, &row)) {
			meet_damaged(journal, (uint64_t)journal_db_number(statement, 0), ret_damaged);
			continue;
		}
		if (row.sequence < from)
			rc = -EBADMSG;
		bool done = acked_has(journal->acked, journal->n_acked, row.sequence);
		if (row.sequence < from || row.sequence > last || (!done && !take(user, &row)))
			break;
		from = row.sequence + 1;
		n += !done;
	}
	journal_db_reset(statement);
	journal->bad = journal->bad || rc == -EBADMSG;
	return rc < 0 && n == 0 ? rc : (int)n;
}

int journal_read(struct journal *journal, uint64_t first, uint64_t last, size_t n_max,
	bool (*take)(void *user, const struct journal_row *row), void *user, uint64_t *ret_damaged)
{
	struct sqlite3_stmt *select = journal->statements[SELECT];
	int rc = journal->bad ? -EBADMSG : order_before(journal, first);
	if (rc == 0)
		rc = order(journal, first, last, n_max);
	journal->bad = journal->bad || rc == -EBADMSG;
	if (rc < 0)
		return rc;
	journal_db_bind(select, 1, (int64_t)first);
	return read_rows(journal, select, first, last, n_max, take, user, ret_damaged);
}

int journal_peek(struct journal *journal, uint64_t first, uint64_t last, size_t n_max,
	bool (*take)(void *user, const struct journal_row *row), void *user, uint64_t *ret_damaged)
{
	size_t n_damaged = journal->n_damaged;
	int n = journal_read(journal, first, last, n_max, take, user, ret_damaged);
	journal->n_damaged = n_damaged;
	return n;
}

int journal_read_latest(struct journal *journal, bool (*take)(void *user, const struct journal_row *row), void *user,
	uint64_t *ret_damaged)
{
	return read_rows(journal, journal->statements[SELECT_LATEST], 0, UINT64_MAX, SIZE_MAX, take, user, ret_damaged);
}

void journal_size(struct journal *journal, struct journal_size *ret_size)
{
	int64_t used = 0;
	journal_used_pages(journal, &used);
	*ret_size = (struct journal_size){
		.bytes = used * JOURNAL_PAGE_BYTES, .max_bytes = journal->max_pages * JOURNAL_PAGE_BYTES};
}

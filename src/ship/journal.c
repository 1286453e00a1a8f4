/*
 * The journal on SQLite (through journal_db.c).
 *
 * The table
 *
 *     msg(id INTEGER PRIMARY KEY,  the sequence: the order of the rows, never used again
 *         ts,                      wall time of the reading, ms
 *         flags,                   see journal_row.h
 *         topic, body,
 *         crc)                     CRC-32 of all of the above, so that a row stands alone
 *     meta(k, v)                   'next': the first sequence that nobody has reserved
 *                                  'rows': how many there are, kept within each transaction
 *     latest                       an index over the few rows of which only the newest of a topic is kept
 *
 * The rule of validity: a row counts only if its CRC fits.  A flipped bit in a SQLite page is otherwise a silently
 * wrong payload; with the CRC it is one lost row, counted.
 *
 * Why these settings: WAL with synchronous FULL keeps what it has committed over a power cut (NORMAL does not); the
 * lock is exclusive, so there is no shared memory and no second gateway; the file is allocated to its full size at once
 * (without writing it), so that a disk filled by others stops neither appends nor deletes; nothing is ever vacuumed.
 * The count is kept and not made, because a million rows take seconds to count.
 *
 * A file that SQLite calls damaged is renamed and searched row by row (journal_salvage.c).
 *
 * Invariant: outside of a function no transaction is open and no statement is in use.  Thread: the store's.
 */
#include "ship/journal.h"
#include "base/log.h"
#include "ship/journal_db.h"
#include "ship/journal_file.h"
#include "ship/journal_salvage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGES_LEAST      15
#define PAGES_SPARE      24 /* kept free for what a delete writes; a quarter of a small file */
#define APPLICATION_ID   0x42734679
#define VERSION          1
#define MAKE_ROOM_ROUNDS 256

enum statement { INSERT, ERASE, SELECT, SELECT_LATEST, NTH_OLDEST, COUNT, PAGES, UNUSED_PAGES, N_STATEMENTS };

static const char *const statement_texts[N_STATEMENTS] = {
	[INSERT] = "INSERT OR IGNORE INTO msg VALUES(?,?,?,?,?,?)",
	[ERASE] = "DELETE FROM msg WHERE id BETWEEN ? AND ?",
	[SELECT] = "SELECT id,ts,flags,topic,body,crc FROM msg WHERE id BETWEEN ? AND ? ORDER BY id",
	[SELECT_LATEST] = "SELECT id,ts,flags,topic,body,crc FROM msg WHERE flags & 32 ORDER BY id",
	[NTH_OLDEST] = "SELECT coalesce(max(id),0) FROM (SELECT id FROM msg ORDER BY id LIMIT ?)",
	[PAGES] = "PRAGMA page_count",
	[UNUSED_PAGES] = "PRAGMA freelist_count",
	[COUNT] = "UPDATE meta SET v = v + ? WHERE k='rows'",
};

struct journal {
	struct sqlite3 *db;
	int fd; /* holds the space; -1 = none */
	struct sqlite3_stmt *statements[N_STATEMENTS];
	int64_t max_pages, spare_pages;
	int64_t rows;
	struct journal_room room;
	struct journal_span damaged[32]; /* found while reading; erased with the next write */
	size_t n_damaged;
	char path[];
};

static const char settings[] = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA page_size=4096; PRAGMA auto_vacuum=NONE;"
			       "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;"
			       "PRAGMA cache_size=-512; PRAGMA temp_store=MEMORY; PRAGMA secure_delete=OFF;";

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS msg(id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, flags INTEGER NOT NULL,"
	" topic TEXT NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;"
	"CREATE INDEX IF NOT EXISTS latest ON msg(id) WHERE flags & 32;"
	"CREATE TABLE IF NOT EXISTS meta(k TEXT PRIMARY KEY, v INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"INSERT OR IGNORE INTO meta VALUES('next', 1);"
	"INSERT INTO meta SELECT 'rows', (SELECT count(*) FROM msg)"
	" WHERE NOT EXISTS (SELECT 1 FROM meta WHERE k='rows');";

/* Is it ours, and of a version that we know?  An empty file is. */
static int look(struct sqlite3 *db)
{
	int64_t application = 0, version = 0, tables = 0;
	int rc = journal_db_ask(db, "SELECT count(*) FROM sqlite_schema", &tables);
	if (rc == 0)
		rc = journal_db_ask(db, "PRAGMA application_id", &application);
	if (rc == 0)
		rc = journal_db_ask(db, "PRAGMA user_version", &version);
	if (rc == 0 && tables > 0 && (application != APPLICATION_ID || version < 1 || version > VERSION))
		rc = -EBADMSG;
	return rc;
}

static void close_db(struct journal *journal)
{
	for (size_t i = 0; i < N_STATEMENTS; i++) {
		journal_db_finish(journal->statements[i]);
		journal->statements[i] = NULL;
	}
	journal_db_close(journal->db);
	journal->db = NULL;
	if (journal->fd >= 0)
		close(journal->fd);
	journal->fd = -1;
}

/*
 * The whole file is taken from the disk at once, so that nobody else can take the space; no byte of it is written.
 * SQLite itself would write one byte to each page.
 */
static void allocate(struct journal *journal)
{
	int64_t bytes = journal->max_pages * JOURNAL_PAGE_BYTES;
	if (journal_db_keep_size(journal->db, bytes) &&
		journal_file_allocate(journal->path, bytes, &journal->fd) == -ENOSPC)
		log_warning("buffer: %s: the disk has no room for all of max_size", journal->path);
}

static int prepare(struct journal *journal)
{
	int rc = 0;
	for (size_t i = 0; i < N_STATEMENTS && rc == 0; i++)
		rc = journal_db_prepare(journal->db, statement_texts[i], &journal->statements[i]);
	return rc;
}

static int open_db(struct journal *journal)
{
	char limit[64];
	int rc = journal_db_open(journal->path, true, &journal->db);
	if (rc == 0)
		rc = journal_db_run(journal->db, settings);
	if (rc == 0)
		rc = look(journal->db);
	if (rc == 0)
		rc = journal_db_run(journal->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
						 "PRAGMA wal_autocheckpoint=1000;");
	snprintf(limit, sizeof(limit), "PRAGMA max_page_count=%lld", (long long)journal->max_pages);
	if (rc == 0)
		rc = journal_db_run(journal->db, limit);
	if (rc == 0)
		rc = journal_db_run(
			journal->db, "BEGIN IMMEDIATE; PRAGMA application_id=1114850937; PRAGMA user_version=1;");
	if (rc == 0)
		rc = journal_db_run(journal->db, schema);
	if (rc == 0)
		rc = journal_db_run(journal->db, "COMMIT");
	if (rc == 0)
		rc = prepare(journal);
	if (rc < 0)
		close_db(journal);
	return rc;
}

static int aside(const struct journal *journal, struct journal_found *found)
{
	int rc = journal_file_set_aside(journal->path, found->aside, sizeof(found->aside));
	found->set_aside = rc == 0;
	return rc;
}

/* Ends the transaction: on disk, or undone. */
static int commit(struct journal *journal, int rc, int64_t more_rows)
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

static void salvage_file(struct journal *journal, struct journal_found *found)
{
	struct journal_salvaged salvaged;
	if (journal_db_run(journal->db, "BEGIN IMMEDIATE") < 0)
		return;
	int rc = journal_salvage(found->aside, journal->statements[INSERT], &salvaged);
	if (rc == -ENOSPC) /* the file is smaller than the old one was: what fits is kept */
		rc = 0;
	found->damaged += salvaged.damaged;
	if (commit(journal, rc, (int64_t)salvaged.rescued) == 0)
		found->rescued = salvaged.rescued;
}

/* Nobody may use again a sequence that a row has. */
static int ends_of(struct journal *journal, struct journal_found *found)
{
	int64_t first = 0, last = 0;
	int rc = journal_db_ask(journal->db, "SELECT coalesce(min(id),0) FROM msg", &first);
	if (rc == 0)
		rc = journal_db_ask(journal->db, "SELECT coalesce(max(id),0) FROM msg", &last);
	if (rc == 0)
		rc = journal_db_ask(journal->db, "SELECT v FROM meta WHERE k='rows'", &journal->rows);
	if (rc == 0)
		rc = journal_db_run(journal->db, "UPDATE meta SET v = max(v, (SELECT coalesce(max(id),0)+1 FROM msg))"
						 " WHERE k='next' AND v <= (SELECT coalesce(max(id),0) FROM msg)");
	if (journal->rows < 0 || journal->rows > last - first + 1)
		journal->rows = last ? last - first + 1 : 0; /* of a damaged page: at most so many */
	found->first = (uint64_t)first;
	found->last = (uint64_t)last;
	found->rows = (uint64_t)journal->rows;
	return rc;
}

static struct journal *journal_new(const char *path, int64_t max_bytes)
{
	size_t n = strlen(path) + 1;
	struct journal *journal = calloc(1, sizeof(*journal) + n);
	if (!journal)
		return NULL;
	memcpy(journal->path, path, n);
	journal->fd = -1;
	journal->max_pages =
		max_bytes / JOURNAL_PAGE_BYTES > PAGES_LEAST ? max_bytes / JOURNAL_PAGE_BYTES : PAGES_LEAST;
	journal->spare_pages = journal->max_pages / 4 < PAGES_SPARE ? journal->max_pages / 4 : PAGES_SPARE;
	return journal;
}

int journal_look(const char *path, struct journal **ret_journal)
{
	if (access(path, R_OK | W_OK) < 0)
		return -errno;
	struct journal *journal = journal_new(path, 0);
	if (!journal)
		return -ENOMEM;
	int rc = journal_db_open(journal->path, false, &journal->db);
	if (rc == 0) {
		journal_db_leave_log(journal->db);
		rc = journal_db_run(journal->db, settings);
	}
	if (rc == 0)
		rc = look(journal->db);
	if (rc == 0)
		rc = prepare(journal);
	if (rc < 0) {
		journal_close(journal);
		return rc;
	}
	*ret_journal = journal;
	return 0;
}

static int open_or_rescue(const char *path, int64_t max_bytes, bool damaged, struct journal **ret_journal,
	struct journal_found *ret_found)
{
	int rc = journal_file_folder(path);
	if (rc < 0)
		return rc;
	struct journal *journal = journal_new(path, max_bytes);
	if (!journal)
		return -ENOMEM;
	struct journal_found found = {0};
	mode_t mask = umask(0077);
	rc = damaged ? -EBADMSG : open_db(journal);
	if (rc == 0 && (rc = ends_of(journal, &found)) < 0)
		close_db(journal);
	if (rc == -EBADMSG) {
		rc = aside(journal, &found);
		if (rc == 0 || rc == -ENOENT)
			rc = open_db(journal);
		if (rc == 0 && found.set_aside)
			salvage_file(journal, &found);
		if (rc == 0)
			rc = ends_of(journal, &found);
	}
	umask(mask);
	if (rc < 0) {
		journal_close(journal);
		return rc;
	}
	allocate(journal);
	*ret_journal = journal;
	*ret_found = found;
	return 0;
}

int journal_open(const char *path, int64_t max_bytes, struct journal **ret_journal, struct journal_found *ret_found)
{
	return open_or_rescue(path, max_bytes, false, ret_journal, ret_found);
}

int journal_rescue(const char *path, int64_t max_bytes, struct journal **ret_journal, struct journal_found *ret_found)
{
	return open_or_rescue(path, max_bytes, true, ret_journal, ret_found);
}

void journal_close(struct journal *journal)
{
	if (!journal)
		return;
	close_db(journal);
	free(journal);
}

int journal_reserve(struct journal *journal, uint64_t n, uint64_t *ret_first)
{
	int64_t next = 0;
	char text[96];
	int rc = journal_db_ask(journal->db, "SELECT v FROM meta WHERE k='next'", &next);
	snprintf(text, sizeof(text), "UPDATE meta SET v = v + %llu WHERE k='next'", (unsigned long long)n);
	if (rc == 0)
		rc = next > 0 ? journal_db_run(journal->db, text) : -EBADMSG;
	if (rc == 0)
		*ret_first = (uint64_t)next;
	return rc;
}

/* The number of rows that went, or -errno. */
static int erase(struct journal *journal, uint64_t first, uint64_t last)
{
	journal_db_bind(journal->statements[ERASE], 1, (int64_t)first);
	journal_db_bind(journal->statements[ERASE], 2, (int64_t)last);
	return journal_db_do(journal->statements[ERASE]);
}

static int answer_of(struct sqlite3_stmt *statement, int64_t *ret_number)
{
	int rc = journal_db_next(statement);
	if (rc > 0)
		*ret_number = journal_db_number(statement, 0);
	journal_db_reset(statement);
	return rc < 0 ? rc : 0;
}

static int used_pages(struct journal *journal, int64_t *ret_pages)
{
	int64_t pages = 0, unused = 0;
	int rc = answer_of(journal->statements[PAGES], &pages);
	if (rc == 0)
		rc = answer_of(journal->statements[UNUSED_PAGES], &unused);
	*ret_pages = pages - unused;
	return rc;
}

static int free_pages(struct journal *journal, int64_t *ret_pages)
{
	int64_t used = 0;
	int rc = used_pages(journal, &used);
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

/* How many pages rows may take: a long one has pages of its own. */
static int64_t pages_of(const struct journal_row *rows, size_t n)
{
	size_t bytes = 0;
	int64_t long_ones = 0;
	for (size_t i = 0; i < n; i++) {
		size_t size = rows[i].message.payload_n + strlen(rows[i].message.topic) + 48;
		bytes += size;
		long_ones += size > JOURNAL_PAGE_BYTES / 2;
	}
	return (int64_t)(bytes + bytes / 4) / JOURNAL_PAGE_BYTES + 2 * long_ones + 3;
}

/* Inserts the rows, or none of them.  *more_rows counts what was inserted. */
static int append(struct journal *journal, const struct journal_row *rows, size_t n, bool drop_oldest,
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
	for (size_t i = 0; i < n && rc >= 0; i++) {
		rc = journal_db_insert(journal->statements[INSERT], &rows[i]);
		*more_rows += rc > 0;
	}
	return rc < 0 ? rc : 0;
}

int journal_write(struct journal *journal, const struct journal_span *done, size_t n_done,
	const struct journal_row *rows, size_t n_rows, bool drop_oldest, uint64_t *ret_dropped)
{
	struct journal_room room = {0};
	int64_t more_rows = 0;
	int rc = journal_db_run(journal->db, "BEGIN IMMEDIATE");
	for (size_t i = 0; i < journal->n_damaged + n_done && rc >= 0; i++) {
		const struct journal_span *span =
			i < journal->n_damaged ? &journal->damaged[i] : &done[i - journal->n_damaged];
		rc = erase(journal, span->first, span->last);
		more_rows -= rc > 0 ? rc : 0;
	}
	rc = rc < 0 ? rc : 0;
	if (rc == 0 && n_rows)
		rc = append(journal, rows, n_rows, drop_oldest, &room, &more_rows);
	more_rows -= (int64_t)room.n_deleted;
	rc = commit(journal, rc, more_rows);
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

/* Goes through the rows of a statement. */
static int read_rows(struct journal *journal, struct sqlite3_stmt *statement, size_t n_max,
	bool (*take)(void *user, const struct journal_row *row), void *user, uint64_t *ret_damaged)
{
	size_t n = 0;
	int rc = 0;
	while (n < n_max && (rc = journal_db_next(statement)) > 0) {
		struct journal_row row;
		uint64_t id = (uint64_t)journal_db_number(statement, 0);
		if (!journal_db_row(statement, &row)) {
			(*ret_damaged)++;
			if (journal->n_damaged < sizeof(journal->damaged) / sizeof(journal->damaged[0]))
				journal->damaged[journal->n_damaged++] = (struct journal_span){id, id};
			continue;
		}
		if (!take(user, &row))
			break;
		n++;
	}
	journal_db_reset(statement);
	return rc < 0 && n == 0 ? rc : (int)n;
}

int journal_read(struct journal *journal, uint64_t first, uint64_t last, size_t n_max,
	bool (*take)(void *user, const struct journal_row *row), void *user, uint64_t *ret_damaged)
{
	struct sqlite3_stmt *select = journal->statements[SELECT];
	journal_db_bind(select, 1, (int64_t)first);
	journal_db_bind(select, 2, (int64_t)last);
	return read_rows(journal, select, n_max, take, user, ret_damaged);
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
	return read_rows(journal, journal->statements[SELECT_LATEST], SIZE_MAX, take, user, ret_damaged);
}

void journal_size(struct journal *journal, struct journal_size *ret_size)
{
	int64_t used = 0;
	used_pages(journal, &used);
	*ret_size = (struct journal_size){
		.bytes = used * JOURNAL_PAGE_BYTES, .max_bytes = journal->max_pages * JOURNAL_PAGE_BYTES};
}

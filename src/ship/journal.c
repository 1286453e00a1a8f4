/*
 * The journal on SQLite.  The only door to it.
 *
 * The table
 *
 *     msg(id INTEGER PRIMARY KEY,  the sequence: the order of the rows, never used again
 *         ts,                      wall time of the reading, ms
 *         flags,                   see journal_row.h
 *         topic, body,
 *         crc)                     CRC-32 of all of the above, so that a row stands alone
 *     meta(k, v)                   'next': the first sequence that nobody has reserved
 *
 * The rule of validity: a row counts only if its CRC fits.  A flipped bit in a SQLite page is otherwise a silently
 * wrong payload; with the CRC it is one lost row, counted.
 *
 * Why these settings: WAL with synchronous FULL keeps what it has committed over a power cut (NORMAL does not); the
 * lock is exclusive, so there is no shared memory and no second gateway; the file is allocated to its full size at once
 * (without writing it), so that a disk filled by others stops neither appends nor deletes; nothing is ever vacuumed.
 *
 * A file that SQLite calls damaged is renamed and searched row by row: at an error the search jumps ahead by growing
 * steps, and then comes from the other end.
 *
 * Invariant: outside of a function no transaction is open and no statement is in use.  Thread: the store's.
 */
#include "ship/journal.h"
#include "base/log.h"
#include "ship/journal_file.h"
#include "ship/journal_row.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PAGES_LEAST      64
#define PAGES_SPARE      24 /* kept free for what a delete writes */
#define APPLICATION_ID   0x42734679
#define VERSION          1
#define MAKE_ROOM_ROUNDS 64
#define JUMP_MAX         64

struct journal {
	sqlite3 *db;
	sqlite3_stmt *insert, *erase, *select, *oldest;
	int64_t max_pages;
	struct journal_span damaged[32]; /* found while reading; erased with the next write */
	size_t n_damaged;
	char path[];
};

static int error_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return 0;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_SCHEMA:
	case SQLITE_MISMATCH:
	case SQLITE_ERROR: /* no such table: a foreign file */
		return -EBADMSG;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_NOMEM:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

static int run(sqlite3 *db, const char *sql)
{
	return error_of(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

/* The number that a statement answers with. */
static int ask(sqlite3 *db, const char *sql, int64_t *ret_number)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		*ret_number = sqlite3_column_int64(statement, 0);
	else if (rc == SQLITE_DONE)
		rc = SQLITE_CORRUPT;
	sqlite3_finalize(statement);
	return error_of(rc);
}

/* The row of a statement over id, ts, flags, topic, body, crc.  False when it is not what was written. */
static bool row_of(sqlite3_stmt *statement, struct journal_row *row)
{
	struct journal_columns columns = {.id = sqlite3_column_int64(statement, 0),
		.ts = sqlite3_column_int64(statement, 1),
		.flags = sqlite3_column_int64(statement, 2),
		.topic = (const char *)sqlite3_column_text(statement, 3),
		.topic_n = (size_t)sqlite3_column_bytes(statement, 3),
		.body = sqlite3_column_blob(statement, 4),
		.body_n = (size_t)sqlite3_column_bytes(statement, 4),
		.crc = sqlite3_column_int64(statement, 5)};
	return journal_row_unpack(&columns, row);
}

static int bind_row(sqlite3_stmt *insert, const struct journal_row *row)
{
	struct journal_columns columns;
	journal_row_pack(row, &columns);
	sqlite3_bind_int64(insert, 1, columns.id);
	sqlite3_bind_int64(insert, 2, columns.ts);
	sqlite3_bind_int64(insert, 3, columns.flags);
	sqlite3_bind_text(insert, 4, columns.topic, (int)columns.topic_n, SQLITE_STATIC);
	sqlite3_bind_blob(insert, 5, columns.body, (int)columns.body_n, SQLITE_STATIC);
	sqlite3_bind_int64(insert, 6, columns.crc);
	int rc = sqlite3_step(insert);
	sqlite3_reset(insert);
	sqlite3_clear_bindings(insert);
	return error_of(rc);
}

static const char settings[] = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA page_size=4096; PRAGMA auto_vacuum=NONE;"
			       "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;"
			       "PRAGMA cache_size=-512; PRAGMA temp_store=MEMORY; PRAGMA secure_delete=OFF;";

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS msg(id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, flags INTEGER NOT NULL,"
	" topic TEXT NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;"
	"CREATE TABLE IF NOT EXISTS meta(k TEXT PRIMARY KEY, v INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"INSERT OR IGNORE INTO meta VALUES('next', 1);";

/* Is it ours, and of a version that we know?  An empty file is. */
static int look(sqlite3 *db)
{
	int64_t application = 0, version = 0, tables = 0;
	int rc = ask(db, "SELECT count(*) FROM sqlite_schema", &tables);
	if (rc == 0)
		rc = ask(db, "PRAGMA application_id", &application);
	if (rc == 0)
		rc = ask(db, "PRAGMA user_version", &version);
	if (rc == 0 && tables > 0 && (application != APPLICATION_ID || version < 1 || version > VERSION))
		rc = -EBADMSG;
	return rc;
}

static int prepare(struct journal *journal)
{
	static const char *const texts[] = {"INSERT OR REPLACE INTO msg VALUES(?,?,?,?,?,?)",
		"DELETE FROM msg WHERE id BETWEEN ? AND ?",
		"SELECT id,ts,flags,topic,body,crc FROM msg WHERE id BETWEEN ? AND ? ORDER BY id",
		"DELETE FROM msg WHERE id IN (SELECT id FROM msg ORDER BY id LIMIT ?)"};
	sqlite3_stmt **statements[] = {&journal->insert, &journal->erase, &journal->select, &journal->oldest};
	for (size_t i = 0; i < 4; i++) {
		int rc = sqlite3_prepare_v3(journal->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, statements[i], NULL);
		if (rc != SQLITE_OK)
			return error_of(rc);
	}
	return 0;
}

static void close_db(struct journal *journal)
{
	sqlite3_finalize(journal->insert);
	sqlite3_finalize(journal->erase);
	sqlite3_finalize(journal->select);
	sqlite3_finalize(journal->oldest);
	journal->insert = journal->erase = journal->select = journal->oldest = NULL;
	sqlite3_close(journal->db);
	journal->db = NULL;
}

/* Allocates the file to its full size, so that nobody else can take the space; no byte of it is written. */
static void preallocate(struct journal *journal)
{
	int chunk = (int)(journal->max_pages * JOURNAL_PAGE_BYTES < INT32_MAX ? journal->max_pages * JOURNAL_PAGE_BYTES
									      : 0);
	sqlite3_int64 hint = chunk;
	int keep = 1;
	sqlite3_file_control(journal->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
	if (chunk && sqlite3_file_control(journal->db, "main", SQLITE_FCNTL_CHUNK_SIZE, &chunk) == SQLITE_OK &&
		sqlite3_file_control(journal->db, "main", SQLITE_FCNTL_SIZE_HINT, &hint) != SQLITE_OK)
		log_warning("buffer: %s: the disk has no room for all of max_size", journal->path);
}

static int open_db(struct journal *journal)
{
	char limit[64];
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
	int rc = error_of(sqlite3_open_v2(journal->path, &journal->db, flags, NULL));
	if (rc == 0)
		rc = run(journal->db, settings);
	if (rc == 0)
		rc = look(journal->db);
	if (rc == 0)
		rc = run(journal->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
				      "PRAGMA wal_autocheckpoint=1000;");
	snprintf(limit, sizeof(limit), "PRAGMA max_page_count=%lld", (long long)journal->max_pages);
	if (rc == 0)
		rc = run(journal->db, limit);
	if (rc == 0)
		rc = run(journal->db, "BEGIN IMMEDIATE; PRAGMA application_id=1114850937; PRAGMA user_version=1;");
	if (rc == 0)
		rc = run(journal->db, schema);
	if (rc == 0)
		rc = run(journal->db, "COMMIT");
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

struct salvage {
	sqlite3 *from;
	struct journal *into;
	struct journal_found *found;
	uint64_t lowest, highest; /* ids met from below */
};

/* One row at or beyond an id, in the direction of the statement. 1 taken, 0 no more, -1 unreadable here. */
static int salvage_one(struct salvage *salvage, sqlite3_stmt *next, int64_t *id)
{
	struct journal_row row;
	sqlite3_bind_int64(next, 1, *id);
	int rc = sqlite3_step(next), taken = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
	if (taken == 1) {
		*id = sqlite3_column_int64(next, 0);
		if (!row_of(next, &row))
			salvage->found->damaged++;
		else if (bind_row(salvage->into->insert, &row) == 0)
			salvage->found->rescued++;
	}
	sqlite3_reset(next);
	return taken;
}

/* Walks the rows by id from one end, jumping over what can't be read; gives up after a long stretch of nothing. */
static int64_t salvage_walk(struct salvage *salvage, const char *sql, int64_t from, int64_t until, int direction)
{
	sqlite3_stmt *next = NULL;
	int64_t id = from, last = from;
	int jump = 1, in_vain = 0;
	if (sqlite3_prepare_v2(salvage->from, sql, -1, &next, NULL) != SQLITE_OK)
		return last;
	while (direction > 0 ? id < until : id > until) {
		int taken = salvage_one(salvage, next, &id);
		if (taken == 0)
			break;
		if (taken == 1) {
			last = id;
			jump = 1;
			in_vain = 0;
			continue;
		}
		if (++in_vain > 4096)
			break;
		id += (int64_t)direction * jump;
		jump = jump < JUMP_MAX ? jump * 2 : JUMP_MAX;
	}
	sqlite3_finalize(next);
	return last;
}

static void salvage_file(struct journal *journal, struct journal_found *found)
{
	struct salvage salvage = {.into = journal, .found = found};
	journal_file_pad(found->aside);
	if (sqlite3_open_v2(found->aside, &salvage.from, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
			SQLITE_OK &&
		run(journal->db, "BEGIN IMMEDIATE") == 0) {
		sqlite3_exec(salvage.from, "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON", NULL, NULL, NULL);
		int64_t seen = salvage_walk(&salvage,
			"SELECT id,ts,flags,topic,body,crc FROM msg WHERE id>? ORDER BY id LIMIT 1", 0, INT64_MAX, 1);
		salvage_walk(&salvage, "SELECT id,ts,flags,topic,body,crc FROM msg WHERE id<? ORDER BY id DESC LIMIT 1",
			INT64_MAX, seen, -1);
		if (run(journal->db, "COMMIT") < 0)
			run(journal->db, "ROLLBACK");
	}
	sqlite3_close(salvage.from);
}

/* Nobody may use again a sequence that a row has. */
static int ends_of(struct journal *journal, struct journal_found *found)
{
	int64_t first = 0, last = 0;
	int rc = ask(journal->db, "SELECT coalesce(min(id),0) FROM msg", &first);
	if (rc == 0)
		rc = ask(journal->db, "SELECT coalesce(max(id),0) FROM msg", &last);
	if (rc == 0)
		rc = run(journal->db, "UPDATE meta SET v = max(v, (SELECT coalesce(max(id),0)+1 FROM msg))"
				      " WHERE k='next' AND v <= (SELECT coalesce(max(id),0) FROM msg)");
	found->first = (uint64_t)first;
	found->last = (uint64_t)last;
	return rc;
}

int journal_open(const char *path, int64_t max_bytes, struct journal **ret_journal, struct journal_found *ret_found)
{
	int rc = journal_file_folder(path);
	if (rc < 0)
		return rc;
	size_t n = strlen(path) + 1;
	struct journal *journal = calloc(1, sizeof(*journal) + n);
	if (!journal)
		return -ENOMEM;
	memcpy(journal->path, path, n);
	journal->max_pages =
		max_bytes / JOURNAL_PAGE_BYTES > PAGES_LEAST ? max_bytes / JOURNAL_PAGE_BYTES : PAGES_LEAST;
	struct journal_found found = {0};
	mode_t mask = umask(0077);
	rc = open_db(journal);
	if (rc == 0 && (rc = ends_of(journal, &found)) < 0)
		close_db(journal);
	if (rc == -EBADMSG && (rc = aside(journal, &found)) == 0 && (rc = open_db(journal)) == 0) {
		salvage_file(journal, &found);
		rc = ends_of(journal, &found);
	}
	umask(mask);
	if (rc < 0) {
		journal_close(journal);
		return rc;
	}
	preallocate(journal);
	*ret_journal = journal;
	*ret_found = found;
	return 0;
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
	int rc = ask(journal->db, "SELECT v FROM meta WHERE k='next'", &next);
	snprintf(text, sizeof(text), "UPDATE meta SET v = v + %llu WHERE k='next'", (unsigned long long)n);
	if (rc == 0)
		rc = next > 0 ? run(journal->db, text) : -EBADMSG;
	if (rc == 0)
		*ret_first = (uint64_t)next;
	return rc;
}

static int erase(struct journal *journal, const struct journal_span *span)
{
	sqlite3_bind_int64(journal->erase, 1, (int64_t)span->first);
	sqlite3_bind_int64(journal->erase, 2, (int64_t)span->last);
	int rc = sqlite3_step(journal->erase);
	sqlite3_reset(journal->erase);
	return error_of(rc);
}

static int free_pages(struct journal *journal, int64_t *ret_pages)
{
	int64_t pages = 0, unused = 0;
	int rc = ask(journal->db, "PRAGMA page_count", &pages);
	if (rc == 0)
		rc = ask(journal->db, "PRAGMA freelist_count", &unused);
	*ret_pages = journal->max_pages - pages + unused - PAGES_SPARE;
	return rc;
}

/* Deletes oldest rows until so many pages are free.  0, -ENOSPC when there is nothing left to delete. */
static int make_room(struct journal *journal, int64_t pages, uint64_t *dropped)
{
	for (int round = 0; round < MAKE_ROOM_ROUNDS; round++) {
		int64_t unused = 0;
		int rc = free_pages(journal, &unused);
		if (rc < 0 || unused >= pages)
			return rc;
		sqlite3_bind_int64(journal->oldest, 1, 16 * (pages - unused) + 16);
		rc = error_of(sqlite3_step(journal->oldest));
		int n = sqlite3_changes(journal->db);
		sqlite3_reset(journal->oldest);
		if (rc < 0)
			return rc;
		if (n == 0)
			return -ENOSPC;
		*dropped += (uint64_t)n;
	}
	return -ENOSPC;
}

static size_t row_bytes(const struct journal_row *row)
{
	return row->message.payload_n + strlen(row->message.topic) + 48;
}

static int append(
	struct journal *journal, const struct journal_row *rows, size_t n, bool drop_oldest, uint64_t *dropped)
{
	size_t bytes = 0;
	int64_t unused = 0;
	for (size_t i = 0; i < n; i++)
		bytes += row_bytes(&rows[i]);
	int64_t needed = (int64_t)(bytes + bytes / 4) / JOURNAL_PAGE_BYTES + 4;
	int rc = free_pages(journal, &unused);
	if (rc == 0 && unused < needed && drop_oldest)
		rc = make_room(journal, needed, dropped);
	if (rc == -ENOSPC || (rc == 0 && unused < needed && !drop_oldest)) {
		*dropped += n;
		return 0;
	}
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = bind_row(journal->insert, &rows[i]);
	return rc;
}

int journal_write(struct journal *journal, const struct journal_span *done, size_t n_done,
	const struct journal_row *rows, size_t n_rows, bool drop_oldest, uint64_t *ret_dropped)
{
	uint64_t dropped = 0;
	int rc = run(journal->db, "BEGIN IMMEDIATE");
	for (size_t i = 0; i < journal->n_damaged && rc == 0; i++)
		rc = erase(journal, &journal->damaged[i]);
	for (size_t i = 0; i < n_done && rc == 0; i++)
		rc = erase(journal, &done[i]);
	if (rc == 0 && n_rows)
		rc = append(journal, rows, n_rows, drop_oldest, &dropped);
	if (rc == 0)
		rc = run(journal->db, "COMMIT");
	if (rc < 0) {
		if (!sqlite3_get_autocommit(journal->db))
			run(journal->db, "ROLLBACK");
		return rc;
	}
	journal->n_damaged = 0;
	*ret_dropped = dropped;
	return 0;
}

int journal_read(struct journal *journal, uint64_t first, uint64_t last, size_t n_max,
	bool (*take)(void *user, const struct journal_row *row), void *user, uint64_t *ret_damaged)
{
	size_t n = 0;
	int rc = SQLITE_DONE;
	sqlite3_bind_int64(journal->select, 1, (int64_t)first);
	sqlite3_bind_int64(journal->select, 2, (int64_t)last);
	while (n < n_max && (rc = sqlite3_step(journal->select)) == SQLITE_ROW) {
		struct journal_row row;
		uint64_t id = (uint64_t)sqlite3_column_int64(journal->select, 0);
		if (!row_of(journal->select, &row)) {
			(*ret_damaged)++;
			if (journal->n_damaged < sizeof(journal->damaged) / sizeof(journal->damaged[0]))
				journal->damaged[journal->n_damaged++] = (struct journal_span){id, id};
			continue;
		}
		if (!take(user, &row))
			break;
		n++;
	}
	sqlite3_reset(journal->select);
	int error = error_of(rc);
	return error < 0 && n == 0 ? error : (int)n;
}

void journal_size(struct journal *journal, struct journal_size *ret_size)
{
	int64_t pages = 0, unused = 0;
	ask(journal->db, "PRAGMA page_count", &pages);
	ask(journal->db, "PRAGMA freelist_count", &unused);
	*ret_size = (struct journal_size){
		.bytes = (pages - unused) * JOURNAL_PAGE_BYTES, .max_bytes = journal->max_pages * JOURNAL_PAGE_BYTES};
}

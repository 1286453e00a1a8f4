/*
 * Opening the journal, on SQLite (through journal_db.c): its tables, its limits, and a sound file out of a damaged one.
 *
 * The table
 *
 *     msg(id INTEGER PRIMARY KEY,  the sequence: the order of the rows, never used again
 *         ts, flags,               when it was read, and how it is published: see journal_row.h
 *         topic, body,
 *         crc)                     CRC-32 of all of the above, so that a row stands alone
 *     meta(k, v)                   'next': the first sequence that nobody has reserved
 *                                  'rows': how many there are, kept within each transaction
 *                                  'opening': a number for acked.h, another one in each opening
 *                                  'clock-BOOT': see journal_clock.c
 *     latest                       an index over the few rows of which only the newest of a topic is kept
 *
 * The rule of validity: a row counts only if its CRC fits.  A flipped bit in a SQLite page is otherwise a silently
 * wrong payload; with the CRC it is one lost row, counted.
 *
 * Why these settings: WAL with synchronous FULL keeps what it has committed over a power cut (NORMAL does not); the
 * lock is exclusive, so there is no shared memory and no second gateway; file and log are allocated to their full size
 * at once (without writing them), so that a disk filled by others stops neither appends nor deletes, and the log begins
 * anew with each start, so that it never outgrows that; nothing is ever vacuumed.
 * The count is kept and not made, because a million rows take seconds to count.
 *
 * A file that is damaged gets a mark when it is closed.  Opened again, its sound rows are brought to PATH.new
 * (journal_salvage.c), which then takes its place; a kill or a power cut at any instant of that loses nothing.
 *
 * Thread: the store's.
 */
#include "ship/acked.h"
#include "ship/journal_inner.h"
#include "ship/journal_salvage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGES_LEAST    15
#define PAGES_SPARE    24 /* kept free for what a delete writes; a quarter of a small file */
#define APPLICATION_ID 0x42734679
#define VERSION        1
#define LOG_PAGES      ((int64_t)1000) /* after which the log goes to the file; a transaction may add as many */
#define NEXT_MAX       ((int64_t)3 << 61)

#define ROW       "(?,?,?,?,?,?)"
#define FIVE_ROWS ROW "," ROW "," ROW "," ROW "," ROW

_Static_assert(JOURNAL_MANY == 20, "INSERT_MANY has as many");

static const char *const statement_texts[N_STATEMENTS] = {
	[INSERT] = "INSERT OR IGNORE INTO msg VALUES(?,?,?,?,?,?)",
	[INSERT_MANY] = "INSERT OR IGNORE INTO msg VALUES" FIVE_ROWS "," FIVE_ROWS "," FIVE_ROWS "," FIVE_ROWS,
	/* The second look at the lower end is for a page that lies where another should: a search that ends on it goes
	 * on from there, and would take all rows up to the upper end. */
	[ERASE] = "DELETE FROM msg WHERE id BETWEEN ?1 AND ?2 AND +id >= ?1",
	[SELECT] = "SELECT id,ts,flags,topic,body,crc FROM msg WHERE id >= ? ORDER BY id",
	[SELECT_IDS] = "SELECT id FROM msg WHERE id >= ? ORDER BY id",
	[SELECT_BEFORE] = "SELECT id,ts,flags,topic,body,crc FROM msg WHERE id < ? ORDER BY id DESC",
	[SELECT_LATEST] = "SELECT id,ts,flags,topic,body,crc FROM msg WHERE flags & 32 ORDER BY id",
	[NTH_OLDEST] = "SELECT coalesce(max(id),0) FROM (SELECT id FROM msg ORDER BY id LIMIT ?)",
	[PAGES] = "PRAGMA page_count",
	[UNUSED_PAGES] = "PRAGMA freelist_count",
	[COUNT] = "UPDATE meta SET v = v + ? WHERE k='rows'",
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

static int64_t log_pages(const struct journal *journal)
{
	return journal->max_pages < LOG_PAGES ? journal->max_pages : LOG_PAGES;
}

/* Twice its pages, each with a header. */
static int64_t log_bytes(const struct journal *journal)
{
	return 32 + 2 * log_pages(journal) * (JOURNAL_PAGE_BYTES + 24);
}

/* The rows may take what the disk has room for: a file that can't grow when it must can't be emptied either. */
static void limit(struct journal *journal, int64_t max_bytes, struct journal_found *found)
{
	int64_t room = journal_file_room(journal->path), wanted = max_bytes / JOURNAL_PAGE_BYTES;
	journal->max_pages = wanted > PAGES_LEAST ? wanted : PAGES_LEAST;
	if (room < journal->max_pages * JOURNAL_PAGE_BYTES + log_bytes(journal)) {
		int64_t fits = (room - room / 16) / JOURNAL_PAGE_BYTES;
		fits -= fits > 4 * LOG_PAGES ? 2 * LOG_PAGES + 16 : 2 * fits / 3;
		journal->max_pages = fits > PAGES_LEAST ? fits : PAGES_LEAST;
		found->short_kb = journal->max_pages * JOURNAL_PAGE_BYTES / 1024;
	}
	journal->spare_pages = journal->max_pages / 4 < PAGES_SPARE ? journal->max_pages / 4 : PAGES_SPARE;
}

/*
 * File and log are taken from the disk at once, so that nobody else can take the space; no byte of them is written.
 * SQLite itself would write one byte to each page.
 */
static void allocate(struct journal *journal, struct journal_found *found)
{
	int64_t bytes = journal->max_pages * JOURNAL_PAGE_BYTES;
	bool keeps = journal_db_keep_size(journal->db, bytes);
	int rc = journal_file_reserve_log(journal->path, log_bytes(journal));
	if (rc == 0 && keeps)
		rc = journal_file_allocate(journal->path, bytes, &journal->fd);
	found->unreserved = rc == -ENOSPC;
}

static int prepare(struct journal *journal)
{
	int rc = 0;
	for (size_t i = 0; i < N_STATEMENTS && rc == 0; i++)
		rc = journal_db_prepare(journal->db, statement_texts[i], &journal->statements[i]);
	return rc;
}

static int open_db(struct journal *journal, const char *path)
{
	char limits[128];
	int rc = journal_db_open(path, true, &journal->db);
	if (rc == 0)
		rc = journal_db_run(journal->db, settings);
	if (rc == 0)
		rc = look(journal->db);
	if (rc == 0)
		rc = journal_db_run(journal->db,
			"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_checkpoint(RESTART)");
	snprintf(limits, sizeof(limits), "PRAGMA wal_autocheckpoint=%lld; PRAGMA max_page_count=%lld",
		(long long)log_pages(journal), (long long)journal->max_pages);
	if (rc == 0)
		rc = journal_db_run(journal->db, limits);
	if (rc == 0)
		rc = journal_db_run(
			journal->db, "BEGIN IMMEDIATE; PRAGMA application_id=1114850937; PRAGMA user_version=1;");
	if (rc == 0)
		rc = journal_db_run(journal->db, schema);
	if (rc == 0)
		rc = journal_db_run(journal->db, "COMMIT");
	if (rc == 0)
		rc = prepare(journal);
	if (rc == 0)
		journal_db_trust(journal->db);
	else
		close_db(journal);
	return rc;
}

/* What the damaged file says of itself. */
struct last_words {
	int64_t next, rows, pages, opening; /* 0 = unknown */
	struct journal_clock clocks[JOURNAL_CLOCKS];
	size_t n_clocks;
};

/* The last thing that SQLite can do for it: its log goes into it, if that is of this file. */
static struct last_words hear_last_words(const char *path)
{
	struct last_words words = {0};
	struct sqlite3 *db = NULL;
	int64_t n = 0;
	if (journal_db_open(path, false, &db) == 0 && journal_db_run(db, settings) == 0 &&
		journal_db_ask(db,
			"SELECT count(*) FROM sqlite_schema WHERE name='msg' AND"
			" sql LIKE '%crc INTEGER NOT NULL) STRICT'",
			&n) == 0 &&
		n == 1) {
		journal_db_ask(db, "SELECT v FROM meta WHERE k='next'", &words.next);
		journal_db_ask(db, "SELECT v FROM meta WHERE k='rows'", &words.rows);
		journal_db_ask(db, "SELECT v FROM meta WHERE k='opening'", &words.opening);
		journal_db_ask(db, "PRAGMA page_count", &words.pages);
		journal_clocks_of(db, words.clocks, &words.n_clocks);
		journal_db_run(db, "PRAGMA wal_checkpoint(TRUNCATE)");
	}
	journal_db_close(db);
	return words;
}

struct rescue {
	struct journal *journal;
	int64_t rows;
	unsigned uncommitted;
	int error;
};

static bool rescue_row(void *user, const struct journal_row *row)
{
	struct rescue *rescue = user;
	struct journal_room room = {0};
	int64_t more_rows = 0;
	rescue->error = journal_append(rescue->journal, row, 1, true, &room, &more_rows);
	rescue->rows += more_rows - (int64_t)room.n_deleted;
	if (rescue->error == 0 && more_rows > 0 && ++rescue->uncommitted % 1000 == 0)
		rescue->error = journal_db_run(rescue->journal->db, "COMMIT; BEGIN IMMEDIATE");
	return rescue->error == 0;
}

/* Fills the new file, which is open, with what is sound in the old one: the newest of it, when the new one is smaller.
 */
static int fill(struct journal *journal, const struct last_words *words, struct journal_found *found)
{
	struct rescue rescue = {.journal = journal};
	char text[192];
	snprintf(text, sizeof(text),
		"PRAGMA synchronous=OFF; UPDATE meta SET v = %lld WHERE k='next';"
		"INSERT INTO meta VALUES('opening', %lld)",
		words->next > 0 && words->next < NEXT_MAX ? (long long)words->next : 1, (long long)words->opening);
	int rc = journal_db_run(journal->db, text);
	for (size_t i = words->n_clocks; i > 0 && rc == 0; i--) /* the one without an offset comes last */
		rc = journal_note_clock(journal, &words->clocks[i - 1]);
	if (rc == 0)
		rc = journal_db_run(journal->db, "BEGIN IMMEDIATE");
	if (rc < 0)
		return rc;
	rc = journal_salvage(journal->path, rescue_row, &rescue, &found->damaged);
	if (rescue.error < 0)
		rc = rescue.error;
	found->rescued = (uint64_t)rescue.rows;
	/* The counter may be what was damaged: more than a file of that size can hold is not true. */
	int64_t most = words->pages * JOURNAL_PAGE_ROWS;
	if (words->rows > 0 && words->rows <= most && (uint64_t)words->rows > found->rescued)
		found->damaged = (uint64_t)words->rows - found->rescued;
	return journal_commit(journal, rc, (int64_t)found->rescued);
}

static int rebuild(struct journal *journal, struct journal_found *found)
{
	char new[JOURNAL_PATH_BYTES];
	journal_file_new(journal->path, new);
	journal_file_discard_new(journal->path);
	struct last_words words = hear_last_words(journal->path);
	int rc = open_db(journal, new);
	if (rc == 0) {
		rc = fill(journal, &words, found);
		close_db(journal);
	}
	if (rc == 0)
		rc = journal_file_replace(journal->path, found->aside, sizeof(found->aside));
	if (rc < 0) {
		journal_file_discard_new(journal->path);
		return rc;
	}
	found->set_aside = true;
	return open_db(journal, journal->path);
}

/* The sequence of the row at an end; 0 = none.  A key that is damaged would lead everybody astray, and so would a page
 * that lies there and should not: its rows end before those that follow. */
static int end_of(struct journal *journal, const char *sql, bool descends, uint64_t *ret_sequence)
{
	struct sqlite3_stmt *statement = NULL;
	struct journal_row row = {0};
	int rc = journal_db_prepare(journal->db, sql, &statement);
	if (rc == 0)
		rc = journal_db_next(statement);
	if (rc > 0)
		rc = journal_db_row(statement, &row) && row.sequence < (uint64_t)NEXT_MAX ? 1 : -EBADMSG;
	*ret_sequence = row.sequence;
	for (unsigned n = 0; rc > 0 && n < JOURNAL_PAGE_ROWS; n++) {
		uint64_t before = row.sequence;
		rc = journal_db_next(statement);
		if (rc > 0 && journal_db_row(statement, &row) &&
			(descends ? row.sequence >= before : row.sequence <= before))
			rc = -EBADMSG;
	}
	journal_db_finish(statement);
	return rc < 0 ? rc : 0;
}

/* Nobody may use again a sequence that a row has. */
static int ends_of(struct journal *journal, struct journal_found *found)
{
	int64_t next = 0, used = 0;
	char text[96];
	int rc = journal_used_pages(journal, &used);
	if (rc == 0)
		rc = end_of(journal, "SELECT id,ts,flags,topic,body,crc FROM msg ORDER BY id", false, &found->first);
	if (rc == 0)
		rc = end_of(journal, "SELECT id,ts,flags,topic,body,crc FROM msg ORDER BY id DESC", true, &found->last);
	if (rc == 0)
		rc = journal_db_ask(journal->db, "SELECT v FROM meta WHERE k='rows'", &journal->rows);
	if (rc == 0)
		rc = journal_db_ask(journal->db, "SELECT v FROM meta WHERE k='next'", &next);
	if (rc == 0 && (next < 1 || next >= NEXT_MAX))
		rc = -EBADMSG;
	int64_t most = found->last ? (int64_t)(found->last - found->first) + 1 : 0;
	if (rc == 0 && (journal->rows < 0 || journal->rows > most))
		rc = -EBADMSG;
	snprintf(text, sizeof(text), "UPDATE meta SET v = %lld WHERE k='next'", (long long)found->last + 1);
	if (rc == 0 && (uint64_t)next <= found->last)
		rc = journal_db_run(journal->db, text);
	found->rows = (uint64_t)journal->rows;
	return rc;
}

static int open_and_look(struct journal *journal, struct journal_found *found)
{
	int rc = open_db(journal, journal->path);
	if (rc == 0 && ((rc = journal_begin(journal)) < 0 || (rc = ends_of(journal, found)) < 0))
		close_db(journal);
	return rc;
}

static struct journal *journal_new(void)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	if (journal)
		journal->fd = -1;
	return journal;
}

int journal_look(const char *path, struct journal **ret_journal)
{
	struct journal *journal = journal_new();
	if (!journal)
		return -ENOMEM;
	journal->looks = true;
	int rc = journal_file_resolve(path, journal->path);
	if (rc == 0 && access(journal->path, R_OK | W_OK) < 0)
		rc = -errno;
	if (rc == 0)
		rc = journal_file_is_marked(journal->path) ? -EBADMSG
							   : journal_db_open(journal->path, false, &journal->db);
	if (rc == 0) {
		journal_db_leave_log(journal->db);
		rc = journal_db_run(journal->db, settings);
	}
	if (rc == 0)
		rc = look(journal->db);
	if (rc == 0)
		rc = prepare(journal);
	if (rc == 0 && journal_db_ask(journal->db, "SELECT v FROM meta WHERE k='opening'", &journal->opening) == 0)
		journal->n_acked = acked_read(journal->path, (uint64_t)journal->opening, &journal->acked);
	if (rc < 0) {
		journal_close(journal);
		return rc;
	}
	*ret_journal = journal;
	return 0;
}

int journal_open(const char *path, int64_t max_bytes, struct journal **ret_journal, struct journal_found *ret_found)
{
	struct journal *journal = journal_new();
	if (!journal)
		return -ENOMEM;
	struct journal_found found = {0};
	mode_t mask = umask(0077);
	int rc = journal_file_resolve(path, journal->path);
	if (rc == 0)
		rc = journal_file_clear_way(journal->path, found.aside, sizeof(found.aside));
	if (rc >= 0) {
		found.set_aside = rc > 0;
		rc = journal_file_adopt(journal->path);
	}
	if (rc == 0) {
		limit(journal, max_bytes, &found);
		journal_file_mend_header(journal->path);
		rc = journal_file_is_marked(journal->path) ? -EBADMSG : open_and_look(journal, &found);
	}
	if (rc == -EBADMSG && (rc = rebuild(journal, &found)) == 0 && (rc = journal_begin(journal)) == 0)
		rc = ends_of(journal, &found);
	umask(mask);
	if (rc < 0) {
		journal_close(journal);
		return rc;
	}
	allocate(journal, &found);
	*ret_journal = journal;
	*ret_found = found;
	return 0;
}

void journal_close(struct journal *journal)
{
	if (!journal)
		return;
	close_db(journal);
	if (journal->bad && !journal->looks)
		journal_file_mark(journal->path);
	free(journal->acked);
	free(journal);
}

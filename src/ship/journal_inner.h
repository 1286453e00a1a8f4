/*
 * The inside of the journal, shared by its two files: journal_open.c makes it ready and a damaged file sound,
 * journal.c writes and reads.  No one else includes this.
 */
#ifndef SHIP_JOURNAL_INNER_H
#define SHIP_JOURNAL_INNER_H

#include "ship/journal.h"
#include "ship/journal_db.h"
#include "ship/journal_file.h"

#define JOURNAL_PAGE_ROWS 200 /* more than can lie on one page */
#define JOURNAL_MANY      20  /* rows that one statement inserts: what each one costs beside its row is a third of it */

enum journal_statement {
	INSERT,
	INSERT_MANY,
	ERASE,
	SELECT,
	SELECT_IDS,
	SELECT_BEFORE,
	SELECT_LATEST,
	NTH_OLDEST,
	COUNT,
	PAGES,
	UNUSED_PAGES,
	N_STATEMENTS
};

struct journal {
	struct sqlite3 *db;
	int fd; /* holds the space; -1 = none */
	struct sqlite3_stmt *statements[N_STATEMENTS];
	int64_t max_pages, spare_pages;
	int64_t rows;
	struct journal_room room;
	int64_t opening;            /* drawn by lot in each */
	struct journal_span *acked; /* when it is only looked at: rows that are done */
	size_t n_acked;
	struct journal_span damaged[32]; /* found while reading; erased with the next write */
	size_t n_damaged;
	bool bad;   /* the file is damaged, by SQLite or by its rows; nothing works until it is opened anew */
	bool looks; /* opened by journal_look: it gets no mark */
	char path[JOURNAL_PATH_BYTES];
};

/* Inserts the rows, or none of them, within a transaction.  *more_rows counts what was inserted.  0, or -errno. */
int journal_append(struct journal *journal, const struct journal_row *rows, size_t n, bool drop_oldest,
	struct journal_room *room, int64_t *more_rows);

/* Pages of the file that hold something.  0; -EBADMSG, -errno. */
int journal_used_pages(struct journal *journal, int64_t *ret_pages);

/* journal_clocks of a file that need not be sound. */
int journal_clocks_of(struct sqlite3 *db, struct journal_clock ret_clocks[JOURNAL_CLOCKS], size_t *ret_n);

/* Deletes what was noted as done in the opening before, and begins a new one.  0; -EBADMSG, -errno. */
int journal_begin(struct journal *journal);

/* Ends the transaction: on disk with so many rows more (less), or undone.  rc, or why it failed. */
int journal_commit(struct journal *journal, int rc, int64_t more_rows);

#endif

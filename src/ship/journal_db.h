/*
 * SQLite, as far as the journal needs it: the library is seen by journal_db.c only.
 *
 * All results are 0 or positive, or -errno: -EBADMSG the file is damaged or not ours, -ENOSPC, -EROFS, -EACCES, -EBUSY,
 * -ENOMEM, else -EIO.  One owner thread.
 */
#ifndef SHIP_JOURNAL_DB_H
#define SHIP_JOURNAL_DB_H

#include "ship/journal.h"

#include <stdbool.h>
#include <stdint.h>

struct sqlite3;
struct sqlite3_stmt;

/* new: it is made if it is not there.  A symbolic link is refused.  Until journal_db_trust the log stays out of the
 * file when it is closed: it may be another's.  *ret_db is to be closed in any case. */
int journal_db_open(const char *path, bool new, struct sqlite3 **ret_db);
void journal_db_trust(struct sqlite3 *db);
void journal_db_close(struct sqlite3 *db);

/* Its end writes nothing: what is in the write-ahead log stays there. */
void journal_db_leave_log(struct sqlite3 *db);

int journal_db_run(struct sqlite3 *db, const char *sql);

/* The number that a statement answers with. */
int journal_db_ask(struct sqlite3 *db, const char *sql, int64_t *ret_number);

bool journal_db_in_transaction(struct sqlite3 *db);

/* Cuts the file and its write-ahead log never again, when the file is that long.  False when it is too long for that.
 */
bool journal_db_keep_size(struct sqlite3 *db, int64_t bytes);

int journal_db_prepare(struct sqlite3 *db, const char *sql, struct sqlite3_stmt **ret_statement);
void journal_db_finish(struct sqlite3_stmt *statement);
void journal_db_bind(struct sqlite3_stmt *statement, int at, int64_t number);

/* Runs it to its end.  The number of rows that it changed, or -errno. */
int journal_db_do(struct sqlite3_stmt *statement);

/* 1 a row is there, 0 no more, or -errno.  Ends with journal_db_reset. */
int journal_db_next(struct sqlite3_stmt *statement);
void journal_db_reset(struct sqlite3_stmt *statement);
int64_t journal_db_number(struct sqlite3_stmt *statement, int column);

/* The row of a statement over id, ts, flags, topic, body, crc.  False when it is not what was written. */
bool journal_db_row(struct sqlite3_stmt *statement, struct journal_row *ret_row);

/* Inserts n rows by a statement with those six for each.  How many, without those whose sequence is there already, or
 * -errno. */
int journal_db_insert(struct sqlite3_stmt *insert, const struct journal_row *rows, size_t n);

#endif

/*
 * The only door to SQLite.  See journal_db.h.
 *
 * Invariant: outside of a function no statement is in the middle of its rows, but for journal_db_next.  Thread: the
 * store's.
 */
#include "ship/journal_db.h"
#include "ship/journal_row.h"

#include <errno.h>
#include <sqlite3.h>

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

int journal_db_open(const char *path, bool new, struct sqlite3 **ret_db)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
	int rc = sqlite3_open_v2(path, ret_db, new ? flags | SQLITE_OPEN_CREATE : flags, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(*ret_db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return error_of(rc);
}

void journal_db_trust(struct sqlite3 *db)
{
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
}

void journal_db_close(struct sqlite3 *db)
{
	sqlite3_close(db);
}

void journal_db_leave_log(struct sqlite3 *db)
{
	int keep = 1;
	sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
}

int journal_db_run(struct sqlite3 *db, const char *sql)
{
	return error_of(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

int journal_db_ask(struct sqlite3 *db, const char *sql, int64_t *ret_number)
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

bool journal_db_in_transaction(struct sqlite3 *db)
{
	return !sqlite3_get_autocommit(db);
}

bool journal_db_keep_size(struct sqlite3 *db, int64_t bytes)
{
	int chunk = bytes <= INT32_MAX ? (int)bytes : 0, keep = 1;
	sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
	return chunk && sqlite3_file_control(db, "main", SQLITE_FCNTL_CHUNK_SIZE, &chunk) == SQLITE_OK;
}

int journal_db_prepare(struct sqlite3 *db, const char *sql, struct sqlite3_stmt **ret_statement)
{
	return error_of(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL));
}

void journal_db_finish(struct sqlite3_stmt *statement)
{
	sqlite3_finalize(statement);
}

void journal_db_bind(struct sqlite3_stmt *statement, int at, int64_t number)
{
	sqlite3_bind_int64(statement, at, number);
}

int journal_db_do(struct sqlite3_stmt *statement)
{
	int error = error_of(sqlite3_step(statement));
	int n = error == 0 ? sqlite3_changes(sqlite3_db_handle(statement)) : 0;
	sqlite3_reset(statement);
	return error < 0 ? error : n;
}

int journal_db_next(struct sqlite3_stmt *statement)
{
	int rc = sqlite3_step(statement);
	return rc == SQLITE_ROW ? 1 : error_of(rc);
}

void journal_db_reset(struct sqlite3_stmt *statement)
{
	sqlite3_reset(statement);
}

int64_t journal_db_number(struct sqlite3_stmt *statement, int column)
{
	return sqlite3_column_int64(statement, column);
}

bool journal_db_row(struct sqlite3_stmt *statement, struct journal_row *ret_row)
{
	struct journal_columns columns = {.id = sqlite3_column_int64(statement, 0),
		.ts = sqlite3_column_int64(statement, 1),
		.flags = sqlite3_column_int64(statement, 2),
		.topic = (const char *)sqlite3_column_text(statement, 3),
		.topic_n = (size_t)sqlite3_column_bytes(statement, 3),
		.body = sqlite3_column_blob(statement, 4),
		.body_n = (size_t)sqlite3_column_bytes(statement, 4),
		.crc = sqlite3_column_int64(statement, 5)};
	return journal_row_unpack(&columns, ret_row);
}

int journal_db_insert(struct sqlite3_stmt *insert, const struct journal_row *rows, size_t n)
{
	int at = 0;
	for (size_t i = 0; i < n; i++) {
		struct journal_columns columns;
		journal_row_pack(&rows[i], &columns);
		sqlite3_bind_int64(insert, ++at, columns.id);
		sqlite3_bind_int64(insert, ++at, columns.ts);
		sqlite3_bind_int64(insert, ++at, columns.flags);
		sqlite3_bind_text(insert, ++at, columns.topic, (int)columns.topic_n, SQLITE_STATIC);
		sqlite3_bind_blob(insert, ++at, columns.body, (int)columns.body_n, SQLITE_STATIC);
		sqlite3_bind_int64(insert, ++at, columns.crc);
	}
	int n_inserted = journal_db_do(insert);
	sqlite3_clear_bindings(insert);
	return n_inserted;
}

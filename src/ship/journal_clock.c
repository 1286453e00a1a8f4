/*
 * The journal's notes of clocks: of each start of the machine (boot) in which rows were written while the clock was not
 * set, how far the wall clock was ahead of the monotonic one when it was set at last.
 *
 * Why notes and not better rows: a backlog may be a million rows; one note dates them all, also those that are read
 * back after the next start of the machine.
 *
 * In meta: 'clock-BOOT', the offset in ms, 0 = such rows may be there and the clock was not set since.  At most
 * JOURNAL_CLOCKS of them; a note without an offset is of no use to another boot.
 *
 * Thread: the store's.
 */
#include "ship/journal_inner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

int journal_clocks_of(struct sqlite3 *db, struct journal_clock ret_clocks[JOURNAL_CLOCKS], size_t *ret_n)
{
	struct sqlite3_stmt *statement = NULL;
	size_t n = 0;
	int rc = journal_db_prepare(
		db, "SELECT CAST(substr(k,7) AS INTEGER), v FROM meta WHERE k GLOB 'clock-*' ORDER BY v", &statement);
	while (rc >= 0 && n < JOURNAL_CLOCKS && (rc = journal_db_next(statement)) > 0)
		ret_clocks[n++] = (struct journal_clock){
			(uint64_t)journal_db_number(statement, 0), journal_db_number(statement, 1)};
	journal_db_finish(statement);
	if (rc < 0)
		return rc;
	*ret_n = n;
	return 0;
}

int journal_clocks(struct journal *journal, struct journal_clock ret_clocks[JOURNAL_CLOCKS], size_t *ret_n)
{
	return journal_clocks_of(journal->db, ret_clocks, ret_n);
}

int journal_note_clock(struct journal *journal, const struct journal_clock *clock)
{
	char sql[512];
	snprintf(sql, sizeof(sql),
		"BEGIN IMMEDIATE;"
		"DELETE FROM meta WHERE k GLOB 'clock-*' AND v = 0;"
		"INSERT OR REPLACE INTO meta VALUES('clock-%" PRIu64 "', %" PRId64 ");"
		"DELETE FROM meta WHERE k GLOB 'clock-*' AND k NOT IN (SELECT k FROM meta WHERE k GLOB 'clock-*'"
		" ORDER BY v = 0 DESC, v DESC LIMIT %d)",
		clock->boot, clock->offset_ms, JOURNAL_CLOCKS);
	int rc = journal->bad ? -EBADMSG : journal_db_run(journal->db, sql);
	rc = journal_commit(journal, rc, 0);
	journal->bad = journal->bad || rc == -EBADMSG;
	return rc;
}

int journal_forget_clocks(struct journal *journal)
{
	return journal_db_run(journal->db, "DELETE FROM meta WHERE k GLOB 'clock-*'");
}

/*
 * Searching a damaged file row by row: by ascending sequence; at an error the search jumps ahead by growing steps, and
 * then comes from the other end.
 *
 * Why by the key: one page that can't be read hides its own rows only, as long as nothing asks SQLite to walk over it.
 *
 * Thread: the store's.
 */
#include "ship/journal_salvage.h"
#include "ship/journal_file.h"

#include <errno.h>

#define JUMP_MAX    64
#define IN_VAIN_MAX 4096

struct salvage {
	struct sqlite3 *from;
	struct sqlite3_stmt *insert;
	struct journal_salvaged salvaged;
	int error; /* of an insertion */
};

/* One row at or beyond an id, in the direction of the statement. 1 taken, 0 no more, -1 unreadable here. */
static int salvage_one(struct salvage *salvage, struct sqlite3_stmt *next, int64_t *id)
{
	struct journal_row row;
	journal_db_bind(next, 1, *id);
	int taken = journal_db_next(next);
	if (taken == 1) {
		*id = journal_db_number(next, 0);
		int n = 0;
		if (!journal_db_row(next, &row))
			salvage->salvaged.damaged++;
		else if ((n = journal_db_insert(salvage->insert, &row)) > 0)
			salvage->salvaged.rescued++;
		if (n < 0)
			salvage->error = n;
	}
	journal_db_reset(next);
	return taken < 0 ? -1 : taken;
}

/* Walks the rows by id from one end, jumping over what can't be read; gives up after a long stretch of nothing. */
static int64_t salvage_walk(struct salvage *salvage, const char *sql, int64_t from, int64_t until, int direction)
{
	struct sqlite3_stmt *next = NULL;
	int64_t id = from, last = from;
	int jump = 1, in_vain = 0;
	if (journal_db_prepare(salvage->from, sql, &next) < 0)
		return last;
	while ((direction > 0 ? id < until : id > until) && salvage->error == 0) {
		int taken = salvage_one(salvage, next, &id);
		if (taken == 0)
			break;
		if (taken == 1) {
			last = id;
			jump = 1;
			in_vain = 0;
			continue;
		}
		if (++in_vain > IN_VAIN_MAX)
			break;
		id += (int64_t)direction * jump;
		jump = jump < JUMP_MAX ? jump * 2 : JUMP_MAX;
	}
	journal_db_finish(next);
	return last;
}

int journal_salvage(const char *path, struct sqlite3_stmt *insert, struct journal_salvaged *ret_salvaged)
{
	struct salvage salvage = {.insert = insert};
	journal_file_pad(path);
	if (journal_db_open(path, false, &salvage.from) == 0) {
		journal_db_run(salvage.from, "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON");
		int64_t seen = salvage_walk(&salvage,
			"SELECT id,ts,flags,topic,body,crc FROM msg WHERE id>? ORDER BY id LIMIT 1", 0, INT64_MAX, 1);
		salvage_walk(&salvage, "SELECT id,ts,flags,topic,body,crc FROM msg WHERE id<? ORDER BY id DESC LIMIT 1",
			INT64_MAX, seen, -1);
	}
	journal_db_close(salvage.from);
	*ret_salvaged = salvage.salvaged;
	return salvage.error;
}

/*
 * What is sound in a damaged journal is brought into a new one.
 */
#ifndef SHIP_JOURNAL_SALVAGE_H
#define SHIP_JOURNAL_SALVAGE_H

#include "ship/journal_db.h"

struct journal_salvaged {
	uint64_t rescued; /* rows that were inserted */
	uint64_t damaged; /* rows that are there, but not as they were written */
};

/*
 * Reads what it can of the file and inserts it by the statement, inside a transaction of the caller's.  The file is
 * made as long as its header says.  0, or -errno of an insertion; a file that can't be read is no error.
 */
int journal_salvage(const char *path, struct sqlite3_stmt *insert, struct journal_salvaged *ret_salvaged);

#endif

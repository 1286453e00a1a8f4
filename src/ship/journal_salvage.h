/*
 * What can be read of a journal's file that SQLite calls damaged, without SQLite.
 *
 * Thread: the store's.
 */
#ifndef SHIP_JOURNAL_SALVAGE_H
#define SHIP_JOURNAL_SALVAGE_H

#include "ship/journal.h"

/*
 * Gives every sound row of the file to `take`, nearly in ascending order, until it says false; a row can come twice,
 * and one that had been deleted can come when the list of free pages is damaged too.  The row is valid during the call.
 * 0, with the number of rows that are there and not sound added to *ret_damaged; -ECANCELED when take said false;
 * -errno.
 */
int journal_salvage(
	const char *path, bool (*take)(void *user, const struct journal_row *row), void *user, uint64_t *ret_damaged);

#endif

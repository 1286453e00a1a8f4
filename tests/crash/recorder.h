/*
 * Records what a program does to its files, and makes from it what a power cut could have left of them.
 *
 * A disk owes nothing until it was told to sync: of what was written since, each piece may be there, may be missing,
 * may be there in part (sectors of 512 bytes), in any order, and so for sizes.  Names (made, renamed, removed) change
 * in the order in which they were changed, as far as it came; a sync of a new file keeps its name too.
 */
#ifndef CRASH_RECORDER_H
#define CRASH_RECORDER_H

#include "yard.h"

/* Begins a record of an empty folder.  swallow_syncs: a broken disk, which says that it did. */
void recorder_begin(const struct yard *yard, bool swallow_syncs);
/* How many events are recorded: an instant. */
unsigned recorder_now(void);
/* What others do to a file is recorded as well, and durable at once. */
void recorder_poke(const char *path, const void *bytes, int64_t offset, size_t n);
void recorder_end(void);

/* Forward from the first event; instants must not fall. */
void recorder_rewind(void);
/* Fills the folder with what a cut at that instant could have left. */
void recorder_cut(const struct yard *yard, unsigned instant, struct chance *chance);
/* The name of what was chosen at the last cut, for the report. */
const char *recorder_choice(void);

#endif

/*
 * The journal: messages that wait, on disk.  SQLite behind a few functions, so that another store could take its place
 * and the crash tests stay the same.
 *
 * A row is written once and deleted when the broker has the message; it carries everything needed to publish it, so a
 * changed map orphans nothing.  Rows are ordered by their sequence, which is never used twice, not even by another
 * process on the same file.
 *
 * Threads: one owner, the store's.
 */
#ifndef SHIP_JOURNAL_H
#define SHIP_JOURNAL_H

#include "model/message.h"
#include "model/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct journal;

/* Sequences of rows that are done: first..last, both included; what lies between and is not there does not matter. */
struct journal_span {
	uint64_t first, last;
};

/* A message with its place in the order.  topic and payload belong to whoever fills the row. */
struct journal_row {
	uint64_t sequence;
	struct message message;
	bool again;    /* it may have been sent before it was written */
	uint64_t boot; /* 0; or the clock was not set: message.time_ms says nothing, message.put_at is the instant of
			  the reading, to the ms, after that start of the machine (clock_boot) */
};

/* What was found when the file was opened. */
struct journal_found {
	uint64_t first, last; /* sequences of the rows; 0, 0 = none */
	uint64_t rows;        /* how many; known without counting */
	bool set_aside;       /* a file that could not be used was renamed, to the name in aside */
	uint64_t rescued;     /* rows taken over from it */
	uint64_t damaged;     /* rows whose bytes were not what had been written, or that could not be read */
	char aside[256];
	int64_t short_kb; /* the disk has room for that much only, not for max_size; 0 = it has */
	bool unreserved;  /* and its space could not be kept for it */
};

struct journal_size {
	int64_t bytes;     /* in use */
	int64_t max_bytes; /* that the rows may take */
};

/*
 * Opens or makes the file.  Whatever lies there, the start is not refused: a file that is damaged, foreign or of a
 * newer version is renamed to PATH.bad-DATE, what is sound in it is taken over; and what acked.h says is done is
 * deleted. 0 with *ret_journal and *ret_found; -EBUSY another process has it; -EACCES, -ENOENT, -EROFS, -ENOSPC, -EIO
 * or another -errno when nothing can be written there.
 */
int journal_open(const char *path, int64_t max_bytes, struct journal **ret_journal, struct journal_found *ret_found);

/* NULL is fine.  Writes what the file system still owes.  A file that turned out to be damaged (-EBADMSG) gets a mark,
 * by which the next opening sets it aside whatever it looks like; one that was only looked at gets none. */
void journal_close(struct journal *journal);

/* Reserves n sequences; the first of them is above every one used before. 0, or -errno. */
int journal_reserve(struct journal *journal, uint64_t n, uint64_t *ret_first);

/*
 * Deletes and appends in one transaction, on disk when it returns.  When the file is full, oldest rows make room
 * (drop_oldest) or the new ones are left out; *ret_dropped counts either, also on failure 0.
 * 0; -EBADMSG the file is damaged: close, open again; -ENOSPC, -EROFS, -EIO, …: nothing was written, try later with a
 * journal opened anew (a failed sync must not be trusted to succeed the second time).
 */
int journal_write(struct journal *journal, const struct journal_span *done, size_t n_done,
	const struct journal_row *rows, size_t n_rows, bool drop_oldest, uint64_t *ret_dropped);

/*
 * What the last write that returned 0 did for lack of room: it deleted the rows up to a sequence (0 = none), and left
 * out the last n_left_out of its own, which no_use = true says would not even fit into an empty file.
 */
struct journal_room {
	uint64_t deleted_upto;
	uint64_t n_deleted, n_left_out;
	bool no_use;
};
void journal_room(const struct journal *journal, struct journal_room *ret_room);

/*
 * Reads rows with first <= sequence <= last in ascending order until `take` says false or n_max were taken.  The row is
 * valid during the call.  Damaged rows are skipped, counted and deleted with the next write.
 * The number of rows taken, or -EBADMSG, -EIO.
 */
int journal_read(struct journal *journal, uint64_t first, uint64_t last, size_t n_max,
	bool (*take)(void *user, const struct journal_row *row), void *user, uint64_t *ret_damaged);

/* The same for the rows of which only the newest of its topic is kept: there are no more of them than topics. */
int journal_read_latest(struct journal *journal, bool (*take)(void *user, const struct journal_row *row), void *user,
	uint64_t *ret_damaged);

/* As journal_read, and leaves the damaged ones where they are.  For looking. */
int journal_peek(struct journal *journal, uint64_t first, uint64_t last, size_t n_max,
	bool (*take)(void *user, const struct journal_row *row), void *user, uint64_t *ret_damaged);

/*
 * Opens a file that is there and that no gateway has, for looking and for deleting: nothing is made, mended or set
 * aside, nothing is written but by journal_write, and that in place.  What acked.h says is done is not given out.
 * 0; -ENOENT there is none; -EBUSY somebody has it; -EBADMSG it is damaged, foreign or of a newer version; -EACCES,
 * -EROFS or another -errno when it can't be opened for writing, which SQLite needs for its lock.
 */
int journal_look(const char *path, struct journal **ret_journal);

void journal_size(struct journal *journal, struct journal_size *ret_size);

/* How far the wall clock is ahead of the monotonic one, in one start of the machine, ms; 0 = it was not set yet. */
#define JOURNAL_CLOCKS 8
struct journal_clock {
	uint64_t boot;
	int64_t offset_ms;
};

/* Notes of clocks, on disk when it returns: of a boot in which rows are written while the clock is not set, and again
 * when it is.  The last few are kept.  0; -EBADMSG, -errno as journal_write. */
int journal_note_clock(struct journal *journal, const struct journal_clock *clock);
int journal_clocks(struct journal *journal, struct journal_clock ret_clocks[JOURNAL_CLOCKS], size_t *ret_n);
/* When there are no rows of theirs. */
int journal_forget_clocks(struct journal *journal);

/* For acked_open: where the file really is, and the number of this opening, which no other one has. */
const char *journal_path(const struct journal *journal);
uint64_t journal_opening(const struct journal *journal);

#endif

/*
 * What is acknowledged and not yet deleted on disk, noted in a small file beside the journal: deletions can't be
 * committed as often as acknowledgements come, since each commit syncs the card, and what a kill leaves undeleted is
 * published again.
 *
 * A note says that the row of a sequence is done.  Sequences are never used twice, so a note stays true, and none is
 * ever taken back; they hold for one opening of the journal, which deletes all that were noted in the one before.
 *
 * A kill loses no note that is written.  A power cut may lose or tear any; that costs duplicates, never readings.
 *
 * Threads: note and write by the publisher's only; the rest by the store's.
 */
#ifndef SHIP_ACKED_H
#define SHIP_ACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct acked;
struct journal_span;

/* The file of that journal, made if there is none, for notes of one opening.  0 and *ret_acked; -EEXIST something else
 * lies there; -errno. */
int acked_open(const char *journal_path, uint64_t opening, struct acked **ret_acked);
/* NULL is fine.  The publisher has ended. */
void acked_close(struct acked *acked);

/* The journal was opened anew: all notes so far are forgotten. */
void acked_begin(struct acked *acked, uint64_t opening);

/* The row of that sequence is done. */
void acked_note(struct acked *acked, uint64_t sequence);

/* From here on no kill loses what was noted.  Costs nothing when that is nothing; a file that can't be written is given
 * up. */
void acked_write(struct acked *acked);

/*
 * What was noted in one opening of the journal at that path, ascending and apart, to *ret_spans (NULL = none), which is
 * the caller's to free().  Whatever lies there: what is no sound note of that opening is none.  How many spans.
 */
size_t acked_read(const char *journal_path, uint64_t opening, struct journal_span **ret_spans);

/* Is it in one of those? */
bool acked_has(const struct journal_span *spans, size_t n, uint64_t sequence);

#endif

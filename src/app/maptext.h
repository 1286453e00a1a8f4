/*
 * The raw-text pass over a map: where every key and value stands, and all that libconfig refuses with two words
 * ("syntax error") or takes wrongly without a word.
 */
#ifndef APP_MAPTEXT_H
#define APP_MAPTEXT_H

#include "app/faults.h"
#include "app/tree.h"
#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct maptext_edit;

struct maptext {
	const char *file;
	const char *folder;   /* of the map: included files are relative to it */
	struct arena *keep;   /* of the tree */
	struct arena scratch; /* of all else: freed by maptext_destroy */
	struct faults *faults;

	/*
	 * What stands in the text: groups, lists and ints are complete, of other values the place and the type are
	 * known.  One setting or element for each of libconfig's, in its order.
	 */
	struct tree *root;
	/*
	 * What libconfig is to read, NUL-terminated: the text without its byte order mark, and with the faults that
	 * were told mended, so that what else is wrong can be told too.
	 */
	const char *text;
	bool repaired; /* it was mended: a fault has been told */
	bool broken;   /* it can't be mended: a fault has been told, go no further with it */

	/* While it is read. */
	struct maptext_edit *edits;
	size_t n_edits, edits_size;
	const char *words[256]; /* some that were kept: most keys stand in many groups */
	unsigned depth;
	unsigned n_within; /* how many files include the one that is read */
	bool hopeless;     /* no use in going on */
	bool unclosed_found, quote_lost;
	struct place_in_map unclosed; /* the outermost group or list that is open at the end */
	struct place_in_map suspect;  /* the one whose brace is missing, by the indentation */
	char unclosed_by, suspect_by; /* the brace that is missing; 0 = none */
	size_t first_error;           /* n_errors before */
};

/*
 * Reads a whole text, which must outlive *ret.  Never fails: faults are added and `broken` is set where it must be. The
 * tree lives in `keep`, the rest in *ret itself.
 */
void maptext_read(
	const char *file, const char *text, size_t n, struct arena *keep, struct faults *faults, struct maptext *ret);

void maptext_destroy(struct maptext *map);

/* n bytes of text as a text of the tree's. */
const char *maptext_keep(struct maptext *map, const char *text, size_t n);

/*
 * A whole file into memory from the arena.  0; -ENOENT, -EACCES …; -EFBIG beyond 32 MB.
 */
int maptext_load(const char *file, struct arena *arena, const char **ret_text, size_t *ret_n);

/* A fault at a place of the text; for the passes of maptext itself. */
void maptext_fault(struct maptext *map, const struct place_in_map *at, const char *hint, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Replaces n bytes of the text. */
void maptext_edit(struct maptext *map, size_t at, size_t n, const char *by);

/* Takes back the edits from that byte on. */
void maptext_unedit(struct maptext *map, size_t from);

/* The text with its edits; lines stay where they are. */
const char *maptext_mend(struct maptext *map, const char *text, size_t n);

/* Tells the first byte that is not UTF-8, or zero. */
void maptext_check_bytes(struct maptext *map, const char *file, const char *text, size_t n);

#endif

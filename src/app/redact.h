/*
 * Takes out of texts what is nobody's business before they are shown to others: passwords, keys, and, unless they are
 * wanted, user names and client ids.  One thread.
 *
 * What is secret is learnt from the maps, sound or not: by the name of a key, by what stands before the @ of a URL, and
 * from the files that password_file names.  Each text then loses all that was learnt, wherever it stands in it.
 */
#ifndef APP_REDACT_H
#define APP_REDACT_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define REDACT_WORDS 256

struct redact_word {
	const char *text;
	const char *by; /* what stands in its place */
};

struct redact {
	bool names_too; /* user names and client ids as well */
	struct arena arena;
	struct redact_word words[REDACT_WORDS];
	size_t n_words;
};

/* Zeroed but for names_too is fine to begin with.  Overwrites and frees what was learnt. */
void redact_destroy(struct redact *redact);

/* A word that must not be seen; `by` outlives the redact.  Words of three characters and less go only where they stand
 * alone, and "busferry" is none. */
void redact_learn(struct redact *redact, const char *word, const char *by);

/* Learns what a map has to hide; text: n bytes and a NUL, here and below.  All maps are learnt before the first one is
 * printed. */
void redact_learn_map(struct redact *redact, const char *file, const char *text, size_t n);

/* Prints a map without its comments, and with what it hides masked. */
void redact_print_map(const struct redact *redact, const char *file, const char *text, size_t n, FILE *to);

/* Prints any text without what was learnt, and without control characters and bytes that are not UTF-8. */
void redact_print(const struct redact *redact, const char *text, size_t n, FILE *to);

#endif

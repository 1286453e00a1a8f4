/*
 * Faults and warnings in the map: collected, sorted, printed in one go, each with its line and a caret.
 * One owner thread.
 */
#ifndef APP_FAULTS_H
#define APP_FAULTS_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum fault_level { FAULT_ERROR, FAULT_WARNING };

/* Where in the map.  line 0 = the file as a whole. */
struct place_in_map {
	const char *file;
	uint32_t line;   /* from 1 */
	uint16_t column; /* from 1, in characters; what lies beyond counts as the last */
	uint16_t width;  /* characters that the caret underlines; 0 = one */
};

struct fault {
	struct fault *next;
	enum fault_level level;
	struct place_in_map at;
	const char *what; /* without full stop */
	const char *hint; /* what to do; NULL = none */
	size_t nth;       /* in the order of finding, for those of one place */
};

struct faults {
	struct arena arena;
	struct fault *first;
	size_t n_errors, n_warnings;
};

void faults_add(struct faults *faults, enum fault_level level, const struct place_in_map *at, const char *hint,
	const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Sorts by file and place. */
void faults_sort(struct faults *faults);

/* Sorts by file and place and prints "file:line:column: error: what", the line, the caret, and "= hint"; a thousand
 * of them at most. */
void faults_print(struct faults *faults, FILE *to, bool colour);

void faults_destroy(struct faults *faults);

/* The known word nearest to `word` within a Damerau-Levenshtein distance of 2 (1 for words of up to 3 letters); NULL =
 * none.  words ends with NULL. */
const char *faults_did_you_mean(const char *word, const char *const *words);

#endif

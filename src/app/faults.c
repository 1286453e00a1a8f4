/*
 * Faults and warnings in the map, in the look that compilers have taught everybody: place, message, line, caret.
 *
 * They are collected first and printed at the end, because a user wants to mend all of them in one go, and sorted,
 * because they are found by passes that go over the map in different orders.  The source lines are read again when
 * printing: faults are rare, and so the loader need not keep its texts.
 *
 * Invariant: n_errors and n_warnings count what the list holds; all texts live in the arena.
 */
#include "app/faults.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX       64 /* a longer word is no mistyped key */
#define LINE_MAX_SHOWN 160
#define SHOWN_MAX      1000 /* nobody reads more, and a file that is no map may have a million */

/* The lines of one file, while its faults are printed. */
struct source {
	char *line;
	size_t size;
	FILE *file;
	const char *name;
	unsigned number; /* of the line in `line` */
};

void faults_add(struct faults *faults, enum fault_level level, const struct place_in_map *at, const char *hint,
	const char *format, ...)
{
	char what[1024];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (n < 0)
		what[0] = '\0';
	struct fault *fault = arena_alloc(&faults->arena, sizeof(*fault));
	fault->level = level;
	fault->at = *at;
	fault->at.file = at->file ? arena_text(&faults->arena, at->file) : NULL;
	fault->what = arena_text(&faults->arena, what);
	fault->hint = hint ? arena_text(&faults->arena, hint) : NULL;
	fault->nth = faults->n_errors + faults->n_warnings;
	fault->next = faults->first;
	faults->first = fault;
	if (level == FAULT_ERROR)
		faults->n_errors++;
	else
		faults->n_warnings++;
}

static int compare(const struct fault *a, const struct fault *b)
{
	int files = strcmp(a->at.file ? a->at.file : "", b->at.file ? b->at.file : "");
	if (files != 0)
		return files;
	if (a->at.line != b->at.line)
		return a->at.line < b->at.line ? -1 : 1;
	if (a->at.column != b->at.column)
		return a->at.column < b->at.column ? -1 : 1;
	return a->nth < b->nth ? -1 : 1;
}

static struct fault *merge(struct fault *a, struct fault *b)
{
	struct fault *first = NULL, **end = &first;
	while (a && b) {
		struct fault **less = compare(a, b) < 0 ? &a : &b;
		*end = *less;
		end = &(*end)->next;
		*less = (*less)->next;
	}
	*end = a ? a : b;
	return first;
}

void faults_sort(struct faults *faults)
{
	/* Runs of 1, 2, 4, … faults wait in `runs` until a second one of their length turns up. */
	struct fault *runs[64] = {0};
	struct fault *fault = faults->first;
	while (fault) {
		struct fault *run = fault;
		fault = fault->next;
		run->next = NULL;
		unsigned i = 0;
		for (; runs[i]; i++) {
			run = merge(runs[i], run);
			runs[i] = NULL;
		}
		runs[i] = run;
	}
	faults->first = NULL;
	for (unsigned i = 0; i < 64; i++)
		if (runs[i])
			faults->first = merge(runs[i], faults->first);
}

static void mask(char *from, const char *end)
{
	for (; from < end; from++)
		if (((unsigned char)*from & 0xC0) != 0x80)
			*from = '*';
}

/* No secret is ever shown, not even one that should not stand in a map; nor what would steer a terminal. */
static void hide(char *line)
{
	for (char *c = line; *c; c++)
		if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
			*c = '?';
	for (char *c = line; (c = strstr(c, "://")) != NULL;) {
		c += 3;
		const char *at = c + strcspn(c, "@\" ,");
		if (*at == '@')
			mask(c, at);
	}
	for (char *c = line; (c = strstr(c, "password")) != NULL;) {
		c += strlen("password");
		char *value = c + strspn(c, " \t:=\"");
		if (value > c && memchr(c, '"', (size_t)(value - c)))
			mask(value, value + strcspn(value, "\""));
	}
}

static void source_close(struct source *source)
{
	if (source->file)
		fclose(source->file);
	free(source->line);
	*source = (struct source){0};
}

/* The line of that number, without its end; NULL when there is none.  Lines must be asked in ascending order. */
static const char *source_line(struct source *source, const struct place_in_map *at)
{
	if (!source->name || strcmp(source->name, at->file) != 0) {
		source_close(source);
		source->name = at->file;
		source->file = fopen(at->file, "re");
	}
	if (!source->file)
		return NULL;
	bool fresh = source->number < at->line;
	while (source->number < at->line) {
		if (getline(&source->line, &source->size, source->file) < 0) {
			fclose(source->file);
			source->file = NULL;
			return NULL;
		}
		source->number++;
	}
	if (!fresh)
		return source->line;
	source->line[strcspn(source->line, "\r\n")] = '\0';
	if (strncmp(source->line, "\xEF\xBB\xBF", 3) == 0)
		memmove(source->line, source->line + 3, strlen(source->line + 3) + 1);
	hide(source->line);
	return source->line;
}

/* Byte of the n-th character, counted from 0, or the end. */
static size_t byte_of(const char *line, size_t size, size_t n)
{
	size_t i = 0;
	for (; n && i < size; n--) {
		size_t length = utf8_length(line + i, size - i);
		i += length ? length : 1;
	}
	return i;
}

/* The line and below it the caret; of a long line what is around the caret. */
static void print_line(const struct place_in_map *at, const char *line, FILE *to, const char *on, const char *off)
{
	size_t size = strnlen(line, 4 * ((size_t)UINT16_MAX + LINE_MAX_SHOWN)); /* no place is further right */
	size_t n = utf8_columns(line, size), first = 0, last = n, column = at->column ? at->column - 1u : 0;
	if (n > LINE_MAX_SHOWN) {
		if (column > LINE_MAX_SHOWN / 2)
			first = column - LINE_MAX_SHOWN / 2;
		last = first + LINE_MAX_SHOWN < n ? first + LINE_MAX_SHOWN : n;
	}
	size_t from = byte_of(line, size, first), end = last < n ? byte_of(line, size, last) : size,
	       here = byte_of(line, size, column);
	const char *before = first ? "…" : "", *behind = last < n ? "…" : "";
	fprintf(to, "%6u | %s%.*s%s\n       | %s%s", at->line, before, (int)(end - from), line + from, behind, on,
		first ? " " : "");
	for (size_t i = from, k = first; k < column; k++) {
		fputc(i < here && line[i] == '\t' ? '\t' : ' ', to);
		size_t length = i < here ? utf8_length(line + i, here - i) : 0;
		i += length ? length : 1;
	}
	fputc('^', to);
	for (size_t w = 1; w < at->width && column + w < last; w++)
		fputc('~', to);
	fprintf(to, "%s\n", off);
}

static void print_one(const struct fault *fault, struct source *source, FILE *to, bool colour)
{
	const char *word = fault->level == FAULT_ERROR ? "error" : "warning";
	const char *on = "", *bold = "", *off = "";
	if (colour) {
		on = fault->level == FAULT_ERROR ? "\033[1;31m" : "\033[1;35m";
		bold = "\033[1m";
		off = "\033[0m";
	}
	const struct place_in_map *at = &fault->at;
	fputs(bold, to);
	if (at->file && at->line)
		fprintf(to, "%s:%u:%u: ", at->file, at->line, at->column);
	else if (at->file)
		fprintf(to, "%s: ", at->file);
	fprintf(to, "%s%s%s:%s %s%s%s\n", off, on, word, off, bold, fault->what, off);
	const char *line = at->file && at->line ? source_line(source, at) : NULL;
	if (line)
		print_line(at, line, to, on, off);
	if (fault->hint)
		fprintf(to, "       = %s\n", fault->hint);
}

void faults_print(struct faults *faults, FILE *to, bool colour)
{
	faults_sort(faults);
	struct source source = {0};
	const struct fault *before = NULL;
	size_t n_shown = 0;
	for (const struct fault *fault = faults->first; fault; before = fault, fault = fault->next) {
		/* two passes may stumble over the same thing */
		if (before && strcmp(before->what, fault->what) == 0 && before->at.line == fault->at.line &&
			before->at.column == fault->at.column && before->at.file && fault->at.file &&
			strcmp(before->at.file, fault->at.file) == 0)
			continue;
		if (n_shown++ == SHOWN_MAX) {
			fprintf(to, "… and more: %zu errors and %zu warnings in all\n", faults->n_errors,
				faults->n_warnings);
			break;
		}
		print_one(fault, &source, to, colour);
	}
	source_close(&source);
}

void faults_destroy(struct faults *faults)
{
	if (!faults)
		return;
	arena_free(&faults->arena);
	*faults = (struct faults){0};
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edits between two words: insert, delete, replace, swap of neighbours (optimal string alignment). */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *two = rows[0], *one = rows[1], *row = rows[2];
	for (size_t j = 0; j <= m; j++)
		one[j] = j;
	for (size_t i = 1; i <= n; i++) {
		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
			size_t best = least(one[j - 1] + change, least(one[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = least(best, two[j - 2] + 1);
			row[j] = best;
		}
		size_t *oldest = two;
		two = one;
		one = row;
		row = oldest;
	}
	return one[m];
}

const char *faults_did_you_mean(const char *word, const char *const *words)
{
	size_t n = strlen(word);
	if (n == 0 || n > WORD_MAX)
		return NULL;
	size_t best = n <= 3 ? 2 : 3; /* to be less than */
	if (best > n)
		best = n;
	const char *nearest = NULL;
	for (; *words; words++) {
		size_t m = strlen(*words);
		if (m > WORD_MAX || m >= n + best || n >= m + best)
			continue;
		size_t d = distance(word, n, *words, m);
		if (d < best) {
			best = d;
			nearest = *words;
		}
	}
	return nearest;
}

/*
 * What the crash tests share: numbers of chance that repeat, a folder in memory, rows whose every byte follows from
 * their number, and a reader that knows them again.
 */
#ifndef CRASH_YARD_H
#define CRASH_YARD_H

#include "ship/journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEGA           (1024 * 1024)
#define YARD_ROW_BYTES 20480

/* How much a sanitizer slows things down. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define YARD_SLOWER 8
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define YARD_SLOWER 8
#endif
#endif
#ifndef YARD_SLOWER
#define YARD_SLOWER 1
#endif

struct chance {
	uint64_t state;
};

uint64_t chance_next(struct chance *chance);
/* 0 .. n-1; 0 for n = 0. */
unsigned chance_below(struct chance *chance, unsigned n);
/* least .. most, both included. */
unsigned chance_between(struct chance *chance, unsigned least, unsigned most);

/* Ends the program, with the seed of the case, when what must be true is not. */
void yard_case(const char *format, ...) __attribute__((format(printf, 1, 2)));
void yard_must(bool truth, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* How often: the first argument, else the environment variable, else the usual number, smaller under a sanitizer. */
unsigned yard_count(int argc, char **argv, const char *variable, unsigned usual);

struct yard {
	char folder[80], path[96], wal[104];
};

void yard_make(struct yard *yard);
/* Removes what lies in the folder: files, folders that are empty. */
void yard_empty(const struct yard *yard);
void yard_remove(const struct yard *yard);

/* Which rows a case writes. */
struct yard_kind {
	uint64_t seed;
	unsigned payload_least, payload_most;
	bool no_expiry;
};

/* The row of a number; topic and payload lie in bytes (YARD_ROW_BYTES). */
struct journal_row yard_row(const struct yard_kind *kind, uint64_t number, char *bytes);

/* Is it exactly the row of that number? */
bool yard_is_row(const struct yard_kind *kind, uint64_t number, const struct message *message);

/* As it is handed to the publisher: a replayed one may not be retained any more. */
bool yard_is_handed(const struct yard_kind *kind, uint64_t number, const struct message *message);

/* Which numbers are there.  Their sequence is their number. */
struct yard_found {
	const struct yard_kind *kind;
	unsigned char *present; /* by number */
	uint64_t n_max;         /* of numbers */
	uint64_t n, last, n_wrong, n_foreign, n_disorder;
};

/* Reads all; what the journal_read of the end returned. */
int yard_read(struct journal *journal, struct yard_found *found, uint64_t *ret_damaged);

/* The file takes rows and gives them back: writes two above `above`, deletes one, reads the other. */
void yard_is_sound(struct journal *journal, uint64_t above);

/* The same of a file that may be damaged where nothing but a write comes by: 0, or -EBADMSG, and then anew. */
int yard_tries(struct journal *journal, uint64_t above);

#endif

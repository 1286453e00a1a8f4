/*
 * A journal in a folder of its own, and rows whose numbers say what they hold.  One bench a test program; set_up and
 * tear_down are those of each test.
 */
#ifndef TESTS_JOURNAL_BENCH_H
#define TESTS_JOURNAL_BENCH_H

#include "ship/journal.h"

#define MEGA (1024 * 1024)

extern char folder[64], path[96]; /* the file in it */

int set_up(void **state);
int tear_down(void **state);

/* Of a megabyte; the test fails when it can't be opened. */
struct journal *open_journal(struct journal_found *found);

/* A row; its payload stands until that of a thousand rows later is asked for. */
struct journal_row row_at(uint64_t sequence);

/* Returns how many rows were dropped or refused for it. */
uint64_t write_rows(struct journal *journal, uint64_t first, uint64_t n, bool drop_oldest);

struct reader {
	uint64_t n, last, wrong; /* rows, the number of the last one, and how many are not as row_at says */
};

/* For journal_read, with a struct reader: the test fails when the numbers do not rise. */
bool read_row(void *user, const struct journal_row *row);

struct reader read_all(struct journal *journal, uint64_t *damaged);

/* The same of the file, without opening it. */
struct reader look_at_all(void);

/* Notes of what is done, in the opening at hand. */
void note(const struct journal *journal, uint64_t first, uint64_t last);

/* It alone would bring all back; after a close everything is in the file itself. */
void drop_log(void);

#endif

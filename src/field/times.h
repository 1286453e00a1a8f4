/*
 * How long things took: counts on a scale of a fifth each, from 64 µs up to two minutes.  Small, of fixed size, and old
 * ones count less and less, so it may run for years.  One thread notes, any thread asks; zero-initialised is empty.
 */
#ifndef FIELD_TIMES_H
#define FIELD_TIMES_H

#include <stdatomic.h>
#include <stdint.h>

#define TIMES_BUCKETS 80

struct times {
	_Atomic uint16_t n[TIMES_BUCKETS];
};

/* Notes one.  Its thread only. */
void times_note(struct times *times, int64_t took_us);

/* A quantile (0..1000) in µs, at most a fifth too long; 0 = nothing was noted.  Any thread. */
int64_t times_quantile(const struct times *times, unsigned per_mille);

/* How many are counted; no more than about 65000 of one length.  Any thread. */
uint64_t times_n(const struct times *times);

#endif

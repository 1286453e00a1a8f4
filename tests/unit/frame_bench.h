/*
 * The frame driver on a bench: a table of the map's grammar, bytes in, values out.  What the core does with a stream
 * driver is done here by the letter of sdk/driver.h, and nothing beyond it.
 */
#ifndef FRAME_BENCH_H
#define FRAME_BENCH_H

#include "app/faults.h"
#include "base/arena.h"
#include "sdk/driver.h"

#define FRAME_BENCH_METRICS 64
#define FRAME_BENCH_REPEATS 32

struct frame_bench_metric {
	const char *name;
	unsigned kind;
	int count; /* 1 when it is not repeated */
	void *keys;
	struct bf_shape shape;
	struct bf_value last[FRAME_BENCH_REPEATS]; /* BF_NONE = none so far */
	int error[FRAME_BENCH_REPEATS];            /* of the last message of its kind */
	char text[BF_STRING_MAX + 1];
};

struct frame_bench {
	struct arena arena;
	struct faults faults;
	struct bf_device device;
	struct frame_bench_metric metrics[FRAME_BENCH_METRICS];
	size_t n_metrics;
	struct bf_complaint complaint; /* what is NULL-terminated and empty: none */
	const char *at_fault;          /* the metric that the complaint is of */
	const struct tree *tree;

	uint8_t *input, *body;
	size_t longest, n_input;
	size_t n_messages, n_damaged, n_skipped, n_other;
	size_t of_kind[8];
};

/* Reads the table from a file, or from a text.  True when neither the reader nor the driver found a fault. */
bool frame_bench_open(struct frame_bench *bench, const char *file);
bool frame_bench_load(struct frame_bench *bench, const char *text);
void frame_bench_destroy(struct frame_bench *bench);

/* Bytes come, all at once or in pieces of that size. */
void frame_bench_feed(struct frame_bench *bench, const uint8_t *bytes, size_t n, size_t piece);

/* The line is quiet: what was only the beginning of something is dropped, byte by byte. */
void frame_bench_quiet(struct frame_bench *bench);

/* Forgets what came. */
void frame_bench_forget(struct frame_bench *bench);

struct frame_bench_metric *frame_bench_metric(struct frame_bench *bench, const char *name);

/* The last number of a metric; NaN when there is none. */
double frame_bench_number(struct frame_bench *bench, const char *name);

#endif

/*
 * A device of the text driver as a map would describe it, and a line that behaves as the core does: bytes come, find is
 * asked, what it says is done.  What comes of it stands in `told`, a line for each message: its name and its readings,
 * "name=?" for a value that is none.  Used by unit tests and the fuzz target.
 */
#ifndef TEXT_BENCH_H
#define TEXT_BENCH_H

#include "sdk/driver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_BENCH_N_MESSAGES 8
#define TEXT_BENCH_N_METRICS  32

struct text_bench_metric {
	const char *name;
	unsigned kind, index;
	uint64_t keys[32];
	struct bf_shape shape;
};

struct text_bench {
	struct bf_device device;
	uint64_t keys[64], memory[32], message_keys[TEXT_BENCH_N_MESSAGES][32];
	struct bf_message_told messages[TEXT_BENCH_N_MESSAGES];
	struct text_bench_metric metrics[TEXT_BENCH_N_METRICS];
	size_t n_metrics;
	struct bf_complaint complaint;

	uint8_t input[2 * BF_INPUT_MAX], body[BF_INPUT_MAX];
	size_t n, n_damaged, n_messages, n_others, n_skipped;
	char told[1 << 16];
	size_t n_told;
};

/* A device with these keys, as name and value, up to a NULL.  A message without a name is there until one is added. */
void text_bench_start(struct text_bench *bench, ...);
void text_bench_message(struct text_bench *bench, const char *name, ...);
/* Of the message added last. */
void text_bench_metric(struct text_bench *bench, const char *name, ...);

/* What the driver says of the keys: 0, or -EINVAL with bench->complaint. */
int text_bench_check(struct text_bench *bench);

/* Bytes come, all at once; the line is quiet for long; the port was closed and opened again. */
void text_bench_feed(struct text_bench *bench, const void *bytes, size_t n);
void text_bench_quiet(struct text_bench *bench);
void text_bench_reopen(struct text_bench *bench);

/* Forgets what was told and counted. */
void text_bench_clear(struct text_bench *bench);

#endif

/*
 * A stream of one device in virtual time, on a port that is a script: it plays golden input, falls silent, or goes
 * away.
 */
#ifndef TEST_STREAM_STAGE_H
#define TEST_STREAM_STAGE_H

#include "field/stream.h"

#include <stdbool.h>

enum stage_mode {
	STAGE_PLAYS,  /* the items again and again, as the device would send them */
	STAGE_SILENT, /* nothing comes */
	STAGE_NOISY,  /* bytes come, but none is of a message */
	STAGE_GONE,   /* and can't be opened */
};

struct stage_metric {
	bool told;
	enum quality quality; /* the last one */
};

struct stream_stage {
	struct clock clock;
	struct reading_sink sink;
	struct stream_port port;
	struct stream stream;
	struct arena arena;
	struct plan plan;
	struct plan_device device;
	enum stage_mode mode;
	const struct bf_bytes *items;
	size_t n_items, next, at;
	bool asked, open;        /* it has to be asked; the item is there to be read */
	uint64_t n_greetings;    /* that are still to be written */
	int64_t now_us, item_at; /* item_at: when the next one comes by itself */
	struct stage_metric *metrics;
	enum availability availability;
};

/* A stage for the only device of a plan; the items outlive it. */
struct stream_stage *stage_make(const struct plan *plan, const struct bf_bytes *items, size_t n_items);
void stage_free(struct stream_stage *stage);

/* Runs it for so long. */
void stage_run(struct stream_stage *stage, enum stage_mode mode, int64_t us);

#endif

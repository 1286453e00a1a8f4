/*
 * A device as its bus sees it: rounds of reads, whether it answers, what it is worth waiting for.
 *
 * A round is the set of metrics of one device that are due together, merged into reads.  A device that refuses a read
 * that covers more than one metric gets it split, first at its gaps, then into single metrics, so that one wrong
 * register does not take its neighbours with it.  One owner thread (the bus's); counters are read by any.
 */
#ifndef FIELD_DEVICE_H
#define FIELD_DEVICE_H

#include "base/arena.h"
#include "base/backoff.h"
#include "base/log.h"
#include "field/line.h"
#include "field/planner.h"
#include "field/schedule.h"
#include "model/plan.h"
#include "model/reading.h"

#include <stdatomic.h>

/* Answer times on a scale of a fifth each, from 64 µs up to two minutes. */
#define ANSWER_BUCKETS 80

struct device_counts {
	_Atomic uint64_t requests, answers, timeouts, checksum, exceptions, late;
	_Atomic int availability; /* enum availability; SAME = not known yet */
	_Atomic int64_t answered_at;
	_Atomic uint16_t answer_times[ANSWER_BUCKETS];
};

struct round {
	struct device *device;
	struct planner_item *items;
	struct planner_read *reads; /* room for n_items */
	uint32_t n_items, n_reads;
	uint32_t next; /* the read to ask next */
	bool unheard;  /* a read of this turn had no answer */
};

struct device {
	const struct plan *plan;
	const struct plan_device *told;
	uint32_t index; /* in plan->devices */
	struct reading_sink *sink;
	struct round *rounds;
	uint32_t n_rounds;
	unsigned missed; /* polls in a row without any answer */
	struct backoff backoff;
	struct complaint silence;
	struct device_counts counts;
};

/* Groups the device's metrics into rounds and merges their reads.  Memory from the arena. */
void device_init(struct device *device, const struct plan *plan, uint32_t index, const struct planner_cost *cost,
	struct reading_sink *sink, struct arena *arena);

/* What an answer to a read of the round told. */
void device_answered(struct device *device, struct round *round, const struct planner_read *read,
	const struct line_answer *answer, int64_t wall_ms, int64_t now_us);

/*
 * A read failed for good (after retries): its metrics get the quality.  With QUALITY_TIMEOUT the rest of the round is
 * given up as well, and the device is left alone for the time that is returned; else 0.
 */
int64_t device_failed(struct device *device, struct round *round, const struct planner_read *read, enum quality quality,
	uint8_t code, int64_t wall_ms, int64_t now_us);

/* The device answered with exception 2 or 3: splits the read in place.  False when it covers one metric only. */
bool device_split(struct round *round, uint32_t read);

/* The port went: every metric is `offline`, and so is the device. */
void device_port_lost(struct device *device, int64_t wall_ms, int64_t now_us);

/* Notes how long an answer took. */
void device_note_time(struct device *device, int64_t took_us);

/* A quantile (0..100) of the answer times in µs; 0 = none yet.  Any thread. */
int64_t device_answer_time(const struct device_counts *counts, unsigned percent);

#endif

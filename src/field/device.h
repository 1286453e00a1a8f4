/*
 * A device as its bus sees it: its rounds of reads, whether it answers, how long it is waited for.
 *
 * Readings are told to the sink as they come.  One owner thread (the bus's); counters and refusals are read by any.
 */
#ifndef FIELD_DEVICE_H
#define FIELD_DEVICE_H

#include "base/arena.h"
#include "base/backoff.h"
#include "base/log.h"
#include "field/counts.h"
#include "field/line.h"
#include "field/learnt.h"
#include "field/models.h"
#include "field/patience.h"
#include "field/round.h"
#include "field/times.h"
#include "field/turnaround.h"
#include "model/plan.h"
#include "model/reading.h"

struct device {
	const struct plan *plan;
	const struct plan_device *told;
	uint32_t index; /* in plan->devices */
	struct reading_sink *sink;
	struct planner_cost cost;
	struct turnaround turnaround;
	struct rounds rounds;
	struct models *models; /* NULL: all its places are in the plan */
	struct round *turn;    /* the round under way; NULL */
	struct refusals refusals;
	struct patience patience;
	struct backoff behind; /* for one that a gateway finds silent */
	unsigned missed;       /* polls in a row without any answer */
	unsigned too_late;     /* answers in a row that came when the map's time-out was over */
	struct complaint silence;
	struct device_counts counts;
};

/* Plans the device's rounds, around what is known of it (NULL = nothing).  cost: of requests on its bus, with
 * PLANNER_TURNAROUND_US.  It must not be moved any more.  Memory from the arena. */
void device_init(struct device *device, const struct plan *plan, uint32_t index, const struct planner_cost *cost,
	const struct learnt *learnt, struct reading_sink *sink, struct arena *arena);

/* Its metrics that lie in models have no place from now on, before the device has told which models it has.  Memory
 * from the arena. */
void device_find_models(struct device *device, struct arena *arena);

/* Does its turn follow the chain of its models?  Such a turn serves no metric. */
static inline bool device_walks(const struct device *device)
{
	return device->models && device->turn == &device->models->round;
}

/* A read of its turn was refused for good, and with it the head of a model: that the models are where they were is not
 * believed any more.  False when it was not so. */
bool device_lost_model(struct device *device);

/* The read that its turn asked was answered within so long.  Its rounds are planned anew, when this one is over, if it
 * turns out to be much slower or faster than they count on. */
void device_took(struct device *device, int64_t whole_us);

/* What an answer to the read that its turn asked told.  False when the rest of the turn must not be asked: the device's
 * models are not where they were. */
bool device_answered(struct device *device, const struct line_answer *answer, int64_t wall_ms, int64_t now_us);

/* That read failed for good (after retries): its metrics get the quality.  rest: so do those of the reads after it,
 * which will not be asked. */
void device_failed(
	struct device *device, enum quality quality, uint8_t code, bool rest, int64_t wall_ms, int64_t now_us);

/* The port went: every metric is `offline`, and so is the device. */
void device_port_lost(struct device *device, int64_t wall_ms, int64_t now_us);

#endif

/*
 * What one answer, message or silence tells of a device, on its way to the sink: gathered on the stack, handed over
 * when it is full or ends.  Both ways of devices, registers and streams, tell through it.  Lives on one thread's stack.
 */
#ifndef FIELD_TELLING_H
#define FIELD_TELLING_H

#include "field/counts.h"
#include "model/reading.h"

#include <stdbool.h>
#include <stdint.h>

#define TELLING_BATCH 64

struct telling {
	struct reading_sink *sink;
	struct batch batch;
	struct reading readings[TELLING_BATCH];
};

/* device: index in plan->devices. */
void telling_begin(struct telling *telling, struct reading_sink *sink, uint32_t device, int64_t now_us);

/* Hands over what was gathered; nothing when that is nothing and the round goes on. */
void telling_send(struct telling *telling, bool round_over);

/* The next reading, to be filled before anything else of the telling is called. */
static inline struct reading *telling_next(struct telling *telling)
{
	if (telling->batch.n == TELLING_BATCH)
		telling_send(telling, false);
	return &telling->readings[telling->batch.n++];
}

/* The device is that now.  True, and told, when it was not before. */
bool telling_availability(struct telling *telling, struct device_counts *counts, enum availability to);

#endif

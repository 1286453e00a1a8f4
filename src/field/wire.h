/*
 * One wire of the plan, whichever way its devices go: a bus that is asked for registers, or a stream.  What drives and
 * counts them need not know which.  One owner thread; counters by any.
 */
#ifndef FIELD_WIRE_H
#define FIELD_WIRE_H

#include "field/bus.h"
#include "field/stream.h"

#include <stdatomic.h>
#include <stdbool.h>

enum wire_stay {
	WIRE_STAYS,
	WIRE_LEAVES, /* it is to be closed by its thread */
	WIRE_GONE,   /* it is closed, and nothing is told of it any more */
};

struct wire {
	const struct plan_bus *told;
	struct bus *bus;       /* NULL = a stream */
	struct stream *stream; /* NULL = a bus */
	_Atomic int stay;      /* enum wire_stay */
};

/* Is it one of the present map, so that its counters mean something?  Any thread. */
static inline bool wire_stays(const struct wire *wire)
{
	return atomic_load_explicit(&wire->stay, memory_order_acquire) == WIRE_STAYS;
}

static inline bool wire_leaves(const struct wire *wire)
{
	return atomic_load_explicit(&wire->stay, memory_order_acquire) == WIRE_LEAVES;
}

/* As bus_init and stream_init, with the real line or port.  0, or -ENOMEM. */
int wire_init(struct wire *wire, const struct plan *plan, size_t index, const struct learnt *learnt,
	struct reading_sink *sink, const struct clock *clock, bool once, struct arena *arena);
void wire_destroy(struct wire *wire);

/* As bus_schedule; streams go by what comes. */
void wire_schedule(struct wire *wire, size_t first, size_t n_all, int64_t tick_us, int64_t now_us);

/* As bus_step and stream_step, and their kin. */
int64_t wire_step(struct wire *wire, bool ready, int64_t now_us);
short wire_events(const struct wire *wire);
int wire_fd(const struct wire *wire);
bool wire_finished(const struct wire *wire);

/* As courier_add and courier_fail; a stream has no errands but polls, which are done at once. */
void wire_errand(struct wire *wire, struct errand_slot *slot, int64_t now_us);
void wire_fail_errands(struct wire *wire, int rc);

/* What is counted.  Caution: NULL for a stream. */
const struct bus_counts *wire_counts(const struct wire *wire);
const struct caution_counts *wire_caution(const struct wire *wire);

/* Device d of told->devices. */
const struct plan_device *wire_device(const struct wire *wire, uint32_t d);
const struct device_counts *wire_device_counts(const struct wire *wire, uint32_t d);

#endif

/*
 * Which requests read a set of places with the least wire time.
 *
 * An exact minimum: places that lie within another come for free with it, the rest are strictly ascending at both ends,
 * so the best grouping is one of consecutive places, and dynamic programming over them finds it.  The cost of a request
 * is what it takes on the wire: request and answer characters, two silences, the device's turnaround.
 * Pure but for the arrays of the caller; allocates nothing.
 */
#ifndef FIELD_PLANNER_H
#define FIELD_PLANNER_H

#include "model/plan.h"
#include "sdk/driver.h"

/* What a request costs on a wire, in nanoseconds. */
struct planner_cost {
	int64_t request_ns;  /* everything but the answered data: request, answer's frame, silences, turnaround */
	int64_t register_ns; /* each register answered */
	int64_t bits8_ns;    /* each started group of eight coils or inputs answered */
};

/* What a device has refused: no read may hold [from, to) unless that is all it reads, nor reach across when from = to.
 */
struct planner_refusal {
	enum bf_space space;
	uint32_t from, to;
};

struct planner_limits {
	unsigned max_registers; /* 1..125 */
	unsigned max_bits;      /* 1..2000 */
	int max_gap;            /* unused cells that may be read over, or PLAN_ADAPTIVE */
	const struct planner_refusal *refused;
	size_t n_refused;
};

/* A request: what is read, and which of the sorted items it answers. */
struct planner_read {
	struct bf_place place;
	uint32_t first, n; /* items[first .. first+n) */
};

#define PLANNER_GUARD UINT32_MAX /* no metric: the head of a model, read along to see that it is still there */

/* One thing that must be read; `metric` is the caller's and travels along. */
struct planner_item {
	struct bf_place place;
	uint32_t metric;
};

#define PLANNER_TURNAROUND_US 5000 /* what a device is thought to need before its answer */

/* The cost of requests on this bus.  turnaround_us is the device's time to begin its answer. */
struct planner_cost planner_cost_of(const struct plan_bus *bus, int64_t turnaround_us);

/* Wire time of one read, in ns. */
int64_t planner_read_ns(const struct planner_cost *cost, const struct bf_place *place);

/* How long a request, and a whole answer to it, take on the wire, in µs; 0 where the bus is none. */
int64_t planner_request_us(const struct plan_bus *bus);
int64_t planner_answer_us(const struct plan_bus *bus, const struct bf_place *place);

/*
 * Sorts items and fills reads (room for n) with the cheapest set; every item lies whole in exactly the read whose
 * range names it.  An item that breaks the limits gets a read of its own.  `scratch` has room for n + 1 numbers.
 * Returns how many reads; 0 for n = 0.
 */
size_t planner_merge(struct planner_item *items, size_t n, const struct planner_limits *limits,
	const struct planner_cost *cost, struct planner_read *reads, int64_t *scratch);

#endif

/*
 * What is counted of a wire and of each device on it, whatever way they go.  Written by the wire's thread, read by any.
 */
#ifndef FIELD_COUNTS_H
#define FIELD_COUNTS_H

#include "field/times.h"

#include <stdatomic.h>
#include <stdint.h>

/* By the wire's thread. */
#define counts_bump(counter) atomic_fetch_add_explicit(&(counter), 1, memory_order_relaxed)

/* By any. */
#define counts_get(counter) ((int64_t)atomic_load_explicit(&(counter), memory_order_relaxed))

struct strip;

struct device_counts {
	_Atomic uint64_t requests, answers, timeouts, checksum, exceptions, late, foreign;
	_Atomic uint64_t missed;  /* polls that brought nothing, those included that a silent device was spared */
	_Atomic int availability; /* enum availability; SAME = not known yet */
	_Atomic int64_t answered_at;
	_Atomic int64_t quiet_until; /* a silent one is not asked before; monotonic µs */
	struct times answer_times;
};

struct bus_counts {
	_Atomic uint64_t requests, answers, timeouts, checksum, exceptions, merged, reopened;
	_Atomic int64_t busy_us; /* the wire's time in transactions, silences included */
	_Atomic int open;
	struct times late_by; /* from due to asked */
	struct strip *strip;  /* NULL = nobody looks */
};

#endif

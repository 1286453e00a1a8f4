/*
 * Any bytes to a driver of meters: in pieces of some size, and each message that comes of them read by each of some
 * metrics.  The bench asserts what the driver promises: that it takes as much as there is, tells of what lies within
 * the input or the body, and of values of the kind that it said; that its input is shown without a byte too many is the
 * sanitizers' to see.
 */
#ifndef FUZZ_METERS_H
#define FUZZ_METERS_H

#include "driver_bench.h"
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#define METRICS_MAX 32

struct fuzz_meter {
	struct driver_bench bench;
	const void *metrics[METRICS_MAX];
	size_t n_metrics;
	const char *const *keys; /* of the metrics; ends with NULL */
	void (*then)(struct driver_bench *bench, const struct bf_message *message);
};

static inline void fuzz_meter_heard(struct driver_bench *bench, const struct bf_message *message)
{
	const struct fuzz_meter *meter = bench->owner;
	for (size_t i = 0; i < meter->n_metrics; i++)
		driver_bench_told(bench, meter->metrics[i], message);
	if (meter->then)
		meter->then(bench, message);
}

static inline void fuzz_meter_start(
	struct fuzz_meter *meter, const struct bf_driver *driver, const char *keys, const char *const *metrics)
{
	driver_bench_start(&meter->bench, driver, keys, 0);
	for (; metrics[meter->n_metrics]; meter->n_metrics++) {
		FUZZ_ASSERT(meter->n_metrics < METRICS_MAX);
		meter->metrics[meter->n_metrics] = driver_bench_metric(&meter->bench, metrics[meter->n_metrics]);
	}
	meter->bench.heard = fuzz_meter_heard;
	meter->bench.owner = meter;
}

/* The first byte says in which pieces the rest comes. */
static inline void fuzz_meter_feed(struct fuzz_meter *meter, const uint8_t *data, size_t size)
{
	if (size < 1)
		return;
	driver_bench_clear(&meter->bench);
	driver_bench_feed(&meter->bench, data + 1, size - 1, data[0] ? data[0] : 256);
}

#endif

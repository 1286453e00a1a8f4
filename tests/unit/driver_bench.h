/*
 * A bench for drivers of streams: keys are read by the reader that the map goes through, and bytes are handed to `find`
 * as the core hands them, in pieces, with what is no message dropped as driver.h says.
 */
#ifndef TESTS_DRIVER_BENCH_H
#define TESTS_DRIVER_BENCH_H

#include "app/faults.h"
#include "base/arena.h"
#include "sdk/driver.h"

struct driver_bench {
	const struct bf_driver *driver;
	struct bf_message_told message;
	struct bf_device device;
	struct arena arena;
	struct faults faults;
	uint8_t *input, *body; /* of exactly `longest` bytes, so that a sanitizer sees what goes beyond */
	size_t n_input;
	struct bf_complaint complaint;
	char text[BF_STRING_MAX + 1];

	/* What came of the bytes that were fed. */
	size_t n_messages, n_others, n_damaged, n_skipped;
	struct bf_message last; /* within `kept` */
	uint8_t *kept;
	/* Called with each message while it lies in the input; NULL: nobody. */
	void (*heard)(struct driver_bench *bench, const struct bf_message *message);
	void *owner;
};

/*
 * Keys as "name=value name=value": digits are a number, the rest a text, in quotes when there is a blank in it.
 * Aborts when the reader finds a fault.
 */
void driver_bench_start(struct driver_bench *bench, const struct bf_driver *driver, const char *keys, uint8_t address);
void driver_bench_stop(struct driver_bench *bench);

/* The struct that the driver's metric_keys fill. */
const void *driver_bench_metric(struct driver_bench *bench, const char *keys);

/* Bytes that come, in pieces of that size. */
void driver_bench_feed(struct driver_bench *bench, const uint8_t *bytes, size_t n, size_t piece);

/* Forgets what lies in the input and what was counted. */
void driver_bench_clear(struct driver_bench *bench);

/* Bytes that are one message and nothing else, after a clear; aborts when they are not. */
void driver_bench_hear(struct driver_bench *bench, const uint8_t *bytes, size_t n);
/* The same of hexadecimal digits. */
void driver_bench_hear_digits(struct driver_bench *bench, const char *digits);

/* A metric of the last message as a subscriber would see it; "absent" for -ENOENT, "none" for -EDOM. */
const char *driver_bench_value(struct driver_bench *bench, const char *metric_keys);

/* Aborts, and says which metric, when `driver_bench_value` is another than that. */
void driver_bench_reads(struct driver_bench *bench, const char *metric_keys, const char *expected);

/* As driver_bench_value, of a metric that has been read, and of any message; aborts when the value is none that can be
 * told. */
const char *driver_bench_told(struct driver_bench *bench, const void *metric, const struct bf_message *message);

/* What `shape` says: 0 and the type, or -EINVAL with the complaint kept. */
int driver_bench_shape(struct driver_bench *bench, const char *metric_keys, struct bf_shape *ret_shape);

/* Hexadecimal digits → bytes; aborts when they are none.  The memory is the bench's. */
const uint8_t *driver_bench_bytes(struct driver_bench *bench, const char *digits, size_t *ret_n);

/* The next of a row of numbers that is the same for the same seed (SplitMix64). */
uint64_t driver_bench_chance(uint64_t *seed);

#endif

/*
 * Payloads of Sparkplug B: a head and metrics, packed one after the other into a buffer of the caller's, and taken
 * apart.  The door to protobuf-c.
 *
 * Source: Sparkplug 3.0.0, chapter 6.  Pure but for sparkplug_payload_load; any thread; allocates nothing.
 */
#ifndef SHIP_SPARKPLUG_PAYLOAD_H
#define SHIP_SPARKPLUG_PAYLOAD_H

#include "sdk/value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The datatypes by their numbers; which are told: sparkplug_type.h. */
enum sparkplug_type {
	SPARKPLUG_INT8 = 1,
	SPARKPLUG_INT16,
	SPARKPLUG_INT32,
	SPARKPLUG_INT64,
	SPARKPLUG_UINT8,
	SPARKPLUG_UINT16,
	SPARKPLUG_UINT32,
	SPARKPLUG_UINT64,
	SPARKPLUG_FLOAT,
	SPARKPLUG_DOUBLE,
	SPARKPLUG_BOOLEAN,
	SPARKPLUG_STRING,
};

#define SPARKPLUG_QUALITY_BAD   0
#define SPARKPLUG_QUALITY_GOOD  192
#define SPARKPLUG_QUALITY_STALE 500

struct sparkplug_metric {
	const char *name; /* NULL = it goes by its alias only */
	uint64_t alias;   /* 0 = none */
	int64_t time_ms;
	enum sparkplug_type type;
	bool births;     /* its type is told */
	bool historical; /* not the present value */
	int quality;     /* < 0 = not told */
	/* Of the kind that its type has (sparkplug_type_fit), text terminated; BF_NONE = null. */
	struct bf_value value;
};

/* A payload that grows. */
struct sparkplug_pack {
	uint8_t *bytes;
	size_t size, n;
	unsigned n_metrics;
};

/* Bytes that a metric takes at most, beside its name and its text. */
#define SPARKPLUG_METRIC_BYTES 72

/*
 * Loads libprotobuf-c, once, on the main thread, before any of what follows is called: a gateway that does not speak
 * Sparkplug does without its memory.  0, or -ENOENT.
 */
int sparkplug_payload_load(void);

/* Begins a payload with its time of sending; seq < 0 = it has none.  Where not even these have room nothing has. */
void sparkplug_pack_begin(struct sparkplug_pack *pack, void *bytes, size_t size, int64_t time_ms, int seq);

/* Adds a metric.  0, or -ENOSPC with nothing changed. */
int sparkplug_pack_add(struct sparkplug_pack *pack, const struct sparkplug_metric *metric);

/* A metric of a command. */
struct sparkplug_told {
	const char *name; /* NULL = none; any bytes but NUL */
	uint64_t alias;   /* 0 = none */
	/* Signed where its datatype, or without one `type`, is.  BF_NONE: null, or nothing that is understood. */
	struct bf_value value;
};

/*
 * Calls `each` with the metrics of a command's payload, one after the other, all of it valid during the call.  type_of
 * says how a metric without a datatype is to be read; 0 = unknown.
 * How many there were; -EBADMSG it is no payload, or one with more than a command can mean.
 */
struct sparkplug_reader {
	void *user;
	unsigned (*type_of)(void *user, const char *name, uint64_t alias);
	void (*each)(void *user, const struct sparkplug_told *told);
};
int sparkplug_payload_read(const void *bytes, size_t n, const struct sparkplug_reader *reader);

#endif

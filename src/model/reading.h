/*
 * Where the two wings meet: readings, handed over in batches through a sink with one function.  field/ fills batches,
 * ship/ takes them; neither knows the other.
 */
#ifndef MODEL_READING_H
#define MODEL_READING_H

#include "sdk/value.h"

#include <stddef.h>
#include <stdint.h>

enum quality {
	QUALITY_GOOD,
	QUALITY_TIMEOUT,   /* no answer */
	QUALITY_CHECKSUM,  /* answers came, none was sound */
	QUALITY_EXCEPTION, /* the device refused; `code` says why */
	QUALITY_INVALID,   /* a sentinel, NaN, bad digits or text */
	QUALITY_RANGE,     /* outside what is plausible */
	QUALITY_OFFLINE,   /* the port or connection is gone */
};

/* The word as it stands in payloads: "timeout", …; "good" for the first. */
const char *quality_word(enum quality quality);

struct reading {
	uint32_t metric; /* index in plan->metrics */
	enum quality quality;
	uint8_t code;          /* of an exception; else 0 */
	struct bf_value value; /* BF_NONE unless good; a text is valid during the call only */
	int64_t time_ms;       /* wall time at which the answer was received (or given up) */
};

enum availability { AVAILABILITY_SAME, AVAILABILITY_ONLINE, AVAILABILITY_OFFLINE };

/* What one answer, or its absence, told of one device. */
struct batch {
	uint32_t device;                /* index in plan->devices */
	enum availability availability; /* a change, told before the readings */
	const struct reading *readings;
	size_t n;
	bool round_over; /* the last batch of the metrics that were due together */
	int64_t now_us;  /* monotonic */
};

struct reading_sink {
	/* Called on the wire's thread; must not block.  Copies what it wants to keep. */
	void (*take)(struct reading_sink *sink, const struct batch *batch);
	/* At the end of each step of that thread: what it has taken may leave, all with one wake-up. */
	void (*rest)(struct reading_sink *sink);
};

#endif

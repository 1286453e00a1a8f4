/*
 * A stage for streams: a toy driver whose messages are four bytes, a port that is a script, a clock, and a sink that
 * writes down what it is told.
 *
 * A message: AA, kind, value, kind + value.  Value FE: nothing is said of the metric; FF: there is none.
 */
#ifndef UNIT_TOY_STREAM_H
#define UNIT_TOY_STREAM_H

#include "field/stream.h"

#include <stdbool.h>

#define SECOND ((int64_t)1000000)

struct stage {
	struct clock clock;
	struct reading_sink sink;
	struct stream_port port;
	int64_t now_us;
	int opens;            /* what open returns */
	int writes;           /* what write returns; 0 = it is taken */
	uint8_t coming[4096]; /* to be read */
	size_t n_coming;
	bool gone;       /* read says so */
	char sent[1024]; /* what was written: hex, a line an item, and "@baud" */
	char told[8192]; /* what the sink was told */
	struct plan plan;
	struct plan_bus bus;
	struct plan_device devices[3];
	struct plan_stream streams[3];
	struct plan_metric metrics[12];
	struct bf_message_told messages[3][4];
	uint32_t on_bus[3];
	struct stream stream;
	struct arena arena;
	int64_t wake_at;
};

extern const struct bf_driver toy;        /* its devices send or are asked by requests */
extern const struct bf_driver toy_talker; /* leads a conversation: "01" at the line's speed, then "02" at 9600 */

/* One more device with n_kinds messages, each with one metric of that interval: m0, m1, … */
struct plan_device *stage_device(
	struct stage *stage, const struct bf_driver *driver, unsigned n_kinds, int64_t every_us);

/* Kind k of device d is asked with these bytes. */
void stage_request(struct stage *stage, unsigned d, unsigned kind, const char *hex);

/* After the devices: the stream, closed, at second 100. */
void stage_open(struct stage *stage, bool once);
void stage_close(struct stage *stage);

/* Goes on until that instant, each step when the stream wants it. */
void stage_until(struct stage *stage, int64_t us);

/* Bytes come now. */
void stage_come(struct stage *stage, const void *bytes, size_t n);
void stage_message(struct stage *stage, unsigned kind, unsigned value);

/* What was told since the last call: "d0+ d0.m0=5 d0.m1=timeout d0. " (+ online, - offline, . the round is over). */
const char *stage_told(struct stage *stage);
const char *stage_sent(struct stage *stage);

#endif

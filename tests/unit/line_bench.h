/*
 * One Modbus line on a socket pair, in a time of its own; the test is whoever is at the other end.  One bench a test
 * program.
 */
#ifndef TESTS_LINE_BENCH_H
#define TESTS_LINE_BENCH_H

#include "field/line.h"
#include "port_pair.h"

#include <sys/types.h>

#define MS 1000
#define S  1000000

struct line_bench {
	struct plan_bus bus;
	struct line *line;
	struct line_watch watch;
	unsigned strays[4]; /* by enum line_stray */
	uint8_t stray_unit; /* of the last one */
	int64_t now_us;
	struct line_answer answer; /* the last one */
	uint8_t request[300];      /* the last one as it left, n_request bytes */
	ssize_t n_request;
};

extern struct line_bench bench;

/* A line at 19200 8N1, or a connection, on which nothing was said yet. */
void bench_open(enum plan_wire wire);
void bench_close(void);

/* Asks 10 ms later; what the line returns. */
int bench_ask(const struct line_question *question);

/* The other end says these bytes; a frame is given its checksum. */
void says(const void *bytes, size_t n);
void frame(const char *bytes, size_t n);

/* What the line makes of it 5 ms later. */
int answer(void);

#endif

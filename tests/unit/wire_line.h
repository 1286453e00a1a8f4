/*
 * A line for tests on which everything takes its time: the request, the device's turnaround, the answer, in virtual
 * time on a serial bus.  Devices may be dead and may refuse registers; a request that comes before the silence is over
 * is counted.  Answers are registers as scripted_line's: their own number plus 1000 times the unit.
 */
#ifndef TESTS_WIRE_LINE_H
#define TESTS_WIRE_LINE_H

#include "field/line.h"

#include <stdbool.h>

#define WIRE_UNITS 248
#define WIRE_LOG   8192

struct wire_device {
	bool dead;
	int64_t turnaround_us;
	int64_t spread_us;         /* of the turnaround, by chance */
	uint32_t bad_from, bad_to; /* registers that it refuses */
	unsigned n_asked, n_answered;
	int64_t asked_at, answered_at;
};

struct wire_line {
	struct line line;
	const struct plan_bus *bus;
	struct wire_device devices[WIRE_UNITS];
	struct line_question asked;
	int64_t begins_at, ends_at; /* of the answer; CLOCK_NEVER = none comes */
	int64_t quiet_at;           /* the end of the last frame */
	bool collected;
	unsigned n_early; /* requests before the silence was over */
	unsigned n_twice; /* requests to the unit that was asked before */
	uint64_t seed;
	uint8_t bytes[256];
	char log[WIRE_LOG]; /* "12.345 1:input:0+14\n" for each question: seconds since the start */
	size_t log_n;
};

/* The line of a serial bus. */
void wire_line_init(struct wire_line *wire, const struct plan_bus *bus);

#endif

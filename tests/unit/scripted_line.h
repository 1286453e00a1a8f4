/*
 * A line for tests: a table of registers behind a script of mishaps, in virtual time.  Answers come `latency_us` after
 * the question.
 */
#ifndef TESTS_SCRIPTED_LINE_H
#define TESTS_SCRIPTED_LINE_H

#include "field/line.h"

#include <stdbool.h>

enum mishap_kind { MISHAP_NONE, MISHAP_SILENT, MISHAP_CHECKSUM, MISHAP_EXCEPTION, MISHAP_GONE };

struct scripted_mishap {
	enum mishap_kind kind;
	uint8_t code;
	unsigned times; /* how many questions it lasts */
};

#define SCRIPTED_UNITS 248
#define SCRIPTED_LOG   4096

struct scripted_line {
	struct line line;
	struct scripted_mishap mishaps[SCRIPTED_UNITS]; /* by unit address */
	uint32_t holes_from,
		holes_to; /* registers that answer with exception 2 when a read of more than one touches them */
	/* What a holding register of a unit holds, instead of scripted_register; false = there is none: exception 2. */
	bool (*holding)(const struct scripted_line *scripted, uint8_t unit, uint16_t at, uint16_t *ret_value);
	unsigned longest; /* a read of more registers gets exception 3; 0 = any will do */
	bool absent;      /* the port can't be opened */
	int64_t latency_us;
	int64_t *clock_us, held_up_us; /* the thread is held up for so long while it reads an answer; NULL = never */
	struct line_question asked;
	int64_t asked_at;
	bool counted; /* the mishap of this question */
	uint8_t bytes[256];
	char log[SCRIPTED_LOG]; /* "1:input:0+14 " for each question */
	size_t log_n;
	unsigned n_opened;
};

void scripted_line_init(struct scripted_line *scripted, int64_t latency_us);

/* Register content: its own number plus 1000 times the unit address; bits are set at odd numbers. */
uint16_t scripted_register(uint8_t unit, uint16_t at);

#endif

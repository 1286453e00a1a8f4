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
#define SCRIPTED_KEPT  32

struct scripted_line {
	struct line line;
	struct scripted_mishap mishaps[SCRIPTED_UNITS]; /* by unit address */
	uint32_t holes_from,
		holes_to; /* registers that answer with exception 2 when a read of more than one touches them */
	/* What a holding register of a unit holds, instead of scripted_register; false = there is none: exception 2. */
	bool (*holding)(const struct scripted_line *scripted, uint8_t unit, uint16_t at, uint16_t *ret_value);
	/* Holding registers that were written; they show that from then on. */
	struct scripted_kept {
		uint8_t unit;
		uint16_t at, value;
	} kept[SCRIPTED_KEPT];
	size_t n_kept, n_writes; /* that came */
	bool loses_writes;       /* answers them and forgets them */
	bool takes_in_silence;   /* a write whose answer has a mishap is taken all the same */
	bool refuses_reads;      /* of holding registers, with exception 1 */
	unsigned longest;        /* a read of more registers gets exception 3; 0 = any will do */
	bool absent;             /* the port can't be opened */
	int64_t latency_us;
	int64_t *clock_us, held_up_us; /* the thread is held up for so long while it reads an answer; NULL = never */
	struct line_question asked;
	int64_t asked_at;
	bool counted; /* the mishap of this question */
	uint8_t bytes[256], cells[256];
	char log[SCRIPTED_LOG]; /* "1:input:0+14 " for each question */
	size_t log_n;
	unsigned n_opened;
};

void scripted_line_init(struct scripted_line *scripted, int64_t latency_us);

/* Register content: its own number plus 1000 times the unit address; bits are set at odd numbers. */
uint16_t scripted_register(uint8_t unit, uint16_t at);

#endif

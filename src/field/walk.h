/*
 * The walk along a SunSpec device's chain of models (model/chain.h): which registers to read next, and what each answer
 * means.  All reads are of two registers: the mark, then id and length of one model after the other; so there is
 * nothing that a device could refuse for its length, and a serial bus has one shape of question to be careful about.
 * Bounded whatever the device says: at most CHAIN_MODELS_MAX models, each behind the one before it.
 * Pure; one owner thread.
 */
#ifndef FIELD_WALK_H
#define FIELD_WALK_H

#include "model/chain.h"

enum walk_state {
	WALK_MARK,   /* the mark is looked for */
	WALK_MODELS, /* it was found: the models behind it */
	WALK_FOUND,  /* over: the chain is whole */
	WALK_NONE,   /* over: the device answers, and has no mark */
};

struct walk {
	enum walk_state state;
	unsigned base;               /* in chain_bases: of the mark; kept for the next walk, which begins there */
	unsigned given_up;           /* bases, as bits */
	uint8_t missed[CHAIN_BASES]; /* questions without an answer */
	bool heard;
	uint32_t at; /* of the next model */
	struct chain chain;
};

/* From the start; where the mark was last is looked at first. */
void walk_begin(struct walk *walk);

/* The walk goes on, and this is to be read next. */
bool walk_next(const struct walk *walk, struct bf_place *ret_place);

/* What was asked for was answered with these two registers, … */
void walk_answered(struct walk *walk, const uint8_t bytes[static 2 * CHAIN_HEAD]);

/* … or refused, because there is no such register, … */
void walk_refused(struct walk *walk);

/* … or had no answer, … */
void walk_missed(struct walk *walk);

/* … or one that says nothing of what is there: the device is busy, or fails. */
void walk_put_off(struct walk *walk);

#endif

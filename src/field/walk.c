/*
 * The walk along a chain, see walk.h.
 *
 * Some devices keep silent where they have no register, so a base that is not answered is no reason to stay with it:
 * the next one is asked, and a base is given up after two questions.  What nobody answered while the device was away
 * does not count, so all begins anew with its first answer.  Behind the mark silence is just silence, and the same
 * model is asked for again.
 *
 * Invariant: in WALK_MARK at least one base is not given up, and `base` is one of those.
 */
#include "field/walk.h"

#include <string.h>

#define MISSED_MAX 2
#define ALL        ((1u << CHAIN_BASES) - 1)

void walk_begin(struct walk *walk)
{
	walk->state = WALK_MARK;
	walk->given_up = 0;
	walk->heard = false;
	memset(walk->missed, 0, sizeof(walk->missed));
	walk->chain.n = 0;
}

bool walk_next(const struct walk *walk, struct bf_place *ret_place)
{
	if (walk->state != WALK_MARK && walk->state != WALK_MODELS)
		return false;
	uint32_t at = walk->state == WALK_MARK ? chain_bases[walk->base] : walk->at;
	*ret_place = (struct bf_place){BF_SPACE_HOLDING, (uint16_t)at, CHAIN_HEAD};
	return true;
}

/* The next base that is not given up; when there is none the walk is over, or begins anew if nobody was there. */
static void next_base(struct walk *walk)
{
	if (walk->given_up == ALL) {
		if (walk->heard)
			walk->state = WALK_NONE;
		else
			walk_begin(walk);
		return;
	}
	do
		walk->base = (walk->base + 1) % CHAIN_BASES;
	while (walk->given_up >> walk->base & 1);
}

static void note_heard(struct walk *walk)
{
	if (!walk->heard) {
		walk->given_up = 0;
		memset(walk->missed, 0, sizeof(walk->missed));
	}
	walk->heard = true;
}

static void give_up(struct walk *walk)
{
	walk->given_up |= 1u << walk->base;
	next_base(walk);
}

/* The next model begins at `at`, if there can be one. */
static void go_to(struct walk *walk, uint32_t at)
{
	walk->at = at;
	walk->state = at + CHAIN_HEAD > UINT16_MAX + 1u || walk->chain.n == CHAIN_MODELS_MAX ? WALK_FOUND : WALK_MODELS;
}

void walk_answered(struct walk *walk, const uint8_t bytes[static 2 * CHAIN_HEAD])
{
	uint16_t id = (uint16_t)(bytes[0] << 8 | bytes[1]), length = (uint16_t)(bytes[2] << 8 | bytes[3]);
	note_heard(walk);
	if (walk->state == WALK_MARK) {
		if (((uint32_t)id << 16 | length) == CHAIN_MARK)
			go_to(walk, (uint32_t)chain_bases[walk->base] + CHAIN_HEAD);
		else
			give_up(walk);
		return;
	}
	if (id == CHAIN_END || id == 0) { /* some have no end but nothing */
		walk->state = WALK_FOUND;
		return;
	}
	walk->chain.models[walk->chain.n++] =
		(struct chain_model){.id = id, .at = (uint16_t)walk->at, .length = length};
	go_to(walk, walk->at + CHAIN_HEAD + length);
}

void walk_refused(struct walk *walk)
{
	note_heard(walk);
	if (walk->state == WALK_MARK)
		give_up(walk);
	else /* the end is missing */
		walk->state = WALK_FOUND;
}

void walk_missed(struct walk *walk)
{
	if (walk->state != WALK_MARK)
		return;
	if (++walk->missed[walk->base] >= MISSED_MAX)
		give_up(walk);
	else
		next_base(walk);
}

void walk_put_off(struct walk *walk)
{
	if (walk->state == WALK_MARK)
		next_base(walk);
}

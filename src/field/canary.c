/*
 * The choice of a canary, see canary.h.
 *
 * It reads registers that the map reads anyway, since others may be refused, in a shape that the plan does not use:
 * fewer values of a planned read.  The plan's own shapes would do as long as no question of that shape is open; but if
 * an answer of a wrong length passed for the canary's, the canary's own would then pass for one of the plan's.  Where
 * there is none, a part of a value of several registers, unless the device has refused that.  Among those of one rank
 * the one with the shortest answer, and a function with nothing under way, so that an exception tells too.
 *
 * Invariant: the shape of a canary is that of no question which is open, of none in the plan, and not of the one that
 * it is asked for.
 */
#include "field/canary.h"
#include "field/rtu.h"

#define VALUES_MAX 16 /* of one canary */

/* From good to bad. */
enum rank { RANK_FREE, RANK_SAME_FUNCTION, RANK_PART, RANK_NONE };

struct choice {
	const struct trust *trust;
	uint64_t planned[TRUST_SHAPE_WORDS];
	enum rank rank;
	size_t n_bytes;
	struct canary canary;
};

static unsigned bit_of(trust_shape shape)
{
	return ((shape >> 8) - 1u) * 256 + (shape & 0xFF);
}

static enum rank rank_of(const struct choice *choice, trust_shape shape, bool parts)
{
	bool planned = choice->planned[bit_of(shape) / 64] >> (bit_of(shape) % 64) & 1;
	if (planned || trust_is_open(choice->trust, shape))
		return RANK_NONE;
	bool busy = trust_function_is_open(choice->trust, (uint8_t)(shape >> 8));
	if (parts)
		return choice->trust->whole_values ? RANK_NONE : RANK_PART;
	return busy ? RANK_SAME_FUNCTION : RANK_FREE;
}

static void consider(struct choice *choice, const struct bf_place *place, bool parts)
{
	size_t n_bytes = rtu_answer_bytes(place);
	enum rank rank = rank_of(choice, rtu_shape(place), parts);
	if (rank > choice->rank || (rank == choice->rank && n_bytes >= choice->n_bytes))
		return;
	choice->rank = rank;
	choice->n_bytes = n_bytes;
	choice->canary = (struct canary){.place = *place, .parts = parts};
}

static void consider_read(struct choice *choice, const struct round *round, const struct planner_read *read)
{
	for (uint32_t i = read->first; i < read->first + read->n; i++) {
		struct bf_place place = round->items[i].place;
		uint32_t end = 0;
		for (uint32_t k = i; k < read->first + read->n && k < i + VALUES_MAX; k++) {
			const struct bf_place *item = &round->items[k].place;
			if ((uint32_t)item->at + item->count > end)
				end = (uint32_t)item->at + item->count;
			place.count = (uint16_t)(end - place.at);
			consider(choice, &place, false);
		}
		for (place.count = 1; place.count < round->items[i].place.count; place.count++)
			consider(choice, &place, true);
	}
}

static void note_shape(struct choice *choice, const struct bf_place *place)
{
	unsigned bit = bit_of(rtu_shape(place));
	choice->planned[bit / 64] |= (uint64_t)1 << (bit % 64);
}

static void each_read(struct choice *choice, const struct round *round, bool note)
{
	for (uint32_t i = 0; i < round->n_reads; i++)
		if (note)
			note_shape(choice, &round->reads[i].place);
		else
			consider_read(choice, round, &round->reads[i]);
}

static void each_round(struct choice *choice, const struct device *devices, size_t n_devices, uint8_t unit, bool note)
{
	for (size_t d = 0; d < n_devices; d++) {
		if (devices[d].told->address != unit)
			continue;
		for (uint32_t r = 0; r < devices[d].rounds.n; r++)
			each_read(choice, &devices[d].rounds.list[r], note);
		if (devices[d].models)
			each_read(choice, &devices[d].models->round, note);
	}
}

enum canary_advice canary_advise(const struct device *devices, size_t n_devices, const struct line_question *question,
	struct trust *trust, int64_t now_us, struct canary *ret_canary, int64_t *ret_until)
{
	if (!trust_doubtful(trust, now_us))
		return CANARY_NOT_NEEDED;
	struct choice choice = {.trust = trust, .rank = RANK_NONE};
	uint8_t unit = question->unit;
	note_shape(&choice, &question->place); /* errands read what the plan does not */
	each_round(&choice, devices, n_devices, unit, true);
	each_round(&choice, devices, n_devices, unit, false);
	if (choice.rank < RANK_NONE && !trust->overfull) {
		*ret_canary = choice.canary;
		return CANARY_ASK;
	}
	int64_t until = trust_silent_until(trust);
	if (now_us >= until || trust_only_spoilt(trust)) {
		trust_let_go(trust);
		return CANARY_NOT_NEEDED;
	}
	*ret_until = until;
	return CANARY_WAIT;
}

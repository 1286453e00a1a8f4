/*
 * The rounds of a device: which of its metrics fall due together, and by which reads.
 *
 * A rate is an interval at which some of its metrics are asked for.  All rates of a device share one origin, so
 * instants of slower ones fall on instants of faster ones (schedule.h), and what falls due together is one round with a
 * plan of its own: a slow register inside a fast block costs nothing, and no request is made twice.  The rounds that
 * can come are planned once, at the start.
 *
 * What lies in a model (model/chain.h) has a place only when the device's chain is known, and can be given another one.
 * What a device refuses is learnt: see round_over.  One owner thread; `refusals` grow only and are read by any.
 */
#ifndef FIELD_ROUND_H
#define FIELD_ROUND_H

#include "base/arena.h"
#include "field/planner.h"
#include "model/chain.h"
#include "model/plan.h"

#include <stdatomic.h>

#define ROUND_SHARED_MAX 8 /* the fastest rates of a device share reads; further ones are read on their own */
#define REFUSALS_MAX     32
#define ROUNDS_OUTDATED  UINT32_MAX

/* What a device refused with exception 2 or 3. */
struct refusals {
	struct planner_refusal list[REFUSALS_MAX];
	bool kept[REFUSALS_MAX]; /* worth remembering: it is a gap, not a wrong register of the map */
	_Atomic uint32_t n;      /* those before it never change */
};

enum round_mark { ROUND_ANSWERED = 1, ROUND_CUT = 2 /* from the read before it, in this turn */ };

struct round {
	uint32_t rate;    /* the slowest of its rates */
	uint8_t shared;   /* its rates, as bits, when it may be read together with others; else 0 */
	int64_t every_us; /* of the slowest; 0; PLAN_EVERY_START */
	double per_s;     /* how often it comes; 0 = never, or nothing is asked for */
	struct planner_item *items;
	struct planner_read *reads; /* room for n_items */
	uint8_t *marks;             /* of each read */
	uint32_t n_items, n_reads;
	int64_t began_at; /* when the first read of this turn was asked */
	uint32_t next;    /* the read to ask next */
	unsigned tries;   /* of that read */
	bool unheard;     /* a read of this turn had no answer */
};

/* All rounds of a device. */
struct rounds {
	const struct plan_device *told;
	const struct planner_cost *cost;
	int64_t *every_us; /* of each rate: those with an interval first, ascending */
	uint32_t n_rates, n_timed;
	struct round *list; /* first those of one rate each, in their order */
	uint32_t n;
	int64_t *scratch;     /* n_items_max + 1 */
	uint32_t n_items_max; /* of a round */
	struct refusals *refusals;
	uint32_t n_planned; /* refusals that the plans know; ROUNDS_OUTDATED */
};

/* Groups the metrics of a device and plans all rounds, around what `refusals` (zeroed if nothing) know; metrics in
 * models as chain_presume has them.  The cost and the refusals outlive the rounds.  Memory from the arena. */
void rounds_init(struct rounds *rounds, const struct plan *plan, const struct plan_device *told,
	const struct planner_cost *cost, struct refusals *refusals, struct arena *arena);

/* Gives the metrics their places by this chain and plans all rounds anew; no turn is under way.  A metric whose model
 * is missing is in no round; a round may have no reads then.  Each model that is read has a guard: an item without a
 * metric (PLANNER_GUARD) that reads its id and length. */
void rounds_place(struct rounds *rounds, const struct plan *plan, const struct chain *chain);

/* How many metrics a read of the round answers. */
uint32_t round_metrics(const struct round *round, const struct planner_read *read);

/* The step_us of a rate's schedule. */
int64_t rounds_step(const struct rounds *rounds, uint32_t rate);

bool round_has(const struct rounds *rounds, const struct round *round, uint32_t rate);

/* The round that has `rate` and as many as possible of the shared rates in `due`, and no others. */
struct round *rounds_find(const struct rounds *rounds, uint32_t rate, uint8_t due);

/* Wire time of all its reads, in ns. */
int64_t round_ns(const struct round *round, const struct planner_cost *cost);

/* The device answered the read with exception 2 or 3: cuts it in place, at its widest gap.  False when it covers one
 * place only. */
bool round_cut(struct round *round, uint32_t read);

/* The read could not be cut further and is refused: what it reads is never read together with others again. */
void round_refused(struct rounds *rounds, struct round *round, uint32_t read);

/* The cost has changed: all rounds are planned anew when the turn under way is over. */
void rounds_outdated(struct rounds *rounds);

/* The turn is given up or begins anew: back to the first read. */
void round_reset(struct round *round);

/*
 * The turn is over.  A gap at which a read was cut is learnt when both sides were answered as they were cut: only then
 * is it the gap that was refused.  With something learnt all rounds are planned anew, which mends innocent cuts.
 */
void round_over(struct rounds *rounds, struct round *round);

#endif

/*
 * The models of one device, as it has told them: when they must be looked for, and where its metrics lie by them.
 *
 * Looking for them is a round of its own, of one read at a time, that takes the place of the device's turns until the
 * chain is known; so it goes through the bus like every other read.  One owner thread (the bus's).
 */
#ifndef FIELD_MODELS_H
#define FIELD_MODELS_H

#include "field/round.h"
#include "field/walk.h"

struct models {
	struct walk walk;
	struct round round; /* what the walk reads next; it is not one of the device's rounds */
	struct chain chain; /* by which the device's rounds have their places */
	bool placed;        /* the chain was found, or found missing, at least once */
	bool known;         /* it is in force: nothing has happened since that it may not have outlived */
	bool changed;       /* by the last answer; whoever has acted on it clears it */
	bool stuck;         /* the last question of the walk had no usable answer */
	int64_t again_at;   /* when it is looked whether what is missing has come */
	struct planner_item item;
	struct planner_read read;
	uint8_t mark;
};

/* NULL when no metric of the device lies in a model.  It must not be moved.  Memory from the arena. */
struct models *models_make(const struct plan *plan, const struct plan_device *told, struct arena *arena);

/* Must the walk go on, or begin, before anything else is asked?  Then `round` reads what it needs. */
bool models_due(struct models *models, int64_t now_us);

/* The device was gone, or something does not fit: the chain must be found again before anything else is asked. */
void models_forget(struct models *models);

/* Takes over what the walk has found, if it is over.  True when it is. */
bool models_settle(struct models *models, const struct plan *plan, const struct plan_device *told, int64_t now_us);

/* Does the device have the metric, as far as is known? */
bool models_have(const struct models *models, const struct plan_metric *metric);

/* Does the read that answers `bytes` show, wherever it holds the head of a model, the model that should be there? */
bool models_agree(
	const struct models *models, const struct round *round, const struct planner_read *read, const uint8_t *bytes);

#endif

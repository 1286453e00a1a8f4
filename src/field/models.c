/*
 * Models of a device, see models.h.
 *
 * A chain may change while nobody looks: firmware is updated between two polls.  So rounds read the id and length of
 * each model along with its values (the guards of round.h), and an answer in which they are not as they were is not
 * believed.
 *
 * Invariant: the device's rounds are placed by `chain` once `placed` is true, and have no metric in a model before.
 */
#include "field/models.h"

#define AGAIN_NONE_US    60000000  /* there was no chain at all */
#define AGAIN_MISSING_US 900000000 /* a metric has no model: a meter that is connected later adds one */

/* The round reads what the walk needs next. */
static void aim(struct models *models)
{
	walk_next(&models->walk, &models->read.place);
	models->item.place = models->read.place;
}

struct models *models_make(const struct plan *plan, const struct plan_device *told, struct arena *arena)
{
	if (!chain_is_needed(plan, told))
		return NULL;
	struct models *models = arena_alloc(arena, sizeof(*models));
	*models = (struct models){.again_at = INT64_MAX};
	models->round = (struct round){
		.items = &models->item, .n_items = 1, .reads = &models->read, .n_reads = 1, .marks = &models->mark};
	models->read.n = 1;
	models->item.metric = PLANNER_GUARD;
	walk_begin(&models->walk);
	aim(models);
	return models;
}

bool models_due(struct models *models, int64_t now_us)
{
	if (models->known && now_us < models->again_at)
		return false;
	if (models->known)
		models_forget(models);
	aim(models);
	return true;
}

void models_forget(struct models *models)
{
	models->known = false;
	walk_begin(&models->walk);
}

bool models_have(const struct models *models, const struct plan_metric *metric)
{
	return metric->n_models == 0 || !models->placed || chain_find(&models->chain, metric);
}

bool models_settle(struct models *models, const struct plan *plan, const struct plan_device *told, int64_t now_us)
{
	struct bf_place next;
	models->stuck = false;
	if (walk_next(&models->walk, &next))
		return false;
	models->changed = !models->placed || !chain_same(&models->chain, &models->walk.chain);
	models->chain = models->walk.chain;
	models->placed = models->known = true;
	models->again_at = models->walk.state == WALK_NONE ? now_us + AGAIN_NONE_US : INT64_MAX;
	for (uint32_t i = 0; i < told->n_metrics && models->again_at == INT64_MAX; i++)
		if (!models_have(models, &plan->metrics[told->first_metric + i]))
			models->again_at = now_us + AGAIN_MISSING_US;
	return true;
}

bool models_agree(
	const struct models *models, const struct round *round, const struct planner_read *read, const uint8_t *bytes)
{
	for (uint32_t i = read->first; i < read->first + read->n; i++) {
		const struct planner_item *item = &round->items[i];
		if (item->metric != PLANNER_GUARD)
			continue;
		const uint8_t *head = bytes + 2 * (size_t)(item->place.at - read->place.at);
		uint32_t m = 0;
		while (m < models->chain.n && models->chain.models[m].at != item->place.at)
			m++;
		if (m == models->chain.n || models->chain.models[m].id != (head[0] << 8 | head[1]) ||
			models->chain.models[m].length != (head[2] << 8 | head[3]))
			return false;
	}
	return true;
}

/*
 * Chains of models, see chain.h.
 *
 * Why the last model that a metric names is presumed: a list goes from the poorer to the richer (101, 102, 103 are one,
 * two and three phases), and metrics that only the richer one has name it alone; so all of them meet in one model.
 */
#include "model/chain.h"

const uint16_t chain_bases[CHAIN_BASES] = {40000, 50000, 0};

bool chain_is_needed(const struct plan *plan, const struct plan_device *device)
{
	for (uint32_t i = 0; i < device->n_metrics; i++)
		if (plan->metrics[device->first_metric + i].n_models)
			return true;
	return false;
}

uint32_t chain_reach(const struct plan_metric *metric)
{
	uint32_t end = (uint32_t)metric->place.at + metric->place.count;
	uint32_t scale_end = (uint32_t)metric->scale_place.at + metric->scale_place.count;
	return metric->scale_from && scale_end > end ? scale_end : end;
}

const struct chain_model *chain_find(const struct chain *chain, const struct plan_metric *metric)
{
	uint32_t reach = chain_reach(metric);
	for (size_t i = 0; i < metric->n_models; i++) {
		uint32_t m = 0;
		while (m < chain->n && chain->models[m].id != metric->models[i])
			m++;
		if (m < chain->n && reach <= CHAIN_HEAD + (uint32_t)chain->models[m].length &&
			chain->models[m].at + reach <= UINT16_MAX + 1u) /* a device may say any length */
			return &chain->models[m];
	}
	return NULL;
}

bool chain_same(const struct chain *a, const struct chain *b)
{
	bool same = a->n == b->n;
	for (uint32_t i = 0; same && i < a->n; i++)
		same = a->models[i].id == b->models[i].id && a->models[i].at == b->models[i].at &&
		       a->models[i].length == b->models[i].length;
	return same;
}

/* The model with this id, made where it belongs; NULL when there is no room. */
static struct chain_model *presume_one(struct chain *chain, uint16_t id)
{
	uint32_t i = 0;
	while (i < chain->n && chain->models[i].id < id)
		i++;
	if (i < chain->n && chain->models[i].id == id)
		return &chain->models[i];
	if (chain->n == CHAIN_MODELS_MAX)
		return NULL;
	for (uint32_t k = chain->n++; k > i; k--)
		chain->models[k] = chain->models[k - 1];
	chain->models[i] = (struct chain_model){.id = id};
	return &chain->models[i];
}

void chain_presume(const struct plan *plan, const struct plan_device *device, struct chain *ret_chain)
{
	ret_chain->n = 0;
	for (uint32_t i = 0; i < device->n_metrics; i++) {
		const struct plan_metric *metric = &plan->metrics[device->first_metric + i];
		uint32_t reach = chain_reach(metric);
		struct chain_model *model =
			metric->n_models ? presume_one(ret_chain, metric->models[metric->n_models - 1]) : NULL;
		if (model && reach > CHAIN_HEAD + (uint32_t)model->length)
			model->length = (uint16_t)(reach - CHAIN_HEAD);
	}
	uint32_t at = chain_bases[0] + CHAIN_HEAD, n = ret_chain->n;
	for (ret_chain->n = 0; ret_chain->n < n; ret_chain->n++) {
		struct chain_model *model = &ret_chain->models[ret_chain->n];
		uint32_t end = at + CHAIN_HEAD + model->length;
		if (end + CHAIN_HEAD > UINT16_MAX + 1u) /* no device has so much: the rest has no place */
			return;
		model->at = (uint16_t)at;
		at = end;
	}
}

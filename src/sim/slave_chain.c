/*
 * Chains of simulated devices, see slave_chain.h.
 *
 * Invariant: the chain's own cells are ascending, as models are.
 */
#include "sim/slave_chain.h"

static void slave_chain_add(struct slave_chain *chain, unsigned at, unsigned first, unsigned second)
{
	chain->cells[chain->n_cells++] = (struct slave_cell){.at = (uint16_t)at, .value = (uint16_t)first};
	chain->cells[chain->n_cells++] = (struct slave_cell){.at = (uint16_t)(at + 1), .value = (uint16_t)second};
}

void slave_chain_init(struct slave_chain *chain, const struct plan *plan, const struct plan_device *told)
{
	unsigned at = chain_bases[0];
	*chain = (struct slave_chain){0};
	if (!chain_is_needed(plan, told))
		return;
	chain_presume(plan, told, &chain->chain);
	slave_chain_add(chain, at, CHAIN_MARK >> 16, CHAIN_MARK & UINT16_MAX);
	at += CHAIN_HEAD;
	for (uint32_t m = 0; m < chain->chain.n; m++) {
		const struct chain_model *model = &chain->chain.models[m];
		slave_chain_add(chain, model->at, model->id, model->length);
		at = model->at + CHAIN_HEAD + (unsigned)model->length;
	}
	slave_chain_add(chain, at, CHAIN_END, 0);
}

bool slave_chain_place(const struct slave_chain *chain, const struct plan_metric *metric, struct bf_place *place)
{
	if (metric->n_models == 0)
		return true;
	const struct chain_model *model = chain_find(&chain->chain, metric);
	if (!model)
		return false;
	place->at = (uint16_t)(place->at + model->at);
	return true;
}

size_t slave_chain_count(const struct slave_chain *chain)
{
	size_t n = chain->n_cells;
	for (uint32_t m = 0; m < chain->chain.n; m++)
		n += chain->chain.models[m].length;
	return n;
}

void slave_chain_occupy(struct slave *slave, const struct slave_chain *chain)
{
	struct slave_cell *cells = slave->spaces[BF_SPACE_HOLDING].cells;
	size_t n = 0;
	for (size_t i = 0; i < chain->n_cells; i++)
		cells[n++].at = chain->cells[i].at;
	for (uint32_t m = 0; m < chain->chain.n; m++)
		for (uint32_t i = 0; i < chain->chain.models[m].length; i++)
			cells[n++].at = (uint16_t)(chain->chain.models[m].at + CHAIN_HEAD + i);
	slave->spaces[BF_SPACE_HOLDING].n_cells = n;
}

void slave_chain_set(struct slave *slave, const struct slave_chain *chain)
{
	struct slave_cell *cells = slave->spaces[BF_SPACE_HOLDING].cells;
	size_t n = slave->spaces[BF_SPACE_HOLDING].n_cells, c = 0;
	for (size_t i = 0; i < n && c < chain->n_cells; i++)
		if (cells[i].at == chain->cells[c].at) {
			cells[i].value = chain->cells[c++].value;
			cells[i].written = true;
		}
}

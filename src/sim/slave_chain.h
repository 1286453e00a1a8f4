/*
 * The chain of models (model/chain.h) of a simulated device: that which chain_presume makes of its metrics.  Pure.
 */
#ifndef SIM_SLAVE_CHAIN_H
#define SIM_SLAVE_CHAIN_H

#include "model/chain.h"
#include "sim/slave.h"

/* What its cells hold besides values: the mark, ids and lengths, the end. */
#define SLAVE_CHAIN_CELLS (CHAIN_HEAD * (CHAIN_MODELS_MAX + 2))

struct slave_chain {
	struct chain chain;
	struct slave_cell cells[SLAVE_CHAIN_CELLS]; /* ascending */
	size_t n_cells;
};

/* Without anything when no metric of the device lies in a model. */
void slave_chain_init(struct slave_chain *chain, const struct plan *plan, const struct plan_device *told);

/* Where a place of the metric lies on the wire.  False when it has none, since a model is missing. */
bool slave_chain_place(const struct slave_chain *chain, const struct plan_metric *metric, struct bf_place *place);

/* How many cells it takes, with all registers of its models: a model has no holes. */
size_t slave_chain_count(const struct slave_chain *chain);

/* Puts their addresses first among the cells of the slave, which has room for them. */
void slave_chain_occupy(struct slave *slave, const struct slave_chain *chain);

/* What its own cells hold, for ever: also where a metric shows an id or a length.  The cells are sorted by now. */
void slave_chain_set(struct slave *slave, const struct slave_chain *chain);

#endif

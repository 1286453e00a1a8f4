/*
 * The chain of models of a SunSpec device: a mark at a base register, behind it models, each with its id, its length
 * and its registers, up to the id 0xFFFF.  Which models there are, and so where each begins, is the device's affair;
 * that every device with a model has it laid out in the same way is what SunSpec is for.  Pure; any thread.
 */
#ifndef MODEL_CHAIN_H
#define MODEL_CHAIN_H

#include "model/plan.h"

#define CHAIN_MARK       0x53756E53 /* "SunS" */
#define CHAIN_END        0xFFFF     /* the id behind the last model */
#define CHAIN_HEAD       2          /* registers of the mark, and of a model's id and length */
#define CHAIN_MODELS_MAX 64
#define CHAIN_BASES      3

/* Holding registers at which the mark may be, the most usual first (SunSpec Information Model Overview). */
extern const uint16_t chain_bases[CHAIN_BASES];

struct chain_model {
	uint16_t id;
	uint16_t at;     /* of its id; the length follows */
	uint16_t length; /* registers behind both */
};

/* Of each id the first one counts. */
struct chain {
	struct chain_model models[CHAIN_MODELS_MAX];
	uint32_t n;
};

/* Does a metric of the device lie in a model? */
bool chain_is_needed(const struct plan *plan, const struct plan_device *device);

/* The registers behind the id of its model up to the end of all that the metric needs. */
uint32_t chain_reach(const struct plan_metric *metric);

/* The model in which the metric lies: of those it names the first that is there and long enough.  NULL = none. */
const struct chain_model *chain_find(const struct chain *chain, const struct plan_metric *metric);

/* Two of the same models at the same places. */
bool chain_same(const struct chain *a, const struct chain *b);

/*
 * A chain that the device might have: of each metric the last model that it names, as long as its metrics need, from
 * the first base on, in the order of their ids.  For what must be told before a device has answered.
 */
void chain_presume(const struct plan *plan, const struct plan_device *device, struct chain *ret_chain);

#endif

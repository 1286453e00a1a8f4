/*
 * The plan of a map for people and as json: buses with their requests, wire time and utilisation; topics.
 */
#ifndef CLI_PLAN_TEXT_H
#define CLI_PLAN_TEXT_H

#include "app/faults.h"
#include "field/learnt.h"
#include "model/plan.h"

/* learnt: gaps that devices are known to refuse. */
void plan_text_print(const struct plan *plan, const struct learnt *learnt);
void plan_text_print_topics(const struct plan *plan);

/* One JSON object of both, and of the map's warnings.  0, or -ENOMEM. */
int plan_text_print_json(const struct plan *plan, const struct learnt *learnt, struct faults *faults);

#endif

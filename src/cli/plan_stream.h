/*
 * What `check` prints of buses on which devices send messages.
 */
#ifndef CLI_PLAN_STREAM_H
#define CLI_PLAN_STREAM_H

#include "base/json.h"
#include "model/plan.h"

/* The lines of the bus's devices: each kind of message, how it comes and how often it is told. */
void plan_stream_print(const struct plan *plan, const struct plan_bus *bus);

/* The same: the elements of the array "devices" of the bus. */
void plan_stream_json(struct json *json, const struct plan *plan, const struct plan_bus *bus);

#endif

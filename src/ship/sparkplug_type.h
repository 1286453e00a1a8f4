/*
 * What a metric of the map is in Sparkplug: its datatype, which no value changes, and a reading's value as one of it.
 * Pure; any thread.
 */
#ifndef SHIP_SPARKPLUG_TYPE_H
#define SHIP_SPARKPLUG_TYPE_H

#include "model/plan.h"
#include "ship/sparkplug_payload.h"

#include <stdbool.h>

/* An enum is told by its word, as elsewhere; what is scaled or averaged as a double, the rest as wide as it is read or
 * wider; never Int8, Int16 or UInt32. */
enum sparkplug_type sparkplug_type_of(const struct plan_metric *metric);

/*
 * Turns a value into the one that is told: of the kind that the type has, rounded to the metric's decimals, a text
 * terminated (in `text`, or a word of the plan).  False when it can't be one: then it is no value.
 */
bool sparkplug_type_fit(const struct plan_metric *metric, struct bf_value *value, char text[static BF_STRING_MAX + 1]);

#endif

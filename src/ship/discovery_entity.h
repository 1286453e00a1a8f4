/*
 * One metric of a plan as an entity of Home Assistant: a component of the message of its device (discovery.h).
 *
 * What may be written, with control.allow, is a number, a switch or a select; the rest is a sensor or binary_sensor.
 * Pure; any thread.
 */
#ifndef SHIP_DISCOVERY_ENTITY_H
#define SHIP_DISCOVERY_ENTITY_H

#include "base/json.h"
#include "model/message.h"
#include "model/plan.h"

#include <stddef.h>

#define DISCOVERY_NAME_SIZE (MESSAGE_TOPIC_MAX + 1)

/* "sensor", "number", … */
const char *discovery_platform(const struct plan *plan, const struct plan_metric *metric);

/* How many seconds a sensor may be silent before its value is too old; 0 = nobody can say. */
unsigned discovery_expires_s(const struct plan_metric *metric);

/* Writes the component with its id, which has payloads that Home Assistant can read (discovery_tells). */
void discovery_entity_print(struct json *json, const struct plan *plan, const struct plan_metric *metric);

/* The n bytes of a label for people, cut off where it must be: "flow_temp" is "Flow temp".  Returns text. */
const char *discovery_spoken(const char *label, size_t n, char text[static DISCOVERY_NAME_SIZE]);

#endif

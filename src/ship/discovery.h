/*
 * What Home Assistant is told of the devices of a plan: one retained message a device (its "device form"), from which
 * it makes an entity of each metric.
 *
 * Items are numbered: 0 is the gateway itself, n the device n - 1 of the plan.  A device whose message would be longer
 * than DISCOVERY_MAX has several, its parts, with the same device in each.
 *
 * Sources: home-assistant.io, source/_integrations/mqtt.markdown; home-assistant/core, components/mqtt/schemas.py,
 * discovery.py, sensor.py, number.py, select.py.  Pure; any thread.
 */
#ifndef SHIP_DISCOVERY_H
#define SHIP_DISCOVERY_H

#include "model/message.h"
#include "model/plan.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Bytes of one message.  Brokers set bounds of their own, the smallest in use being 128 kB (AWS IoT Core); half of that
 * holds some 120 metrics, so hardly a device needs a second one.
 */
#define DISCOVERY_MAX ((size_t)65536)

/* Does this plan tell Home Assistant anything? */
static inline bool discovery_is_on(const struct plan *plan)
{
	return plan->homeassistant.prefix != NULL;
}

/* Can Home Assistant read this metric?  Not influx line protocol. */
static inline bool discovery_tells(const struct plan_metric *metric)
{
	return metric->delivery.payload != PAYLOAD_INFLUX;
}

/* How many items, and how many messages an item has: 0 when it has nothing that Home Assistant can read. */
size_t discovery_items(const struct plan *plan);
unsigned discovery_parts(const struct plan *plan, size_t item);

/* The topic of a message, NUL-terminated.  Its length, or -ENAMETOOLONG. */
int discovery_topic_of(const struct plan *plan, size_t item, unsigned part, char topic[static MESSAGE_TOPIC_MAX + 1]);

/* The message.  Its length, NUL-terminated; DISCOVERY_MAX bytes are enough.  -ENOENT: there is no such part; -ENOSPC.
 */
int discovery_print(const struct plan *plan, size_t item, unsigned part, char *text, size_t size);

/*
 * What the broker had of this message before, n bytes: a message that takes the components away which it had and the
 * new one lacks, or has as another platform.  0 when there is none, or when more than MESSAGE_PAYLOAD_MAX bytes were
 * there, which nobody has told; else as discovery_print.
 */
int discovery_print_gone(
	const struct plan *plan, size_t item, unsigned part, const char *was, size_t n, char *text, size_t size);

/* Is this message of this gateway, and of no other program or site? */
bool discovery_is_ours(const struct plan *plan, const char *payload, size_t n);

#endif

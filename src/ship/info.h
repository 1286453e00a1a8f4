/*
 * What the gateway tells of itself: GATEWAY/info (contract, section 2), a json object that is retained:
 *
 *   version, started, broker, homeassistant: PREFIX, buses: [{name, driver, port | host + tcp_port, devices}],
 *   devices: [{path, name, bus, address, metrics, retained: [metric...], per: "device", discovery: messages}]
 *
 * `retained` names the metrics whose messages are retained, `per` says that the message of the whole device is.  They
 * are there for the next start: what a changed map no longer retains can be cleared then (sweep.h), by the gateway that
 * has published it and by no other.
 *
 * Pure; any thread.
 */
#ifndef SHIP_INFO_H
#define SHIP_INFO_H

#include "model/plan.h"

#include <stddef.h>

/* How much is told; thousands of devices are more than one message can hold. */
enum info_detail {
	INFO_WHOLE,
	INFO_RETAINED, /* no buses; of the devices what the next start has to know */
	INFO_BARE,     /* no lists */
};

/* Prints it, NUL-terminated.  broker_url may be NULL.  The length, or -ENOSPC. */
int info_print(const struct plan *plan, int64_t started_ms, const char *broker_url, enum info_detail detail, char *text,
	size_t size);

#endif

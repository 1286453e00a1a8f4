/*
 * NCMD and DCMD: the birth is told anew, metrics are written.  A write needs the same two keys as METRIC/set and is
 * held to the same limits; it is answered by the reading that comes when it is read back.
 *
 * Refused are commands that are retained and those that are not understood.  Bounded: of a metric one write is under
 * way and one waits, which a newer one replaces.
 *
 * Source: Sparkplug 3.0.0, 6.4.20 and 6.4.25.  The node's thread; what became of a write is told on the wire's.
 */
#ifndef SHIP_SPARKPLUG_COMMAND_H
#define SHIP_SPARKPLUG_COMMAND_H

#include "base/clock.h"
#include "model/order.h"
#include "model/plan.h"
#include "ship/sparkplug_place.h"
#include "ship/uplink.h"

#include <stdbool.h>

struct sparkplug_command;

#define SPARKPLUG_REBIRTH "Node Control/Rebirth"

/* taker NULL = nothing may be written; else it gets its giver.  news_fd: written when another write may begin.  All
 * that is given outlives it.  0 and *ret_command, or -ENOMEM. */
int sparkplug_command_init(const struct plan *plan, const struct sparkplug_place *places, struct order_taker *taker,
	const struct clock *clock, int news_fd, struct sparkplug_command **ret_command);
/* When none of its orders is under way.  NULL is fine. */
void sparkplug_command_destroy(struct sparkplug_command *command);

/* Has the device metrics that may be written? */
bool sparkplug_command_writes(const struct sparkplug_command *command, uint32_t device);

/* An NCMD.  True when a new birth is asked for. */
bool sparkplug_command_node(struct sparkplug_command *command, const struct uplink_message *message, int64_t now_us);

/* A DCMD for the device. */
void sparkplug_command_device(
	struct sparkplug_command *command, uint32_t device, const struct uplink_message *message, int64_t now_us);

/* Goes on with what waits.  When it wants that again; CLOCK_NEVER. */
int64_t sparkplug_command_step(struct sparkplug_command *command, int64_t now_us);

/* The connection is gone: nobody would hear of what waits. */
void sparkplug_command_lost(struct sparkplug_command *command);

#endif

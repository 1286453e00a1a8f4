/*
 * Commands from the broker: METRIC/set writes a metric, DEVICE/get polls a device; METRIC/result says what became of a
 * write.  Only with control.allow, and only metrics with `write`.
 *
 * Refused are messages that are retained, and those that were queued while the gateway was away: what somebody wanted
 * then is not what is wanted now.  Bounded: of a metric one write is under way and one waits, which a newer one
 * replaces; results of refusals are so many a second and no more.
 *
 * Threads: the listener on the publisher's; the giver's done on wire threads.
 */
#ifndef SHIP_COMMAND_H
#define SHIP_COMMAND_H

#include "base/clock.h"
#include "model/message.h"
#include "model/order.h"
#include "model/plan.h"
#include "ship/publisher.h"

struct command;

/* 0 and *ret_command, or -ENOMEM.  All that is given outlives it; it becomes the taker's giver. */
int command_init(const struct plan *plan, const struct clock *clock, struct message_sink *messages,
	struct order_taker *taker, struct command **ret_command);
void command_destroy(struct command *command);

struct publisher_listener *command_listener(struct command *command);

#endif

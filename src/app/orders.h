/*
 * Brings the orders of the broker's wing to the wires: encodes what is to be written, finds the wire on which the
 * device lives, and carries back what became of it.
 *
 * An order names devices and metrics by the plan of one generation; the wire may be one of an older generation that
 * goes on (generation.h), with numbers of its own.
 *
 * write and poll from any thread; the giver is told on the wire's.
 */
#ifndef APP_ORDERS_H
#define APP_ORDERS_H

#include "base/clock.h"
#include "model/order.h"

#include <stdbool.h>

struct generation;
struct orders;

/* For a generation that has its homes, which outlives the orders.  0 and *ret_orders, or -ENOMEM. */
int orders_init(const struct generation *generation, const struct clock *clock, struct orders **ret_orders);
/* When none is under way, or all threads have ended.  NULL is fine. */
void orders_destroy(struct orders *orders);

/* For command_init. */
struct order_taker *orders_taker(struct orders *orders);

/* Is a wire still to tell of one?  Any thread; when no more are given it ends within the time of an errand. */
bool orders_busy(const struct orders *orders);

#endif

/*
 * Brings the orders of the broker's wing to the wires: encodes what is to be written, finds the poller, and carries
 * back what became of it.
 *
 * write and poll from any thread; the giver is told on the wire's.
 */
#ifndef APP_ORDERS_H
#define APP_ORDERS_H

#include "base/clock.h"
#include "field/poller.h"
#include "model/order.h"
#include "model/plan.h"

struct orders {
	struct order_taker taker; /* for command_init */
	const struct plan *plan;
	const struct clock *clock;
	struct poller *const *pollers;
	size_t n_pollers;
};

/* plan and clock outlive it; the pollers come later, before the first order. */
void orders_init(struct orders *orders, const struct plan *plan, const struct clock *clock);
void orders_pollers(struct orders *orders, struct poller *const *pollers, size_t n);

#endif

/*
 * The way back: what the broker's wing asks of the wires'.  ship/ gives orders, app/ brings them to field/; neither
 * wing knows the other.
 */
#ifndef MODEL_ORDER_H
#define MODEL_ORDER_H

#include "model/reading.h"
#include "sdk/value.h"

#include <stdbool.h>
#include <stdint.h>

/* What became of a write. */
struct order_outcome {
	/*
	 * 0: what the device shows now was read, see same.  -ETIMEDOUT no answer; -EREMOTEIO refused, see exception;
	 * -EBADMSG damaged; -ENODEV port or connection gone; -EHOSTDOWN the device is silent and was not asked; -EAGAIN
	 * the bus had no time for it; -ECANCELED the gateway ends.
	 */
	int rc;
	uint8_t exception;
	bool taken; /* the device answered that it has taken it */
	bool same;  /* and shows it */
	enum quality quality;
	struct bf_value value; /* what it shows; no text */
};

/* Who gave the order. */
struct order_giver {
	/* On a wire's thread; must not block. */
	void (*done)(struct order_giver *giver, uint32_t metric, const struct order_outcome *outcome);
};

/* Who takes orders.  Any thread, none of it blocks. */
struct order_taker {
	/*
	 * Writes a value: a number in scaled units, the number of an enum's word, or a boolean.  metric: index in
	 * plan->metrics, one with `write`.  0: giver->done will be called; else it won't: -ERANGE the registers can't
	 * hold it; -EDOM to the device it means "no value"; -EBUSY too much is under way; -ENODEV, -ESHUTDOWN.
	 */
	int (*write)(struct order_taker *taker, uint32_t metric, const struct bf_value *value);
	/* All that a device is asked for is due now.  0; -EBUSY; -EOPNOTSUPP it sends by itself; -ENODEV, -ESHUTDOWN.
	 */
	int (*poll)(struct order_taker *taker, uint32_t device);
	struct order_giver *giver;
};

#endif

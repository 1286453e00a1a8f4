/*
 * METRIC/result: what became of a command, as a message, and in the log.  QoS 1, not retained, gone with the
 * connection. Any thread; works on the caller's stack.
 */
#ifndef SHIP_RESULT_H
#define SHIP_RESULT_H

#include "base/clock.h"
#include "model/message.h"
#include "model/order.h"
#include "model/plan.h"

#include <stdint.h>

/* All that is given outlives it. */
struct result {
	const struct plan *plan;
	const struct clock *clock;
	struct message_sink *messages; /* NULL = nobody is answered here */
	const char *word;              /* what the command was: "set" */
};

#define RESULT_WHY_SIZE 160

/* Why an order failed, in one sentence; it may be in text. */
const char *result_failure(const struct order_outcome *outcome, char text[static RESULT_WHY_SIZE]);

/* {"ok":false,"error":why}; why is ASCII, without a byte of what was refused. */
void result_refused(const struct result *result, uint32_t metric, const char *why);

/* What became of the value that was wanted, by what the device shows: {"ok":true,"value":…}, or why not; and a line in
 * the log. */
void result_told(const struct result *result, uint32_t metric, const struct bf_value *wanted,
	const struct order_outcome *outcome);

#endif

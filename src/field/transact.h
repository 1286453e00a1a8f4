/*
 * One transaction after another for commands that need no gateway: opens, asks, waits, answers.  Blocks the caller.
 */
#ifndef FIELD_TRANSACT_H
#define FIELD_TRANSACT_H

#include "field/line.h"

/* Opens the line, waiting as long as it takes to fail.  0, or -errno. */
int transact_open(struct line *line, const struct clock *clock);

/* As line_ops.answer, with -ETIMEDOUT after timeout_us of silence. */
int transact(struct line *line, const struct line_question *question, int64_t timeout_us, const struct clock *clock,
	struct line_answer *ret_answer);

#endif

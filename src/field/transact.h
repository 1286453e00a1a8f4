/*
 * One transaction after another for commands that need no gateway: opens, asks, waits, answers.  Blocks the caller.
 */
#ifndef FIELD_TRANSACT_H
#define FIELD_TRANSACT_H

#include "field/line.h"

/* Opens the line, waiting as long as it takes to fail.  0, or -errno. */
int transact_open(struct line *line, const struct clock *clock);

/*
 * As line_ops.answer, with -ETIMEDOUT after timeout_us of silence and -EAGAIN when others speak for so long.  After a
 * -ETIMEDOUT an answer of that shape may be the late one: it is then -ESTALE, and another shape is to be asked.
 */
int transact(struct line *line, const struct line_question *question, int64_t timeout_us, const struct clock *clock,
	struct line_answer *ret_answer);

#endif

/*
 * Blocking transactions over a line that itself never blocks.  One thread, no state of its own.
 */
#include "field/transact.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <time.h>

#define HELD_LOOK_US 5000 /* a line that others use is looked at again after so long */

static bool wait_until(int64_t until, struct pollfd fd, const struct clock *clock)
{
	int64_t left = until - clock_now(clock);
	if (left < 0)
		left = 0;
	struct timespec timeout = clock_timespec(left);
	return ppoll(&fd, 1, &timeout, NULL) == 1;
}

/* Waits as the line asks.  True when its fd is ready. */
static bool wait_for(const struct line *line, int64_t deadline, const struct clock *clock)
{
	return wait_until(line->look_at < deadline ? line->look_at : deadline,
		(struct pollfd){.fd = line->events ? line->fd : -1, .events = line->events}, clock);
}

/* Asks as soon as nobody else speaks.  0; -EAGAIN when that does not come. */
static int ask(struct line *line, const struct line_question *question, int64_t deadline, const struct clock *clock)
{
	int rc;
	while ((rc = line->ops->ask(line, question, clock_now(clock))) == -EAGAIN && clock_now(clock) < deadline) {
		int64_t look_at = clock_now(clock) + HELD_LOOK_US;
		wait_until(line->free_at < look_at ? look_at : line->free_at, (struct pollfd){.fd = -1}, clock);
	}
	return rc;
}

int transact_open(struct line *line, const struct clock *clock)
{
	int rc;
	while ((rc = line->ops->open(line, clock_now(clock))) == -EINPROGRESS)
		wait_for(line, CLOCK_NEVER, clock);
	return rc;
}

int transact(struct line *line, const struct line_question *question, int64_t timeout_us, const struct clock *clock,
	struct line_answer *ret_answer)
{
	int rc = ask(line, question, clock_now(clock) + timeout_us, clock);
	if (rc < 0)
		return rc;
	int64_t deadline = clock_now(clock) + timeout_us;
	for (;;) {
		bool ready = wait_for(line, deadline, clock);
		int64_t now_us = clock_now(clock);
		if (ready || now_us >= line->look_at) {
			rc = line->ops->answer(line, now_us, ret_answer);
			if (rc != -EAGAIN)
				return rc;
		}
		if (now_us >= deadline)
			return -ETIMEDOUT;
	}
}

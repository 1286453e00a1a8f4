/*
 * A real wire for a search.
 *
 * The line is made anew for each setting, as it takes its settings from the bus when it is made.
 */
#include "field/scan_line.h"
#include "base/clock.h"
#include "field/transact.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <time.h>

#define STALE_TRIES 3

static struct scan_line *of(struct scan_wire *wire)
{
	return (struct scan_line *)(void *)((char *)wire - offsetof(struct scan_line, wire));
}

static void line_stray(struct line_watch *watch, enum line_stray what, uint8_t unit, int64_t late_us)
{
	(void)unit;
	(void)late_us;
	struct scan_line *self = (struct scan_line *)(void *)((char *)watch - offsetof(struct scan_line, watch));
	self->n_strangers += what == LINE_LATE || what == LINE_FOREIGN;
}

static void line_close(struct scan_wire *wire)
{
	struct scan_line *self = of(wire);
	if (self->line)
		self->line->ops->destroy(self->line);
	self->line = NULL;
}

static int line_open(struct scan_wire *wire, const struct plan_line *settings)
{
	struct scan_line *self = of(wire);
	line_close(wire);
	if (settings)
		self->bus.line = *settings;
	int rc = line_modbus_init(&self->bus, &self->line);
	if (rc == 0 && self->line) {
		self->line->watch = &self->watch;
		rc = transact_open(self->line, self->clock);
	}
	if (rc < 0)
		line_close(wire);
	return rc;
}

/* An answer that may be a late one (-ESTALE) ends what was asked before it, so the next one can be trusted.  A line on
 * which others never stop speaking is as good as one on which nobody answers. */
static int line_try(struct scan_line *self, const struct line_question *question, int64_t timeout_us,
	struct line_answer *ret_answer)
{
	int rc = -ESTALE;
	for (int i = 0; i < STALE_TRIES && rc == -ESTALE; i++)
		rc = transact(self->line, question, timeout_us, self->clock, ret_answer);
	return rc == -ESTALE ? -EBADMSG : rc == -EAGAIN ? -ETIMEDOUT : rc;
}

/* A TCP host may close a connection that it got a question on which it does not like: the next one tells. */
static int line_ask(struct scan_wire *wire, const struct line_question *question, int64_t timeout_us,
	struct line_answer *ret_answer)
{
	struct scan_line *self = of(wire);
	int rc = self->line ? line_try(self, question, timeout_us, ret_answer) : -ENODEV;
	if (rc != -ENODEV || self->bus.wire == WIRE_SERIAL)
		return rc;
	rc = line_open(wire, NULL);
	if (rc == 0)
		rc = line_try(self, question, timeout_us, ret_answer);
	return rc == -ENODEV ? -ETIMEDOUT : rc;
}

static uint64_t line_strangers(const struct scan_wire *wire)
{
	const struct scan_line *self =
		(const struct scan_line *)(const void *)((const char *)wire - offsetof(struct scan_line, wire));
	return self->n_strangers;
}

static void line_rest(struct scan_wire *wire, int64_t for_us)
{
	(void)wire;
	struct timespec time = clock_timespec(for_us);
	ppoll(NULL, 0, &time, NULL);
}

static int64_t line_now_us(const struct scan_wire *wire)
{
	const struct scan_line *self =
		(const struct scan_line *)(const void *)((const char *)wire - offsetof(struct scan_line, wire));
	return clock_now(self->clock);
}

void scan_line_init(struct scan_line *line, const struct plan_bus *bus, const struct clock *clock)
{
	*line = (struct scan_line){.wire = {line_open, line_close, line_ask, line_strangers, line_rest, line_now_us},
		.bus = *bus,
		.watch = {line_stray},
		.clock = clock};
}

/*
 * Who listens on a port: see listener.h.
 *
 *   CLOSED ──► OPENING ──► OPEN ──nothing sound──► CLOSED, the next line
 *                           └──end, port gone──► OVER
 *
 * Why lines are gone through at all: at a wrong speed a sensor sends what no check can tell from noise, and nobody
 * knows a sensor's speed by looking at it.  One line is kept as soon as a profile understands something on it.
 *
 * Why nothing is asked unless it was told to: a request goes to a device that nobody knows yet, and what reads one may
 * set another.
 *
 * Invariant: outside of OPEN nobody asks; the port is read at one place, so that each byte is heard by everybody.
 */
#include "app/listener.h"
#include "model/line_text.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define TRY_US       INT64_C(5000000)  /* on one line, of bytes that nobody understands */
#define SILENT_US    INT64_C(15000000) /* without any: meters speak each 10 s */
#define BEFORE_US    INT64_C(1000000)  /* listening before the first request */
#define BETWEEN_US   INT64_C(200000)   /* profiles that ask */
#define BEHIND_US    INT64_C(500000)   /* the last one */
#define GIVE_UP_US   INT64_C(30000000) /* who asks; its own time-outs are shorter */
#define QUIET_END_US INT64_C(60000000) /* behind a recording, at any speed */
#define READS_MAX    16

/* How many profiles come with that line. */
static size_t n_with(const struct candidates *all, const struct plan_line *line)
{
	size_t n = 0;
	for (size_t i = 0; i < all->n; i++)
		n += all->items[i].has_line && line_text_same(&all->items[i].line, line);
	return n;
}

static void add_line(struct listener *listener, const struct plan_line *line)
{
	for (size_t i = 0; i < listener->n_lines; i++)
		if (line_text_same(&listener->lines[i], line))
			return;
	if (listener->n_lines == LISTENER_LINES_MAX)
		return;
	size_t at = listener->n_lines++, n = n_with(listener->all, line);
	for (; at > 0 && n_with(listener->all, &listener->lines[at - 1]) < n; at--)
		listener->lines[at] = listener->lines[at - 1];
	listener->lines[at] = *line;
}

/* The lines of the profiles, those of many first; the bus's own when one has none. */
static void choose_lines(struct listener *listener)
{
	for (size_t i = 0; i < listener->all->n; i++)
		if (listener->all->items[i].has_line)
			add_line(listener, &listener->all->items[i].line);
	if (listener->n_lines == 0)
		add_line(listener, &listener->bus->line);
}

static struct listener *of(struct stream_port *port)
{
	return ((struct listener_tap *)port)->listener;
}

static int64_t wall_ms(const struct listener *listener)
{
	return listener->clock->wall_ms(listener->clock);
}

static void look_at(struct listener_seen *seen, const uint8_t *bytes, size_t n)
{
	seen->n_bytes += n;
	for (size_t i = 0; i < n; i++) {
		uint8_t byte = bytes[i], below = byte & 0x7f;
		bool text = below >= 0x20 && below < 0x7f, end = below == '\r' || below == '\n' || below == '\t';
		seen->n_high += byte >> 7;
		seen->n_text_below += text || end;
		seen->n_text += byte < 0x80 && (text || end);
		seen->n_even += __builtin_popcount(byte) % 2 == 0;
	}
}

static void came(struct listener *listener, const uint8_t *bytes, size_t n, int64_t now_us)
{
	listener->n_bytes += n;
	listener->came_at = now_us;
	if (!listener->try_until)
		listener->try_until = now_us + TRY_US;
	look_at(&listener->seen, bytes, n);
	listener->watch->bytes(listener->watch, false, bytes, n, now_us);
	for (size_t i = 0; i < listener->all->n; i++)
		candidate_take(&listener->all->items[i], bytes, n, wall_ms(listener), now_us);
}

static int hear(struct listener *listener, uint8_t *bytes, size_t size, int64_t now_us)
{
	int n = listener->port->ops->read(listener->port, bytes, size);
	if (n > 0)
		came(listener, bytes, (size_t)n, now_us);
	return n;
}

static int tap_open(struct stream_port *port, int64_t now_us)
{
	(void)now_us;
	port->fd = of(port)->port->fd;
	return 0;
}

static void tap_close(struct stream_port *port)
{
	port->fd = -1;
}

static int tap_read(struct stream_port *port, uint8_t *bytes, size_t size)
{
	struct listener *listener = of(port);
	int n = hear(listener, bytes, size, clock_now(listener->clock));
	if (n < 0)
		listener->failure = n;
	return n;
}

static int tap_write(struct stream_port *port, const uint8_t *bytes, size_t n)
{
	struct listener *listener = of(port);
	int rc = listener->port->ops->write(listener->port, bytes, n);
	if (rc == 0) {
		listener->n_sent += n;
		listener->watch->bytes(listener->watch, true, bytes, n, clock_now(listener->clock));
	} else if (rc == -ENODEV) {
		listener->failure = rc;
	}
	return rc;
}

static int tap_speed(struct stream_port *port, uint32_t baud)
{
	struct stream_port *real = of(port)->port;
	return real->ops->speed(real, baud);
}

static void tap_destroy(struct stream_port *port)
{
	tap_close(port);
}

void listener_init(struct listener *listener, struct plan_bus *bus, struct stream_port *port, struct candidates *all,
	const struct clock *clock, struct listener_watch *watch, bool line_given)
{
	static const struct stream_port_ops ops = {.open = tap_open,
		.close = tap_close,
		.read = tap_read,
		.write = tap_write,
		.speed = tap_speed,
		.destroy = tap_destroy};
	*listener = (struct listener){.bus = bus,
		.port = port,
		.all = all,
		.clock = clock,
		.watch = watch,
		.ends_at = CLOCK_NEVER,
		.tap = {.port = {.ops = &ops, .fd = -1}, .listener = listener}};
	if (!line_given && bus->wire == WIRE_SERIAL)
		choose_lines(listener);
}

static void stop_asking(struct listener *listener)
{
	if (!listener->asking)
		return;
	if (listener->asking->stream->talk.fast)
		listener->port->ops->speed(listener->port, listener->bus->line.baud);
	candidate_rest(listener->asking);
	arena_free(&listener->arena);
	listener->asking = NULL;
}

static void over(struct listener *listener, int failure)
{
	stop_asking(listener);
	listener->port->ops->close(listener->port);
	listener->failure = failure;
	listener->state = LISTENER_OVER;
}

void listener_end(struct listener *listener)
{
	if (listener->state != LISTENER_OVER)
		over(listener, listener->failure);
}

static void next_line(struct listener *listener)
{
	stop_asking(listener);
	listener->port->ops->close(listener->port);
	listener->nth_line = (listener->nth_line + 1) % listener->n_lines;
	listener->state = LISTENER_CLOSED;
}

static void opened(struct listener *listener, int64_t now_us)
{
	size_t n_on = 0;
	listener->state = LISTENER_OPEN;
	listener->opened_at = now_us;
	listener->came_at = 0;
	listener->try_until = 0;
	listener->next_ask = 0;
	listener->ask_at = now_us + (listener->alone ? 0 : BEFORE_US);
	listener->seen = (struct listener_seen){0};
	for (size_t i = 0; i < listener->all->n; i++) {
		struct candidate *candidate = &listener->all->items[i];
		bool on = listener->n_lines == 0 || !candidate->has_line ||
			  line_text_same(&candidate->line, &listener->bus->line);
		candidate_begin(candidate, on, &listener->watch->candidates, now_us);
		n_on += on;
	}
	listener->watch->opened(listener->watch, n_on, now_us);
}

static int64_t open_port(struct listener *listener, int64_t now_us)
{
	if (listener->n_lines)
		listener->bus->line = listener->lines[listener->nth_line];
	int rc = listener->port->ops->open(listener->port, now_us);
	if (rc == -EINPROGRESS) {
		listener->state = LISTENER_OPENING;
		return listener->port->look_at;
	}
	if (rc == -EINVAL && listener->n_lines > 1) {
		/* the port does not do this one */
		listener->n_refused++;
		listener->n_lines--;
		memmove(&listener->lines[listener->nth_line], &listener->lines[listener->nth_line + 1],
			(listener->n_lines - listener->nth_line) * sizeof(listener->lines[0]));
		listener->nth_line %= listener->n_lines;
		return now_us;
	}
	if (rc < 0)
		over(listener, rc);
	else
		opened(listener, now_us);
	return now_us;
}

static int64_t quiet(struct listener *listener, int64_t now_us)
{
	int64_t quiet_us = stream_quiet_us(&listener->bus->line);
	if (!listener->came_at)
		return CLOCK_NEVER;
	if (now_us < listener->came_at + quiet_us)
		return listener->came_at + quiet_us;
	listener->came_at = 0;
	for (size_t i = 0; i < listener->all->n; i++)
		candidate_quiet(&listener->all->items[i], wall_ms(listener), now_us);
	return CLOCK_NEVER;
}

/* Does a profile understand something on this line? */
static bool understood(const struct listener *listener)
{
	for (size_t i = 0; i < listener->all->n; i++)
		if (candidate_fits(&listener->all->items[i]))
			return true;
	return false;
}

/* The next one that asks on this line, or NULL. */
static struct candidate *next_to_ask(struct listener *listener)
{
	for (; listener->next_ask < listener->all->n; listener->next_ask++) {
		struct candidate *candidate = &listener->all->items[listener->next_ask];
		if (candidate->on && (candidate->asks || listener->alone))
			return candidate;
	}
	return NULL;
}

static int64_t go_on_asking(struct listener *listener, bool ready, int64_t now_us)
{
	struct stream *stream = listener->asking->stream;
	int64_t wake = stream_step(stream, ready, now_us);
	if (listener->alone || (!stream_finished(stream) && now_us < listener->give_up_at))
		return wake < listener->give_up_at ? wake : listener->give_up_at;
	stop_asking(listener);
	listener->next_ask++;
	listener->ask_at = now_us + BETWEEN_US;
	return listener->ask_at;
}

/* Asks whose turn it is.  Returns when to go on. */
static int64_t ask(struct listener *listener, bool ready, int64_t now_us)
{
	if (listener->asking)
		return go_on_asking(listener, ready, now_us);
	if (now_us < listener->ask_at)
		return listener->ask_at;
	struct candidate *candidate = next_to_ask(listener);
	if (candidate) {
		listener->asking = candidate;
		listener->give_up_at = listener->alone ? CLOCK_NEVER : now_us + GIVE_UP_US;
		listener->watch->asks(listener->watch, candidate);
		candidate_ask(candidate, &listener->tap.port, listener->bus, listener->clock, !listener->alone,
			&listener->arena);
		return now_us;
	}
	if (listener->alone)
		return CLOCK_NEVER;
	if (now_us < listener->ask_at + BEHIND_US)
		return listener->ask_at + BEHIND_US;
	if (listener->nth_line + 1 >= listener->n_lines || understood(listener))
		over(listener, 0);
	else
		next_line(listener);
	return now_us;
}

/* Only listens: after some time on another line. */
static int64_t wait(struct listener *listener, int64_t now_us)
{
	if (listener->n_lines < 2)
		return CLOCK_NEVER;
	int64_t next_at = listener->try_until ? listener->try_until : listener->opened_at + SILENT_US;
	if (now_us < next_at)
		return next_at;
	if (understood(listener)) {
		listener->try_until = now_us + TRY_US;
		return listener->try_until;
	}
	next_line(listener);
	return now_us;
}

static int64_t step_open(struct listener *listener, bool ready, int64_t now_us)
{
	uint8_t bytes[SOURCE_READ_MAX];
	for (int i = 0; ready && !listener->asking && i < READS_MAX; i++) {
		int n = hear(listener, bytes, sizeof(bytes), now_us);
		if (n < 0)
			listener->failure = n;
		if (n < (int)sizeof(bytes))
			break;
	}
	int64_t wake = quiet(listener, now_us);
	int64_t at = listener->asks || listener->alone ? ask(listener, ready, now_us) : wait(listener, now_us);
	if (listener->failure && listener->state == LISTENER_OPEN)
		over(listener, listener->failure);
	return at < wake ? at : wake;
}

int64_t listener_step(struct listener *listener, bool ready, int64_t now_us)
{
	if (listener->state != LISTENER_OVER && now_us >= listener->ends_at)
		over(listener, 0);
	int64_t wake = now_us;
	if (listener->state == LISTENER_CLOSED || listener->state == LISTENER_OPENING)
		wake = open_port(listener, now_us);
	else if (listener->state == LISTENER_OPEN)
		wake = step_open(listener, ready, now_us);
	return wake < listener->ends_at ? wake : listener->ends_at;
}

void listener_play(struct listener *listener, const struct recording_chunk *chunks, size_t n_chunks, int64_t now_us)
{
	listener->n_lines = 0;
	opened(listener, now_us);
	for (size_t i = 0; i < n_chunks; i++) {
		const struct bf_bytes *bytes = &chunks[i].bytes;
		int64_t at_us = now_us + chunks[i].at_ms * 1000;
		quiet(listener, at_us);
		if (chunks[i].sent)
			listener->watch->bytes(listener->watch, true, bytes->at, bytes->n, at_us);
		else
			came(listener, bytes->at, bytes->n, at_us);
	}
	if (listener->came_at)
		quiet(listener, listener->came_at + QUIET_END_US);
	listener->state = LISTENER_OVER;
}

short listener_events(const struct listener *listener)
{
	if (listener->state == LISTENER_OPENING)
		return listener->port->events;
	if (listener->state != LISTENER_OPEN)
		return 0;
	return listener->asking ? stream_events(listener->asking->stream) : POLLIN;
}

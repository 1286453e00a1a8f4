/*
 * The state machine of a stream's port: see stream.h.
 *
 * Bytes are read some time after the first of them has come, so that a sensor which sends a byte each millisecond does
 * not wake the process a thousand times a second; the kernel's buffer holds what comes meanwhile.
 */
#include "field/stream.h"

#include <errno.h>
#include <poll.h>

#define GATHER_US        50000 /* of what comes by itself */
#define GATHER_ANSWER_US 5000
#define GATHER_BYTES     1024 /* a quarter of what a tty holds */
#define QUIET_US         300000
#define QUIET_CHARS      20
#define READS_MAX        16

void stream_init(struct stream *stream, const struct plan *plan, size_t index, struct stream_port *port,
	struct reading_sink *sink, const struct clock *clock, bool once, struct arena *arena)
{
	const struct plan_bus *told = &plan->buses[index];
	*stream = (struct stream){.plan = plan, .told = told, .clock = clock, .port = port, .once = once};
	outage_init(&stream->outage, told);
	stream->sources = arena_array(arena, told->n_devices, sizeof(*stream->sources));
	for (uint32_t i = 0; i < told->n_devices; i++)
		source_init(&stream->sources[i], plan, told->devices[i], sink, &stream->counts, arena);
	talk_init(&stream->talk, told, stream->sources, port, &stream->counts, once, arena);
}

void stream_destroy(struct stream *stream)
{
	if (!stream->port)
		return;
	if (stream->state == STREAM_OPEN)
		talk_farewell(&stream->talk);
	stream->port->ops->destroy(stream->port);
	stream->port = NULL;
}

static int64_t wall_ms(const struct stream *stream)
{
	return stream->clock->wall_ms(stream->clock);
}

static void lost(struct stream *stream, int failure, int64_t now_us)
{
	bool was_open = stream->state == STREAM_OPEN;
	bool tells = outage_begin(&stream->outage, stream->told, &stream->counts, was_open, failure, now_us);
	stream->port->ops->close(stream->port);
	stream->state = STREAM_CLOSED;
	stream->gather_at = 0;
	talk_lost(&stream->talk);
	for (uint32_t i = 0; tells && i < stream->told->n_devices; i++)
		source_port_lost(&stream->sources[i], wall_ms(stream), now_us);
}

static void opened(struct stream *stream, int64_t now_us)
{
	stream->state = STREAM_OPEN;
	stream->came_at = 0;
	outage_forget(&stream->outage);
	for (uint32_t i = 0; i < stream->told->n_devices; i++)
		source_begin(&stream->sources[i], true, now_us);
	talk_opened(&stream->talk, now_us);
	outage_end(&stream->outage, stream->told, &stream->counts, now_us);
}

static int64_t step_opening(struct stream *stream, int64_t now_us)
{
	int rc = stream->port->ops->open(stream->port, now_us);
	if (rc == -EINPROGRESS) {
		stream->state = STREAM_OPENING;
		return stream->port->look_at;
	}
	if (rc < 0) {
		lost(stream, rc, now_us);
		return stream->outage.retry_at;
	}
	opened(stream, now_us);
	return now_us;
}

/* Bytes for the device that is asked, and for all that send by themselves. */
static void hand_on(struct stream *stream, const uint8_t *bytes, size_t n, int64_t now_us)
{
	struct source *asked = talk_waits_for(&stream->talk);
	bool alone = stream->told->n_devices == 1;
	struct bf_message none;
	for (uint32_t i = 0; i < stream->told->n_devices; i++) {
		struct source *source = &stream->sources[i];
		if (source == asked)
			talk_take(&stream->talk, bytes, n, wall_ms(stream), now_us);
		else if (alone || !source->asked)
			source_take(source, bytes, n, NULL, &none, wall_ms(stream), now_us);
	}
}

static int take(struct stream *stream, int64_t now_us)
{
	uint8_t bytes[SOURCE_READ_MAX];
	stream->gather_at = 0;
	for (int i = 0; i < READS_MAX; i++) {
		int n = stream->port->ops->read(stream->port, bytes, sizeof(bytes));
		if (n <= 0)
			return n;
		stream->came_at = now_us;
		atomic_fetch_add_explicit(&stream->counts.busy_us,
			(int64_t)n * plan_line_char_ns(&stream->told->line) / 1000, memory_order_relaxed);
		hand_on(stream, bytes, (size_t)n, now_us);
		if (n < (int)sizeof(bytes))
			return 0;
	}
	return 0;
}

static int64_t gather_us(const struct stream *stream)
{
	int64_t us = talk_waits_for(&stream->talk) ? GATHER_ANSWER_US : GATHER_US;
	int64_t fills_us = GATHER_BYTES * plan_line_char_ns(&stream->told->line) / 1000;
	return us < fills_us ? us : fills_us;
}

int64_t stream_quiet_us(const struct plan_line *line)
{
	return QUIET_US + QUIET_CHARS * plan_line_char_ns(line) / 1000;
}

/* What the inputs hold will not go on. */
static int64_t look_for_quiet(struct stream *stream, int64_t now_us)
{
	int64_t quiet_us = stream_quiet_us(&stream->told->line);
	if (!stream->came_at)
		return CLOCK_NEVER;
	if (now_us < stream->came_at + quiet_us)
		return stream->came_at + quiet_us;
	stream->came_at = 0;
	for (uint32_t i = 0; i < stream->told->n_devices; i++)
		source_quiet(&stream->sources[i], wall_ms(stream), now_us);
	return CLOCK_NEVER;
}

static int64_t step_open(struct stream *stream, bool ready, int64_t now_us)
{
	if (ready && !stream->gather_at)
		stream->gather_at = now_us + gather_us(stream);
	bool reads = (stream->gather_at && now_us >= stream->gather_at) || talk_is_due(&stream->talk, now_us);
	int rc = reads ? take(stream, now_us) : 0;
	int64_t wake = rc < 0 ? rc : talk_step(&stream->talk, wall_ms(stream), now_us);
	if (wake < 0) {
		lost(stream, -ENODEV, now_us);
		return stream->outage.retry_at;
	}
	if (stream->gather_at)
		wake = clock_earlier(wake, stream->gather_at);
	wake = clock_earlier(wake, look_for_quiet(stream, now_us));
	for (uint32_t i = 0; i < stream->told->n_devices; i++)
		wake = clock_earlier(wake, source_tick(&stream->sources[i], wall_ms(stream), now_us));
	return wake;
}

int64_t stream_step(struct stream *stream, bool ready, int64_t now_us)
{
	switch (stream->state) {
	case STREAM_CLOSED:
		return now_us < stream->outage.retry_at ? stream->outage.retry_at : step_opening(stream, now_us);
	case STREAM_OPENING:
		return step_opening(stream, now_us);
	case STREAM_OPEN:
		break;
	}
	return step_open(stream, ready, now_us);
}

int stream_poll(struct stream *stream, uint32_t device, int64_t now_us)
{
	for (uint32_t i = 0; i < stream->told->n_devices && stream->state == STREAM_OPEN; i++)
		if (stream->sources[i].index == device)
			return talk_poll(&stream->talk, i, now_us);
	return -ENODEV;
}

short stream_events(const struct stream *stream)
{
	if (stream->port->fd < 0 || stream->state == STREAM_CLOSED)
		return 0;
	if (stream->state == STREAM_OPENING)
		return stream->port->events;
	return stream->gather_at ? 0 : POLLIN;
}

bool stream_finished(const struct stream *stream)
{
	if (!talk_finished(&stream->talk))
		return false;
	for (uint32_t i = 0; i < stream->told->n_devices; i++) {
		const struct source *source = &stream->sources[i];
		bool over = source->missed || source->asked || stream->state == STREAM_CLOSED;
		if (!over && !source_heard_all(source))
			return false;
	}
	return true;
}

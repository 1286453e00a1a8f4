/*
 * The golden input of a stream, played to the state machine that a gateway runs (field/stream.c), on a port that is
 * only a script and a clock that goes as fast as it is asked.
 *
 * A device that sends by itself gets chunk by chunk.  One that is asked gets an item for each request, in the order in
 * which they are made; `init` is answered by nothing.  When the input is used up the replay ends, before anything is
 * missed.
 */
#include "app/vector.h"
#include "field/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 100000
#define ROUND_US  10000000

struct script {
	struct stream_port port;
	const struct vector *vector;
	size_t next; /* item */
	size_t at;   /* in the item that is being read */
	bool asked;  /* items wait for requests */
	bool open;   /* the item is there to be read */
	uint64_t n_greetings;
};

struct stage {
	struct clock clock;
	struct reading_sink sink;
	struct script script;
	int64_t now_us;
	const struct plan *plan;
	struct vector_seen *seen;
};

static struct stage *stage_of(const void *inner, size_t offset)
{
	return (struct stage *)((char *)(uintptr_t)inner - offset);
}

static int64_t stage_now(const struct clock *clock)
{
	return stage_of(clock, offsetof(struct stage, clock))->now_us;
}

static int64_t stage_wall(const struct clock *clock)
{
	return stage_now(clock) / 1000;
}

static void stage_take(struct reading_sink *sink, const struct batch *batch)
{
	struct stage *stage = stage_of(sink, offsetof(struct stage, sink));
	for (size_t i = 0; i < batch->n; i++) {
		const struct reading *reading = &batch->readings[i];
		vector_note(&stage->plan->metrics[reading->metric], reading->quality, &reading->value,
			&stage->seen[reading->metric]);
	}
}

static void stage_rest(struct reading_sink *sink)
{
	(void)sink;
}

static int script_open(struct stream_port *port, int64_t now_us)
{
	(void)now_us;
	port->fd = 0;
	return 0;
}

static void script_close(struct stream_port *port)
{
	port->fd = -1;
}

static int script_read(struct stream_port *port, uint8_t *bytes, size_t size)
{
	struct script *script = (struct script *)port;
	if (!script->open || script->next == script->vector->n_input)
		return 0;
	const struct bf_bytes *item = &script->vector->input[script->next];
	size_t n = item->n - script->at < size ? item->n - script->at : size;
	memcpy(bytes, item->at + script->at, n);
	script->at += n;
	if (script->at == item->n) {
		script->next++;
		script->at = 0;
		script->open = !script->asked;
	}
	return (int)n;
}

static int script_write(struct stream_port *port, const uint8_t *bytes, size_t n)
{
	struct script *script = (struct script *)port;
	(void)bytes;
	(void)n;
	if (script->n_greetings) {
		script->n_greetings--;
	} else {
		/* the request before has no answer, and none was waited for */
		if (script->asked && script->open && script->next < script->vector->n_input &&
			script->vector->input[script->next].n == 0)
			script->next++;
		script->open = true;
	}
	return 0;
}

static int script_speed(struct stream_port *port, uint32_t baud)
{
	(void)port;
	(void)baud;
	return 0;
}

static void script_destroy(struct stream_port *port)
{
	(void)port;
}

static const struct stream_port_ops script_ops = {.open = script_open,
	.close = script_close,
	.read = script_read,
	.write = script_write,
	.speed = script_speed,
	.destroy = script_destroy};

/*
 * Metrics without an interval are asked for whenever the wire has time, so that a message of which there was an answer
 * may come before one that was not asked for yet.  With one they are asked for in the order of the messages.
 */
static struct plan_metric *in_turn(const struct plan *plan, struct arena *arena)
{
	struct plan_metric *metrics = arena_array(arena, plan->n_metrics, sizeof(*metrics));
	memcpy(metrics, plan->metrics, plan->n_metrics * sizeof(*metrics));
	for (size_t i = 0; i < plan->n_metrics; i++)
		if (metrics[i].every_us == 0)
			metrics[i].every_us = ROUND_US;
	return metrics;
}

/* Until the last item was read, and looked at. */
static void play(struct stage *stage, struct stream *stream)
{
	struct script *script = &stage->script;
	int rest = 2;
	for (int i = 0; i < STEPS_MAX && rest > 0; i++) {
		bool used_up = script->next == script->vector->n_input;
		int64_t wake = stream_step(stream, script->open && !used_up, stage->now_us);
		rest -= used_up;
		if (!used_up && wake != CLOCK_NEVER && wake > stage->now_us)
			stage->now_us = wake;
		else
			stage->now_us++;
	}
}

void vector_stream_replay(const struct plan *plan, const struct vector *vector, struct vector_seen *seen)
{
	struct plan_device device = plan->devices[0];
	struct plan_stream told = *device.stream;
	struct plan played = *plan;
	struct arena arena = {0};
	bool asked = plan_device_is_asked(&device);
	told.ignore_first_us = 0;
	device.stream = &told;
	played.devices = &device;
	if (asked)
		played.metrics = in_turn(plan, &arena);
	struct stage stage = {.clock = {.mono_us = stage_now, .wall_ms = stage_wall},
		.sink = {.take = stage_take, .rest = stage_rest},
		.script = {.port = {.ops = &script_ops, .fd = -1},
			.vector = vector,
			.asked = asked,
			.open = !asked,
			.n_greetings = told.n_init},
		.now_us = 1,
		.plan = plan,
		.seen = seen};
	struct stream *stream = arena_alloc(&arena, sizeof(*stream));
	stream_init(stream, &played, 0, &stage.script.port, &stage.sink, &stage.clock, false, &arena);
	play(&stage, stream);
	stream_destroy(stream);
	arena_free(&arena);
}

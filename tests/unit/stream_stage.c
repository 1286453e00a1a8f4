/* The stage of streams.  See stream_stage.h. */
#include "stream_stage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ITEM_EVERY_US 100000

static struct stream_stage *stage_of(const void *inner, size_t offset)
{
	return (struct stream_stage *)((char *)(uintptr_t)inner - offset);
}

static int64_t stage_now(const struct clock *clock)
{
	return stage_of(clock, offsetof(struct stream_stage, clock))->now_us;
}

static int64_t stage_wall(const struct clock *clock)
{
	return stage_now(clock) / 1000;
}

static void stage_take(struct reading_sink *sink, const struct batch *batch)
{
	struct stream_stage *stage = stage_of(sink, offsetof(struct stream_stage, sink));
	if (batch->availability != AVAILABILITY_SAME)
		stage->availability = batch->availability;
	for (size_t i = 0; i < batch->n; i++)
		stage->metrics[batch->readings[i].metric] = (struct stage_metric){true, batch->readings[i].quality};
}

static void stage_rest(struct reading_sink *sink)
{
	(void)sink;
}

static struct stream_stage *of_port(struct stream_port *port)
{
	return stage_of(port, offsetof(struct stream_stage, port));
}

static int port_open(struct stream_port *port, int64_t now_us)
{
	(void)now_us;
	struct stream_stage *stage = of_port(port);
	if (stage->mode == STAGE_GONE)
		return -ENOENT;
	port->fd = 0;
	stage->n_greetings = stage->device.stream->n_init;
	stage->next = stage->at = 0;
	stage->open = !stage->asked;
	return 0;
}

static void port_close(struct stream_port *port)
{
	port->fd = -1;
}

static bool readable(const struct stream_stage *stage)
{
	return stage->mode == STAGE_GONE ||
	       (stage->mode != STAGE_SILENT && stage->open && stage->now_us >= stage->item_at);
}

static int port_read(struct stream_port *port, uint8_t *bytes, size_t size)
{
	struct stream_stage *stage = of_port(port);
	if (stage->mode == STAGE_GONE)
		return -ENODEV;
	if (!readable(stage))
		return 0;
	const struct bf_bytes *item = &stage->items[stage->next];
	size_t n = item->n - stage->at < size ? item->n - stage->at : size;
	if (stage->mode == STAGE_NOISY)
		memset(bytes, 0xFE, n);
	else
		memcpy(bytes, item->at + stage->at, n);
	stage->at += n;
	if (stage->at == item->n) {
		stage->next = (stage->next + 1) % stage->n_items;
		stage->at = 0;
		stage->open = !stage->asked;
		stage->item_at = stage->now_us + (stage->asked ? 0 : ITEM_EVERY_US);
	}
	return (int)n;
}

static int port_write(struct stream_port *port, const uint8_t *bytes, size_t n)
{
	struct stream_stage *stage = of_port(port);
	(void)bytes;
	(void)n;
	if (stage->mode == STAGE_GONE)
		return -ENODEV;
	if (stage->n_greetings)
		stage->n_greetings--;
	else
		stage->open = true;
	return 0;
}

static int port_speed(struct stream_port *port, uint32_t baud)
{
	(void)port;
	(void)baud;
	return 0;
}

static void port_destroy(struct stream_port *port)
{
	(void)port;
}

static const struct stream_port_ops ops = {.open = port_open,
	.close = port_close,
	.read = port_read,
	.write = port_write,
	.speed = port_speed,
	.destroy = port_destroy};

struct stream_stage *stage_make(const struct plan *plan, const struct bf_bytes *items, size_t n_items)
{
	struct stream_stage *stage = calloc(1, sizeof(*stage));
	if (!stage)
		abort();
	stage->clock = (struct clock){.mono_us = stage_now, .wall_ms = stage_wall};
	stage->sink = (struct reading_sink){.take = stage_take, .rest = stage_rest};
	stage->port = (struct stream_port){.ops = &ops, .fd = -1};
	stage->plan = *plan;
	stage->device = plan->devices[0];
	stage->plan.devices = &stage->device;
	stage->items = items;
	stage->n_items = n_items;
	stage->now_us = 1;
	stage->metrics = calloc(plan->n_metrics ? plan->n_metrics : 1, sizeof(*stage->metrics));
	if (!stage->metrics)
		abort();
	stage->asked = stage->device.driver->ask != NULL;
	for (size_t i = 0; i < stage->device.stream->n_messages; i++)
		stage->asked = stage->asked || stage->device.stream->messages[i].request.n;
	stream_init(&stage->stream, &stage->plan, 0, &stage->port, &stage->sink, &stage->clock, false, &stage->arena);
	return stage;
}

void stage_free(struct stream_stage *stage)
{
	stream_destroy(&stage->stream);
	arena_free(&stage->arena);
	free(stage->metrics);
	free(stage);
}

void stage_run(struct stream_stage *stage, enum stage_mode mode, int64_t us)
{
	int64_t end = stage->now_us + us;
	stage->mode = mode;
	stage->item_at = stage->now_us;
	while (stage->now_us < end) {
		bool ready = stage->port.fd >= 0 && readable(stage);
		int64_t wake = stream_step(&stage->stream, ready, stage->now_us);
		if (stage->port.fd >= 0 && stage->open && stage->mode != STAGE_SILENT &&
			stage->item_at > stage->now_us && wake > stage->item_at)
			wake = stage->item_at;
		wake = wake < end ? wake : end;
		stage->now_us = wake > stage->now_us ? wake : stage->now_us + 1;
	}
}

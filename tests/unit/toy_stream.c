/* The stage of the tests of streams: see toy_stream.h. */
#include "toy_stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static size_t toy_longest(const struct bf_device *device)
{
	(void)device;
	return 4;
}

static enum bf_find toy_find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret)
{
	(void)body;
	ret->n = 1;
	if (input[0] != 0xAA)
		return BF_FIND_SKIP;
	if (n < 4)
		return BF_FIND_MORE;
	if (input[3] != (uint8_t)(input[1] + input[2]))
		return BF_FIND_DAMAGED;
	ret->n = 4;
	if (input[1] >= device->n_messages)
		return BF_FIND_OTHER;
	ret->message = (struct bf_message){.kind = input[1], .bytes = input, .n = 4};
	return BF_FIND_MESSAGE;
}

static int toy_value(const struct bf_device *device, const void *metric, unsigned index,
	const struct bf_message *message, char text[static BF_STRING_MAX + 1], struct bf_value *ret_value)
{
	(void)device;
	(void)metric;
	(void)text;
	if (message->bytes[2] >= 0xFE)
		return message->bytes[2] == 0xFE ? -ENOENT : -EDOM;
	*ret_value = (struct bf_value){.kind = BF_UNSIGNED, .u = message->bytes[2] + 1000u * index};
	return 0;
}

static int toy_ask(
	const struct bf_device *device, unsigned step, const struct bf_message *answer, struct bf_ask *ret_ask)
{
	uint8_t *count = device->memory;
	if (step == 2)
		return 0;
	if (step == 1 && answer->bytes[2] == 99)
		return -EBADMSG;
	++*count;
	*ret_ask = (struct bf_ask){.bytes = {(uint8_t)(step + 1), *count}, .n = 2, .kind = step};
	if (step == 1) {
		ret_ask->baud = 9600;
		ret_ask->pause_us = SECOND / 5;
		ret_ask->timeout_us = 2 * SECOND;
	}
	return 1;
}

static const struct bf_key none[] = {{0}};

const struct bf_driver toy = {.abi = BF_DRIVER_ABI,
	.name = "toy",
	.summary = "toy",
	.way = BF_WAY_STREAM,
	.device_keys = none,
	.metric_keys = none,
	.memory_size = 4,
	.longest = toy_longest,
	.find = toy_find,
	.value = toy_value};

const struct bf_driver toy_talker = {.abi = BF_DRIVER_ABI,
	.name = "talker",
	.summary = "toy",
	.way = BF_WAY_STREAM,
	.device_keys = none,
	.metric_keys = none,
	.memory_size = 4,
	.longest = toy_longest,
	.find = toy_find,
	.value = toy_value,
	.ask = toy_ask};

static struct stage *stage_of(const void *inner, size_t offset)
{
	return (struct stage *)((char *)(uintptr_t)inner - offset);
}

static int64_t stage_mono(const struct clock *clock)
{
	return stage_of(clock, offsetof(struct stage, clock))->now_us;
}

static int64_t stage_wall(const struct clock *clock)
{
	return stage_mono(clock) / 1000;
}

static void add(char *text, size_t size, const char *more)
{
	size_t n = strlen(text);
	snprintf(text + n, size - n, "%s", more);
}

static void stage_take(struct reading_sink *sink, const struct batch *batch)
{
	struct stage *stage = stage_of(sink, offsetof(struct stage, sink));
	char text[64];
	if (batch->availability != AVAILABILITY_SAME) {
		snprintf(text, sizeof(text), "d%u%c ", batch->device,
			batch->availability == AVAILABILITY_ONLINE ? '+' : '-');
		add(stage->told, sizeof(stage->told), text);
	}
	for (size_t i = 0; i < batch->n; i++) {
		const struct reading *reading = &batch->readings[i];
		char number[BF_NUMBER_SIZE] = "";
		if (reading->quality == QUALITY_GOOD)
			bf_value_print(&reading->value, -1, number);
		snprintf(text, sizeof(text), "%s=%s ", stage->plan.metrics[reading->metric].topic,
			reading->quality == QUALITY_GOOD ? number : quality_word(reading->quality));
		add(stage->told, sizeof(stage->told), text);
	}
	if (batch->round_over) {
		snprintf(text, sizeof(text), "d%u. ", batch->device);
		add(stage->told, sizeof(stage->told), text);
	}
}

static void stage_rest(struct reading_sink *sink)
{
	(void)sink;
}

static struct stage *stage_of_port(struct stream_port *port)
{
	return stage_of(port, offsetof(struct stage, port));
}

static int port_open(struct stream_port *port, int64_t now_us)
{
	struct stage *stage = stage_of_port(port);
	(void)now_us;
	if (stage->opens == 0)
		port->fd = 0;
	return stage->opens;
}

static void port_close(struct stream_port *port)
{
	port->fd = -1;
}

static int port_read(struct stream_port *port, uint8_t *bytes, size_t size)
{
	struct stage *stage = stage_of_port(port);
	if (stage->gone)
		return -ENODEV;
	size_t n = stage->n_coming < size ? stage->n_coming : size;
	memcpy(bytes, stage->coming, n);
	stage->n_coming -= n;
	memmove(stage->coming, stage->coming + n, stage->n_coming);
	return (int)n;
}

static int port_write(struct stream_port *port, const uint8_t *bytes, size_t n)
{
	struct stage *stage = stage_of_port(port);
	char text[8];
	if (stage->writes)
		return stage->writes;
	for (size_t i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "%02X", bytes[i]);
		add(stage->sent, sizeof(stage->sent), text);
	}
	add(stage->sent, sizeof(stage->sent), " ");
	return 0;
}

static int port_speed(struct stream_port *port, uint32_t baud)
{
	struct stage *stage = stage_of_port(port);
	char text[16];
	snprintf(text, sizeof(text), "@%u ", baud);
	add(stage->sent, sizeof(stage->sent), text);
	return 0;
}

static void port_destroy(struct stream_port *port)
{
	port->fd = -1;
}

static const struct stream_port_ops port_ops = {.open = port_open,
	.close = port_close,
	.read = port_read,
	.write = port_write,
	.speed = port_speed,
	.destroy = port_destroy};

struct plan_device *stage_device(
	struct stage *stage, const struct bf_driver *driver, unsigned n_kinds, int64_t every_us)
{
	unsigned d = (unsigned)stage->plan.n_devices++;
	struct plan_device *device = &stage->devices[d];
	stage->on_bus[d] = d;
	stage->streams[d] = (struct plan_stream){.messages = stage->messages[d], .n_messages = n_kinds};
	*device = (struct plan_device){.path = "a device",
		.driver = driver,
		.stream = &stage->streams[d],
		.first_metric = (uint32_t)stage->plan.n_metrics,
		.n_metrics = n_kinds,
		.timeout_us = SECOND};
	for (unsigned k = 0; k < n_kinds; k++) {
		stage->messages[d][k] = (struct bf_message_told){.name = "kind"};
		stage->metrics[stage->plan.n_metrics++] =
			(struct plan_metric){.topic = arena_format(&stage->arena, "d%u.m%u", d, k),
				.device = d,
				.keys = none,
				.message = (uint16_t)k,
				.every_us = every_us,
				.decimals = -1,
				.scale = 1};
	}
	return device;
}

void stage_request(struct stage *stage, unsigned d, unsigned kind, const char *hex)
{
	uint8_t *bytes = arena_alloc(&stage->arena, 16);
	int n = bf_bytes_parse(hex, bytes, 16);
	stage->messages[d][kind].request = (struct bf_bytes){bytes, (size_t)n};
}

void stage_open(struct stage *stage, bool once)
{
	stage->clock = (struct clock){.mono_us = stage_mono, .wall_ms = stage_wall};
	stage->sink = (struct reading_sink){.take = stage_take, .rest = stage_rest};
	stage->port = (struct stream_port){.ops = &port_ops, .fd = -1};
	stage->now_us = 100 * SECOND;
	stage->bus = (struct plan_bus){.name = "uart",
		.way = BF_WAY_STREAM,
		.port = "/dev/uart",
		.line = {19200, 8, 'N', 1},
		.gap_us = PLAN_ADAPTIVE,
		.devices = stage->on_bus,
		.n_devices = (uint32_t)stage->plan.n_devices};
	stage->plan.buses = &stage->bus;
	stage->plan.n_buses = 1;
	stage->plan.devices = stage->devices;
	stage->plan.metrics = stage->metrics;
	stream_init(&stage->stream, &stage->plan, 0, &stage->port, &stage->sink, &stage->clock, once, &stage->arena);
	stage->wake_at = stage->now_us;
}

void stage_close(struct stage *stage)
{
	stream_destroy(&stage->stream);
	arena_free(&stage->arena);
}

static bool is_ready(const struct stage *stage)
{
	return stream_events(&stage->stream) && (stage->n_coming || stage->gone);
}

void stage_until(struct stage *stage, int64_t us)
{
	do {
		bool ready = is_ready(stage);
		if (!ready && stage->wake_at > us)
			break;
		if (!ready && stage->wake_at > stage->now_us)
			stage->now_us = stage->wake_at;
		stage->wake_at = stream_step(&stage->stream, ready, stage->now_us);
	} while (stage->now_us <= us);
	stage->now_us = us;
}

void stage_come(struct stage *stage, const void *bytes, size_t n)
{
	memcpy(stage->coming + stage->n_coming, bytes, n);
	stage->n_coming += n;
}

void stage_message(struct stage *stage, unsigned kind, unsigned value)
{
	uint8_t bytes[4] = {0xAA, (uint8_t)kind, (uint8_t)value, (uint8_t)(kind + value)};
	stage_come(stage, bytes, 4);
}

static const char *taken(struct stage *stage, char *text, size_t size)
{
	char *copy = arena_text(&stage->arena, text);
	memset(text, 0, size);
	return copy;
}

const char *stage_told(struct stage *stage)
{
	return taken(stage, stage->told, sizeof(stage->told));
}

const char *stage_sent(struct stage *stage)
{
	return taken(stage, stage->sent, sizeof(stage->sent));
}

/*
 * The stage, see store_stage.h.
 */
#include "store_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

char message_buffer[OUTBOX_MESSAGE_BYTES];

unsigned stage_chance(struct stage *stage, unsigned n)
{
	stage->random = stage->random * 1664525u + 1013904223u;
	return (stage->random >> 8) % n;
}

void stage_open(struct stage *stage)
{
	assert_int_equal(outbox_init(&stage->buffer, 32 << 20, &virtual_clock, &stage->outbox), 0);
	assert_int_equal(store_init(&stage->buffer, stage->outbox, &virtual_clock, &stage->store), 0);
	stage->connected = false;
	stage->n_in_flight = 0;
}

void stage_set(struct stage *stage, int64_t sync_us, uint32_t seed)
{
	*stage = (struct stage){.random = seed, .model = calloc(1, sizeof(struct model))};
	snprintf(stage->folder, sizeof(stage->folder), "/dev/shm/busferry-store-XXXXXX");
	assert_non_null(mkdtemp(stage->folder));
	snprintf(stage->path, sizeof(stage->path), "%s/buffer.db", stage->folder);
	stage->buffer =
		(struct plan_buffer){.path = stage->path, .path_given = true, .max_size = 16 << 20, .sync_us = sync_us};
	stage_open(stage);
}

void stage_kill(struct stage *stage)
{
	store_destroy(stage->store);
	outbox_destroy(stage->outbox);
	stage->store = NULL;
	stage->outbox = NULL;
}

void stage_clear(struct stage *stage)
{
	char command[128];
	stage_kill(stage);
	snprintf(command, sizeof(command), "rm -rf %s", stage->folder);
	assert_int_equal(system(command), 0);
	free(stage->model);
}

void stage_tick(struct stage *stage, int64_t us)
{
	int64_t end = virtual_now + us;
	int64_t wake = store_step(stage->store, virtual_now);
	while (wake < end) {
		virtual_now = wake > virtual_now ? wake : virtual_now + 1000;
		wake = store_step(stage->store, virtual_now);
	}
	virtual_now = end;
}

void stage_put(struct stage *stage, size_t padding)
{
	static char payload[3000];
	struct model *model = stage->model;
	unsigned number = model->n++;
	assert_true(number < MODEL_MAX);
	int n = snprintf(payload, sizeof(payload), "%u %*s", number, (int)padding, "");
	struct message message = {.topic = "home/meter/energy",
		.payload = payload,
		.payload_n = (size_t)n,
		.time_ms = virtual_time_ms(),
		.qos = 1,
		.buffer = true};
	struct message_sink *sink = outbox_sink(stage->outbox);
	model->put_us[number] = virtual_now;
	assert_int_equal(sink->put(sink, &message), 0);
	sink->flush(sink);
}

void stage_put_text(struct stage *stage, const char *topic, const char *payload, bool latest_only)
{
	struct message message = {.topic = topic,
		.payload = payload,
		.payload_n = strlen(payload),
		.time_ms = virtual_time_ms(),
		.qos = 1,
		.retain = true,
		.latest_only = latest_only,
		.buffer = true};
	struct message_sink *sink = outbox_sink(stage->outbox);
	assert_int_equal(sink->put(sink, &message), 0);
	sink->flush(sink);
}

void stage_connect(struct stage *stage)
{
	outbox_connected(stage->outbox);
	stage->connected = true;
}

void stage_lose(struct stage *stage)
{
	for (size_t i = 0; i < stage->n_in_flight; i++)
		outbox_back(stage->outbox, false, stage->in_flight[i], true);
	stage->n_in_flight = 0;
	outbox_lost(stage->outbox);
	stage->connected = false;
}

void stage_take(struct stage *stage)
{
	struct outbox_message message;
	if (stage->n_in_flight == 64 || outbox_next(stage->outbox, NULL, message_buffer, &message) < 0)
		return;
	unsigned number = (unsigned)strtoul(message.message.payload, NULL, 10);
	struct model *model = stage->model;
	assert_true(number < model->n);
	/* Order: what was never seen before comes in ascending order. */
	if (!model->seen[number]) {
		assert_true(number >= model->newest);
		model->newest = number;
	}
	model->seen[number] = true;
	stage->in_flight[stage->n_in_flight] = message.sequence;
	stage->numbers[stage->n_in_flight++] = number;
}

void stage_acknowledge(struct stage *stage)
{
	if (!stage->n_in_flight)
		return;
	outbox_done(stage->outbox, false, stage->in_flight[0], OUTBOX_ACKNOWLEDGED);
	stage->model->acknowledged[stage->numbers[0]] = true;
	stage->n_in_flight--;
	memmove(stage->in_flight, stage->in_flight + 1, stage->n_in_flight * sizeof(stage->in_flight[0]));
	memmove(stage->numbers, stage->numbers + 1, stage->n_in_flight * sizeof(stage->numbers[0]));
}

void stage_take_and_acknowledge(struct stage *stage, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		stage_take(stage);
		stage_acknowledge(stage);
	}
}

void stage_audit(struct stage *stage, int64_t lost_after_us)
{
	if (!stage->connected)
		stage_connect(stage);
	for (int i = 0; i < 2000000 && !outbox_empty(stage->outbox); i++) {
		stage_take(stage);
		stage_acknowledge(stage);
		if (i % 200 == 0)
			stage_tick(stage, 100 * MS);
	}
	assert_true(outbox_empty(stage->outbox));
	for (unsigned i = 0; i < stage->model->n; i++)
		if (!stage->model->acknowledged[i] && stage->model->put_us[i] < lost_after_us)
			fail_msg("reading %u of %u is lost", i, stage->model->n);
}

struct outbox_counts stage_counts(struct stage *stage)
{
	struct outbox_counts c;
	outbox_counts(stage->outbox, &c);
	assert_int_equal(c.taken, c.waiting + c.done + c.dropped_full + c.dropped_offline + c.dropped_refused +
					  c.dropped_expired + c.dropped_superseded + c.dropped_damaged);
	return c;
}

void stage_limit_files(rlim_t bytes)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

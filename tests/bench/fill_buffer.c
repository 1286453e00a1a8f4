/*
 * Fills a buffer file through outbox and store, as an outage does, and tells what that costs.  Time is virtual: each
 * second brings RATE readings and, `sync` being 1 s, one commit; the disk and the processor are the real ones.
 *
 *   fill_buffer PATH MAX_BYTES N RATE
 *
 * The first and the last reading are on bench/mark/first and bench/mark/last, the others on a hundred topics.  Prints
 * one JSON object.
 */
#include "ship/outbox.h"
#include "ship/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t virtual_us = 1000000;

static int64_t virtual_mono(const struct clock *clock)
{
	(void)clock;
	return virtual_us;
}

static int64_t real_wall(const struct clock *clock)
{
	(void)clock;
	return clock_system.wall_ms(&clock_system);
}

static double seconds(clockid_t which)
{
	struct timespec ts;
	clock_gettime(which, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int put(struct message_sink *sink, unsigned i, unsigned n)
{
	char topic[64], payload[128];
	if (i == 0 || i == n - 1)
		snprintf(topic, sizeof(topic), "bench/mark/%s", i ? "last" : "first");
	else
		snprintf(topic, sizeof(topic), "bench/floor/d%02u/m%02u", i / 10 % 10, i % 10);
	int length = snprintf(payload, sizeof(payload), "{\"value\":%u,\"unit\":\"V\",\"time\":%" PRId64 "}", i,
		clock_system.wall_ms(&clock_system));
	struct message message = {.topic = topic,
		.payload = payload,
		.payload_n = (size_t)length,
		.time_ms = clock_system.wall_ms(&clock_system),
		.qos = 1,
		.json = true,
		.buffer = true,
		.kind = MESSAGE_READING};
	return sink->put(sink, &message);
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 64;
	unsigned n = (unsigned)strtoul(argv[3], NULL, 10), rate = (unsigned)strtoul(argv[4], NULL, 10);
	if (n < 2 || rate < 1)
		return 64;
	struct clock clock = {.mono_us = virtual_mono, .wall_ms = real_wall};
	struct plan_buffer buffer = {
		.path = argv[1], .path_given = true, .max_size = strtoll(argv[2], NULL, 10), .sync_us = 1000000};
	struct outbox *outbox = NULL;
	struct store *store = NULL;
	if (outbox_init(&buffer, 32 << 20, &clock, &outbox) < 0 || store_init(&buffer, outbox, &clock, &store) < 0)
		return 73;
	struct message_sink *sink = outbox_sink(outbox);
	double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), stepping = 0, worst = 0;
	for (unsigned i = 0; i < n; i++) {
		if (put(sink, i, n) < 0)
			return 74;
		if ((i + 1) % rate && i + 1 < n)
			continue;
		sink->flush(sink);
		virtual_us += 1000000;
		double begin = seconds(CLOCK_PROCESS_CPUTIME_ID), began = seconds(CLOCK_MONOTONIC);
		store_step(store, virtual_us);
		stepping += seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
		double took = seconds(CLOCK_MONOTONIC) - began;
		worst = took > worst ? took : worst;
	}
	wall = seconds(CLOCK_MONOTONIC) - wall;
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	struct store_status status;
	store_status(store, &status);
	printf("{\"rows\":%" PRIu64 ",\"commits\":%" PRIu64 ",\"bytes\":%" PRId64
	       ",\"wall_s\":%.3f,\"cpu_s\":%.3f,\"store_cpu_s\":%.3f,\"worst_commit_s\":%.3f,\"virtual_s\":%.0f}\n",
		status.rows_written, status.commits, status.bytes, wall, cpu, stepping, worst,
		(double)(virtual_us - 1000000) / 1e6);
	store_destroy(store);
	outbox_destroy(outbox);
	return status.rows_written == n ? 0 : 74;
}

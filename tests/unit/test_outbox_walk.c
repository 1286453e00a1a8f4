/*
 * The outbox under load: a random walk beside a tiny model that does the same without caring for speed, and two
 * threads.
 */
#include "base/log.h"
#include "ship/lane.h"
#include "ship/outbox.h"
#include "virtual_clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define KILO 1024

static char buffer[OUTBOX_MESSAGE_BYTES];

static struct outbox *open_outbox(struct plan_buffer limits, int64_t max_bytes)
{
	struct outbox *outbox = NULL;
	virtual_now = 1000000;
	assert_int_equal(outbox_init(&limits, max_bytes, &virtual_clock, &outbox), 0);
	return outbox;
}

static struct outbox_counts counts_of(struct outbox *outbox)
{
	struct outbox_counts counts;
	outbox_counts(outbox, &counts);
	assert_int_equal(counts.taken, counts.waiting + counts.done + counts.dropped_full + counts.dropped_offline +
					       counts.dropped_refused + counts.dropped_expired +
					       counts.dropped_superseded);
	return counts;
}

/* The model: what an outbox is when nobody cares for speed. */
struct entry {
	uint64_t sequence, id;
	size_t size;
	uint8_t qos;
	unsigned topic; /* from 1 on: only its newest waits */
	bool in_flight, handed, replayed, again;
	unsigned epoch;
};

#define MODEL_MAX 4096

struct model {
	struct entry entries[MODEL_MAX];
	size_t n;
	uint64_t last_sequence, last_id, done, full, offline, superseded, bytes;
	unsigned epoch, connections;
	bool connected, attempted;
	int64_t max_bytes;
};

static void model_remove(struct model *model, size_t i)
{
	model->bytes -= model->entries[i].size;
	memmove(&model->entries[i], &model->entries[i + 1], (--model->n - i) * sizeof(model->entries[0]));
}

static size_t model_first(const struct model *model)
{
	size_t i = 0;
	while (i < model->n && model->entries[i].in_flight)
		i++;
	return i;
}

/* The one that waits with that topic, or n. */
static size_t model_waiting(const struct model *model, unsigned topic)
{
	size_t i = 0;
	while (i < model->n && (topic == 0 || model->entries[i].topic != topic || model->entries[i].in_flight))
		i++;
	return i;
}

/* The k-th in flight, or n. */
static size_t model_in_flight(const struct model *model, unsigned chance)
{
	size_t n = 0;
	for (size_t i = 0; i < model->n; i++)
		n += model->entries[i].in_flight;
	if (n == 0)
		return model->n;
	size_t k = chance % n;
	for (size_t i = 0;; i++)
		if (model->entries[i].in_flight && k-- == 0)
			return i;
}

static uint32_t seed;

static unsigned chance(unsigned n)
{
	seed = seed * 1664525u + 1013904223u;
	return (unsigned)((uint64_t)seed * n >> 32); /* the high bits: the low ones of such a generator go in circles */
}

static void walk_put(struct outbox *outbox, struct model *model)
{
	static char payload[4096];
	size_t n = 8 + (chance(20) ? chance(300) : chance(4000));
	uint64_t id = ++model->last_id;
	memset(payload, (int)('a' + id % 26), n);
	memcpy(payload, &id, 8);
	static const char *const topics[] = {"t", "a", "b", "c", "d", "e"};
	unsigned topic = chance(2) ? chance(6) : 0;
	struct message message = {.topic = topics[topic],
		.payload = payload,
		.payload_n = n,
		.qos = (uint8_t)chance(3),
		.latest_only = topic > 0};
	int error = outbox_sink(outbox)->put(outbox_sink(outbox), &message);
	if (message.qos == 0 && !model->connected) {
		model->offline++;
		assert_int_equal(error, -ENOBUFS);
		return;
	}
	size_t size = lane_size_of(1, n), older = model_waiting(model, topic);
	if (older < model->n) {
		model->superseded++;
		model_remove(model, older);
	}
	while ((int64_t)(model->bytes + size) > model->max_bytes) {
		size_t oldest = model_first(model);
		model->full++;
		if (oldest == model->n) {
			assert_int_equal(error, -ENOBUFS);
			return;
		}
		model_remove(model, oldest);
	}
	assert_int_equal(error, 0);
	assert_true(model->n < MODEL_MAX);
	model->bytes += size;
	model->entries[model->n++] = (struct entry){.sequence = ++model->last_sequence,
		.id = id,
		.size = size,
		.qos = message.qos,
		.topic = topic,
		.epoch = model->epoch};
}

static void walk_next(struct outbox *outbox, struct model *model)
{
	struct outbox_message message;
	size_t first = model_first(model);
	static const struct outbox_room full = {0};
	int refused = outbox_next(outbox, &full, buffer, &message), error = outbox_next(outbox, NULL, buffer, &message);
	if (!model->connected || first == model->n) {
		assert_int_equal(refused, -EAGAIN);
		assert_int_equal(error, -EAGAIN);
		return;
	}
	struct entry *entry = &model->entries[first];
	assert_int_equal(refused, -ENOSPC);
	assert_int_equal(message.message.qos, entry->qos);
	assert_int_equal(error, 0);
	if (!entry->handed)
		entry->replayed = entry->epoch != model->epoch;
	entry->handed = entry->in_flight = true;
	assert_int_equal(message.sequence, entry->sequence);
	uint64_t id;
	memcpy(&id, message.message.payload, 8);
	assert_int_equal(id, entry->id);
	const char *payload = message.message.payload;
	for (size_t i = 8; i < message.message.payload_n; i++)
		assert_int_equal(payload[i], 'a' + id % 26);
	assert_int_equal(message.replayed, entry->replayed);
	assert_int_equal(message.again, entry->again);
}

static void walk_back(struct outbox *outbox, struct model *model, size_t i, bool maybe_sent)
{
	struct entry *entry = &model->entries[i];
	outbox_back(outbox, false, entry->sequence, maybe_sent);
	entry->in_flight = false;
	entry->again |= maybe_sent;
	if (!entry->again)
		entry->handed = entry->replayed = false;
	entry->in_flight = true;
	size_t other = model_waiting(model, entry->topic);
	entry->in_flight = false;
	if (other == model->n)
		return;
	model_remove(model, other > i ? i : other);
	model->superseded++;
}

static void walk_lost(struct outbox *outbox, struct model *model)
{
	size_t i;
	while ((i = model_in_flight(model, chance(1000))) < model->n)
		walk_back(outbox, model, i, chance(3));
	outbox_lost(outbox);
	if (!model->attempted)
		model->connections++;
	model->attempted = true;
	model->connected = false;
	model->epoch = 0;
	for (i = model->n; i-- > 0;)
		if (model->entries[i].qos == 0) {
			model_remove(model, i);
			model->offline++;
		}
}

static void walk_step(struct outbox *outbox, struct model *model, unsigned puts)
{
	unsigned what = chance(100);
	size_t i;
	if (what < puts) {
		walk_put(outbox, model);
	} else if (!model->connected) {
		if (chance(3) == 0) {
			walk_lost(outbox, model); /* an attempt that failed */
		} else if (chance(10) == 0) {
			outbox_connected(outbox);
			model->connected = model->attempted = true;
			model->epoch = ++model->connections;
		}
	} else if (what < 75) {
		walk_next(outbox, model);
	} else if (what < 94) {
		if ((i = model_in_flight(model, chance(2) ? chance(3) : chance(1000))) < model->n) {
			outbox_done(outbox, false, model->entries[i].sequence, OUTBOX_ACKNOWLEDGED);
			model->done++;
			model_remove(model, i);
		}
	} else if (what < 99) {
		if ((i = model_in_flight(model, chance(1000))) < model->n)
			walk_back(outbox, model, i, chance(2));
	} else if (chance(2)) {
		walk_lost(outbox, model);
	}
}

static void test_random_walk(void **state)
{
	(void)state;
	static struct model model;
	for (uint32_t walk = 0; walk < 40; walk++) {
		seed = walk;
		model = (struct model){.epoch = 1, .max_bytes = walk % 2 ? 20 * KILO : 400 * KILO};
		struct outbox *outbox = open_outbox((struct plan_buffer){0}, model.max_bytes);
		for (unsigned i = 0; i < 5000; i++) {
			walk_step(outbox, &model, i / 1000 % 2 ? 5 : 50);
			struct outbox_counts counts = counts_of(outbox);
			assert_int_equal(counts.waiting, model.n);
			assert_int_equal(counts.waiting_bytes, model.bytes);
			assert_int_equal(counts.done, model.done);
			assert_int_equal(counts.dropped_full, model.full);
			assert_int_equal(counts.dropped_offline, model.offline);
			assert_int_equal(counts.dropped_superseded, model.superseded);
		}
		outbox_destroy(outbox);
	}
}

#define THREAD_MESSAGES 20000

static void *producer(void *argument)
{
	struct outbox *outbox = argument;
	struct message_sink *sink = outbox_sink(outbox);
	for (uint64_t i = 1; i <= THREAD_MESSAGES; i++) {
		struct message message = {.topic = "t", .payload = &i, .payload_n = sizeof(i), .qos = 1};
		if (sink->put(sink, &message) != 0)
			return argument;
		if (i % 7 == 0 || i == THREAD_MESSAGES)
			sink->flush(sink);
	}
	return NULL;
}

/* One puts, one takes; each message arrives once, in order, and no wake-up is missed. */
static void test_two_threads(void **state)
{
	(void)state;
	struct outbox *outbox = NULL;
	struct plan_buffer limits = {0};
	assert_int_equal(outbox_init(&limits, 16 * KILO * KILO, &clock_system, &outbox), 0);
	outbox_connected(outbox);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, producer, outbox), 0);
	uint64_t seen = 0;
	unsigned given_back = 0;
	while (seen < THREAD_MESSAGES) {
		struct outbox_message message;
		struct pollfd fd = {.fd = outbox_fd(outbox), .events = POLLIN};
		outbox_fd_clear(outbox);
		while (outbox_next(outbox, NULL, buffer, &message) == 0) {
			uint64_t id;
			memcpy(&id, message.message.payload, sizeof(id));
			assert_int_equal(id, seen + 1);
			if (id % 100 == 0 && !message.again) {
				outbox_back(outbox, false, message.sequence, true);
				given_back++;
				continue;
			}
			seen++;
			outbox_done(outbox, false, message.sequence, OUTBOX_ACKNOWLEDGED);
		}
		if (seen < THREAD_MESSAGES)
			assert_int_equal(poll(&fd, 1, 60000), 1);
	}
	void *failed;
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	assert_int_equal(given_back, THREAD_MESSAGES / 100);
	assert_int_equal(counts_of(outbox).done, THREAD_MESSAGES);
	assert_true(outbox_empty(outbox));
	outbox_destroy(outbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_walk),
		cmocka_unit_test(test_two_threads),
	};
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

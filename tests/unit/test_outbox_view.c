/*
 * Looking at the outbox and dropping from it, over memory and disk, against what was put; through the inquiry, by the
 * store's own step.  Also a file without an outbox.
 */
#include "ship/inquiry.h"
#include "ship/outbox_store.h"
#include "ship/store.h"
#include "virtual_clock.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define S   1000000
#define ALL 20000

struct stage {
	char folder[64], path[96];
	struct plan_buffer buffer;
	struct outbox *outbox;
	struct store *store;
	struct inquiry *inquiry;
	unsigned n_put;
	unsigned seen[ALL], n_seen; /* numbers of the messages that a walk has copied */
	uint64_t n_waiting, n_in_flight;
	int error;
};

static char message_buffer[OUTBOX_MESSAGE_BYTES];

static void stage_open(struct stage *stage, bool disk)
{
	assert_int_equal(outbox_init(&stage->buffer, 32 << 20, &virtual_clock, &stage->outbox), 0);
	assert_int_equal(inquiry_init(stage->outbox, &stage->inquiry), 0);
	stage->store = NULL;
	if (!disk)
		return;
	assert_int_equal(store_init(&stage->buffer, stage->outbox, &virtual_clock, &stage->store), 0);
	store_answers(stage->store, inquiry_serve, stage->inquiry);
}

static void stage_kill(struct stage *stage)
{
	store_destroy(stage->store);
	inquiry_destroy(stage->inquiry);
	outbox_destroy(stage->outbox);
}

static struct stage *stage_set(bool disk)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	assert_non_null(stage);
	snprintf(stage->folder, sizeof(stage->folder), "/dev/shm/busferry-view-XXXXXX");
	assert_non_null(mkdtemp(stage->folder));
	snprintf(stage->path, sizeof(stage->path), "%s/buffer.db", stage->folder);
	stage->buffer =
		(struct plan_buffer){.path = stage->path, .path_given = true, .max_size = 16 << 20, .sync_us = S};
	stage_open(stage, disk);
	return stage;
}

static void stage_clear(struct stage *stage)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", stage->folder);
	assert_int_equal(system(command), 0);
	free(stage);
}

/* Messages "NUMBER xxxx…", of which each third has a topic of its own. */
static void put(struct stage *stage, unsigned n, size_t padding)
{
	static char payload[MESSAGE_PAYLOAD_MAX];
	struct message_sink *sink = outbox_sink(stage->outbox);
	for (unsigned i = 0; i < n; i++) {
		unsigned number = stage->n_put++;
		int length = snprintf(payload, 16, "%u ", number);
		memset(payload + length, 'x', padding);
		struct message message = {.topic = number % 3 ? "home/meter/energy" : "home/boiler/temp",
			.payload = payload,
			.payload_n = (size_t)length + padding,
			.time_ms = 2700000000000 + number,
			.qos = 1,
			.retain = number % 2,
			.buffer = true};
		assert_int_equal(sink->put(sink, &message), 0);
	}
	sink->flush(sink);
}

static void tick(struct stage *stage, int64_t us)
{
	int64_t end = virtual_now + us;
	int64_t wake = store_step(stage->store, virtual_now);
	while (wake < end) {
		virtual_now = wake > virtual_now ? wake : virtual_now + 1000;
		wake = store_step(stage->store, virtual_now);
	}
	virtual_now = end;
}

static void take_in(struct stage *stage, const struct outbox_view *view)
{
	stage->n_waiting += view->n_waiting;
	stage->n_in_flight += view->n_in_flight;
	stage->error = view->error;
	for (size_t i = 0; i < view->n; i++) {
		const struct outbox_view_message *message = &view->messages[i];
		unsigned number = (unsigned)strtoul(message->payload, NULL, 10);
		assert_int_equal(message->time_ms, 2700000000000 + number);
		assert_int_equal(message->qos, 1);
		assert_int_equal(message->retain, number % 2);
		assert_string_equal(message->topic, number % 3 ? "home/meter/energy" : "home/boiler/temp");
		stage->seen[stage->n_seen++] = number;
	}
}

/* A walk to its end, as the control socket makes it.  With disk the store serves it in its step. */
static void walk(struct stage *stage, enum outbox_view_kind kind, const char *filter)
{
	struct outbox_view *view;
	stage->n_seen = 0;
	stage->n_waiting = stage->n_in_flight = 0;
	uint64_t after = 0;
	do {
		view = inquiry_view(stage->inquiry);
		assert_non_null(view);
		view->kind = kind;
		view->after = after;
		snprintf(view->filter, sizeof(view->filter), "%s", filter);
		inquiry_ask(stage->inquiry);
		assert_null(inquiry_view(stage->inquiry));
		assert_null(inquiry_answer(stage->inquiry));
		if (stage->store)
			store_step(stage->store, virtual_now);
		else
			inquiry_serve(stage->inquiry, NULL);
		struct pollfd ready = {.fd = inquiry_fd(stage->inquiry), .events = POLLIN};
		assert_int_equal(poll(&ready, 1, 0), 1);
		view = inquiry_answer(stage->inquiry);
		assert_non_null(view);
		assert_int_equal(poll(&ready, 1, 0), 0);
		take_in(stage, view);
		after = view->after;
	} while (!view->ended && !view->error);
}

static struct outbox_counts counts_of(struct stage *stage)
{
	struct outbox_counts counts;
	outbox_counts(stage->outbox, &counts);
	assert_int_equal(counts.taken, counts.waiting + counts.done + counts.dropped_full + counts.dropped_offline +
					       counts.dropped_refused + counts.dropped_expired +
					       counts.dropped_superseded + counts.dropped_damaged +
					       counts.dropped_command);
	return counts;
}

static void expect_all(struct stage *stage)
{
	walk(stage, OUTBOX_VIEW_COPY, "");
	assert_int_equal(stage->error, 0);
	assert_int_equal(stage->n_seen, stage->n_put);
	for (unsigned i = 0; i < stage->n_put; i++)
		assert_int_equal(stage->seen[i], i);
}

static void test_memory(void **state)
{
	(void)state;
	struct stage *stage = stage_set(false);
	walk(stage, OUTBOX_VIEW_COPY, "");
	assert_int_equal(stage->n_seen, 0);
	put(stage, 3000, 10);
	put(stage, 2, MESSAGE_PAYLOAD_MAX - 16);
	expect_all(stage);
	walk(stage, OUTBOX_VIEW_COUNT, "home/boiler/#");
	assert_int_equal(stage->n_waiting, 1001);
	assert_int_equal(stage->n_seen, 0);
	assert_int_equal(counts_of(stage).waiting, 3002);
	walk(stage, OUTBOX_VIEW_DROP, "+/boiler/+");
	assert_int_equal(stage->n_waiting, 1001);
	assert_int_equal(counts_of(stage).dropped_command, 1001);
	walk(stage, OUTBOX_VIEW_COPY, "");
	assert_int_equal(stage->n_seen, 2001);
	for (unsigned i = 0; i < stage->n_seen; i++)
		assert_int_equal(stage->seen[i], i / 2 * 3 + 1 + i % 2);
	walk(stage, OUTBOX_VIEW_DROP, "");
	assert_int_equal(counts_of(stage).waiting, 0);
	assert_int_equal(counts_of(stage).waiting_bytes, 0);
	assert_true(outbox_empty(stage->outbox));
	stage_kill(stage);
	stage_clear(stage);
}

/* More than the window of memory, so that the oldest are on disk alone; the newest are not on disk yet. */
static void fill_both(struct stage *stage)
{
	put(stage, 6000, 200);
	tick(stage, 2 * S);
	put(stage, 9000, 200);
	tick(stage, 2 * S);
	put(stage, 1000, 400);
	assert_int_equal(counts_of(stage).waiting, 16000);
	assert_true(counts_of(stage).waiting_bytes < 6 << 20);
}

static void test_disk(void **state)
{
	(void)state;
	struct stage *stage = stage_set(true);
	fill_both(stage);
	expect_all(stage);
	walk(stage, OUTBOX_VIEW_COUNT, "home/meter/#");
	assert_int_equal(stage->n_waiting, 16000 - 5334);
	stage_kill(stage);
	stage_clear(stage);
}

/* The numbers that still come when all is sent. */
static unsigned drain(struct stage *stage)
{
	struct outbox_message message;
	unsigned n = 0;
	outbox_connected(stage->outbox);
	for (int i = 0; i < 100000 && !outbox_empty(stage->outbox); i++) {
		if (outbox_next(stage->outbox, NULL, message_buffer, &message) < 0) {
			tick(stage, S / 10);
			continue;
		}
		stage->seen[n++] = (unsigned)strtoul(message.message.payload, NULL, 10);
		outbox_done(stage->outbox, false, message.sequence, OUTBOX_ACKNOWLEDGED);
	}
	assert_true(outbox_empty(stage->outbox));
	return n;
}

static void expect_no_boiler(struct stage *stage, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		assert_true(stage->seen[i] % 3 != 0);
		assert_true(i == 0 || stage->seen[i] > stage->seen[i - 1]);
	}
}

static void test_drop_from_disk(void **state)
{
	(void)state;
	struct stage *stage = stage_set(true);
	fill_both(stage);
	walk(stage, OUTBOX_VIEW_DROP, "home/boiler/temp");
	assert_int_equal(stage->error, 0);
	assert_int_equal(stage->n_waiting, 5334);
	assert_int_equal(counts_of(stage).dropped_command, 5334);
	assert_int_equal(counts_of(stage).waiting, 16000 - 5334);
	expect_no_boiler(stage, drain(stage));
	assert_int_equal(counts_of(stage).done, 16000 - 5334);
	stage_kill(stage);
	stage_clear(stage);
}

/* What was dropped is gone for good when the answer is there. */
static void test_a_kill_brings_nothing_back(void **state)
{
	(void)state;
	struct stage *stage = stage_set(true);
	fill_both(stage);
	tick(stage, 2 * S);
	walk(stage, OUTBOX_VIEW_DROP, "home/boiler/temp");
	stage_kill(stage);
	stage_open(stage, true);
	unsigned n = drain(stage);
	assert_int_equal(n, 16000 - 5334);
	expect_no_boiler(stage, n);
	stage_kill(stage);
	stage_clear(stage);
}

static void test_in_flight_stays(void **state)
{
	(void)state;
	struct stage *stage = stage_set(true);
	struct outbox_message messages[3];
	outbox_connected(stage->outbox);
	put(stage, 10, 10);
	for (int i = 0; i < 3; i++)
		assert_int_equal(outbox_next(stage->outbox, NULL, message_buffer, &messages[i]), 0);
	tick(stage, 3 * S); /* they are on disk as well */
	walk(stage, OUTBOX_VIEW_COPY, "");
	assert_int_equal(stage->n_seen, 10);
	assert_int_equal(stage->n_in_flight, 3);
	walk(stage, OUTBOX_VIEW_DROP, "");
	assert_int_equal(stage->n_waiting, 7);
	assert_int_equal(stage->n_in_flight, 3);
	assert_int_equal(counts_of(stage).waiting, 3);
	stage_kill(stage);
	stage_open(stage, true);
	assert_int_equal(drain(stage), 3);
	stage_kill(stage);
	stage_clear(stage);
}

/* Acknowledged, and the row not deleted yet: it does not wait. */
static void test_what_is_done_is_not_seen(void **state)
{
	(void)state;
	struct stage *stage = stage_set(true);
	struct outbox_message message;
	outbox_connected(stage->outbox);
	put(stage, 10, 10);
	tick(stage, 3 * S);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(outbox_next(stage->outbox, NULL, message_buffer, &message), 0);
		outbox_done(stage->outbox, false, message.sequence, OUTBOX_ACKNOWLEDGED);
	}
	walk(stage, OUTBOX_VIEW_COPY, "");
	assert_int_equal(stage->n_seen, 6);
	assert_int_equal(stage->seen[0], 4);
	stage_kill(stage);
	stage_clear(stage);
}

static void put_latest(struct stage *stage, unsigned n_topics)
{
	struct message_sink *sink = outbox_sink(stage->outbox);
	for (unsigned i = 0; i < n_topics; i++) {
		char topic[32];
		snprintf(topic, sizeof(topic), "state/%u", i);
		struct message message = {.topic = topic,
			.payload = "on",
			.payload_n = 2,
			.time_ms = virtual_time_ms(),
			.qos = 1,
			.buffer = true,
			.latest_only = true};
		assert_int_equal(sink->put(sink, &message), 0);
	}
	sink->flush(sink);
}

/* Of each topic the newest waits: in memory and on disk, and it is seen once. */
static void test_latest(void **state)
{
	(void)state;
	struct stage *stage = stage_set(true);
	put_latest(stage, 6);
	tick(stage, 2 * S);
	put_latest(stage, 3);
	walk(stage, OUTBOX_VIEW_COUNT, "");
	assert_int_equal(stage->n_waiting, 6);
	tick(stage, 2 * S);
	stage_kill(stage);
	stage_open(stage, true);
	walk(stage, OUTBOX_VIEW_COUNT, "");
	assert_int_equal(stage->n_waiting, 6);
	walk(stage, OUTBOX_VIEW_DROP, "state/1");
	assert_int_equal(stage->n_waiting, 1);
	assert_int_equal(counts_of(stage).waiting, 5);
	stage_kill(stage);
	stage_open(stage, true);
	assert_int_equal(counts_of(stage).waiting, 5);
	stage_kill(stage);
	stage_clear(stage);
}

/* A file that is opened late lies below what is in memory. */
static void test_a_file_that_comes_late(void **state)
{
	(void)state;
	struct stage *stage = stage_set(true);
	char away[80];
	put_latest(stage, 6);
	tick(stage, 2 * S);
	stage_kill(stage);
	snprintf(away, sizeof(away), "%s-away", stage->folder);
	assert_int_equal(rename(stage->folder, away), 0);
	stage->buffer.path_given = false;
	stage_open(stage, true);
	virtual_now += S; /* its own sequences lie above the old ones */
	put(stage, 5, 10);
	tick(stage, S);
	walk(stage, OUTBOX_VIEW_COPY, "");
	assert_int_equal(stage->n_seen, 5);
	assert_int_equal(rename(away, stage->folder), 0);
	tick(stage, 120 * (int64_t)S);
	assert_int_equal(counts_of(stage).waiting, 11);
	walk(stage, OUTBOX_VIEW_COUNT, "");
	assert_int_equal(stage->n_waiting, 11);
	walk(stage, OUTBOX_VIEW_DROP, "state/#");
	assert_int_equal(stage->n_waiting, 6);
	assert_int_equal(counts_of(stage).waiting, 5);
	assert_int_equal(counts_of(stage).dropped_command, 6);
	assert_true(counts_of(stage).waiting_bytes > 0);
	assert_int_equal(drain(stage), 5);
	stage_kill(stage);
	stage_clear(stage);
}

static void test_the_file_alone(void **state)
{
	(void)state;
	struct stage *stage = stage_set(true);
	struct journal *journal = NULL, *second = NULL;
	struct outbox_view *view = calloc(1, sizeof(*view));
	assert_non_null(view);
	assert_int_equal(journal_look("/no/such/file", &journal), -ENOENT);
	fill_both(stage);
	assert_int_equal(journal_look(stage->path, &journal), -EBUSY);
	tick(stage, 2 * S);
	stage_kill(stage);
	assert_int_equal(journal_look(stage->path, &journal), 0);
	assert_int_equal(journal_look(stage->path, &second), -EBUSY);
	stage->n_seen = 0;
	do {
		assert_int_equal(outbox_view_pull(view, NULL, journal), 0);
		take_in(stage, view);
	} while (!view->ended);
	assert_int_equal(stage->n_seen, 16000);
	for (unsigned i = 0; i < 16000; i++)
		assert_int_equal(stage->seen[i], i);
	view->kind = OUTBOX_VIEW_DROP;
	view->after = 0;
	snprintf(view->filter, sizeof(view->filter), "home/meter/energy");
	do
		assert_int_equal(outbox_view_pull(view, NULL, journal), 0);
	while (!view->ended);
	journal_close(journal);
	free(view);
	stage_open(stage, true);
	assert_int_equal(drain(stage), 5334);
	for (unsigned i = 0; i < 5334; i++)
		assert_int_equal(stage->seen[i], 3 * i);
	stage_kill(stage);
	stage_clear(stage);
}

static void test_foreign_file(void **state)
{
	(void)state;
	struct stage *stage = stage_set(false);
	struct journal *journal = NULL;
	FILE *file = fopen(stage->path, "w");
	assert_non_null(file);
	for (int i = 0; i < 1000; i++)
		fputs("this is not a database\n", file);
	fclose(file);
	assert_int_equal(journal_look(stage->path, &journal), -EBADMSG);
	assert_null(journal);
	stage_kill(stage);
	stage_clear(stage);
}

int main(void)
{
	virtual_now = 100 * (int64_t)S;
	virtual_wall_ms = 2764000000000; /* after any build */
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory), cmocka_unit_test(test_disk),
		cmocka_unit_test(test_drop_from_disk), cmocka_unit_test(test_a_kill_brings_nothing_back),
		cmocka_unit_test(test_in_flight_stays), cmocka_unit_test(test_what_is_done_is_not_seen),
		cmocka_unit_test(test_latest), cmocka_unit_test(test_a_file_that_comes_late),
		cmocka_unit_test(test_the_file_alone), cmocka_unit_test(test_foreign_file)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * A backlog on its way to the broker: it is read on without pauses, and what was acknowledged is never sent again, in
 * which order ever, after a kill in the middle and over a disk that fails.
 */
#include "store_stage.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static bool store_is_woken(const struct stage *stage)
{
	struct pollfd fd = {.fd = outbox_store_fd(stage->outbox), .events = POLLIN};
	return poll(&fd, 1, 0) == 1;
}

/* As QoS 1 and QoS 2 do side by side: every second reading is acknowledged twenty readings later than its neighbour. */
static void what_is_acknowledged_out_of_order_is_not_sent_again(void **state)
{
	(void)state;
	enum { N = 6000, BEHIND = 20 };
	struct stage stage;
	stage_set(&stage, S, 1);
	for (int i = 0; i < N; i++)
		stage_put(&stage, 0);
	stage_tick(&stage, 2 * S);
	stage_connect(&stage);
	static uint64_t sequences[N];
	for (int i = 0; i < N; i++) {
		struct outbox_message message;
		while (outbox_next(stage.outbox, NULL, message_buffer, &message) == -EAGAIN)
			stage_tick(&stage, 100);
		sequences[i] = message.sequence;
		if (i % 2)
			outbox_done(stage.outbox, false, sequences[i], OUTBOX_ACKNOWLEDGED);
		else if (i >= BEHIND)
			outbox_done(stage.outbox, false, sequences[i - BEHIND], OUTBOX_ACKNOWLEDGED);
	}
	for (int i = N - BEHIND; i < N; i += 2)
		outbox_done(stage.outbox, false, sequences[i], OUTBOX_ACKNOWLEDGED);
	assert_true(outbox_empty(stage.outbox));
	stage_tick(&stage, 20 * S);
	stage_kill(&stage);
	stage_open(&stage);
	stage_connect(&stage);
	stage_tick(&stage, S);
	assert_true(outbox_empty(stage.outbox));
	stage_clear(&stage);
}

/* Time stands still, so the store runs only when it is woken: the drain must not wait for its ticks. */
static void a_backlog_is_read_on_while_present_readings_come(void **state)
{
	(void)state;
	enum { N = 5000 };
	struct stage stage;
	stage_set(&stage, S, 1);
	for (int i = 0; i < N; i++)
		stage_put(&stage, 0);
	stage_tick(&stage, 3 * S);
	stage_kill(&stage);
	stage_open(&stage);
	stage_connect(&stage);
	stage_put(&stage, 0);
	store_step(stage.store, virtual_now);
	for (int i = 0; i < N; i++) {
		struct outbox_message message;
		if (outbox_next(stage.outbox, NULL, message_buffer, &message) == -EAGAIN) {
			assert_true(store_is_woken(&stage));
			store_step(stage.store, virtual_now);
			assert_int_equal(outbox_next(stage.outbox, NULL, message_buffer, &message), 0);
		}
		outbox_done(stage.outbox, false, message.sequence, OUTBOX_ACKNOWLEDGED);
	}
	stage_clear(&stage);
}

/* What a kill in the middle of a drain repeats is what is in flight, however fast the broker and slow the disk. */
static void a_kill_while_draining_repeats_what_is_in_flight(void **state)
{
	(void)state;
	const unsigned n_all = 9000;
	struct stage stage;
	struct outbox_counts counts;
	stage_set(&stage, S, 23);
	for (unsigned i = 0; i < n_all; i++)
		stage_put(&stage, 20);
	stage_tick(&stage, 2 * S);
	stage_connect(&stage);
	for (unsigned turn = 0; turn < 3; turn++) {
		for (unsigned i = 0; i < 40; i++)
			stage_take(&stage);
		stage_take_and_acknowledge(&stage, turn ? 300 : 4000); /* the disk is busy with its sync meanwhile */
		assert_true(turn || outbox_owes(stage.outbox));
		stage_take(&stage);
		uint64_t n_in_flight = stage.n_in_flight, n_unwritten = turn; /* acknowledged since the last one left */
		for (unsigned i = 0; i < turn; i++)
			stage_acknowledge(&stage);
		outbox_counts(stage.outbox, &counts);
		uint64_t waiting = counts.waiting;
		assert_int_equal(counts.in_flight + n_unwritten, n_in_flight);
		stage_kill(&stage);
		stage_open(&stage);
		outbox_counts(stage.outbox, &counts);
		assert_int_equal(counts.waiting, waiting + n_unwritten);
		stage.model->newest = 0;
		stage_connect(&stage);
		stage_tick(&stage, 0);
	}
	stage_clear(&stage);
}

/* Readings of which only the newest waits leave gaps, and what is put while others drain is far ahead. */
static void a_kill_while_draining_repeats_nothing_over_gaps(void **state)
{
	(void)state;
	struct stage stage;
	struct outbox_counts counts;
	stage_set(&stage, S, 29);
	stage.buffer.live_first = true;
	stage_kill(&stage);
	stage_open(&stage);
	struct message_sink *sink = outbox_sink(stage.outbox);
	for (unsigned i = 0; i < 6000; i++) {
		struct message message = {.topic = i % 3 ? "t/latest" : "t/all",
			.payload = "1",
			.payload_n = 1,
			.time_ms = virtual_time_ms(),
			.qos = (uint8_t)(1 + i % 2),
			.buffer = true,
			.latest_only = i % 3};
		assert_int_equal(sink->put(sink, &message), 0);
		if (i % 500 == 499)
			stage_tick(&stage, 2 * S);
	}
	outbox_lost(stage.outbox); /* all of that is the backlog */
	stage_connect(&stage);
	uint64_t sequences[16];
	struct outbox_message message;
	for (unsigned i = 0; i < 100; i++) { /* the younger of each turn first */
		size_t n = 0;
		if (i % 10 == 0)
			sink->put(sink, &(struct message){.topic = "t/all",
						.payload = "2",
						.payload_n = 1,
						.time_ms = virtual_time_ms(),
						.qos = 1,
						.buffer = true});
		while (n < 16 && outbox_next(stage.outbox, NULL, message_buffer, &message) == 0)
			sequences[n++] = message.sequence;
		while (n > 0)
			outbox_done(stage.outbox, false, sequences[--n], OUTBOX_ACKNOWLEDGED);
	}
	assert_int_equal(outbox_next(stage.outbox, NULL, message_buffer, &message), 0);
	outbox_counts(stage.outbox, &counts);
	uint64_t waiting = counts.waiting;
	stage_kill(&stage);
	stage_open(&stage);
	outbox_counts(stage.outbox, &counts);
	assert_true(waiting > 100);
	assert_int_equal(counts.waiting, waiting);
	stage_clear(&stage);
}

/* The file is opened anew in the middle of it: what was noted before, meanwhile and after is gone. */
static void what_is_acknowledged_stays_gone_over_a_disk_that_fails(void **state)
{
	(void)state;
	struct stage stage;
	struct store_status status;
	signal(SIGXFSZ, SIG_IGN);
	stage_set(&stage, S, 31);
	for (unsigned i = 0; i < 1000; i++)
		stage_put(&stage, 20);
	stage_tick(&stage, 2 * S);
	stage_connect(&stage);
	stage_take_and_acknowledge(&stage, 300);
	stage_limit_files(1);
	stage_put(&stage, 20);
	stage_tick(&stage, 2 * S);
	store_status(stage.store, &status);
	assert_false(status.durable);
	stage_take_and_acknowledge(&stage, 300);
	stage_limit_files(RLIM_INFINITY);
	stage_tick(&stage, 70 * S);
	store_status(stage.store, &status);
	assert_true(status.durable);
	stage_take_and_acknowledge(&stage, 100);
	stage_take(&stage);
	stage_kill(&stage);
	stage_open(&stage);
	assert_int_equal(stage_counts(&stage).waiting, 1001 - 700);
	stage_clear(&stage);
}

int main(void)
{
	virtual_now = 100 * S;
	virtual_wall_ms = 2764000000000; /* after any build */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_acknowledged_out_of_order_is_not_sent_again),
		cmocka_unit_test(a_backlog_is_read_on_while_present_readings_come),
		cmocka_unit_test(a_kill_while_draining_repeats_what_is_in_flight),
		cmocka_unit_test(a_kill_while_draining_repeats_nothing_over_gaps),
		cmocka_unit_test(what_is_acknowledged_stays_gone_over_a_disk_that_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The publisher against a scripted broker, in a time of its own: what is kept, given back and repeated, and when.
 * The outbox is the real one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "publisher_stage.h"

#include <stdlib.h>
#include <string.h>

static void test_sends_and_counts(void **state)
{
	(void)state;
	begin(1, false);
	says_state = true;
	steps(3);
	assert_int_equal(n_connected, 1);
	assert_true(fake.target.clean_session);
	assert_string_equal(fake.target.will_topic, "will");
	reading("a", 1);
	reading("b", 0);
	steps(3);
	assert_int_equal(counts().done, 2);
	assert_true(outbox_empty(outbox));
	assert_string_equal(fake.sent[1].payload, "{\"value\":1}");
	assert_true(status().connected);
	assert_int_equal(status().acknowledged, 2); /* state and a */
	assert_string_equal(status().broker_url, "mqtt://one");
	end();
}

static void test_qos1_lost_in_flight(void **state)
{
	(void)state;
	begin(1, false);
	steps(3);
	fake.acks = false;
	reading("a", 1);
	reading("b", 1);
	reading("c", 0);
	steps(2);
	assert_int_equal(fake.n_sent, 3);
	assert_int_equal(status().in_flight, 2);
	fake_drop(UPLINK_CLOSED);
	step();
	assert_false(fake.object);
	assert_int_equal(counts().waiting, 2);
	reading("d", 1);
	reading("gone", 0); /* no broker, no wait */
	fake.acks = true;
	run(2 * SECOND);
	assert_int_equal(fake.n_sent, 6);
	assert_string_equal(fake.sent[3].topic, "a");
	assert_string_equal(fake.sent[3].payload, "{\"value\":1,\"again\":true}");
	assert_string_equal(fake.sent[4].topic, "b");
	assert_string_equal(fake.sent[5].topic, "d");
	assert_string_equal(fake.sent[5].payload, "{\"value\":1,\"replayed\":true}");
	assert_true(outbox_empty(outbox));
	assert_int_equal(counts().dropped_offline, 1);
	end();
}

static void test_qos2_purge_and_reopen(void **state)
{
	(void)state;
	begin(1, true);
	fake.session = true;
	steps(4);
	assert_int_equal(fake.n_opens, 2); /* purge, then the real one */
	assert_int_equal(fake.n_clean, 1);
	assert_int_equal(fake.n_orderly, 1);
	assert_false(fake.target.clean_session);
	fake.acks = false;
	reading("a", 2);
	reading("b", 1);
	steps(2);
	unsigned forgets = fake.n_forgets;
	fake_drop(UPLINK_CLOSED);
	step();
	assert_int_equal(fake.n_forgets, forgets);
	assert_true(fake.object);
	run(SECOND);
	assert_int_equal(fake.n_reopens, 1);
	assert_true(status().connected);
	assert_int_equal(fake.n_sent, 2); /* the object sends them by itself */
	fake.acks = true;
	steps(2);
	assert_true(outbox_empty(outbox));
	assert_int_equal(counts().done, 2);
	end();
}

static void test_qos2_session_lost(void **state)
{
	(void)state;
	begin(1, true);
	steps(4);
	fake.acks = false;
	reading("a", 2);
	steps(2);
	fake_drop(UPLINK_CLOSED);
	unsigned opens = fake.n_opens;
	run(2 * SECOND);
	assert_int_equal(fake.n_reopens, 1);
	assert_int_equal(fake.n_opens, opens + 2); /* purge and new */
	assert_int_equal(fake.n_clean, 2);
	assert_int_equal(fake.n_sent, 2);
	assert_string_equal(fake.sent[1].payload, "{\"value\":1,\"again\":true}");
	fake.acks = true;
	steps(2);
	assert_true(outbox_empty(outbox));
	end();
}

static void test_qos2_capped(void **state)
{
	(void)state;
	begin(1, true);
	fake.acks = false;
	steps(4);
	reading("a", 2);
	steps(2);
	fake_drop(UPLINK_PROTOCOL);
	run(2 * SECOND);
	assert_int_equal(fake.sent[fake.n_sent - 1].qos, 2);
	fake_drop(UPLINK_PROTOCOL);
	run(5 * SECOND);
	assert_int_equal(fake.sent[fake.n_sent - 1].qos, 1);
	assert_true(fake.target.clean_session);
	fake.acks = true;
	steps(2);
	assert_true(outbox_empty(outbox));
	assert_int_equal(counts().done, 1);
	end();
}

static void test_broker_says_qos1(void **state)
{
	(void)state;
	begin(1, true);
	fake.limits.maximum_qos = 1;
	fake.limits.retain_available = false;
	steps(4);
	reading("a", 2);
	steps(2);
	assert_int_equal(fake.sent[0].qos, 1);
	assert_true(outbox_empty(outbox));
	end();
}

static void test_window_limits(void **state)
{
	(void)state;
	begin(1, true);
	fake.acks = false;
	steps(4);
	for (int i = 0; i < 300; i++)
		reading("one", 1);
	steps(3);
	assert_int_equal(fake.n_sent, 100);
	for (unsigned i = 0; i < 100; i++)
		fake_settle(i, 0);
	steps(3);
	assert_int_equal(fake.n_sent, 200);
	end();

	begin(1, true);
	fake.acks = false;
	steps(4);
	for (int i = 0; i < 50; i++)
		reading("two", 2);
	steps(3);
	assert_int_equal(fake.n_sent, 10);
	end();

	begin(1, false);
	fake.acks = false;
	fake.limits.receive_maximum = 7;
	steps(3);
	for (int i = 0; i < 50; i++)
		reading("three", 1);
	steps(3);
	assert_int_equal(fake.n_sent, 7);
	end();

	/* Bytes: never more than 1 MiB in flight. */
	begin(1, false);
	fake.acks = false;
	steps(3);
	char *big = calloc(1, 200000);
	memset(big, 'x', 200000);
	struct message message = {
		.topic = "big", .payload = big, .payload_n = 200000, .qos = 1, .kind = MESSAGE_READING};
	for (int i = 0; i < 20; i++)
		outbox_sink(outbox)->put(outbox_sink(outbox), &message);
	steps(3);
	assert_in_range(fake.n_sent, 3, 5);
	free(big);
	end();
}

/* At QoS 0 nothing but the socket says how fast: what it has not taken stays in the outbox. */
static void test_qos0_full_socket(void **state)
{
	(void)state;
	begin(1, false);
	steps(3);
	unsigned before = fake.n_sent;
	fake.full = true;
	fake.acks = false;
	for (int i = 0; i < 100; i++)
		reading("a", 0);
	steps(50);
	assert_in_range(fake.n_sent - before, 1, 32);
	assert_int_equal(counts().waiting, 100);
	fake.full = false;
	steps(3);
	assert_int_equal(fake.n_sent - before, 100);
	assert_int_equal(counts().done, 100);
	assert_true(outbox_empty(outbox));
	end();
}

static void test_qos0_flows(void **state)
{
	(void)state;
	begin(1, false);
	steps(3);
	for (int i = 0; i < 10000; i++)
		reading("fast", 0);
	for (int i = 0; i < 100 && !outbox_empty(outbox); i++)
		step();
	assert_int_equal(fake.n_sent, 10000);
	assert_int_equal(counts().done, 10000);
	end();
}

/* What was put before the connection goes at the pace of `replay`; what is put in it passes with "live_first". */
static void test_replay(void **state)
{
	(void)state;
	for (int live_first = 0; live_first < 2; live_first++) {
		begin_with(
			1, false, (struct plan_buffer){.max_size = 64 << 20, .replay = 20, .live_first = live_first});
		fake.refuses = true;
		run(5 * SECOND);
		for (int i = 0; i < 100; i++)
			reading("past", 1);
		fake.refuses = false;
		for (int i = 0; i < 100 && !status().connected; i++)
			run(SECOND / 10);
		int64_t from_us = virtual_now;
		unsigned before = n_sent_on("past"), n_steps = 0;
		reading("live", 1);
		while (virtual_now < from_us + 2 * SECOND) {
			int64_t wake_us = step();
			n_steps++;
			assert_true(n_sent_on("past") - before <= (virtual_now - from_us) * 20 / SECOND + 2);
			virtual_now = wake_us > virtual_now ? wake_us : virtual_now + 1000;
		}
		assert_true(n_sent_on("past") - before >= 38);
		assert_true(n_steps < 200); /* it sleeps in between */
		assert_int_equal(n_sent_on("live"), live_first);
		run(4 * SECOND);
		assert_true(outbox_empty(outbox));
		assert_int_equal(n_sent_on("live"), 1);
		assert_int_equal(n_sent_on("past"), 100);
		end();
	}
}

static void test_stalled_broker(void **state)
{
	(void)state;
	begin(1, false);
	steps(3);
	fake.acks = false;
	reading("a", 1);
	run(80 * SECOND);
	assert_int_equal(status().reconnects, 0);
	assert_int_equal(status().fault, -1);
	int64_t since_us = status().since_us;
	assert_in_range(since_us, 1, virtual_now - 79 * SECOND);
	run(20 * SECOND);
	assert_int_equal(status().fault, UPLINK_REFUSED);
	assert_in_range(status().since_us, since_us + 80 * SECOND, virtual_now);
	assert_int_equal(status().reconnects, 1);
	assert_int_equal(n_sent_on("a"), 2);
	end();
}

static void test_endpoint_change_forgets_the_session(void **state)
{
	(void)state;
	begin(2, true);
	fake.session = true;
	run(11 * SECOND); /* it has served well: it is tried again first */
	fake.acks = false;
	reading("a", 2);
	steps(2);
	fake_drop(UPLINK_CLOSED);
	step();
	fake.refuses = true; /* one is gone */
	fake.refusal = UPLINK_REFUSED;
	while (fake.n_reopens == 0)
		run(50000);
	fake.refuses = false;
	fake.acks = true;
	run(SECOND);
	assert_string_equal(status().broker_url, "mqtt://two");
	assert_true(outbox_empty(outbox));
	assert_int_equal(n_sent_on("a"), 2);
	assert_int_equal(fake.n_clean, 2); /* both were purged */
	end();
}

static void test_orderly_stop(void **state)
{
	(void)state;
	begin(1, false);
	steps(3);
	for (int i = 0; i < 250; i++)
		reading("a", 1);
	publisher_stop(publisher);
	run(SECOND);
	assert_int_equal(n_leaving, 1);
	assert_int_equal(fake.n_orderly, 1);
	assert_int_equal(counts().done, 250);
	assert_string_equal(fake.sent[fake.n_sent - 1].topic, "state/offline");
	assert_true(step() == CLOCK_NEVER);
	end();

	/* In the middle of a backlog: after 2 s no more is sent, and what was sent is waited for. */
	begin(1, false);
	steps(3);
	fake.acks_only = "state/offline";
	for (int i = 0; i < 250; i++)
		reading("a", 1);
	step();
	publisher_stop(publisher);
	run(2500000);
	assert_int_equal(n_leaving, 1);
	assert_int_equal(fake.n_orderly, 0);
	fake.acks_only = NULL;
	run(100000);
	assert_int_equal(fake.n_orderly, 1);
	assert_int_equal(n_sent_on("a"), 100);
	assert_int_equal(counts().done, 100);
	end();

	/* A broker that acknowledges nothing: over after 2 s and 1 s. */
	begin(1, false);
	steps(3);
	fake.acks = false;
	for (int i = 0; i < 250; i++)
		reading("a", 1);
	step();
	publisher_stop(publisher);
	run(1900000);
	assert_int_equal(n_leaving, 0);
	run(1300000);
	assert_int_equal(n_leaving, 1);
	assert_int_equal(fake.n_orderly, 1);
	assert_int_equal(n_sent_on("state/offline"), 1);
	assert_int_equal(counts().waiting, 250);
	assert_int_equal(counts().in_flight, 0);
	end();

	/* Without a broker: at once. */
	begin(1, false);
	fake.refuses = true;
	step();
	publisher_stop(publisher);
	assert_true(step() == CLOCK_NEVER);
	assert_int_equal(n_leaving, 0);
	end();
}

/* A listener with news is heard at the next turn, connected or not, once, and has a turn of its own then. */
static void test_turn(void **state)
{
	(void)state;
	begin(1, false);
	fake.answers = false;
	step();
	publisher_turn(publisher);
	step();
	assert_int_equal(n_turned, 1);
	assert_false(turned_connected);
	step();
	assert_int_equal(n_turned, 1);
	fake.answers = true;
	run(20 * SECOND);
	assert_int_equal(n_connected, 1);
	unsigned turns = n_turns;
	steps(3);
	assert_int_equal(n_turns, turns); /* it wants none */
	publisher_turn(publisher);
	publisher_turn(publisher);
	steps(2);
	assert_int_equal(n_turned, 2);
	assert_true(turned_connected);
	assert_int_equal(n_turns, turns + 1);
	publisher_turn(publisher);
	publisher_stop(publisher); /* whoever comes first */
	steps(5);
	assert_int_equal(n_turned, 3);
	assert_int_equal(n_leaving, 1);
	end();
}

/* The listener hears what it has subscribed to, has its turns, and is waited for at the end. */
static void test_listener(void **state)
{
	(void)state;
	begin(1, false);
	struct uplink_events *events = &fake.uplink.events;
	static const struct uplink_message message = {.topic = "asked/for", .payload = "x", .payload_n = 1};
	says_state = true;
	fake.acks = false;
	wants_at_us = virtual_now + 3 * SECOND;
	events->message(events->user, &message); /* nobody is connected */
	steps(1);
	assert_int_equal(n_turns, 0);
	step();
	assert_int_equal(n_connected, 1);
	assert_int_equal(n_turns, 1);
	assert_int_equal(last_turn_us, virtual_now);
	events->subscribed(events->user, subscription, 1);
	assert_int_equal(heard_subscription, subscription);
	events->message(events->user, &message);
	assert_int_equal(n_messages, 1);
	assert_int_equal(n_settled, 0); /* `state` is not acknowledged */
	steps(3);
	assert_int_equal(n_settled, 0);
	fake.acks = true;
	steps(2);
	assert_int_equal(n_settled, 2);
	virtual_now = wants_at_us - SECOND / 10;
	assert_int_equal(step(), wants_at_us);

	/* a connection that goes takes its turns with it; the next one has its own */
	fake_drop(UPLINK_CLOSED);
	step();
	assert_int_equal(n_lost, 1);
	unsigned turns = n_turns;
	fake.answers = false;
	run(2 * SECOND);
	assert_int_equal(n_turns, turns);
	assert_int_equal(n_lost, 1);
	events->message(events->user, &message);
	assert_int_equal(n_messages, 1);
	fake.answers = true;
	wants_at_us = virtual_now + 60 * SECOND;
	run(2 * SECOND);
	assert_int_equal(n_connected, 2);
	assert_true(n_turns > turns);

	/* asked to stop, it waits for the listener, but not for ever */
	publisher_stop(publisher);
	run(SECOND);
	assert_int_equal(n_leaving, 0);
	wants_at_us = CLOCK_NEVER;
	steps(2);
	assert_int_equal(n_leaving, 1);
	turns = n_turns;
	steps(3);
	assert_int_equal(n_turns, turns);
	assert_int_equal(n_lost, 2);
	end();

	begin(1, false);
	wants_at_us = CLOCK_NEVER - 1;
	steps(3);
	publisher_stop(publisher);
	run(3 * SECOND);
	assert_int_equal(n_leaving, 1);
	end();
}

static void test_thread(void **state)
{
	(void)state;
	begin(1, false);
	publisher_destroy(publisher);
	outbox_destroy(outbox);
	struct plan_buffer limits = {.max_size = 1 << 20};
	assert_int_equal(outbox_init(&limits, 1 << 20, &clock_system, &outbox), 0);
	assert_int_equal(publisher_init(&broker, false, "will", outbox, &fake.uplink, &stage_listener, &clock_system,
				 &publisher),
		0);
	assert_true(publisher_alive_until(publisher) == CLOCK_NEVER);
	publisher_alive_by(publisher, clock_now(&clock_system) + 20 * SECOND);
	assert_true(publisher_alive_until(publisher) < CLOCK_NEVER);
	assert_int_equal(publisher_start(publisher), 0);
	assert_true(publisher_alive_until(publisher) > clock_now(&clock_system));
	publisher_stop(publisher);
	assert_int_equal(publisher_join(publisher, 5 * SECOND), 0);
	assert_true(publisher_alive_until(publisher) == CLOCK_NEVER);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sends_and_counts),
		cmocka_unit_test(test_qos1_lost_in_flight),
		cmocka_unit_test(test_qos2_purge_and_reopen),
		cmocka_unit_test(test_qos2_session_lost),
		cmocka_unit_test(test_qos2_capped),
		cmocka_unit_test(test_broker_says_qos1),
		cmocka_unit_test(test_window_limits),
		cmocka_unit_test(test_qos0_full_socket),
		cmocka_unit_test(test_qos0_flows),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_stalled_broker),
		cmocka_unit_test(test_endpoint_change_forgets_the_session),
		cmocka_unit_test(test_orderly_stop),
		cmocka_unit_test(test_turn),
		cmocka_unit_test(test_listener),
		cmocka_unit_test(test_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

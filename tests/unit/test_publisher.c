/*
 * The publisher against a scripted broker, in a time of its own: what is kept, given back, refused and repeated, and
 * when.  The outbox is the real one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ship/outbox.h"
#include "ship/publisher.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND   (1000000 * (int64_t)1)
#define SENT_MAX 20000

struct sent {
	int id, qos;
	char topic[64], payload[128];
	bool settled;
};

/* The scripted broker. */
static struct {
	struct uplink uplink;
	/* script */
	bool answers; /* CONNACK comes with the next step */
	bool session; /* session present */
	bool full;    /* the socket takes nothing */
	bool acks;    /* good acknowledgements come with the next step */
	bool session_ended_seen;
	enum uplink_fault refusal;
	bool refuses;
	const char *refuses_host; /* that endpoint only, if it is given */
	struct uplink_limits limits;
	int reason;             /* of acknowledgements */
	const char *refuses_on; /* of this topic only, if it is given */
	const char *acks_only;  /* this topic, if it is given */
	const char *drops_at;   /* the connection drops when this topic was published */
	enum uplink_fault drop_fault;
	int publish_error;
	/* what happened */
	bool open, active, object, told_since_write;
	bool held; /* what was written has not left */
	struct uplink_target target;
	unsigned n_opens, n_reopens, n_forgets, n_orderly, n_abrupt, n_clean;
	int last_id;
	struct sent sent[SENT_MAX];
	unsigned n_sent;
	bool drop_due;
} fake;

static int64_t now_us;

static int64_t fake_mono_us(const struct clock *clock)
{
	(void)clock;
	return now_us;
}

static int64_t fake_wall_ms(const struct clock *clock)
{
	(void)clock;
	return 1764000000000 + now_us / 1000;
}

static const struct clock fake_clock = {.mono_us = fake_mono_us, .wall_ms = fake_wall_ms};

static int fake_begin(void)
{
	if (fake.refuses && (!fake.refuses_host || strcmp(fake.refuses_host, fake.target.endpoint->host) == 0)) {
		fake.uplink.events.lost(fake.uplink.events.user, fake.refusal, "refused by the script");
		return -ECONNREFUSED;
	}
	fake.open = true;
	fake.active = false;
	return 0;
}

static int fake_open(struct uplink *uplink, const struct uplink_target *target)
{
	(void)uplink;
	fake.n_opens++;
	fake.n_clean += target->clean_session;
	fake.target = *target;
	fake.object = true;
	fake.last_id = 0;
	for (unsigned i = 0; i < fake.n_sent; i++)
		fake.sent[i].settled = true;
	return fake_begin();
}

static int fake_reopen(struct uplink *uplink)
{
	(void)uplink;
	assert_true(fake.object);
	fake.n_reopens++;
	return fake_begin();
}

static int fake_publish(struct uplink *uplink, const struct uplink_publish *publish, int *ret_id)
{
	(void)uplink;
	assert_true(fake.active);
	if (fake.publish_error)
		return fake.publish_error;
	assert_true(fake.n_sent < SENT_MAX);
	struct sent *sent = &fake.sent[fake.n_sent++];
	fake.last_id = fake.last_id % 65535 + 1;
	*sent = (struct sent){.id = fake.last_id, .qos = publish->message->qos};
	snprintf(sent->topic, sizeof(sent->topic), "%s", publish->message->topic);
	snprintf(sent->payload, sizeof(sent->payload), "%.*s", (int)publish->payload_n, (const char *)publish->payload);
	*ret_id = sent->id;
	if (fake.drops_at && strcmp(fake.drops_at, sent->topic) == 0)
		fake.drop_due = true;
	return 0;
}

static int fake_subscribe(struct uplink *uplink, const char *filter, int qos, int *ret_id)
{
	(void)uplink;
	(void)filter;
	assert_true(fake.active);
	assert_int_equal(qos, 1);
	*ret_id = fake.last_id = fake.last_id % 65535 + 1;
	return 0;
}

static int fake_unsubscribe(struct uplink *uplink, const char *filter)
{
	(void)uplink;
	(void)filter;
	return 0;
}

static bool fake_wants_write(const struct uplink *uplink)
{
	(void)uplink;
	for (unsigned i = 0; i < fake.n_sent; i++)
		if (fake.sent[i].qos == 0 && !fake.sent[i].settled)
			return true;
	return false;
}

static int64_t fake_due_at(const struct uplink *uplink)
{
	(void)uplink;
	return CLOCK_NEVER;
}

static int fake_fd(const struct uplink *uplink)
{
	(void)uplink;
	return -1;
}

static void fake_drop(enum uplink_fault fault)
{
	fake.open = fake.active = fake.drop_due = false;
	fake.uplink.events.lost(fake.uplink.events.user, fault, "dropped by the script");
}

static void fake_settle(unsigned i, int reason)
{
	struct sent *sent = &fake.sent[i];
	if (sent->settled)
		return;
	sent->settled = true;
	if (fake.refuses_on && strcmp(fake.refuses_on, sent->topic) != 0)
		reason = 0;
	fake.uplink.events.acknowledged(fake.uplink.events.user, sent->id, reason);
}

static void fake_step(struct uplink *uplink, bool readable, bool writable)
{
	(void)uplink;
	if (!fake.open)
		return;
	if (readable && !fake.active) {
		if (fake.answers) {
			fake.active = true;
			fake.uplink.events.connected(fake.uplink.events.user, fake.session, &fake.limits);
		}
		return;
	}
	fake.held |= writable;
	if (writable && !fake.full)
		for (unsigned i = 0; i < fake.n_sent; i++)
			if (fake.sent[i].qos == 0)
				fake_settle(i, 0);
	if (readable && fake.acks)
		for (unsigned i = 0; i < fake.n_sent; i++) {
			if (fake.drop_due && strcmp(fake.drops_at, fake.sent[i].topic) == 0 && !fake.sent[i].settled)
				break;
			if (!fake.acks_only || strcmp(fake.acks_only, fake.sent[i].topic) == 0)
				fake_settle(i, fake.reason);
		}
	if (readable && fake.drop_due)
		fake_drop(fake.drop_fault);
}

static void fake_let_go(struct uplink *uplink)
{
	(void)uplink;
	fake.held = false;
}

static void fake_close(struct uplink *uplink, bool orderly)
{
	(void)uplink;
	*(orderly ? &fake.n_orderly : &fake.n_abrupt) += 1;
	fake.open = fake.active = false;
}

static void fake_forget(struct uplink *uplink)
{
	(void)uplink;
	fake.n_forgets++;
	fake.open = fake.active = fake.object = false;
}

static const struct uplink_ops fake_ops = {.open = fake_open,
	.reopen = fake_reopen,
	.publish = fake_publish,
	.subscribe = fake_subscribe,
	.unsubscribe = fake_unsubscribe,
	.wants_write = fake_wants_write,
	.due_at = fake_due_at,
	.fd = fake_fd,
	.step = fake_step,
	.let_go = fake_let_go,
	.close = fake_close,
	.forget = fake_forget};

/* ---- the gateway's side ---- */

static struct outbox *outbox;
static struct publisher *publisher;
static unsigned n_connected, n_leaving;
static bool says_state;

static struct plan_endpoint endpoints[] = {
	{.url = "mqtt://one", .host = "one", .port = 1883}, {.url = "mqtt://two", .host = "two", .port = 1883}};
static struct plan_broker broker;

static int put(const char *topic, uint8_t qos, enum message_kind kind)
{
	struct message message = {.topic = topic,
		.payload = "{\"value\":1}",
		.payload_n = 11,
		.time_ms = fake_wall_ms(NULL),
		.qos = qos,
		.json = true,
		.buffer = true,
		.kind = kind};
	struct message_sink *sink = outbox_sink(outbox);
	int error = sink->put(sink, &message);
	sink->flush(sink);
	return error;
}

static void reading(const char *topic, uint8_t qos)
{
	put(topic, qos, MESSAGE_READING);
}

/* What the listener heard. */
static unsigned n_lost, n_messages, n_turns, n_settled;
static int subscription, heard_subscription;
static int64_t wants_at_us, last_turn_us;

static void heard_lost(struct publisher_listener *listener)
{
	(void)listener;
	n_lost++;
}

static void heard_subscribed(struct publisher_listener *listener, int id, int reason)
{
	(void)listener;
	heard_subscription = id;
	assert_int_equal(reason, 1);
}

static void heard_message(struct publisher_listener *listener, const struct uplink_message *message)
{
	(void)listener;
	assert_string_equal(message->topic, "asked/for");
	n_messages++;
}

static int64_t heard_step(struct publisher_listener *listener, bool settled, int64_t at_us)
{
	(void)listener;
	last_turn_us = at_us; /* no assertion here: test_thread calls this on another thread */
	n_turns++;
	n_settled += settled;
	return wants_at_us;
}

static void heard_connected(struct publisher_listener *listener, const char *url, struct uplink *uplink)
{
	(void)listener;
	assert_int_equal(uplink->ops->subscribe(uplink, "asked/#", 1, &subscription), 0);
	assert_non_null(url);
	n_connected++;
	if (says_state)
		put("state", 1, MESSAGE_STANDING);
}

static void heard_leaving(struct publisher_listener *listener)
{
	(void)listener;
	n_leaving++;
	put("state/offline", 1, MESSAGE_STANDING);
}

static struct publisher_listener listener = {.connected = heard_connected,
	.lost = heard_lost,
	.subscribed = heard_subscribed,
	.message = heard_message,
	.step = heard_step,
	.leaving = heard_leaving};

static void begin_with(size_t n_endpoints, bool uses_qos2, struct plan_buffer limits)
{
	memset(&fake, 0, sizeof(fake));
	fake.uplink.ops = &fake_ops;
	fake.answers = fake.acks = true;
	fake.limits = (struct uplink_limits){.maximum_qos = 2, .retain_available = true};
	fake.drop_fault = UPLINK_CLOSED;
	broker = (struct plan_broker){.endpoints = endpoints,
		.n_endpoints = n_endpoints,
		.protocol = 4,
		.client_id = "test",
		.keepalive_s = 30,
		.inflight = 100,
		.inflight_qos2 = 10,
		.max_qos = 2};
	now_us = 1000 * SECOND;
	n_connected = n_leaving = n_lost = n_messages = n_turns = n_settled = 0;
	subscription = heard_subscription = 0;
	wants_at_us = CLOCK_NEVER;
	says_state = false;
	assert_int_equal(outbox_init(&limits, 64 << 20, &fake_clock, &outbox), 0);
	assert_int_equal(
		publisher_init(&broker, uses_qos2, "will", outbox, &fake.uplink, &listener, &fake_clock, &publisher),
		0);
}

static void begin(size_t n_endpoints, bool uses_qos2)
{
	begin_with(
		n_endpoints, uses_qos2, (struct plan_buffer){.max_size = 64 << 20, .when_full = WHEN_FULL_DROP_OLDEST});
}

static void end(void)
{
	publisher_destroy(publisher);
	outbox_destroy(outbox);
}

static int64_t step(void)
{
	int64_t wake_us = publisher_step(publisher, now_us);
	assert_false(fake.held);
	return wake_us;
}

static void steps(int n)
{
	while (n--)
		step();
}

/* Lets time pass; the script has no socket that would wake the publisher, so a step comes at least every 50 ms. */
static void run(int64_t us)
{
	int64_t until_us = now_us + us;
	while (now_us < until_us) {
		int64_t wake_us = step();
		if (wake_us <= now_us)
			wake_us = now_us + 1000;
		if (wake_us > now_us + 50000)
			wake_us = now_us + 50000;
		now_us = wake_us < until_us ? wake_us : until_us;
	}
	step();
}

static struct outbox_counts counts(void)
{
	struct outbox_counts c;
	outbox_counts(outbox, &c);
	return c;
}

static struct publisher_status status(void)
{
	struct publisher_status s;
	publisher_status(publisher, &s);
	return s;
}

static unsigned n_sent_on(const char *topic)
{
	unsigned n = 0;
	for (unsigned i = 0; i < fake.n_sent; i++)
		n += strcmp(fake.sent[i].topic, topic) == 0;
	return n;
}

/* ---- tests ---- */

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

static void test_refused_walks_and_backs_off(void **state)
{
	(void)state;
	begin(2, false);
	fake.refuses = true;
	fake.refusal = UPLINK_REFUSED;
	step();
	assert_int_equal(fake.n_opens, 1);
	int64_t start_us = now_us;
	run(1500000); /* the other one at once, then within a second from the top */
	assert_true(fake.n_opens >= 3);
	now_us = start_us;
	run(60 * SECOND);
	unsigned before = fake.n_opens;
	int64_t gap_us = 0, last_us = now_us;
	for (int64_t t = 0; t < 120 * SECOND; t += 100000) {
		now_us += 100000;
		step();
		if (fake.n_opens != before) {
			gap_us = now_us - last_us > gap_us ? now_us - last_us : gap_us;
			last_us = now_us;
			before = fake.n_opens;
		}
	}
	assert_true(gap_us > 5 * SECOND && gap_us <= 15 * SECOND + 200000);
	fake.refuses = false;
	run(16 * SECOND);
	assert_true(status().connected);
	end();
}

static void test_auth_waits_longer(void **state)
{
	(void)state;
	begin(1, false);
	fake.refuses = true;
	fake.refusal = UPLINK_AUTH;
	run(120 * SECOND);
	assert_in_range(fake.n_opens, 5, 16);
	unsigned before = fake.n_opens;
	run(31 * SECOND);
	assert_true(fake.n_opens > before && fake.n_opens <= before + 3);
	end();
}

static void test_first_retry_within_a_second(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		begin(1, false);
		steps(3);
		now_us += i * SECOND + 12345;
		step();
		fake_drop(UPLINK_CLOSED);
		int64_t wake_us = step();
		assert_true(wake_us - now_us >= 100000 && wake_us - now_us <= SECOND);
		now_us = wake_us;
		steps(2);
		assert_true(status().connected);
		assert_int_equal(status().reconnects, 1);
		end();
	}
}

/* The longest pause between two attempts until an instant. */
static int64_t longest_pause(int64_t until_us)
{
	unsigned before = fake.n_opens;
	int64_t longest_us = 0, last_us = now_us;
	for (; now_us < until_us; now_us += 10000) {
		step();
		if (fake.n_opens == before)
			continue;
		longest_us = now_us - last_us > longest_us ? now_us - last_us : longest_us;
		last_us = now_us;
		before = fake.n_opens;
	}
	return longest_us;
}

static void test_within_a_second_for_a_minute(void **state)
{
	(void)state;
	begin(1, false);
	steps(3);
	run(60 * SECOND);
	fake.refuses = true;
	fake.refusal = UPLINK_REFUSED;
	fake_drop(UPLINK_CLOSED);
	step();
	int64_t start_us = now_us;
	assert_in_range(longest_pause(start_us + 59 * SECOND), 300000, 810000);
	assert_in_range(longest_pause(start_us + 300 * SECOND), 5 * SECOND, 15 * SECOND);
	fake.refuses = false;
	run(16 * SECOND);
	assert_true(status().connected);
	end();
}

/* A broker that takes connections and drops them is no restart: it is left alone for longer and longer at once. */
static void test_flapping_is_backed_off_from(void **state)
{
	(void)state;
	begin(1, false);
	steps(3);
	run(60 * SECOND);
	int64_t start_us = now_us;
	unsigned n = 0;
	for (; now_us < start_us + 60 * SECOND; now_us += 10000) {
		step();
		if (!status().connected)
			continue;
		n++;
		fake_drop(UPLINK_CLOSED);
		step();
	}
	assert_in_range(n, 4, 12);
	end();
}

static void test_no_connack(void **state)
{
	(void)state;
	begin(1, false);
	fake.answers = false;
	step();
	run(9 * SECOND);
	assert_int_equal(fake.n_abrupt, 0);
	run(3 * SECOND);
	assert_int_equal(fake.n_abrupt, 1);
	assert_int_equal(fake.n_opens, 2);
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

/* What an endpoint refuses of the will it is not asked again, the others are. */
static void test_will_refused(void **state)
{
	(void)state;
	begin(2, false);
	fake.refuses = true;
	fake.refusal = UPLINK_NO_RETAIN;
	step();
	assert_ptr_equal(fake.target.endpoint, &endpoints[0]);
	assert_true(fake.target.will_retain);
	assert_int_equal(fake.target.will_qos, 1);
	fake.refusal = UPLINK_NO_QOS;
	while (fake.n_opens < 2)
		run(SECOND / 10);
	assert_ptr_equal(fake.target.endpoint, &endpoints[1]);
	assert_true(fake.target.will_retain);
	fake.refusal = UPLINK_REFUSED;
	while (fake.n_opens < 3)
		run(SECOND / 10);
	assert_ptr_equal(fake.target.endpoint, &endpoints[0]);
	assert_false(fake.target.will_retain);
	assert_int_equal(fake.target.will_qos, 1);
	while (fake.n_opens < 4)
		run(SECOND / 10);
	assert_true(fake.target.will_retain);
	assert_int_equal(fake.target.will_qos, 0);
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

static void test_negative_acknowledgements(void **state)
{
	(void)state;
	begin(1, false);
	fake.reason = 0x87;
	steps(3);
	reading("denied", 1);
	steps(3);
	assert_int_equal(counts().dropped_refused, 1);
	assert_int_equal(status().refused, 1);
	fake.reason = 0x97;
	reading("later", 1);
	steps(2);
	unsigned sent = fake.n_sent;
	steps(5);
	assert_int_equal(fake.n_sent, sent); /* a pause */
	assert_int_equal(counts().waiting, 1);
	fake.reason = 0x10; /* no subscribers: delivered */
	run(2 * SECOND);
	assert_true(outbox_empty(outbox));
	assert_int_equal(counts().done, 1);
	end();
}

/* A broker that never has room for one message and always for others: it is about the message. */
static void test_put_off_for_long(void **state)
{
	(void)state;
	begin(1, false);
	fake.reason = 0x97;
	fake.refuses_on = "heavy";
	steps(3);
	reading("heavy", 1);
	for (int i = 0; i < 500; i++) {
		reading("light", 1);
		run(SECOND);
	}
	assert_int_equal(counts().dropped_refused, 0);
	assert_true(counts().done > 400); /* the others go on */
	for (int i = 0; i < 200; i++) {
		reading("light", 1);
		run(SECOND);
	}
	assert_int_equal(counts().dropped_refused, 1);
	run(60 * SECOND);
	assert_true(outbox_empty(outbox));

	fake.refuses_on = NULL; /* none is taken: that is about now, for however long */
	reading("heavy", 1);
	reading("light", 1);
	run(3600 * SECOND);
	assert_int_equal(counts().dropped_refused, 1);
	assert_int_equal(counts().waiting, 2);
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
		int64_t from_us = now_us;
		unsigned before = n_sent_on("past"), n_steps = 0;
		reading("live", 1);
		while (now_us < from_us + 2 * SECOND) {
			int64_t wake_us = step();
			n_steps++;
			assert_true(n_sent_on("past") - before <= (now_us - from_us) * 20 / SECOND + 2);
			now_us = wake_us > now_us ? wake_us : now_us + 1000;
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

static void test_not_for_the_wire(void **state)
{
	(void)state;
	begin(1, false);
	fake.limits.maximum_packet = 60;
	steps(3);
	reading("a/+/b", 1);
	reading("a/very/long/topic/that/makes/the/packet/larger/than/that/60", 1);
	reading("good", 1);
	steps(3);
	assert_int_equal(fake.n_sent, 1);
	assert_int_equal(counts().dropped_refused, 2);
	assert_int_equal(counts().done, 1);
	end();
}

static void test_poison(void **state)
{
	(void)state;
	begin(1, false);
	says_state = true;
	steps(3);
	fake.drops_at = "poison";
	reading("before", 1);
	reading("poison", 1);
	reading("after", 1);
	run(60 * SECOND);
	assert_int_equal(counts().dropped_refused, 1);
	assert_int_equal(counts().done, 2);
	assert_true(outbox_empty(outbox));
	assert_in_range(n_sent_on("poison"), 3, 6);
	/* The topic becomes an outcast after three of them, and the others never stop. */
	for (int i = 0; i < 6; i++) {
		reading("poison", 1);
		reading("after", 1);
		run(120 * SECOND);
	}
	assert_true(outbox_empty(outbox));
	assert_int_equal(counts().done, 8);
	assert_int_equal(counts().dropped_refused, 7);
	end();
}

static void test_broker_that_falls_over_is_no_poison(void **state)
{
	(void)state;
	begin(1, false);
	fake.acks = false;
	reading("innocent", 1);
	/* A broker that ends each connection after half a second, before it acknowledges anything. */
	for (int i = 0; i < 60; i++) {
		while (!status().connected)
			run(100000);
		run(500000);
		fake_drop(UPLINK_CLOSED);
		step();
	}
	assert_int_equal(counts().dropped_refused, 0);
	fake.acks = true;
	run(20 * SECOND);
	assert_int_equal(counts().done, 1);
	end();
}

static void test_standing_poison_does_not_block(void **state)
{
	(void)state;
	begin(1, false);
	says_state = true;
	fake.drops_at = "state";
	reading("a", 1);
	run(120 * SECOND);
	assert_int_equal(counts().done, 1);
	assert_true(status().connected);
	assert_in_range(n_sent_on("state"), 3, 5);
	end();
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
	run(20 * SECOND);
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

/* The listener hears what it has subscribed to, has its turns, and is waited for at the end. */
static void test_listener(void **state)
{
	(void)state;
	begin(1, false);
	struct uplink_events *events = &fake.uplink.events;
	static const struct uplink_message message = {.topic = "asked/for", .payload = "x", .payload_n = 1};
	says_state = true;
	fake.acks = false;
	wants_at_us = now_us + 3 * SECOND;
	events->message(events->user, &message); /* nobody is connected */
	steps(1);
	assert_int_equal(n_turns, 0);
	step();
	assert_int_equal(n_connected, 1);
	assert_int_equal(n_turns, 1);
	assert_int_equal(last_turn_us, now_us);
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
	now_us = wants_at_us - SECOND / 10;
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
	wants_at_us = now_us + 60 * SECOND;
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
	assert_int_equal(
		publisher_init(&broker, false, "will", outbox, &fake.uplink, &listener, &clock_system, &publisher), 0);
	assert_int_equal(publisher_start(publisher), 0);
	assert_true(publisher_alive_until(publisher) > clock_now(&clock_system));
	publisher_stop(publisher);
	assert_int_equal(publisher_join(publisher, 5 * SECOND), 0);
	assert_true(publisher_alive_until(publisher) == CLOCK_NEVER);
	end();
}

/* ---- several brokers ---- */

static void begin_with_two(void)
{
	begin(2, false);
	steps(3);
	assert_string_equal(status().broker_url, "mqtt://one");
	assert_true(status().connected);
	fake.refuses_host = "one";
	fake.refusal = UPLINK_REFUSED;
}

/* From now on until a connection stands. */
static int64_t us_until_connected(void)
{
	int64_t start_us = now_us;
	step(); /* a loss is noticed */
	while (!status().connected && now_us - start_us < 60 * SECOND) {
		int64_t wake_us = step();
		if (!status().connected)
			now_us = wake_us > now_us + 50000 ? now_us + 50000 : wake_us > now_us ? wake_us : now_us + 1000;
	}
	assert_true(status().connected);
	return now_us - start_us;
}

/* Within two seconds of a refused connection, also when it had stood for long. */
static void test_refused_moves_on_in_time(void **state)
{
	(void)state;
	for (int stood_s = 0; stood_s < 100; stood_s += 9) {
		begin_with_two();
		run(stood_s * SECOND);
		fake.refuses = true;
		fake_drop(UPLINK_CLOSED);
		assert_true(us_until_connected() <= 2 * SECOND);
		assert_string_equal(status().broker_url, "mqtt://two");
		end();
	}
}

/* A restart is waited for, a broker that fell silent or is shutting down is not. */
static void test_where_a_loss_leads_to(void **state)
{
	(void)state;
	static const struct {
		enum uplink_fault fault;
		int stood_s;
		const char *url;
	} cases[] = {
		{UPLINK_CLOSED, 30, "mqtt://one"},
		{UPLINK_PROTOCOL, 30, "mqtt://one"},
		{UPLINK_TAKEN_OVER, 1, "mqtt://one"},
		{UPLINK_REFUSED, 30, "mqtt://two"},
		{UPLINK_BUSY, 30, "mqtt://two"},
		{UPLINK_CLOSED, 3, "mqtt://two"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		begin_with_two();
		run(cases[i].stood_s * SECOND);
		fake_drop(cases[i].fault);
		int64_t us = us_until_connected();
		assert_string_equal(status().broker_url, cases[i].url);
		if (strcmp(cases[i].url, "mqtt://two") == 0)
			assert_true(us <= SECOND / 2);
		end();
	}
}

/* No answer to CONNECT: not waited for longer than the keepalive. */
static void test_no_connack_within_the_keepalive(void **state)
{
	(void)state;
	begin(2, false);
	broker.keepalive_s = 5;
	fake.answers = false;
	step();
	run(5 * SECOND + SECOND / 2);
	assert_int_equal(fake.n_opens, 2);
	assert_string_equal(fake.target.endpoint->url, "mqtt://two");
	end();
}

/* The uplink that looks whether the first is back. */
static struct {
	struct uplink uplink;
	bool answers, refuses, open;
	enum uplink_fault refusal;
	unsigned n_opens, n_forgets, n_orderly;
	char client_id[64];
	struct uplink_target target;
} look;

static int look_open(struct uplink *uplink, const struct uplink_target *target)
{
	(void)uplink;
	assert_false(look.open);
	look.n_opens++;
	look.target = *target;
	snprintf(look.client_id, sizeof(look.client_id), "%s", target->broker->client_id);
	look.open = true;
	if (!look.refuses)
		return 0;
	look.uplink.events.lost(look.uplink.events.user, look.refusal, "refused by the script");
	return -ECONNREFUSED;
}

static void look_step(struct uplink *uplink, bool readable, bool writable)
{
	(void)writable;
	assert_true(look.open && readable);
	if (look.answers)
		look.uplink.events.connected(uplink->events.user, false, &fake.limits);
}

static bool look_wants_write(const struct uplink *uplink)
{
	(void)uplink;
	return false;
}

static void look_let_go(struct uplink *uplink)
{
	(void)uplink;
}

static void look_close(struct uplink *uplink, bool orderly)
{
	(void)uplink;
	look.n_orderly += orderly;
}

static void look_forget(struct uplink *uplink)
{
	(void)uplink;
	look.n_forgets++;
	look.open = false;
}

static const struct uplink_ops look_ops = {.open = look_open,
	.wants_write = look_wants_write,
	.fd = fake_fd,
	.step = look_step,
	.let_go = look_let_go,
	.close = look_close,
	.forget = look_forget};

/* The second serves, the first is looked at each minute. */
static void begin_looking(void)
{
	begin(2, false);
	memset(&look, 0, sizeof(look));
	look.uplink.ops = &look_ops;
	broker.prefer_first_us = 60 * SECOND;
	assert_int_equal(publisher_look_with(publisher, &look.uplink), 0);
	fake.refuses = true;
	fake.refuses_host = "one";
	fake.refusal = UPLINK_REFUSED;
	us_until_connected();
	assert_string_equal(status().broker_url, "mqtt://two");
	assert_int_equal(look.n_opens, 0);
}

static void test_the_first_is_back(void **state)
{
	(void)state;
	begin_looking();
	run(44 * SECOND);
	assert_int_equal(look.n_opens, 0); /* a quarter of the minute is left to chance */
	fake.acks = false;
	reading("a", 1);
	reading("b", 0);
	look.answers = true;
	fake.refuses = false;
	run(17 * SECOND);
	assert_int_equal(look.n_opens, 1);
	assert_string_equal(look.client_id, "test-look");
	assert_true(look.target.clean_session && !look.target.will_topic);
	assert_string_equal(look.target.endpoint->host, "one");
	assert_true(look.n_orderly == 1 && !look.open);

	/* Something is in flight: it stays, and hands over nothing more. */
	unsigned opens = fake.n_opens;
	reading("c", 1);
	run(5 * SECOND);
	assert_true(status().connected && fake.n_opens == opens);
	assert_int_equal(n_sent_on("c"), 0);

	fake.acks = true;
	run(SECOND);
	assert_string_equal(status().broker_url, "mqtt://one");
	assert_true(status().connected);
	assert_int_equal(n_leaving, 1); /* its last words were sent to the second */
	assert_int_equal(n_sent_on("state/offline"), 1);
	assert_int_equal(fake.n_orderly, 1);
	assert_true(outbox_empty(outbox));
	assert_int_equal(n_sent_on("a"), 1);
	assert_int_equal(n_sent_on("b"), 1);
	assert_int_equal(n_sent_on("c"), 1);

	/* There is nothing better to look for now. */
	run(300 * SECOND);
	assert_int_equal(look.n_opens, 1);
	end();
}

static void test_the_first_is_not_back(void **state)
{
	(void)state;
	static const struct {
		bool refuses;
		enum uplink_fault refusal;
	} cases[] = {{true, UPLINK_REFUSED}, {true, UPLINK_AUTH}, {true, UPLINK_TLS}, {false, UPLINK_REFUSED}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		begin_looking();
		look.refuses = cases[i].refuses;
		look.refusal = cases[i].refusal;
		unsigned opens = fake.n_opens;
		run(600 * SECOND);
		assert_in_range(look.n_opens, 8, 14);
		assert_in_range(look.n_forgets, look.n_opens - 1, look.n_opens);
		assert_true(status().connected && fake.n_opens == opens);
		reading("a", 1);
		run(SECOND);
		assert_int_equal(n_sent_on("a"), 1);
		end();
		assert_false(look.open);
	}
	/* One that only knows our own client id is there. */
	begin_looking();
	look.refuses = true;
	look.refusal = UPLINK_CLIENT_ID;
	fake.refuses = false;
	run(62 * SECOND);
	assert_string_equal(status().broker_url, "mqtt://one");
	end();
}

/* A broker that does not acknowledge in time is not left for now; one that goes meanwhile is no matter. */
static void test_leaving_that_comes_to_nothing(void **state)
{
	(void)state;
	begin_looking();
	look.answers = true;
	fake.acks = false;
	run(44 * SECOND);
	reading("a", 1);
	run(31 * SECOND);
	reading("b", 1);
	run(20 * SECOND);
	assert_int_equal(n_sent_on("b"), 1); /* given up after 30 s */
	assert_string_equal(status().broker_url, "mqtt://two");
	end();

	begin_looking();
	look.answers = true;
	fake.acks = false;
	reading("a", 1);
	run(61 * SECOND);
	assert_int_equal(look.n_opens, 1);
	fake_drop(UPLINK_CLOSED);
	fake.acks = true;
	run(2 * SECOND);
	assert_true(status().connected);
	assert_string_equal(status().broker_url, "mqtt://two");
	assert_true(outbox_empty(outbox));
	assert_int_equal(n_leaving, 0);
	end();
}

static void test_stop_while_leaving(void **state)
{
	(void)state;
	begin_looking();
	look.answers = true;
	fake.acks = false;
	reading("a", 1);
	run(61 * SECOND);
	publisher_stop(publisher);
	fake.acks = true;
	run(SECOND);
	assert_int_equal(n_leaving, 1);
	assert_int_equal(fake.n_orderly, 1);
	assert_true(outbox_empty(outbox));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sends_and_counts),
		cmocka_unit_test(test_refused_walks_and_backs_off),
		cmocka_unit_test(test_auth_waits_longer),
		cmocka_unit_test(test_first_retry_within_a_second),
		cmocka_unit_test(test_within_a_second_for_a_minute),
		cmocka_unit_test(test_flapping_is_backed_off_from),
		cmocka_unit_test(test_no_connack),
		cmocka_unit_test(test_qos1_lost_in_flight),
		cmocka_unit_test(test_qos2_purge_and_reopen),
		cmocka_unit_test(test_qos2_session_lost),
		cmocka_unit_test(test_qos2_capped),
		cmocka_unit_test(test_broker_says_qos1),
		cmocka_unit_test(test_will_refused),
		cmocka_unit_test(test_window_limits),
		cmocka_unit_test(test_qos0_full_socket),
		cmocka_unit_test(test_qos0_flows),
		cmocka_unit_test(test_negative_acknowledgements),
		cmocka_unit_test(test_put_off_for_long),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_not_for_the_wire),
		cmocka_unit_test(test_poison),
		cmocka_unit_test(test_broker_that_falls_over_is_no_poison),
		cmocka_unit_test(test_standing_poison_does_not_block),
		cmocka_unit_test(test_stalled_broker),
		cmocka_unit_test(test_endpoint_change_forgets_the_session),
		cmocka_unit_test(test_orderly_stop),
		cmocka_unit_test(test_listener),
		cmocka_unit_test(test_refused_moves_on_in_time),
		cmocka_unit_test(test_where_a_loss_leads_to),
		cmocka_unit_test(test_no_connack_within_the_keepalive),
		cmocka_unit_test(test_the_first_is_back),
		cmocka_unit_test(test_the_first_is_not_back),
		cmocka_unit_test(test_leaving_that_comes_to_nothing),
		cmocka_unit_test(test_stop_while_leaving),
		cmocka_unit_test(test_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* See publisher_stage.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "publisher_stage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct scripted_broker fake;

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

void fake_drop(enum uplink_fault fault)
{
	fake.open = fake.active = fake.drop_due = false;
	fake.uplink.events.lost(fake.uplink.events.user, fault, "dropped by the script");
}

void fake_settle(unsigned i, int reason)
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

struct outbox *outbox;
struct publisher *publisher;
unsigned n_connected, n_leaving;
bool says_state;

struct plan_endpoint endpoints[2] = {
	{.url = "mqtt://one", .host = "one", .port = 1883}, {.url = "mqtt://two", .host = "two", .port = 1883}};
struct plan_broker broker;

static int put(const char *topic, uint8_t qos, enum message_kind kind)
{
	struct message message = {.topic = topic,
		.payload = "{\"value\":1}",
		.payload_n = 11,
		.time_ms = virtual_time_ms(),
		.qos = qos,
		.json = true,
		.buffer = true,
		.kind = kind};
	struct message_sink *sink = outbox_sink(outbox);
	int error = sink->put(sink, &message);
	sink->flush(sink);
	return error;
}

void reading(const char *topic, uint8_t qos)
{
	put(topic, qos, MESSAGE_READING);
}

unsigned n_lost, n_messages, n_turns, n_settled, n_turned;
bool turned_connected;
int subscription, heard_subscription;
int64_t wants_at_us, last_turn_us;

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

static void heard_connected(struct publisher_listener *listener, const char *url, struct uplink *uplink, bool resumed)
{
	(void)resumed;
	(void)listener;
	assert_int_equal(uplink->ops->subscribe(uplink, "asked/#", 1, &subscription), 0);
	assert_non_null(url);
	n_connected++;
	if (says_state)
		put("state", 1, MESSAGE_STANDING);
}

static void heard_turned(struct publisher_listener *listener, struct uplink *uplink)
{
	(void)listener;
	n_turned++;
	turned_connected = uplink != NULL;
}

static void heard_leaving(struct publisher_listener *listener)
{
	(void)listener;
	n_leaving++;
	put("state/offline", 1, MESSAGE_STANDING);
}

struct publisher_listener stage_listener = {.connected = heard_connected,
	.lost = heard_lost,
	.subscribed = heard_subscribed,
	.message = heard_message,
	.step = heard_step,
	.turned = heard_turned,
	.leaving = heard_leaving};

void begin_with(size_t n_endpoints, bool uses_qos2, struct plan_buffer limits)
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
	virtual_now = 1000 * SECOND;
	n_connected = n_leaving = n_lost = n_messages = n_turns = n_settled = n_turned = 0;
	subscription = heard_subscription = 0;
	wants_at_us = CLOCK_NEVER;
	says_state = false;
	assert_int_equal(outbox_init(&limits, 64 << 20, &virtual_clock, &outbox), 0);
	assert_int_equal(publisher_init(&broker, uses_qos2, "will", outbox, &fake.uplink, &stage_listener,
				 &virtual_clock, &publisher),
		0);
}

void begin(size_t n_endpoints, bool uses_qos2)
{
	begin_with(
		n_endpoints, uses_qos2, (struct plan_buffer){.max_size = 64 << 20, .when_full = WHEN_FULL_DROP_OLDEST});
}

void end(void)
{
	publisher_destroy(publisher);
	outbox_destroy(outbox);
}

int64_t step(void)
{
	int64_t wake_us = publisher_step(publisher, virtual_now);
	assert_false(fake.held);
	return wake_us;
}

void steps(int n)
{
	while (n--)
		step();
}

void run(int64_t us)
{
	int64_t until_us = virtual_now + us;
	while (virtual_now < until_us) {
		int64_t wake_us = step();
		if (wake_us <= virtual_now)
			wake_us = virtual_now + 1000;
		if (wake_us > virtual_now + 50000)
			wake_us = virtual_now + 50000;
		virtual_now = wake_us < until_us ? wake_us : until_us;
	}
	step();
}

struct outbox_counts counts(void)
{
	struct outbox_counts c;
	outbox_counts(outbox, &c);
	return c;
}

struct publisher_status status(void)
{
	struct publisher_status s;
	publisher_status(publisher, &s);
	return s;
}

unsigned n_sent_on(const char *topic)
{
	unsigned n = 0;
	for (unsigned i = 0; i < fake.n_sent; i++)
		n += strcmp(fake.sent[i].topic, topic) == 0;
	return n;
}

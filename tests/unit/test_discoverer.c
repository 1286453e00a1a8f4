/*
 * Telling Home Assistant with a scripted uplink: what is told after a connect and in which order, that it is told again
 * after its start, what is read back before, and what a lost connection, a full lane or another map changes.
 */
#include "ship/discoverer.h"
#include "ship/discovery.h"
#include "virtual_clock.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_DEVICES 70 /* more than a portion */

/* The uplink: what is subscribed to, and no more. */
static char filters[256][96], given_up[256][96];
static int n_filters, n_given_up, next_id, subscribe_error;

static int fake_subscribe(struct uplink *uplink, const char *filter, int qos, int *ret_message_id)
{
	(void)uplink;
	assert_int_equal(qos, 0);
	if (subscribe_error)
		return subscribe_error;
	assert_true(n_filters < 256);
	snprintf(filters[n_filters++], sizeof(filters[0]), "%s", filter);
	*ret_message_id = ++next_id;
	return 0;
}

static int fake_unsubscribe(struct uplink *uplink, const char *filter)
{
	(void)uplink;
	assert_true(n_given_up < 256);
	snprintf(given_up[n_given_up++], sizeof(given_up[0]), "%s", filter);
	return 0;
}

static const struct uplink_ops ops = {.subscribe = fake_subscribe, .unsubscribe = fake_unsubscribe};
static struct uplink uplink = {.ops = &ops};

/* The sink. */
static struct {
	char topic[96];
	bool retain;
	char payload[700];
} put[512]; /* payloads cut off */
static int n_put, put_error;

static int fake_put(struct message_sink *sink, const struct message *message)
{
	(void)sink;
	if (put_error)
		return put_error;
	assert_true(n_put < 512);
	assert_int_equal(message->qos, 1);
	assert_int_equal(message->kind, MESSAGE_STANDING);
	snprintf(put[n_put].topic, sizeof(put[0].topic), "%s", message->topic);
	snprintf(put[n_put].payload, sizeof(put[0].payload), "%.*s", (int)message->payload_n,
		(const char *)message->payload);
	put[n_put++].retain = message->retain;
	return 0;
}

static void fake_flush(struct message_sink *sink)
{
	(void)sink;
}

static struct message_sink messages = {.put = fake_put, .flush = fake_flush};

static struct plan_metric metrics[N_DEVICES];
static struct plan_device devices[N_DEVICES];
static const struct plan_endpoint endpoints[] = {{.url = "mqtt://x"}, {.url = "mqtt://y"}};
static struct plan plan, silent, elsewhere;
static _Atomic unsigned occasions;
static struct discoverer *discoverer;
static struct publisher_listener *listener;

static int setup(void **state)
{
	static char texts[N_DEVICES][3][32];
	(void)state;
	for (uint32_t i = 0; i < N_DEVICES; i++) {
		snprintf(texts[i][0], 32, "d%u", i);
		snprintf(texts[i][1], 32, "home/d%u", i);
		snprintf(texts[i][2], 32, "home/d%u/m", i);
		metrics[i] = (struct plan_metric){.topic = texts[i][2],
			.name = "m",
			.device = i,
			.every_us = 1000000,
			.scale = 1,
			.deadband = NAN};
		devices[i] = (struct plan_device){.topic = texts[i][1],
			.path = texts[i][0],
			.name = texts[i][0],
			.first_metric = i,
			.n_metrics = 1};
	}
	plan = (struct plan){.site = "home",
		.gateway_id = "pi",
		.gateway_topic = "home/gateway/pi",
		.homeassistant.prefix = "ha",
		.broker = {.endpoints = endpoints, .n_endpoints = 2},
		.metrics = metrics,
		.n_metrics = N_DEVICES,
		.devices = devices,
		.n_devices = 2};
	silent = elsewhere = plan;
	silent.homeassistant.prefix = NULL;
	elsewhere.homeassistant.prefix = "other";
	n_filters = n_given_up = next_id = subscribe_error = n_put = put_error = 0;
	occasions = 0;
	virtual_now = 1000000;
	return 0;
}

static void make(const struct plan *of)
{
	assert_int_equal(discoverer_init(of, &virtual_clock, &messages, &occasions, &discoverer), 0);
	listener = discoverer_listener(discoverer);
}

static int teardown(void **state)
{
	(void)state;
	discoverer_destroy(discoverer);
	discoverer = NULL;
	return 0;
}

static void connect_to(const char *url)
{
	listener->connected(listener, url, &uplink, false);
}

static int64_t step(void)
{
	return listener->step(listener, true, virtual_now);
}

/* The broker's word on all subscriptions. */
static void answer(void)
{
	for (int id = 1; id <= next_id; id++)
		listener->subscribed(listener, id, 0);
}

/* All of it, with everything acknowledged at once. */
static void finish(void)
{
	int turns = 0;
	for (;;) {
		assert_true(++turns < 2000);
		answer();
		int64_t at = step();
		if (at == CLOCK_NEVER)
			return;
		if (at > virtual_now)
			virtual_now = at;
	}
}

static void hear(const char *topic, const char *payload, bool retained)
{
	struct uplink_message message = {
		.topic = topic, .payload = payload, .payload_n = strlen(payload), .retained = retained};
	listener->message(listener, &message);
}

static void expect_all_of(const struct plan *of, int from)
{
	int n = from;
	for (size_t item = 0; item < discovery_items(of); item++) {
		char topic[MESSAGE_TOPIC_MAX + 1];
		discovery_topic_of(of, item, 0, topic);
		assert_true(n < n_put);
		assert_string_equal(put[n].topic, topic);
		assert_true(put[n].retain);
		n++;
	}
	assert_int_equal(n, n_put);
}

static void test_told_after_a_connect(void **state)
{
	(void)state;
	make(&plan);
	assert_true(step() == CLOCK_NEVER);
	connect_to("mqtt://x");
	assert_string_equal(filters[0], "ha/status");
	assert_string_equal(filters[1], "ha/device/busferry_pi/config");
	assert_string_equal(filters[3], "ha/device/busferry_pi_d1/config");
	assert_int_equal(n_filters, 4);
	assert_true(step() == virtual_now + DISCOVERER_ANSWER_US);
	answer();
	assert_true(step() == virtual_now + DISCOVERER_QUIET_US);
	assert_int_equal(n_put, 0);
	virtual_now += DISCOVERER_QUIET_US;
	step();
	assert_int_equal(n_given_up, 3); /* not the status */
	assert_int_equal(n_put, 3);
	finish();
	expect_all_of(&plan, 0);
	assert_int_equal(occasions, 1);
	/* the next connection to the same broker: nothing is read back; to another one it is */
	listener->lost(listener);
	connect_to("mqtt://x");
	assert_int_equal(n_filters, 5);
	finish();
	expect_all_of(&plan, 3);
	assert_int_equal(occasions, 2);
	listener->lost(listener);
	connect_to("mqtt://y");
	assert_int_equal(n_filters, 9);
}

static void test_more_than_a_portion(void **state)
{
	(void)state;
	plan.n_devices = N_DEVICES;
	make(&plan);
	connect_to("mqtt://x");
	assert_int_equal(n_filters, 1 + 64);
	finish();
	assert_int_equal(n_filters, 1 + 1 + N_DEVICES);
	assert_int_equal(n_given_up, 1 + N_DEVICES);
	expect_all_of(&plan, 0);
}

/* A few at a time: none before the last ones are acknowledged, and not many when they are large. */
static void test_a_few_at_a_time(void **state)
{
	(void)state;
	plan.n_devices = N_DEVICES;
	make(&plan);
	subscribe_error = -EAGAIN;
	connect_to("mqtt://x");
	virtual_now += DISCOVERER_QUIET_US;
	step();
	assert_int_equal(n_put, 16);
	listener->step(listener, false, virtual_now);
	assert_int_equal(n_put, 16);
	for (int i = 16; i < N_DEVICES; i++) { /* some 20 kB each */
		devices[i].first_metric = 0;
		devices[i].n_metrics = N_DEVICES;
	}
	step();
	assert_in_range(n_put, 16 + 3, 16 + 6);
	finish();
	expect_all_of(&plan, 0);
}

static void test_a_broker_that_does_not_answer(void **state)
{
	(void)state;
	make(&plan);
	connect_to("mqtt://x");
	virtual_now += DISCOVERER_ANSWER_US;
	while (step() != CLOCK_NEVER)
		virtual_now += 1000;
	expect_all_of(&plan, 0);
}

static void test_a_subscription_that_fails(void **state)
{
	(void)state;
	subscribe_error = -EAGAIN;
	make(&plan);
	connect_to("mqtt://x");
	finish();
	expect_all_of(&plan, 0);
}

static void test_a_broker_that_drops_who_asks(void **state)
{
	(void)state;
	make(&plan);
	for (int i = 0; i < 3; i++) {
		connect_to("mqtt://x");
		assert_true(n_filters > 0);
		listener->lost(listener);
		n_filters = 0;
	}
	connect_to("mqtt://x");
	assert_int_equal(n_filters, 0);
	finish();
	expect_all_of(&plan, 0);
}

/* One that lets its start be heard, but not the devices, drops after a word on the first. */
static void test_a_broker_that_drops_who_asks_for_devices(void **state)
{
	(void)state;
	make(&plan);
	for (int i = 0; i < 3; i++) {
		n_filters = next_id = 0;
		connect_to("mqtt://x");
		assert_int_equal(n_filters, 4);
		listener->subscribed(listener, 1, 0);
		listener->lost(listener);
	}
	n_filters = 0;
	connect_to("mqtt://x");
	assert_int_equal(n_filters, 0);
	/* a word on what somebody else has asked for is none for us, whatever its number is */
	for (int id = 1; id <= 4; id++)
		listener->subscribed(listener, id, 0);
	finish();
	expect_all_of(&plan, 0);
	listener->lost(listener);
	connect_to("mqtt://x");
	assert_int_equal(n_filters, 0);
}

/* A slow link: each word on a subscription may take its time. */
static void test_a_slow_broker(void **state)
{
	(void)state;
	make(&plan);
	connect_to("mqtt://x");
	for (int id = 1; id <= 4; id++) {
		virtual_now += DISCOVERER_ANSWER_US - 1;
		assert_true(step() > virtual_now);
		assert_int_equal(n_put, 0);
		listener->subscribed(listener, id, 0);
	}
	assert_true(step() == virtual_now + DISCOVERER_QUIET_US);
	finish();
	expect_all_of(&plan, 0);
}

static void test_a_full_lane(void **state)
{
	(void)state;
	make(&plan);
	connect_to("mqtt://x");
	answer();
	put_error = -ENOBUFS;
	virtual_now += DISCOVERER_QUIET_US;
	int64_t at = step();
	assert_true(at > virtual_now && at != CLOCK_NEVER);
	put_error = 0;
	finish();
	expect_all_of(&plan, 0);
}

/* ---- Its start ---- */

static void test_told_again_after_its_start(void **state)
{
	(void)state;
	make(&plan);
	connect_to("mqtt://x");
	finish();
	hear("ha/status", "online", true); /* some time ago */
	hear("ha/status", "offline", false);
	hear("ha/status", "", false);
	hear("ha/status2", "online", false);
	assert_true(step() == CLOCK_NEVER);
	hear("ha/status", "online", false);
	int64_t at = step();
	assert_in_range(at - virtual_now, DISCOVERER_AGAIN_MIN_US, DISCOVERER_AGAIN_MIN_US + DISCOVERER_AGAIN_SPAN_US);
	/* one is waited for at a time, however often it says so */
	virtual_now += 500000;
	hear("ha/status", "online", false);
	assert_true(step() == at);
	n_filters = 0;
	finish();
	assert_int_equal(n_filters, 0);
	expect_all_of(&plan, 3);
	assert_int_equal(occasions, 1);
}

/* Each gateway waits for its own time. */
static void test_the_wait_differs(void **state)
{
	(void)state;
	int64_t waits[2];
	for (int i = 0; i < 2; i++) {
		plan.gateway_topic = i ? "home/gateway/other" : "home/gateway/pi";
		make(&plan);
		connect_to("mqtt://x");
		finish();
		virtual_now = 100000000;
		hear("ha/status", "online", false);
		waits[i] = step() - virtual_now;
		discoverer_destroy(discoverer);
	}
	discoverer = NULL;
	assert_true(waits[0] != waits[1]);
}

static void test_its_start_while_all_is_told(void **state)
{
	(void)state;
	make(&plan);
	connect_to("mqtt://x");
	hear("ha/status", "online", false);
	virtual_now += 20000000;
	finish();
	expect_all_of(&plan, 3);
	assert_int_equal(n_put, 6);
}

static void test_lost(void **state)
{
	(void)state;
	make(&plan);
	connect_to("mqtt://x");
	finish();
	hear("ha/status", "online", false);
	listener->lost(listener);
	assert_true(step() == CLOCK_NEVER);
	virtual_now += 20000000;
	assert_true(step() == CLOCK_NEVER);
	assert_int_equal(n_put, 3);
}

/* ---- What the broker has ---- */

static void test_components_that_are_no_more(void **state)
{
	(void)state;
	make(&plan);
	connect_to("mqtt://x");
	answer();
	hear("ha/device/busferry_pi_d0/config",
		"{\"components\":{\"m\":{\"platform\":\"sensor\"},\"old\":{\"platform\":\"number\"}}}", true);
	hear("ha/device/busferry_pi_d1/config", "{\"components\":{\"m\":{\"platform\":\"sensor\"}}}", true);
	hear("ha/device/busferry_pi_d9/config", "{\"components\":{\"x\":{\"platform\":\"sensor\"}}}", true);
	assert_int_equal(n_put, 1);
	assert_string_equal(put[0].topic, "ha/device/busferry_pi_d0/config");
	assert_false(put[0].retain); /* the old one stays until the new one is there */
	assert_non_null(strstr(put[0].payload, "\"components\":{\"old\":{\"platform\":\"number\"}}}"));
	finish();
	expect_all_of(&plan, 1);
	/* later it is not looked at: it is our own */
	hear("ha/device/busferry_pi_d0/config", "{\"components\":{\"old\":{\"platform\":\"number\"}}}", false);
	assert_int_equal(n_put, 4);
}

/* ---- Another map ---- */

static void change(const struct plan *next)
{
	discoverer_change(discoverer, next);
	assert_true(discoverer_changes(discoverer));
	listener->turned(listener, &uplink);
	assert_false(discoverer_changes(discoverer));
}

static void test_another_map(void **state)
{
	(void)state;
	static struct plan next;
	make(&plan);
	connect_to("mqtt://x");
	finish();
	n_filters = n_given_up = 0;
	next = plan;
	next.n_devices = 3;
	change(&next);
	assert_int_equal(n_filters, 5); /* what it has is read back: a metric may be gone */
	finish();
	expect_all_of(&next, 3);
	assert_int_equal(occasions, 2);
}

static void test_switched_off_and_on(void **state)
{
	(void)state;
	make(&silent);
	connect_to("mqtt://x");
	assert_true(step() == CLOCK_NEVER);
	assert_int_equal(n_filters + n_put, 0);
	assert_int_equal(occasions, 0);
	change(&plan);
	finish();
	expect_all_of(&plan, 0);
	hear("ha/status", "online", false);
	n_given_up = 0;
	change(&silent);
	assert_int_equal(n_given_up, 1);
	assert_string_equal(given_up[0], "ha/status");
	assert_true(step() == CLOCK_NEVER);
	hear("ha/status", "online", false);
	assert_true(step() == CLOCK_NEVER);
	assert_int_equal(n_put, 3);
}

static void test_another_prefix_in_the_middle(void **state)
{
	(void)state;
	make(&plan);
	connect_to("mqtt://x");
	change(&elsewhere);
	assert_int_equal(n_given_up, 4);
	assert_string_equal(filters[n_filters - 4], "other/status");
	finish();
	expect_all_of(&elsewhere, 0);
	assert_string_equal(put[0].topic, "other/device/busferry_pi/config");
}

static void test_another_map_without_a_connection(void **state)
{
	(void)state;
	make(&silent);
	discoverer_change(discoverer, &plan);
	listener->turned(listener, NULL);
	assert_false(discoverer_changes(discoverer));
	assert_int_equal(n_filters, 0);
	connect_to("mqtt://x");
	finish();
	expect_all_of(&plan, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_told_after_a_connect),
		TEST(test_more_than_a_portion),
		TEST(test_a_few_at_a_time),
		TEST(test_a_broker_that_does_not_answer),
		TEST(test_a_subscription_that_fails),
		TEST(test_a_broker_that_drops_who_asks),
		TEST(test_a_broker_that_drops_who_asks_for_devices),
		TEST(test_a_slow_broker),
		TEST(test_a_full_lane),
		TEST(test_told_again_after_its_start),
		TEST(test_the_wait_differs),
		TEST(test_its_start_while_all_is_told),
		TEST(test_lost),
		TEST(test_components_that_are_no_more),
		TEST(test_another_map),
		TEST(test_switched_off_and_on),
		TEST(test_another_prefix_in_the_middle),
		TEST(test_another_map_without_a_connection),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

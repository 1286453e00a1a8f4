/*
 * Commands from the broker with a scripted uplink and a scripted taker: what is written, what is refused and with which
 * words, that a flood is bounded, and what a lost or resumed connection changes.
 */
#include "ship/command.h"
#include "virtual_clock.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define MS 1000
#define S  ((int64_t)1000000)

/* The uplink: notes filters, answers when told to. */
static char filters[16][64];
static int n_filters;

static int fake_subscribe(struct uplink *uplink, const char *filter, int qos, int *ret_message_id)
{
	(void)uplink;
	assert_int_equal(qos, 0);
	snprintf(filters[n_filters++], sizeof(filters[0]), "%s", filter);
	*ret_message_id = 100 + n_filters;
	return 0;
}

static const struct uplink_ops fake_ops = {.subscribe = fake_subscribe};
static struct uplink fake_uplink = {.ops = &fake_ops};

/* The sink: notes results. */
static char topic[64], result[512];
static unsigned n_results;

static int fake_put(struct message_sink *sink, const struct message *message)
{
	(void)sink;
	assert_int_equal(message->qos, 1);
	assert_false(message->retain);
	assert_int_equal(message->kind, MESSAGE_STANDING);
	snprintf(topic, sizeof(topic), "%s", message->topic);
	snprintf(result, sizeof(result), "%.*s", (int)message->payload_n, (const char *)message->payload);
	n_results++;
	return 0;
}

static void fake_flush(struct message_sink *sink)
{
	(void)sink;
}

static struct message_sink messages = {.put = fake_put, .flush = fake_flush};

/* The taker. */
static unsigned n_writes, n_polls;
static uint32_t last_index;
static struct bf_value last_value;
static int write_rc;

static int fake_write(struct order_taker *taker, uint32_t metric, const struct bf_value *value)
{
	(void)taker;
	last_index = metric;
	last_value = *value;
	n_writes += write_rc == 0;
	return write_rc;
}

static int fake_poll(struct order_taker *taker, uint32_t device)
{
	(void)taker;
	last_index = device;
	n_polls++;
	return 0;
}

static struct order_taker taker = {.write = fake_write, .poll = fake_poll};

static const struct plan_write limits = {.min = 15, .max = 28, .step = 0.5, .from = 15},
			       any = {.min = NAN, .max = NAN, .step = NAN};
static struct plan_metric metrics[] = {
	{.topic = "home/z/setpoint",
		.name = "setpoint",
		.decimals = 1,
		.scale = 0.1,
		.scaled = true,
		.shape = {.type = BF_TYPE_S16},
		.write = &limits},
	{.topic = "home/z/temp", .name = "temp", .scale = 1},
	{.topic = "home/a/on", .name = "on", .device = 1, .scale = 1, .shape = {.type = BF_TYPE_BOOL}, .write = &any},
	{.topic = "home/a/on/b", .name = "b", .device = 1, .scale = 1, .shape = {.type = BF_TYPE_BOOL}, .write = &any},
};
static struct plan_device devices[] = {{.topic = "home/z", .path = "z"}, {.topic = "home/a", .path = "a"}};
static const struct plan_endpoint endpoints[] = {{.url = "mqtt://x"}, {.url = "mqtt://y"}};
static struct plan plan = {.control = true,
	.broker = {.endpoints = endpoints, .n_endpoints = 2},
	.metrics = metrics,
	.n_metrics = 4,
	.devices = devices,
	.n_devices = 2};

static struct command *command;
static struct publisher_listener *listener;

static int64_t step(void)
{
	return listener->step(listener, true, virtual_now);
}

static void subscribed(void)
{
	for (int i = 0; i < n_filters; i++)
		listener->subscribed(listener, 101 + i, 0);
}

static int setup(void **state)
{
	(void)state;
	virtual_now = 100 * S;
	n_filters = 0;
	n_results = n_writes = n_polls = 0;
	write_rc = 0;
	result[0] = topic[0] = '\0';
	assert_int_equal(command_init(&plan, &virtual_clock, &messages, &taker, &command), 0);
	listener = command_listener(command);
	listener->connected(listener, "mqtt://x", &fake_uplink, false);
	assert_true(step() == CLOCK_NEVER);
	subscribed();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	command_destroy(command);
	return 0;
}

static void say_n(const char *to, const void *payload, size_t n, bool retained)
{
	const struct uplink_message message = {
		.topic = to, .payload = n ? payload : NULL, .payload_n = n, .retained = retained};
	listener->message(listener, &message);
	step();
}

static void say(const char *to, const char *payload)
{
	say_n(to, payload, strlen(payload), false);
}

static void done(uint32_t metric, const struct order_outcome *outcome)
{
	taker.giver->done(taker.giver, metric, outcome);
	step();
}

static const struct order_outcome success = {.taken = true, .same = true, .value = {.kind = BF_FLOAT64, .f64 = 21.5}};

static void one_filter_for_each_that_can_be_set_or_polled(void **state)
{
	(void)state;
	assert_int_equal(n_filters, 5);
	assert_string_equal(filters[0], "home/z/setpoint/set");
	assert_string_equal(filters[1], "home/a/on/set");
	assert_string_equal(filters[2], "home/a/on/b/set");
	assert_string_equal(filters[3], "home/z/get");
	assert_string_equal(filters[4], "home/a/get");
}

static void a_value_is_written_and_what_is_read_back_told(void **state)
{
	(void)state;
	say("home/z/setpoint/set", "21.5");
	assert_int_equal(n_writes, 1);
	assert_int_equal(last_index, 0);
	assert_true(bf_value_number(&last_value) == 21.5);
	assert_int_equal(n_results, 0);
	done(0, &success);
	assert_string_equal(topic, "home/z/setpoint/result");
	assert_string_equal(result, "{\"ok\":true,\"value\":21.5}");
	say("home/a/on/b/set", "off");
	assert_int_equal(last_index, 3);
	say("home/a/on/set", "on");
	assert_int_equal(last_index, 2);
	assert_int_equal(n_writes, 3);
}

static void what_went_wrong_is_told(void **state)
{
	(void)state;
	static const struct {
		struct order_outcome outcome;
		const char *result;
	} cases[] = {
		{{.taken = true, .value = {.kind = BF_FLOAT64, .f64 = 20}},
			"{\"ok\":false,\"value\":20,\"wanted\":21.5,\"error\":\"written, but the device shows another "
			"value\"}"},
		{{.taken = true, .same = true, .quality = QUALITY_INVALID},
			"{\"ok\":false,\"value\":null,\"wanted\":21.5,\"error\":\"written, but the device shows what "
			"is no value\"}"},
		{{.rc = -ETIMEDOUT},
			"{\"ok\":false,\"error\":\"timeout: no answer, so it is not known whether it was taken\"}"},
		{{.rc = -ETIMEDOUT, .taken = true}, "{\"ok\":false,\"error\":\"timeout: written, but the device does "
						    "not answer when it is read back\"}"},
		{{.rc = -EREMOTEIO, .exception = 3}, "{\"ok\":false,\"error\":\"exception 3: the device refuses it\"}"},
		{{.rc = -EHOSTDOWN}, "{\"ok\":false,\"error\":\"offline: the device does not answer\"}"},
		{{.rc = -ENODEV}, "{\"ok\":false,\"error\":\"offline: the port or connection is gone\"}"},
		{{.rc = -EAGAIN}, "{\"ok\":false,\"error\":\"busy: the bus has no time for it\"}"},
		{{.rc = -ECANCELED}, "{\"ok\":false,\"error\":\"the gateway ends\"}"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		say("home/z/setpoint/set", "21.5");
		done(0, &cases[i].outcome);
		assert_string_equal(result, cases[i].result);
		assert_int_equal(n_results, i + 1);
	}
}

static bool refused_with(const char *words)
{
	bool so = n_writes == 0 && n_results == 1 && strncmp(result, "{\"ok\":false,\"error\":\"", 21) == 0 &&
		  strstr(result, words);
	n_results = 0;
	return so;
}

static void what_is_no_value_is_refused(void **state)
{
	(void)state;
	static char large[1 << 20];
	say("home/z/setpoint/set", "0x10");
	assert_true(refused_with("not a number"));
	say("home/z/setpoint/set", "28.5");
	assert_true(refused_with("above 28"));
	say("home/z/setpoint/set", "21.3");
	assert_true(refused_with("not on a step"));
	say_n("home/z/setpoint/set", NULL, 0, false);
	assert_true(refused_with("empty"));
	say_n("home/z/setpoint/set", "2\0001", 3, false);
	assert_true(refused_with("not a text"));
	say_n("home/z/setpoint/set", "\xff\xfe", 2, false);
	assert_true(refused_with("not a text"));
	say_n("home/z/setpoint/set", large, sizeof(large), false);
	assert_true(refused_with("longer than 64 bytes"));
	say_n("home/z/setpoint/set", "21.5", 4, true);
	assert_true(refused_with("retained"));
	write_rc = -ERANGE;
	say("home/z/setpoint/set", "21.5");
	assert_true(refused_with("out of range"));
}

static void other_topics_are_nobodys(void **state)
{
	(void)state;
	static const char *const topics[] = {"home/z/temp/set", "home/z/setpoint", "home/z/set", "set", "/set", "",
		"home/z/setpoint/set/set", "home/z/setpoin/set", "home/z/setpointt/set", "home/z/setpoint/get",
		"home/z/temp/get", "home/gateway/x/info", "home/a/o/set", "home/a/set"};
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
		say(topics[i], "1");
	assert_int_equal(n_results + n_writes + n_polls, 0);
}

/* A thousand of them at once: one is written, the last one waits, and there is an end to results. */
static void a_flood_is_bounded(void **state)
{
	(void)state;
	char text[16];
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "%g", 15 + (i % 20) * 0.5);
		say("home/z/setpoint/set", text);
	}
	assert_int_equal(n_writes, 1);
	assert_in_range(n_results, 40, 51);
	assert_non_null(strstr(result, "superseded"));
	done(0, &success);
	assert_int_equal(n_writes, 2);
	assert_true(bf_value_number(&last_value) == 15 + (999 % 20) * 0.5);
	done(0, &success);
	assert_int_equal(n_writes, 2);
	assert_string_equal(result, "{\"ok\":true,\"value\":21.5}");
	unsigned before = n_results;
	for (int i = 0; i < 1000; i++) {
		say("home/z/setpoint/set", "nonsense");
		virtual_now += 10 * MS;
	}
	assert_in_range(n_results - before, 195, 205); /* twenty a second */
}

static void who_finds_no_room_waits_and_not_for_ever(void **state)
{
	(void)state;
	write_rc = -EBUSY;
	say("home/z/setpoint/set", "21.5");
	assert_int_equal(n_results, 0);
	assert_in_range(step(), virtual_now + 1, virtual_now + 200 * MS);
	virtual_now += S;
	write_rc = 0;
	assert_true(step() == CLOCK_NEVER);
	assert_int_equal(n_writes, 1);
	write_rc = -EBUSY;
	done(0, &success);
	n_results = n_writes = 0;
	say("home/z/setpoint/set", "22");
	virtual_now += 5 * S;
	assert_true(step() == CLOCK_NEVER);
	assert_true(refused_with("busy"));
}

static void what_was_sent_while_we_were_away_is_refused(void **state)
{
	(void)state;
	listener->lost(listener);
	n_filters = 0;
	listener->connected(listener, "mqtt://x", &fake_uplink, false);
	say("home/z/setpoint/set", "21.5"); /* before the broker's word on our subscription */
	assert_true(refused_with("away"));
	say("home/z/get", "");
	assert_int_equal(n_polls, 0);
	subscribed();
	say("home/z/setpoint/set", "21.5");
	assert_int_equal(n_writes, 1);
	done(0, &success);
	n_writes = n_results = 0;

	listener->lost(listener); /* and again, with a session that was kept */
	n_filters = 0;
	listener->connected(listener, "mqtt://x", &fake_uplink, true);
	step();
	virtual_now += 5 * S;
	subscribed();
	virtual_now += 1900 * MS;
	say("home/z/setpoint/set", "21.5");
	assert_true(refused_with("away"));
	virtual_now += 200 * MS;
	say("home/z/setpoint/set", "21.5");
	assert_int_equal(n_writes, 1);
}

static void what_waits_goes_with_the_connection(void **state)
{
	(void)state;
	say("home/z/setpoint/set", "21.5");
	say("home/z/setpoint/set", "22.5");
	listener->lost(listener);
	n_filters = 0;
	listener->connected(listener, "mqtt://x", &fake_uplink, false);
	step();
	subscribed();
	done(0, &success); /* of before; its result may go */
	assert_int_equal(n_writes, 1);
	say("home/z/setpoint/set", "23");
	assert_int_equal(n_writes, 2);
}

static void a_device_is_polled_once_a_second(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		say("home/a/get", "now");
	assert_int_equal(n_polls, 1);
	assert_int_equal(last_index, 1);
	say("home/z/get", "");
	assert_int_equal(n_polls, 2);
	virtual_now += S;
	say("home/a/get", "");
	assert_int_equal(n_polls, 3);
	say_n("home/z/get", "x", 1, true);
	assert_int_equal(n_polls, 3);
}

static void a_broker_that_refuses_subscriptions_is_left_alone(void **state)
{
	(void)state;
	listener->lost(listener);
	for (int i = 0; i < 3; i++) {
		n_filters = 0;
		listener->connected(listener, "mqtt://x", &fake_uplink, false);
		step();
		assert_int_equal(n_filters, 5);
		listener->lost(listener);
	}
	n_filters = 0;
	listener->connected(listener, "mqtt://x", &fake_uplink, false);
	assert_true(step() == CLOCK_NEVER);
	assert_int_equal(n_filters, 0);
}

/* One that allows some of them drops the connection at the first that it does not. */
static void a_broker_that_refuses_some_is_left_alone(void **state)
{
	(void)state;
	listener->lost(listener);
	for (int i = 0; i < 3; i++) {
		n_filters = 0;
		listener->connected(listener, "mqtt://x", &fake_uplink, false);
		step();
		assert_int_equal(n_filters, 5);
		listener->subscribed(listener, 101, 0);
		listener->lost(listener);
	}
	n_filters = 0;
	listener->connected(listener, "mqtt://x", &fake_uplink, false);
	assert_true(step() == CLOCK_NEVER);
	assert_int_equal(n_filters, 0);
}

static int n_asked_of(const char *url)
{
	n_filters = 0;
	listener->connected(listener, url, &fake_uplink, false);
	step();
	return n_filters;
}

/* What one broker of the list does not allow is not the word of the others, nor is what they allow its word. */
static void only_the_broker_that_refuses_is_left_alone(void **state)
{
	(void)state;
	listener->lost(listener);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(n_asked_of("mqtt://x"), 5);
		listener->lost(listener);
	}
	assert_int_equal(n_asked_of("mqtt://y"), 5);
	subscribed();
	listener->lost(listener);
	assert_int_equal(n_asked_of("mqtt://x"), 0);
}

/* A broker that is frozen, or a network that swallows everything, is no refusal. */
static void a_connection_that_is_lost_later_counts_for_nothing(void **state)
{
	(void)state;
	listener->lost(listener);
	for (int i = 0; i < 10; i++) {
		n_filters = 0;
		listener->connected(listener, "mqtt://x", &fake_uplink, false);
		step();
		assert_int_equal(n_filters, 5);
		virtual_now += 30 * S;
		listener->lost(listener);
	}
}

static void a_refused_subscription_opens_nothing(void **state)
{
	(void)state;
	listener->lost(listener);
	n_filters = 0;
	listener->connected(listener, "mqtt://x", &fake_uplink, false);
	step();
	for (int i = 0; i < n_filters; i++)
		listener->subscribed(listener, 101 + i, 0x87);
	say("home/z/setpoint/set", "21.5");
	assert_true(refused_with("away"));
}

#define UNIT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(one_filter_for_each_that_can_be_set_or_polled),
		UNIT(a_value_is_written_and_what_is_read_back_told),
		UNIT(what_went_wrong_is_told),
		UNIT(what_is_no_value_is_refused),
		UNIT(other_topics_are_nobodys),
		UNIT(a_flood_is_bounded),
		UNIT(who_finds_no_room_waits_and_not_for_ever),
		UNIT(what_was_sent_while_we_were_away_is_refused),
		UNIT(what_waits_goes_with_the_connection),
		UNIT(a_device_is_polled_once_a_second),
		UNIT(a_broker_that_refuses_subscriptions_is_left_alone),
		UNIT(only_the_broker_that_refuses_is_left_alone),
		UNIT(a_broker_that_refuses_some_is_left_alone),
		UNIT(a_connection_that_is_lost_later_counts_for_nothing),
		UNIT(a_refused_subscription_opens_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

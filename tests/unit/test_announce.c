/*
 * What stands: what is told on a connect, on a change, and before leaving; and that the last word is the true one.
 */
#include "ship/announce.h"
#include "ship/sweep.h"
#include "virtual_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char told[8192]; /* "topic=payload q1r; " */
static unsigned n_flushed;
static struct announce *announce;
static struct roster *roster;
static struct standing standing;
static bool interfere; /* a device goes offline while the publisher's thread is about to tell that it is online */

static int sink_put(struct message_sink *sink, const struct message *message)
{
	(void)sink;
	if (interfere && strstr(message->topic, "/availability")) {
		interfere = false;
		struct report_listener *wire = roster_listener(roster);
		wire->availability(wire, 0, false);
	}
	assert_int_equal(message->kind, MESSAGE_STANDING);
	assert_int_equal(message->time_ms, message->payload_n ? virtual_time_ms() : 0);
	assert_false(message->json); /* marks are for readings */
	size_t n = strlen(told);
	snprintf(told + n, sizeof(told) - n, "%s=%.*s q%d%s; ", message->topic, (int)message->payload_n,
		(const char *)message->payload, message->qos, message->retain ? "r" : "");
	return 0;
}

static void sink_flush(struct message_sink *sink)
{
	(void)sink;
	n_flushed++;
}

static struct message_sink sink = {.put = sink_put, .flush = sink_flush};

static const struct bf_driver driver = {.name = "modbus"};
static const uint32_t on_rs485[] = {0, 1}, on_net[] = {2};
static struct plan_bus buses[] = {
	{.name = "rs485", .devices = on_rs485, .wire = WIRE_SERIAL, .port = "/dev/ttyUSB0", .n_devices = 2},
	{.name = "net", .devices = on_net, .wire = WIRE_TCP, .host = "plc", .tcp_port = 502, .n_devices = 1},
};
static struct plan_device devices[] = {
	{.driver = &driver,
		.topic = "home/ground/meter",
		.path = "ground/meter",
		.name = "meter",
		.address = 1,
		.n_metrics = 3},
	{.driver = &driver,
		.topic = "home/ground/climate",
		.path = "ground/climate",
		.address = 2,
		.first_metric = 3,
		.n_metrics = 2},
	{.driver = &driver,
		.topic = "home/cellar/pump",
		.path = "cellar/pump",
		.name = "The \"pump\"",
		.bus = 1,
		.address = 255,
		.first_metric = 5,
		.n_metrics = 1},
};
static struct plan_metric metrics[] = {
	{.topic = "home/ground/meter/voltage", .name = "voltage", .delivery.retain = true},
	{.topic = "home/ground/meter/flow", .name = "flow"},
	{.topic = "home/ground/meter/a/b", .name = "b", .delivery.retain = true},
	{.topic = "home/ground/climate/t", .name = "t", .device = 1, .delivery = {.retain = true, .per_device = true}},
	{.topic = "home/ground/climate/h", .name = "h", .device = 1, .delivery = {.retain = true, .per_device = true}},
	{.topic = "home/cellar/pump/on", .name = "on", .device = 2, .delivery.per_device = true},
};
static const struct plan_endpoint endpoints[] = {{.url = "mqtt://a"}, {.url = "mqtts://broker.example.org:8883"}};
static struct plan plan;

static unsigned n_subscribed, n_unsubscribed;

static int fake_subscribe(struct uplink *uplink, const char *filter, int qos, int *ret_message_id)
{
	(void)uplink;
	assert_string_equal(filter, n_subscribed % 2 ? "home/gateway/+/info" : "home/gateway/pi/info");
	assert_int_equal(qos, 0); /* at 1 a cluster of RabbitMQ locks the gateway out when a node has died */
	*ret_message_id = (int)++n_subscribed;
	return 0;
}

static int fake_unsubscribe(struct uplink *uplink, const char *filter)
{
	(void)uplink;
	(void)filter;
	n_unsubscribed++;
	return 0;
}

static const struct uplink_ops fake_ops = {.subscribe = fake_subscribe, .unsubscribe = fake_unsubscribe};
static struct uplink fake_uplink = {.ops = &fake_ops};

static struct roster_place *places; /* of the present plan, all in one roster */

static struct roster_place *places_in(struct roster *in, size_t n)
{
	struct roster_place *list = calloc(n + 1, sizeof(*list));
	assert_non_null(list);
	for (uint32_t i = 0; i < n; i++)
		list[i] = (struct roster_place){in, i};
	return list;
}

static void begin(void)
{
	assert_int_equal(roster_init(&plan, &virtual_clock, &sink, &roster), 0);
	places = places_in(roster, plan.n_devices);
	standing = (struct standing){.plan = &plan, .devices = places};
	assert_int_equal(announce_init(&standing, &virtual_clock, &sink, &announce), 0);
}

static int setup(void **state)
{
	(void)state;
	plan = (struct plan){.site = "home",
		.gateway_topic = "home/gateway/pi",
		.broker = {.endpoints = endpoints, .n_endpoints = 2, .user = "bob", .password_file = "/etc/secret"},
		.buses = buses,
		.n_buses = 2,
		.devices = devices,
		.n_devices = 3,
		.metrics = metrics,
		.n_metrics = 6};
	virtual_now = 0;
	virtual_wall_ms = 1764000000123;
	told[0] = '\0';
	n_flushed = n_subscribed = n_unsubscribed = 0;
	interfere = false;
	begin();
	return 0;
}

static void end(void)
{
	announce_destroy(announce);
	roster_destroy(roster);
	free(places);
}

static int teardown(void **state)
{
	(void)state;
	end();
	return 0;
}

static void connect_to(const char *url)
{
	struct publisher_listener *listener = announce_publisher_listener(announce);
	listener->connected(listener, url, &fake_uplink, false);
}

/* The first connection to a broker that has nothing of ours. */
static void connect_first(const char *url)
{
	struct publisher_listener *listener = announce_publisher_listener(announce);
	connect_to(url);
	listener->subscribed(listener, (int)n_subscribed - 1, 1);
	assert_int_equal(listener->step(listener, true, 0), SWEEP_QUIET_US);
	assert_int_equal(listener->step(listener, true, SWEEP_QUIET_US), CLOCK_NEVER);
	listener->lost(listener);
	told[0] = '\0';
	n_flushed = 0;
}

static void available(uint32_t device, bool online)
{
	struct report_listener *listener = roster_listener(roster);
	listener->availability(listener, device, online);
}

static void expect(const char *expected)
{
	assert_string_equal(told, expected);
	told[0] = '\0';
}

#define INFO                                                                                                           \
	"\"buses\":[{\"name\":\"rs485\",\"driver\":\"modbus\",\"port\":\"/dev/ttyUSB0\",\"devices\":2},"               \
	"{\"name\":\"net\",\"driver\":\"modbus\",\"host\":\"plc\",\"tcp_port\":502,\"devices\":1}],"                   \
	"\"devices\":[{\"path\":\"ground/meter\",\"name\":\"meter\",\"bus\":\"rs485\",\"address\":1,\"metrics\":3,"    \
	"\"retained\":[\"voltage\",\"a/b\"]},"                                                                         \
	"{\"path\":\"ground/climate\",\"bus\":\"rs485\",\"address\":2,\"metrics\":2,\"per\":\"device\"},"              \
	"{\"path\":\"cellar/pump\",\"name\":\"The \\\"pump\\\"\",\"bus\":\"net\",\"address\":255,\"metrics\":1}]"

static void test_connect(void **state)
{
	(void)state;
	assert_string_equal(announce_will_topic(announce), "home/gateway/pi/state");
	connect_first(endpoints[1].url);
	connect_to(endpoints[1].url);
	expect("home/gateway/pi/state=online q1r; "
	       "home/gateway/pi/info={\"version\":\"" BUSFERRY_VERSION "\",\"started\":1764000000123,"
	       "\"broker\":\"mqtts://broker.example.org:8883\"," INFO "} q1r; ");
	assert_int_equal(n_flushed, 1);
}

/* It started when the clock was not set; when it is, that is corrected. */
static void test_started_before_the_clock_was_set(void **state)
{
	(void)state;
	connect_first(endpoints[1].url);
	virtual_now = 90 * 1000000;
	virtual_wall_ms = 2764000000000;
	connect_to(endpoints[1].url);
	assert_non_null(strstr(told, "\"started\":2764000000000,"));
}

static void test_availability(void **state)
{
	(void)state;
	available(0, true);
	available(2, false);
	expect("home/ground/meter/availability=online q1r; home/cellar/pump/availability=offline q1r; ");
	connect_first("mqtt://a");
	connect_to("mqtt://a");
	char *tail = strstr(told, "} q1r; ");
	assert_non_null(tail);
	/* anew; of the second device nothing is known */
	assert_string_equal(tail, "} q1r; home/ground/meter/availability=online q1r; "
				  "home/cellar/pump/availability=offline q1r; ");
}

static void test_last_word(void **state)
{
	(void)state;
	available(0, true);
	told[0] = '\0';
	connect_first("mqtt://a");
	interfere = true;
	connect_to("mqtt://a");
	char *tail = strstr(told, "} q1r; ");
	assert_non_null(tail);
	assert_string_equal(tail, "} q1r; home/ground/meter/availability=offline q1r; "
				  "home/ground/meter/availability=online q1r; "
				  "home/ground/meter/availability=offline q1r; ");
}

static void test_leaving_and_stats(void **state)
{
	(void)state;
	struct publisher_listener *listener = announce_publisher_listener(announce);
	assert_int_equal(announce_stats(announce, "{\"buffer\":{}}", 13), 0);
	listener->leaving(listener);
	expect("home/gateway/pi/stats={\"buffer\":{}} q0; home/gateway/pi/state=offline q1r; ");
}

/* At the first connection to each broker the old info is read before the new one overwrites it. */
static void test_old_info_first(void **state)
{
	(void)state;
	struct publisher_listener *listener = announce_publisher_listener(announce);
	static const char old[] = "{\"devices\":[{\"path\":\"ground/meter\",\"retained\":[\"voltage\",\"gone\"]}]}";
	struct uplink_message message = {
		.topic = "home/gateway/pi/info", .payload = old, .payload_n = strlen(old), .retained = true};
	available(0, true);
	told[0] = '\0';
	connect_to("mqtt://a");
	expect("home/gateway/pi/state=online q1r; home/ground/meter/availability=online q1r; ");
	listener->subscribed(listener, 1, 1);
	listener->message(listener, &message);
	assert_int_equal(n_unsubscribed, 0);

	/* it breaks: all anew, nothing was overwritten */
	listener->lost(listener);
	connect_to("mqtt://a");
	listener->subscribed(listener, 3, 1);
	listener->message(listener, &message);
	told[0] = '\0';
	assert_int_equal(listener->step(listener, false, SWEEP_QUIET_US - 1), SWEEP_QUIET_US);
	expect("");
	assert_true(listener->step(listener, false, SWEEP_QUIET_US) < CLOCK_NEVER);
	expect("");
	assert_int_equal(n_unsubscribed, 2);
	assert_true(listener->step(listener, true, SWEEP_QUIET_US + 1) < CLOCK_NEVER);
	expect("home/ground/meter/gone= q1r; ");
	assert_true(listener->step(listener, false, SWEEP_QUIET_US + 2) < CLOCK_NEVER);
	expect("");
	assert_int_equal(listener->step(listener, true, SWEEP_QUIET_US + 3), CLOCK_NEVER);
	assert_memory_equal(told, "home/gateway/pi/info={", 22);
	told[0] = '\0';
	assert_int_equal(listener->step(listener, true, SWEEP_QUIET_US + 4), CLOCK_NEVER);
	expect("");

	/* the other broker of the list may have another old info */
	unsigned before = n_subscribed;
	listener->lost(listener);
	connect_to(endpoints[1].url);
	assert_int_equal(n_subscribed, before + 2);
	expect("home/gateway/pi/state=online q1r; home/ground/meter/availability=online q1r; ");
}

/* A broker that drops the connection at a subscription is not asked for ever; the other of the list is. */
static void test_drops_who_asks(void **state)
{
	(void)state;
	struct publisher_listener *listener = announce_publisher_listener(announce);
	for (unsigned i = 0; i < 2; i++) {
		connect_to("mqtt://a");
		listener->lost(listener);
	}
	connect_to("mqtt://a");
	listener->subscribed(listener, (int)n_subscribed - 1, 0);
	listener->subscribed(listener, (int)n_subscribed, 0); /* so it was something else */
	listener->lost(listener);
	for (unsigned i = 0; i < 3; i++) {
		connect_to("mqtt://a");
		listener->lost(listener);
	}
	assert_int_equal(n_subscribed, 12);
	assert_null(strstr(told, "/info="));
	connect_to("mqtt://a");
	assert_int_equal(n_subscribed, 12);
	assert_non_null(strstr(told, "/info="));
	listener->lost(listener);
	connect_to(endpoints[1].url);
	assert_int_equal(n_subscribed, 14);
}

/* Its own info it may read, but not that of others, and what somebody else has asked for is answered too. */
static void test_drops_who_asks_for_more(void **state)
{
	(void)state;
	struct publisher_listener *listener = announce_publisher_listener(announce);
	for (unsigned i = 0; i < 3; i++) {
		connect_to("mqtt://a");
		listener->subscribed(listener, (int)n_subscribed - 1, 0);
		listener->subscribed(listener, 1000, 0);
		listener->lost(listener);
	}
	assert_int_equal(n_subscribed, 6);
	connect_to("mqtt://a");
	assert_int_equal(n_subscribed, 6);
	assert_non_null(strstr(told, "/info="));
}

/* More devices than a message can hold: what matters most still arrives. */
static void test_huge_plan(void **state)
{
	(void)state;
	enum { N_DEVICES = 5000, FEWER = 3000 };
	static struct plan_device many[N_DEVICES];
	for (size_t i = 0; i < N_DEVICES; i++)
		many[i] = devices[0];
	end();
	plan.devices = many;
	plan.n_devices = N_DEVICES;
	begin();
	connect_first("mqtt://a");
	connect_to("mqtt://a");
	expect("home/gateway/pi/state=online q1r; "
	       "home/gateway/pi/info={\"version\":\"" BUSFERRY_VERSION "\",\"started\":1764000000123,"
	       "\"broker\":\"mqtt://a\"} q1r; ");

	end();
	plan.n_devices = FEWER;
	begin();
	connect_first("mqtt://a");
	connect_to("mqtt://a");
	assert_non_null(strstr(told, "\"broker\":\"mqtt://a\",\"devices\":[{\"path\":\"ground/meter\",\"retained\":["
				     "\"voltage\",\"a/b\"]},{"));
}

/* Beside the gateway itself nothing is told of its state, neither now nor in a will. */
static void test_stateless(void **state)
{
	(void)state;
	announce_stateless(announce);
	assert_null(announce_will_topic(announce));
	connect_first("mqtt://a");
	connect_to("mqtt://a");
	struct publisher_listener *listener = announce_publisher_listener(announce);
	listener->leaving(listener);
	assert_null(strstr(told, "/state="));
	assert_non_null(strstr(told, "/info="));
}

static void test_empty_plan(void **state)
{
	(void)state;
	end();
	plan.n_devices = plan.n_buses = 0;
	begin();
	connect_first("mqtt://a");
	connect_to("mqtt://a");
	expect("home/gateway/pi/state=online q1r; "
	       "home/gateway/pi/info={\"version\":\"" BUSFERRY_VERSION "\",\"started\":1764000000123,"
	       "\"broker\":\"mqtt://a\",\"buses\":[],\"devices\":[]} q1r; ");
	announce_destroy(NULL);
}

/* The map was read again: the pump is gone, the meter has lost a retained metric, the climate goes on in its old
 * roster. */
static void test_change(void **state)
{
	(void)state;
	struct publisher_listener *listener = announce_publisher_listener(announce);
	connect_first("mqtt://a");
	connect_to("mqtt://a");
	available(1, true);
	available(2, true);
	told[0] = '\0';

	struct plan_metric fewer[6];
	struct plan_device two[2] = {devices[0], devices[1]};
	memcpy(fewer, metrics, sizeof(fewer));
	fewer[2].delivery.retain = false;
	struct plan_bus one = buses[0];
	struct plan after = plan;
	after.devices = two;
	after.n_devices = 2;
	after.metrics = fewer;
	after.n_metrics = 5;
	after.buses = &one;
	after.n_buses = 1;
	struct roster *young;
	assert_int_equal(roster_init(&after, &virtual_clock, &sink, &young), 0);
	roster_carry(young, 0, roster, 2); /* whatever it was: it is not told now */
	const struct roster_place mixed[2] = {{young, 0}, {roster, 1}};
	const struct standing next = {.plan = &after, .devices = mixed};
	announce_change(announce, &next);
	assert_true(announce_changes(announce));
	assert_int_equal(listener->step(listener, true, 0), CLOCK_NEVER); /* not yet taken */
	expect("");

	listener->turned(listener, &fake_uplink);
	assert_false(announce_changes(announce));
	expect("");
	listener->subscribed(listener, (int)n_subscribed - 1, 1);
	assert_int_equal(listener->step(listener, true, 0), SWEEP_QUIET_US);
	/* nobody has an info at the broker: what the plan before has retained is known without */
	listener->step(listener, true, SWEEP_QUIET_US);
	expect("home/cellar/pump/availability= q1r; home/ground/meter/a/b= q1r; ");
	listener->step(listener, false, SWEEP_QUIET_US);
	expect("");
	assert_int_equal(listener->step(listener, true, SWEEP_QUIET_US), CLOCK_NEVER);
	assert_non_null(strstr(told, "home/gateway/pi/info={"));
	assert_null(strstr(told, "cellar/pump"));
	told[0] = '\0';

	connect_to("mqtt://a");
	char *tail = strstr(told, "} q1r; ");
	assert_non_null(tail);
	assert_string_equal(tail, "} q1r; home/ground/meter/availability=online q1r; "
				  "home/ground/climate/availability=online q1r; ");
	announce_destroy(announce);
	announce = NULL;
	roster_destroy(young);
}

/* Without a connection it is taken as well; what is to be cleared waits for one, over any number of changes. */
static void test_change_while_away(void **state)
{
	(void)state;
	struct publisher_listener *listener = announce_publisher_listener(announce);
	struct plan without = plan;
	without.n_devices = 2;
	struct standing next = {.plan = &without, .devices = places};
	for (int i = 0; i < 10; i++) {
		announce_change(announce, i % 2 ? &standing : &next);
		listener->turned(listener, NULL);
		assert_false(announce_changes(announce));
	}
	announce_change(announce, &next);
	listener->turned(listener, NULL);
	expect("");
	connect_to("mqtt://a");
	expect("home/gateway/pi/state=online q1r; ");
	listener->subscribed(listener, (int)n_subscribed - 1, 1);
	listener->step(listener, true, 0);
	listener->step(listener, true, SWEEP_QUIET_US);
	expect("home/cellar/pump/availability= q1r; ");
}

/* Another connection by another map, before what had to be cleared was: it goes on to whoever comes next. */
static void test_succession(void **state)
{
	(void)state;
	struct publisher_listener *listener = announce_publisher_listener(announce);
	struct plan without = plan;
	without.n_devices = 2;
	struct standing next = {.plan = &without, .devices = places};
	announce_change(announce, &next);
	listener->turned(listener, NULL);
	struct announce *heir;
	assert_int_equal(announce_init(&next, &virtual_clock, &sink, &heir), 0);
	announce_succeed(heir, announce);
	announce_destroy(announce);
	announce = heir;
	listener = announce_publisher_listener(announce);
	connect_to("mqtt://a");
	expect("home/gateway/pi/state=online q1r; ");
	listener->subscribed(listener, (int)n_subscribed - 1, 1);
	listener->step(listener, true, 0);
	listener->step(listener, true, SWEEP_QUIET_US);
	expect("home/cellar/pump/availability= q1r; ");
}

/* A broker that drops who asks is not asked at a change either; what is known is cleared. */
static void test_change_at_one_that_drops_who_asks(void **state)
{
	(void)state;
	struct publisher_listener *listener = announce_publisher_listener(announce);
	for (int i = 0; i < 3; i++) {
		connect_to("mqtt://a");
		listener->lost(listener);
	}
	connect_to("mqtt://a");
	told[0] = '\0';
	unsigned n_asked = n_subscribed;
	struct plan without = plan;
	without.n_devices = 2;
	struct standing next = {.plan = &without, .devices = places};
	announce_change(announce, &next);
	listener->turned(listener, &fake_uplink);
	listener->step(listener, true, 0);
	assert_int_equal(n_subscribed, n_asked);
	expect("home/cellar/pump/availability= q1r; ");
	assert_int_equal(listener->step(listener, true, 0), CLOCK_NEVER);
	assert_non_null(strstr(told, "home/gateway/pi/info={"));
}

int main(void)
{
#define ANNOUNCE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		ANNOUNCE_TEST(test_connect),
		ANNOUNCE_TEST(test_started_before_the_clock_was_set),
		ANNOUNCE_TEST(test_availability),
		ANNOUNCE_TEST(test_last_word),
		ANNOUNCE_TEST(test_leaving_and_stats),
		ANNOUNCE_TEST(test_old_info_first),
		ANNOUNCE_TEST(test_drops_who_asks),
		ANNOUNCE_TEST(test_drops_who_asks_for_more),
		ANNOUNCE_TEST(test_huge_plan),
		ANNOUNCE_TEST(test_stateless),
		ANNOUNCE_TEST(test_empty_plan),
		ANNOUNCE_TEST(test_change),
		ANNOUNCE_TEST(test_change_while_away),
		ANNOUNCE_TEST(test_succession),
		ANNOUNCE_TEST(test_change_at_one_that_drops_who_asks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What is cleared of an old info, and what never is.
 */
#include "base/clock.h"
#include "base/log.h"
#include "ship/info.h"
#include "ship/info_past.h"
#include "ship/sweep.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char cleared[65536]; /* topics, each followed by a blank */
static unsigned n_cleared, room;

static int sink_put(struct message_sink *sink, const struct message *message)
{
	(void)sink;
	if (room == 0)
		return -ENOBUFS;
	room--;
	assert_int_equal(message->payload_n, 0);
	assert_int_equal(message->qos, 1);
	assert_true(message->retain);
	assert_int_equal(message->kind, MESSAGE_STANDING);
	n_cleared++;
	size_t n = strlen(cleared);
	if (n + strlen(message->topic) + 2 < sizeof(cleared))
		sprintf(cleared + n, "%s ", message->topic);
	return 0;
}

static void sink_flush(struct message_sink *sink)
{
	(void)sink;
}

static struct message_sink sink = {.put = sink_put, .flush = sink_flush};

static int subscribe_error;

static int fake_subscribe(struct uplink *uplink, const char *filter, int qos, int *ret_message_id)
{
	(void)uplink;
	assert_int_equal(qos, 0); /* at 1 a cluster of RabbitMQ locks the gateway out when a node has died */
	if (subscribe_error)
		return subscribe_error;
	*ret_message_id = strchr(filter, '+') ? 8 : 7;
	return 0;
}

static int fake_unsubscribe(struct uplink *uplink, const char *filter)
{
	(void)uplink;
	(void)filter;
	return 0;
}

static const struct uplink_ops ops = {.subscribe = fake_subscribe, .unsubscribe = fake_unsubscribe};
static struct uplink uplink = {.ops = &ops};

static struct plan_metric metrics[] = {
	{.topic = "home/ground/meter/voltage", .name = "voltage", .delivery.retain = true},
	{.topic = "home/ground/meter/power", .name = "power"},
	{.topic = "home/roof/wind/speed",
		.name = "speed",
		.device = 1,
		.delivery = {.retain = true, .per_device = true}},
};
static struct plan_device devices[] = {
	{.topic = "home/ground/meter", .path = "ground/meter", .name = "meter", .n_metrics = 2},
	{.topic = "home/roof/wind", .path = "roof/wind", .name = "wind", .first_metric = 2, .n_metrics = 1},
};
static struct plan_bus bus = {.name = "b", .wire = WIRE_TCP, .host = "h"};
static struct plan plan = {.site = "home",
	.gateway_topic = "home/gateway/pi",
	.buses = &bus,
	.n_buses = 1,
	.devices = devices,
	.n_devices = 2,
	.metrics = metrics,
	.n_metrics = 3};
static struct sweep sweep;
static int64_t now;

static int setup(void **state)
{
	(void)state;
	sweep_init(&sweep, &plan, &sink);
	cleared[0] = '\0';
	n_cleared = 0;
	room = UINT32_MAX;
	subscribe_error = 0;
	now = 5000000;
	sweep_begin(&sweep, &uplink, now);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sweep_destroy(&sweep);
	return 0;
}

static void hear_n(const char *topic, const void *payload, size_t n, bool retained)
{
	struct uplink_message message = {.topic = topic, .payload = payload, .payload_n = n, .retained = retained};
	sweep_message(&sweep, &message);
}

static void hear(const char *topic, const char *payload)
{
	hear_n(topic, payload, strlen(payload), true);
}

/* All of it, with everything acknowledged at once. */
static void finish(void)
{
	sweep_subscribed(&sweep, 7, 1);
	now += SWEEP_QUIET_US;
	int turns = 0;
	while (sweep_step(&sweep, true, now) != CLOCK_NEVER)
		assert_true(++turns < 1000000);
	assert_int_equal(sweep.state, SWEEP_IDLE);
}

static void expect(const char *expected)
{
	assert_string_equal(cleared, expected);
}

#define OWN "home/gateway/pi/info"

static void test_leftovers(void **state)
{
	(void)state;
	hear(OWN, "{\"version\":\"1\",\"devices\":["
		  "{\"path\":\"ground/meter\",\"retained\":[\"voltage\",\"power\",\"gone\",\"a/b\"]},"
		  "{\"path\":\"roof/wind\",\"retained\":[\"speed\"],\"per\":\"device\"},"
		  "{\"path\":\"old/one\",\"per\":\"device\"},{\"path\":\"old/two\",\"retained\":[\"x\"]}]}");
	finish();
	expect("home/ground/meter/power home/ground/meter/gone home/ground/meter/a/b home/roof/wind/speed "
	       "home/old/one/availability home/old/one home/old/two/availability home/old/two/x ");
}

/* What the plan prints is read back as what it retains: nothing to clear. */
static void test_own_info(void **state)
{
	(void)state;
	char text[2048];
	for (int detail = INFO_WHOLE; detail <= INFO_BARE; detail++) {
		int n = info_print(&plan, 1, "mqtt://a", (enum info_detail)detail, text, sizeof(text));
		assert_true(n > 0);
		hear_n(OWN, text, (size_t)n, true);
		finish();
		expect("");
		sweep_begin(&sweep, &uplink, now);
	}
	/* to another plan all of it is left over */
	assert_true(info_print(&plan, 1, NULL, INFO_RETAINED, text, sizeof(text)) > 0);
	struct plan empty = {.site = "home", .gateway_topic = "home/gateway/pi"};
	sweep_destroy(&sweep);
	sweep_init(&sweep, &empty, &sink);
	sweep_begin(&sweep, &uplink, now);
	hear(OWN, text);
	finish();
	expect("home/ground/meter/availability home/ground/meter/voltage home/roof/wind/availability home/roof/wind ");
}

/* Discovery messages are among what is retained: those of devices that are no more, of another prefix, or all. */
static void test_discovery(void **state)
{
	(void)state;
	static const char was[] = "{\"homeassistant\":\"ha\",\"devices\":[{\"path\":\"roof/wind\"},"
				  "{\"path\":\"old/one\",\"discovery\":2},{\"path\":\"old/two\",\"discovery\":99999}]}";
	plan.gateway_id = "pi";
	plan.homeassistant.prefix = "ha";
	sweep_begin(&sweep, &uplink, now);
	hear(OWN, was);
	finish();
	expect("home/old/one/availability ha/device/busferry_pi_old_one/config "
	       "ha/device/busferry_pi_old_one-part2/config home/old/two/availability "
	       "ha/device/busferry_pi_old_two/config ");
	plan.homeassistant.prefix = "other";
	cleared[0] = '\0';
	sweep_begin(&sweep, &uplink, now);
	hear(OWN, "{\"homeassistant\":\"ha\",\"devices\":[{\"path\":\"roof/wind\"}]}");
	finish();
	expect("ha/device/busferry_pi_roof_wind/config ha/device/busferry_pi/config ");
	plan.homeassistant.prefix = NULL;
	cleared[0] = '\0';
	sweep_begin(&sweep, &uplink, now);
	/* another gateway may have a name that makes the same topic */
	hear("home/gateway/pi_roof/info", "{\"homeassistant\":\"ha\",\"devices\":[{\"path\":\"wind\"}]}");
	hear(OWN, "{\"homeassistant\":\"ha\",\"devices\":[{\"path\":\"roof/wind\"},{\"path\":\"ground/meter\"}]}");
	finish();
	expect("ha/device/busferry_pi_ground_meter/config ha/device/busferry_pi/config ");
	/* a prefix is no way to other topics */
	cleared[0] = '\0';
	sweep_begin(&sweep, &uplink, now);
	hear(OWN, "{\"homeassistant\":\"a/#\",\"devices\":[{\"path\":\"roof/wind\"}]}");
	finish();
	expect("");
	plan.gateway_id = NULL;
}

/* What is told to Home Assistant is printed in info as well, and read back as what the plan has. */
static void test_discovery_of_info(void **state)
{
	(void)state;
	char text[2048];
	plan.gateway_id = "pi";
	plan.homeassistant.prefix = "ha";
	int n = info_print(&plan, 1, "mqtt://a", INFO_WHOLE, text, sizeof(text));
	assert_true(n > 0);
	assert_non_null(strstr(text, "\"homeassistant\":\"ha\""));
	sweep_begin(&sweep, &uplink, now);
	hear_n(OWN, text, (size_t)n, true);
	finish();
	expect("");
	/* and when the map is read again, without any info */
	static struct plan next;
	next = plan;
	next.n_devices = 1;
	next.homeassistant.prefix = "ha";
	sweep_replan(&sweep, &next, &plan);
	sweep_begin(&sweep, NULL, now);
	finish();
	expect("ha/device/busferry_pi_roof_wind/config home/roof/wind home/roof/wind/availability ");
	plan.homeassistant.prefix = NULL;
	plan.gateway_id = NULL;
}

static void test_others(void **state)
{
	(void)state;
	hear("home/gateway/other/info",
		"{\"devices\":[{\"path\":\"old/one\",\"retained\":[\"x\"],\"per\":\"device\"}]}");
	hear(OWN, "{\"devices\":[{\"path\":\"old/one\",\"retained\":[\"x\",\"y\"],\"per\":\"device\"},"
		  "{\"path\":\"old/two\",\"retained\":[\"x\"]}]}");
	hear("home/gateway/third/info", "{\"devices\":[{\"path\":\"old/two\"}]}");
	hear("home/gateway/fourth/info", "rubbish");
	finish();
	expect("home/old/one/y home/old/two/x ");
}

static void test_nothing_there(void **state)
{
	(void)state;
	assert_int_equal(sweep_step(&sweep, true, now), now + SWEEP_ANSWER_US);
	sweep_subscribed(&sweep, 8, 1); /* that of the others */
	assert_int_equal(sweep_step(&sweep, true, now), now + SWEEP_ANSWER_US);
	sweep_subscribed(&sweep, 7, 1);
	assert_int_equal(sweep_step(&sweep, true, now), now + SWEEP_QUIET_US);
	assert_int_equal(sweep_step(&sweep, true, now + SWEEP_QUIET_US), CLOCK_NEVER);
	/* no word at all */
	sweep_begin(&sweep, &uplink, now);
	assert_int_equal(sweep_step(&sweep, true, now + SWEEP_ANSWER_US), CLOCK_NEVER);
	/* not allowed to read it */
	sweep_begin(&sweep, &uplink, now);
	sweep_subscribed(&sweep, 7, 0x87);
	assert_int_equal(sweep_step(&sweep, true, now), CLOCK_NEVER);
	/* not even asked */
	subscribe_error = -EAGAIN;
	sweep_begin(&sweep, &uplink, now);
	assert_int_equal(sweep_step(&sweep, true, now), CLOCK_NEVER);
	sweep_lost(&sweep);
	expect("");
}

/* What is no old info of ours does nothing, be it rubbish or hostile. */
static void test_hostile(void **state)
{
	(void)state;
	static const char *const rubbish[] = {"", "null", "[]", "\"text\"", "{", "{}", "{\"devices\":{}}",
		"{\"devices\":[1,null,[]]}",
		"{\"devices\":[{\"path\":\"gateway/other\",\"retained\":[\"info\",\"state\"]}]}",
		"{\"devices\":[{\"path\":\"gateway\",\"retained\":[\"other/info\"],\"per\":\"device\"}]}",
		"{\"devices\":[{\"path\":\"\",\"retained\":[\"x\"]},{\"path\":\"/a\",\"retained\":[\"x\"]}]}",
		"{\"devices\":[{\"path\":\"a/\",\"per\":\"device\"},{\"path\":\"a//b\"},{\"path\":\"#\"},{\"path\":\"+/"
		"a\"}]}",
		"{\"devices\":[{\"path\":\"a\\u0001\"},{\"path\":\"a\\ud800\"},{\"path\":\"\\u0000a\"},{\"path\":7},{}]"
		"}",
		"{\"devices\":[{\"path\":\"\xff\xfe\",\"retained\":[\"x\"]}]}"};
	for (size_t i = 0; i < sizeof(rubbish) / sizeof(rubbish[0]); i++) {
		hear(OWN, rubbish[i]);
		finish();
		expect("");
		sweep_begin(&sweep, &uplink, now);
	}
	/* of a device that can be one, names that can't */
	hear(OWN, "{\"devices\":[{\"path\":\"roof/wind\",\"per\":\"metric\",\"retained\":[\"+\",\"\",\"a/"
		  "\",3,null,[\"x\"],"
		  "\"ok\"]}]}");
	finish();
	expect("home/roof/wind/ok ");
	cleared[0] = '\0';

	/* not retained, another topic, a second one, too late */
	static const char old[] = "{\"devices\":[{\"path\":\"a\"}]}";
	sweep_begin(&sweep, &uplink, now);
	hear_n(OWN, old, strlen(old), false);
	hear("home/gateway/pi/state", old);
	hear("home/ground/meter/info", old);
	finish();
	expect("");
	hear(OWN, old);
	assert_int_equal(sweep_step(&sweep, true, now), CLOCK_NEVER);
	sweep_begin(&sweep, &uplink, now);
	hear(OWN, "{}");
	hear(OWN, old);
	finish();
	expect("");

	/* deep, large */
	enum { LARGE = (int)MESSAGE_PAYLOAD_MAX + 1 };
	char *large = malloc(LARGE + 1);
	memset(large, '[', LARGE);
	large[LARGE] = '\0';
	sweep_begin(&sweep, &uplink, now);
	hear_n(OWN, large, LARGE, true);
	hear_n(OWN, large, LARGE - 1, true);
	finish();
	expect("");
	/* one long path, very many short names: topics of a hundred times its size */
	size_t n = (size_t)sprintf(large, "{\"devices\":[{\"path\":\"");
	memset(large + n, 'p', 1000);
	n += 1000;
	n += (size_t)sprintf(large + n, "\",\"retained\":[\"n\"");
	unsigned names = 1;
	for (; n + 8 < LARGE - 3; names++)
		n += (size_t)sprintf(large + n, ",\"n\"");
	n += (size_t)sprintf(large + n, "]}]}");
	sweep_begin(&sweep, &uplink, now);
	hear("home/gateway/other/info", large); /* it protects what it names, in bounds */
	hear_n(OWN, large, n, true);
	room = UINT32_MAX;
	finish();
	assert_int_equal(n_cleared, 1); /* of the second one nothing */
	sweep_begin(&sweep, &uplink, now);
	hear_n(OWN, large, n, true);
	finish();
	assert_int_equal(n_cleared, 1 + names + 1);
	free(large);
}

/* A portion at a time, each acknowledged before the next; a full lane is tried again. */
static void test_portions(void **state)
{
	(void)state;
	char text[8192];
	size_t n = (size_t)sprintf(text, "{\"devices\":[{\"path\":\"ground/meter\",\"retained\":[\"m0\"");
	for (int i = 1; i < 250; i++)
		n += (size_t)sprintf(text + n, ",\"m%d\"", i);
	sprintf(text + n, "]}]}");
	hear(OWN, text);
	sweep_subscribed(&sweep, 7, 1);
	now += SWEEP_QUIET_US;
	assert_true(sweep_step(&sweep, false, now) < CLOCK_NEVER);
	assert_int_equal(n_cleared, 0);
	assert_true(sweep_step(&sweep, true, now) < CLOCK_NEVER);
	assert_int_equal(n_cleared, 100);
	assert_true(sweep_step(&sweep, false, now) < CLOCK_NEVER);
	assert_int_equal(n_cleared, 100);
	room = 3;
	assert_true(sweep_step(&sweep, true, now) < CLOCK_NEVER);
	assert_int_equal(n_cleared, 103);
	assert_true(sweep_step(&sweep, true, now) < CLOCK_NEVER);
	assert_int_equal(n_cleared, 103);
	room = UINT32_MAX;
	finish();
	assert_int_equal(n_cleared, 250);
	assert_non_null(strstr(cleared, "/m102 home/ground/meter/m103 home/ground/meter/m104 "));

	/* it breaks in the middle: all of it again */
	sweep_begin(&sweep, &uplink, now);
	hear(OWN, text);
	sweep_subscribed(&sweep, 7, 1);
	now += SWEEP_QUIET_US;
	assert_true(sweep_step(&sweep, true, now) < CLOCK_NEVER);
	sweep_lost(&sweep);
	sweep_begin(&sweep, &uplink, now);
	hear(OWN, text);
	finish();
	assert_int_equal(n_cleared, 250 + 100 + 250);
}

int main(void)
{
#define SWEEP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		SWEEP_TEST(test_leftovers),
		SWEEP_TEST(test_own_info),
		SWEEP_TEST(test_others),
		SWEEP_TEST(test_discovery),
		SWEEP_TEST(test_discovery_of_info),
		SWEEP_TEST(test_nothing_there),
		SWEEP_TEST(test_hostile),
		SWEEP_TEST(test_portions),
	};
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

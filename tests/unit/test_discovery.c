/*
 * Discovery messages: names that no other device can have, what becomes of each kind of metric, devices that are too
 * large for one message, and what is taken away of an older one.
 */
#include "base/json.h"
#include "base/json_find.h"
#include "ship/discovery.h"
#include "ship/discovery_entity.h"
#include "ship/discovery_id.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S ((int64_t)1000000)

static char text[DISCOVERY_MAX], *const end = text + sizeof(text);

static void expect_id(const char *gateway, const char *path, const char *label, const char *expected)
{
	char id[DISCOVERY_ID_SIZE];
	discovery_id(gateway, path, label, id);
	assert_string_equal(id, expected);
}

static void test_ids(void **state)
{
	(void)state;
	expect_id("hq1", NULL, NULL, "busferry_hq1");
	expect_id("hq1", "ground/main_meter", NULL, "busferry_hq1_ground_main_meter");
	expect_id("hq1", "ground/main_meter", "power", "busferry_hq1_ground_main_meter_power");
	/* the second message of a device "a" is a-part2 */
	expect_id("g", "a-part2", NULL, "busferry_g_a-part2_bed4e830");
	expect_id("g", "a-part2", "m", "busferry_g_a-part2_m");
}

/* Once told, they never change: a change here is a new sensor for everyone. */
static void test_ids_of_other_characters(void **state)
{
	char one[DISCOVERY_ID_SIZE], two[DISCOVERY_ID_SIZE], path[2000];
	(void)state;
	discovery_id("g", "größe", NULL, one);
	discovery_id("g", "grüße", NULL, two);
	assert_string_not_equal(one, two);
	assert_int_equal(strncmp(one, "busferry_g_gr____e_", 19), 0);
	assert_int_equal(strspn(one, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"), strlen(one));
	memset(path, 'a', sizeof(path));
	path[1000] = '\0';
	discovery_id("g", path, NULL, one);
	path[999] = 'b';
	discovery_id("g", path, NULL, two);
	assert_string_not_equal(one, two);
	assert_true(strlen(one) < DISCOVERY_ID_SIZE);
}

static void test_slugs(void **state)
{
	char slug[DISCOVERY_ID_SIZE];
	(void)state;
	discovery_slug("Ground/main_meter", "L1-N", slug);
	assert_string_equal(slug, "ground_main_meter_l1_n");
	discovery_slug("_a__b_", "ü", slug);
	assert_string_equal(slug, "a_b");
	discovery_slug("ä", "ü", slug);
	assert_string_equal(slug, "x");
}

static void test_topics(void **state)
{
	char topic[MESSAGE_TOPIC_MAX + 1];
	(void)state;
	assert_true(discovery_topic("homeassistant", "g", "a/b", 0, topic, sizeof(topic)) > 0);
	assert_string_equal(topic, "homeassistant/device/busferry_g_a_b/config");
	assert_true(discovery_topic("homeassistant", "g", "a/b", 1, topic, sizeof(topic)) > 0);
	assert_string_equal(topic, "homeassistant/device/busferry_g_a_b-part2/config");
	assert_true(discovery_topic("ha", "g", NULL, 0, topic, sizeof(topic)) > 0);
	assert_string_equal(topic, "ha/device/busferry_g/config");
	assert_int_equal(discovery_topic("ha", "g", NULL, 0, topic, 10), -ENAMETOOLONG);
}

/* ---- Messages ---- */

static struct plan_word words[] = {{0, "off"}, {1, "on"}, {2, "off"}};
static struct plan_write any = {.min = NAN, .max = NAN, .step = NAN}, limited = {.min = 15, .max = 28, .step = 0.5},
			 nothing = {.min = 3, .max = 3, .step = 1};
static struct plan_metric metrics[12];
static struct plan_device devices[2];
static struct plan plan;

static void metric(uint32_t i, const char *name, struct plan_metric metric)
{
	static char topics[12][64];
	snprintf(topics[i], sizeof(topics[i]), "home/%s/%s", i < 9 ? "ground/meter" : "roof", name);
	metric.topic = topics[i];
	metric.name = name;
	metric.device = i >= 9;
	metric.every_us = metric.every_us ? metric.every_us : 10 * S;
	metric.scale = metric.scale != 0 ? metric.scale : 1;
	metric.deadband = metric.deadband != 0 ? metric.deadband : NAN;
	metrics[i] = metric;
}

static int setup(void **state)
{
	(void)state;
	metric(0, "power", (struct plan_metric){.unit = "W", .decimals = 1});
	metric(1, "energy", (struct plan_metric){.unit = "kWh", .monotonic = true, .decimals = -1});
	metric(2, "mode", (struct plan_metric){.words = words, .n_words = 3});
	metric(3, "alarm", (struct plan_metric){.shape.type = BF_TYPE_BOOL});
	metric(4, "model", (struct plan_metric){.shape = {BF_TYPE_STRING, 0, 0, 8}, .every_us = PLAN_EVERY_START});
	metric(5, "pump", (struct plan_metric){.shape.type = BF_TYPE_BOOL, .write = &any});
	metric(6, "target",
		(struct plan_metric){
			.unit = "°C", .scale = 0.1, .shape.type = BF_TYPE_S16, .write = &limited, .decimals = 1});
	metric(7, "set_mode", (struct plan_metric){.words = words, .n_words = 3, .write = &any});
	metric(8, "gone", (struct plan_metric){.delivery.payload = PAYLOAD_INFLUX});
	metric(9, "wind", (struct plan_metric){.unit = "m/s", .delivery.per_device = true, .decimals = -1});
	metric(10, "it's", (struct plan_metric){.unit = "μS/cm", .delivery.per_device = true, .decimals = -1});
	metric(11, "flat", (struct plan_metric){.shape.type = BF_TYPE_BOOL, .delivery.payload = PAYLOAD_PLAIN});
	devices[0] = (struct plan_device){.topic = "home/ground/meter",
		.path = "ground/meter",
		.name = "main_meter",
		.maker = "Eastron",
		.model = "SDM630",
		.n_metrics = 9};
	devices[1] = (struct plan_device){
		.topic = "home/roof", .path = "roof", .name = "Wetter", .first_metric = 9, .n_metrics = 3};
	plan = (struct plan){.site = "home",
		.gateway_id = "pi",
		.gateway_topic = "home/gateway/pi",
		.control = true,
		.homeassistant.prefix = "homeassistant",
		.devices = devices,
		.n_devices = 2,
		.metrics = metrics,
		.n_metrics = 12};
	return 0;
}

/* The component as JSON. */
static const char *component(size_t item, const char *id)
{
	static char found[4096];
	struct json_value components, value;
	int n = discovery_print(&plan, item, 0, text, sizeof(text));
	assert_true(n > 0);
	assert_true(json_find(text, (size_t)n, "components", &components));
	if (!json_find(components.text, components.n, id, &value))
		return NULL;
	snprintf(found, sizeof(found), "%.*s", (int)value.n, value.text);
	return found;
}

static void has(const char *json, const char *part)
{
	if (!json || !strstr(json, part))
		fail_msg("no %s in %s", part, json ? json : "nothing");
}

static void lacks(const char *json, const char *part)
{
	if (!json || strstr(json, part))
		fail_msg("%s in %s", part, json ? json : "nothing");
}

static void test_the_device(void **state)
{
	(void)state;
	assert_int_equal(discovery_items(&plan), 3);
	assert_true(discovery_print(&plan, 1, 0, text, sizeof(text)) > 0);
	static const char head[] =
		"{\"device\":{\"identifiers\":[\"busferry_pi_ground_meter\"],\"name\":\"Main meter\","
		"\"manufacturer\":\"Eastron\",\"model\":\"SDM630\",\"via_device\":\"busferry_pi\","
		"\"suggested_area\":\"Ground\"},\"origin\":{\"name\":\"Busferry\",\"sw_version\":\"" BUSFERRY_VERSION
		"\"},\"availability\":[{\"topic\":\"home/gateway/pi/state\"},{\"topic\":\"home/ground/meter/"
		"availability\"}],\"availability_mode\":\"all\",\"qos\":1,\"components\":{";
	assert_int_equal(strncmp(text, head, strlen(head)), 0);
	assert_true(discovery_print(&plan, 0, 0, text, sizeof(text)) > 0);
	has(text, "\"identifiers\":[\"busferry_pi\"]");
	has(text, "\"state_topic\":\"home/gateway/pi/state\"");
	plan.homeassistant.prefix = NULL;
	assert_int_equal(discovery_items(&plan), 0);
}

static void test_sensors(void **state)
{
	(void)state;
	assert_string_equal(component(1, "power"),
		"{\"platform\":\"sensor\",\"unique_id\":\"busferry_pi_ground_meter_power\","
		"\"default_entity_id\":\"sensor.ground_meter_power\",\"name\":\"Power\","
		"\"state_topic\":\"home/ground/meter/power\","
		"\"value_template\":\"{{ '' if value_json.replayed is defined else value_json.value }}\","
		"\"device_class\":\"power\",\"unit_of_measurement\":\"W\",\"state_class\":\"measurement\","
		"\"suggested_display_precision\":1,\"expire_after\":70}");
	has(component(1, "energy"), "\"state_class\":\"total_increasing\"");
	has(component(1, "mode"), "\"device_class\":\"enum\",\"options\":[\"off\",\"on\"]");
	lacks(component(1, "mode"), "state_class");
	has(component(1, "alarm"), "\"platform\":\"binary_sensor\"");
	has(component(1, "alarm"), "\"payload_on\":\"True\",\"payload_off\":\"False\"");
	has(component(1, "model"), "\"value_template\":\"{{ value_json.value }}\"");
	lacks(component(1, "model"), "expire_after");
	assert_null(component(1, "gone"));
}

static void test_what_may_be_written(void **state)
{
	(void)state;
	has(component(1, "pump"), "\"platform\":\"switch\"");
	has(component(1, "pump"), "\"command_topic\":\"home/ground/meter/pump/set\"");
	has(component(1, "target"), "\"platform\":\"number\"");
	has(component(1, "target"), "\"device_class\":\"temperature\",\"unit_of_measurement\":\"°C\"");
	has(component(1, "target"), "\"min\":15,\"max\":28,\"step\":0.5}");
	lacks(component(1, "target"), "expire_after");
	has(component(1, "set_mode"), "\"platform\":\"select\"");
	metrics[6].write = &any;
	has(component(1, "target"), "\"min\":-3276.8,\"max\":3276.7,\"step\":0.1}");
	/* browsers count steps from the least on, so that is where the gateway counts */
	static struct plan_write stepped = {.min = NAN, .max = NAN, .step = 0.5, .from = 0};
	metrics[6].write = &stepped;
	has(component(1, "target"), "\"min\":-3277,\"max\":3276.7,\"step\":0.5}");
	stepped.step = 0.1;
	has(component(1, "target"), "\"min\":-3276.8,\"max\":3276.7,\"step\":0.1}");
	metrics[6].write = &any;
	metrics[6].scale = 1e-6;
	metrics[6].decimals = 6;
	has(component(1, "target"), "\"step\":0.001}"); /* it takes no smaller one */
	metrics[6].write = &nothing;
	has(component(1, "target"), "\"platform\":\"sensor\""); /* min must be less than max */
	plan.control = false;
	has(component(1, "pump"), "\"platform\":\"binary_sensor\"");
	has(component(1, "target"), "\"platform\":\"sensor\"");
	has(component(1, "set_mode"), "\"platform\":\"sensor\"");
}

static void test_payloads(void **state)
{
	(void)state;
	has(component(2, "wind"), "\"state_topic\":\"home/roof\"");
	has(component(2, "wind"),
		"{{ '' if value_json.replayed is defined or 'wind' not in value_json['values'] and 'wind' not in "
		"value_json.quality|default({}) else value_json['values']['wind']|default(None) }}");
	lacks(component(2, "flat"), "value_template");
	has(component(2, "flat"), "\"payload_on\":\"true\"");
	int n = discovery_print(&plan, 2, 0, text, sizeof(text));
	assert_true(n > 0);
	has(text, "value_json['values']['it\\\\'s']");  /* escaped for Jinja, then for JSON */
	has(text, "\"unit_of_measurement\":\"µS/cm\""); /* the micro sign for the Greek mu of the map */
	has(text, "\"device_class\":\"conductivity\"");
}

static void test_expiry(void **state)
{
	(void)state;
	struct plan_metric metric = {.every_us = 10 * S, .deadband = NAN};
	assert_int_equal(discovery_expires_s(&metric), 10 + 30 + 30);
	metric.deadband = 0.5;
	assert_int_equal(discovery_expires_s(&metric), 0);
	metric.heartbeat_us = 900 * S;
	assert_int_equal(discovery_expires_s(&metric), 900 + 10 + 30 + 30);
	metric.every_us = 0;
	assert_int_equal(discovery_expires_s(&metric), 900 + 10 + 30 + 30);
	metric.event = true;
	assert_int_equal(discovery_expires_s(&metric), 0);
	metric.event = false;
	metric.every_us = PLAN_EVERY_START;
	assert_int_equal(discovery_expires_s(&metric), 0);
}

/* More words than Home Assistant should be given make a plain text of it. */
static void test_many_words(void **state)
{
	(void)state;
	static struct plan_word many[300];
	for (int i = 0; i < 300; i++)
		many[i] = (struct plan_word){i, "word"};
	metrics[2].words = many;
	metrics[2].n_words = 300;
	lacks(component(1, "mode"), "options");
	has(component(1, "mode"), "\"platform\":\"sensor\"");
}

/* ---- Parts ---- */

static void test_parts(void **state)
{
	(void)state;
	enum { N = 400 };
	static struct plan_metric many[N];
	static char topics[N][64];
	for (int i = 0; i < N; i++) {
		many[i] = metrics[0];
		snprintf(topics[i], sizeof(topics[i]), "home/ground/meter/metric_%d", i);
		many[i].topic = topics[i];
		many[i].name = topics[i] + strlen("home/ground/meter/");
	}
	devices[0].n_metrics = N;
	plan.n_devices = 1;
	plan.metrics = many;
	plan.n_metrics = N;
	unsigned n_parts = discovery_parts(&plan, 1), n_components = 0;
	assert_in_range(n_parts, 2, 5);
	for (unsigned part = 0; part < n_parts; part++) {
		int n = discovery_print(&plan, 1, part, text, sizeof(text));
		assert_in_range(n, 1000, DISCOVERY_MAX - 1);
		assert_int_equal(text[n - 1], '}');
		has(text, "\"identifiers\":[\"busferry_pi_ground_meter\"]");
		for (const char *at = text; (at = strstr(at, "\"unique_id\"")); at++)
			n_components++;
	}
	assert_int_equal(n_components, N);
	assert_int_equal(discovery_print(&plan, 1, n_parts, text, sizeof(text)), -ENOENT);
	assert_int_equal(discovery_print(&plan, 1, 0, text, 3000), -ENOSPC);
}

/* One metric that is as large as one can be. */
static void test_the_largest_component(void **state)
{
	(void)state;
	static char topic[MESSAGE_TOPIC_MAX + 1], words_of[256][64];
	static struct plan_word large[256];
	memset(topic, '\'', sizeof(topic) - 8);
	memcpy(topic, "home/roof/", 10);
	for (int i = 0; i < 256; i++) {
		snprintf(words_of[i], sizeof(words_of[i]), "%d\"\\", i);
		large[i] = (struct plan_word){i, words_of[i]};
	}
	metrics[9].topic = topic;
	metrics[9].name = topic + 10;
	metrics[9].words = large;
	metrics[9].n_words = 256;
	int n = discovery_print(&plan, 2, 0, text, sizeof(text));
	assert_in_range(n, 10000, 40000);
	assert_non_null(strstr(text, " is string else None }}\""));
}

static void test_nothing_to_tell(void **state)
{
	(void)state;
	for (int i = 0; i < 12; i++)
		metrics[i].delivery.payload = PAYLOAD_INFLUX;
	assert_int_equal(discovery_parts(&plan, 1), 0);
	assert_int_equal(discovery_parts(&plan, 0), 1);
	assert_int_equal(discovery_print(&plan, 1, 0, text, sizeof(text)), -ENOENT);
	assert_int_equal(discovery_print(&plan, 0, 1, text, sizeof(text)), -ENOENT);
}

/* ---- What was ---- */

static int gone(const char *was)
{
	return discovery_print_gone(&plan, 1, 0, was, strlen(was), text, sizeof(text));
}

static void test_gone(void **state)
{
	(void)state;
	assert_int_equal(gone("{\"components\":{\"power\":{\"platform\":\"sensor\"}}}"), 0);
	assert_true(
		gone("{\"components\":{\"power\":{\"platform\":\"sensor\"},\"old\":{\"platform\":\"switch\",\"x\":1},"
		     "\"pump\":{\"platform\":\"binary_sensor\"},\"gone\":{\"platform\":\"sensor\"}}}") > 0);
	/* the pump can be switched now, and the last one is told as influx */
	assert_non_null(strstr(text, "\"components\":{\"old\":{\"platform\":\"switch\"},"
				     "\"pump\":{\"platform\":\"binary_sensor\"},\"gone\":{\"platform\":\"sensor\"}}}"));
	has(text, "\"identifiers\":[\"busferry_pi_ground_meter\"]");
}

static void test_gone_of_nonsense(void **state)
{
	static char was[200000];
	(void)state;
	assert_int_equal(gone(""), 0);
	assert_int_equal(gone("[]"), 0);
	assert_int_equal(gone("{\"components\":7}"), 0);
	assert_int_equal(gone("{\"components\":{\"old\":7}}"), 0);
	assert_int_equal(gone("{\"components\":{\"old\":{\"platform\":\"a platform with quite a long name\"}}}"), 0);
	assert_int_equal(gone("{\"components\":{\"old\":{\"platform\":\"sensor\""), 0);
	assert_int_equal(gone("{\"components\":{\"old\":{\"platform\":\"a b\"}}}"), 0);
	/* more than there is room for: what fits is taken away, the rest the next time */
	size_t n = (size_t)sprintf(was, "{\"components\":{\"a\":1");
	for (int i = 0; i < 5000; i++)
		n += (size_t)sprintf(was + n, ",\"c%d\":{\"platform\":\"sensor\"}", i);
	strcpy(was + n, "}}");
	int length = gone(was);
	assert_in_range(length, DISCOVERY_MAX - 100, DISCOVERY_MAX - 1);
	assert_string_equal(text + length - 3, "}}}");
	assert_true(text + length < end);
}

/* More than anybody would tell of a device is not looked through. */
static void test_gone_of_too_much(void **state)
{
	static char was[MESSAGE_PAYLOAD_MAX + 2];
	static const char begin[] = "{\"components\":{\"old\":{\"platform\":\"sensor\"}}";
	(void)state;
	memset(was, ' ', sizeof(was) - 1);
	memcpy(was, begin, strlen(begin));
	was[MESSAGE_PAYLOAD_MAX - 1] = '}';
	assert_true(discovery_print_gone(&plan, 1, 0, was, MESSAGE_PAYLOAD_MAX, text, sizeof(text)) > 0);
	assert_int_equal(discovery_print_gone(&plan, 1, 0, was, MESSAGE_PAYLOAD_MAX + 1, text, sizeof(text)), 0);
}

static void test_whose(void **state)
{
	(void)state;
	for (size_t item = 0; item < 3; item++) {
		int n = discovery_print(&plan, item, 0, text, sizeof(text));
		assert_true(discovery_is_ours(&plan, text, (size_t)n));
		plan.gateway_topic = "hut/gateway/pi"; /* another site */
		assert_false(discovery_is_ours(&plan, text, (size_t)n));
		plan.gateway_topic = "home/gateway/p";
		assert_false(discovery_is_ours(&plan, text, (size_t)n));
		plan.gateway_topic = "home/gateway/pi";
	}
	static const char other[] = "{\"origin\":{\"name\":\"zigbee2mqtt\"},\"topic\":\"home/gateway/pi/state\"}";
	assert_false(discovery_is_ours(&plan, other, strlen(other)));
	assert_false(discovery_is_ours(&plan, "", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_ids_of_other_characters),
		cmocka_unit_test(test_slugs),
		cmocka_unit_test(test_topics),
		cmocka_unit_test_setup(test_the_device, setup),
		cmocka_unit_test_setup(test_sensors, setup),
		cmocka_unit_test_setup(test_what_may_be_written, setup),
		cmocka_unit_test_setup(test_payloads, setup),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test_setup(test_many_words, setup),
		cmocka_unit_test_setup(test_parts, setup),
		cmocka_unit_test_setup(test_the_largest_component, setup),
		cmocka_unit_test_setup(test_nothing_to_tell, setup),
		cmocka_unit_test_setup(test_gone, setup),
		cmocka_unit_test_setup(test_gone_of_nonsense, setup),
		cmocka_unit_test_setup(test_gone_of_too_much, setup),
		cmocka_unit_test_setup(test_whose, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

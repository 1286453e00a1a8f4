/*
 * Two readings of one map are the same; with any field changed they are not.
 */
#include "app/plan_diff.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct told {
	const char *text;
	int flag, number, choice;
	double share;
	int64_t wait, size;
	struct bf_texts texts;
	struct bf_scalar scalar;
	struct bf_bytes bytes;
	struct bf_pairs pairs;
};

#define KEY(key_type, field)                                                                                           \
	{                                                                                                              \
		.name = #field, .type = key_type, .offset = offsetof(struct told, field)                               \
	}
static const struct bf_key keys[] = {KEY(BF_KEY_TEXT, text), KEY(BF_KEY_BOOL, flag), KEY(BF_KEY_INT, number),
	KEY(BF_KEY_CHOICE, choice), KEY(BF_KEY_NUMBER, share), KEY(BF_KEY_DURATION, wait), KEY(BF_KEY_SIZE, size),
	KEY(BF_KEY_TEXTS, texts), KEY(BF_KEY_SCALAR, scalar), KEY(BF_KEY_BYTES, bytes), KEY(BF_KEY_PAIRS, pairs), {0}};

static const struct bf_driver driver = {.name = "d", .device_keys = keys, .metric_keys = keys, .message_keys = keys};
static const struct bf_driver other_driver = {.name = "o"};

/* One reading of the map; nothing of it is shared with another. */
struct map {
	char text[32];
	struct told of_metric, of_device, of_message;
	const char *texts[2], *names[1];
	int numbers[1];
	uint8_t bytes[2];
	struct plan_word words[1];
	uint64_t invalid[1];
	struct bf_texts invalid_texts;
	uint16_t models[1];
	struct bf_message_told messages[1];
	struct bf_bytes init[1], stop[1];
	struct plan_stream stream;
	struct plan_write write;
	struct plan_metric metric;
	struct plan_device device;
	uint32_t devices[1];
	struct plan_bus bus;
	struct plan_endpoint endpoint;
	struct plan plan;
};

static struct told told_of(struct map *map)
{
	return (struct told){.text = map->text,
		.flag = 1,
		.number = 2,
		.choice = BF_UNSET,
		.share = NAN,
		.wait = 5,
		.size = 6,
		.texts = {map->texts, 2},
		.scalar = {.kind = BF_SCALAR_TEXT, .i = 1, .number = 1, .text = map->text},
		.bytes = {map->bytes, 2},
		.pairs = {map->names, map->numbers, 1}};
}

static void fill(struct map *map)
{
	memset(map, 0x55, sizeof(*map)); /* also what lies between the fields */
	strcpy(map->text, "text");
	map->texts[0] = map->texts[1] = map->names[0] = map->text;
	map->numbers[0] = 7;
	map->bytes[0] = map->bytes[1] = 1;
	map->of_metric = map->of_device = map->of_message = told_of(map);
	map->words[0] = (struct plan_word){.number = 3, .word = map->text};
	map->invalid[0] = 0xffff;
	map->invalid_texts = (struct bf_texts){map->texts, 2};
	map->models[0] = 103;
	map->messages[0] = (struct bf_message_told){map->text, {map->bytes, 2}, &map->of_message};
	map->init[0] = map->stop[0] = (struct bf_bytes){map->bytes, 2};
	map->stream = (struct plan_stream){.messages = map->messages,
		.n_messages = 1,
		.init = map->init,
		.stop = map->stop,
		.n_init = 1,
		.n_stop = 1};
	map->write = (struct plan_write){.min = NAN, .max = NAN, .step = NAN};
	map->metric = (struct plan_metric){.write = &map->write,
		.topic = map->text,
		.name = map->text,
		.words = map->words,
		.n_words = 1,
		.invalid = map->invalid,
		.n_invalid = 1,
		.invalid_texts = &map->invalid_texts,
		.models = map->models,
		.n_models = 1,
		.keys = &map->of_metric,
		.min = NAN,
		.max = NAN,
		.max_step = NAN,
		.deadband = NAN};
	map->device = (struct plan_device){.topic = map->text,
		.path = map->text,
		.name = map->text,
		.driver = &driver,
		.keys = &map->of_device,
		.stream = &map->stream,
		.n_metrics = 1};
	map->devices[0] = 0;
	map->bus = (struct plan_bus){
		.name = map->text, .port = map->text, .host = map->text, .devices = map->devices, .n_devices = 1};
	map->endpoint = (struct plan_endpoint){.url = map->text, .host = map->text};
	map->plan = (struct plan){.file = map->text,
		.site = map->text,
		.gateway_id = map->text,
		.gateway_topic = map->text,
		.broker = {.endpoints = &map->endpoint, .n_endpoints = 1, .client_id = map->text, .max_qos = 2},
		.buffer = {.path = map->text},
		.sparkplug = {.enabled = true, .group = map->text, .node = map->text, .host = map->text},
		.page = {.host = map->text, .password_file = map->text},
		.buses = &map->bus,
		.n_buses = 1,
		.devices = &map->device,
		.n_devices = 1,
		.metrics = &map->metric,
		.n_metrics = 1};
}

static struct map before, after;

static int setup(void **state)
{
	(void)state;
	fill(&before);
	fill(&after);
	return 0;
}

static bool bus_differs(void)
{
	return plan_diff_bus(&before.plan, 0, &after.plan, 0);
}

static bool metric_differs(void)
{
	return plan_diff_metric(&before.plan, 0, &after.plan, 0);
}

static bool connection_differs(void)
{
	return plan_diff_connection(&before.plan, &after.plan);
}

static bool sparkplug_differs(void)
{
	return plan_diff_sparkplug(&before.plan, &after.plan);
}

static bool readings_differ(void)
{
	return plan_diff_readings(&before.plan, &after.plan);
}

static bool page_differs(void)
{
	return plan_diff_page(&before.plan, &after.plan);
}

static bool info_differs(void)
{
	return plan_diff_info(&before.plan, &after.plan);
}

/* With that field of the later map changed, and with it changed in the earlier one, the question is answered by yes. */
#define FLIP(question, field, value)                                                                                   \
	do {                                                                                                           \
		for (int turn = 0; turn < 2; turn++) {                                                                 \
			struct map *map = turn ? &before : &after;                                                     \
			assert_false(question());                                                                      \
			__auto_type saved = map->field;                                                                \
			map->field = value;                                                                            \
			if (!question())                                                                               \
				fail_msg("%s is not noticed", #field);                                                 \
			map->field = saved;                                                                            \
		}                                                                                                      \
	} while (0)

#define FLIP_KEYS(question, of)                                                                                        \
	do {                                                                                                           \
		FLIP(question, of.text, "other");                                                                      \
		FLIP(question, of.text, NULL);                                                                         \
		FLIP(question, of.flag, 0);                                                                            \
		FLIP(question, of.number, 3);                                                                          \
		FLIP(question, of.choice, 0);                                                                          \
		FLIP(question, of.share, 0.5);                                                                         \
		FLIP(question, of.wait, 6);                                                                            \
		FLIP(question, of.size, 7);                                                                            \
		FLIP(question, of.texts.n, 1);                                                                         \
		FLIP(question, of.texts.at, other_texts);                                                              \
		FLIP(question, of.scalar.kind, BF_SCALAR_INT);                                                         \
		FLIP(question, of.scalar.i, 2);                                                                        \
		FLIP(question, of.scalar.number, 2);                                                                   \
		FLIP(question, of.scalar.text, "other");                                                               \
		FLIP(question, of.bytes.n, 1);                                                                         \
		FLIP(question, of.bytes.at, other_bytes);                                                              \
		FLIP(question, of.pairs.n, 0);                                                                         \
		FLIP(question, of.pairs.names, &other_texts[1]);                                                       \
		FLIP(question, of.pairs.numbers, other_numbers);                                                       \
	} while (0)

static const char *const other_texts[] = {"text", "other"};
static const uint8_t other_bytes[] = {1, 2};
static const int other_numbers[] = {8};
static const uint16_t other_models[] = {104};
static const uint64_t other_invalid[] = {1};

static void test_same(void **state)
{
	(void)state;
	assert_false(bus_differs());
	assert_false(metric_differs());
	assert_false(connection_differs());
	assert_false(readings_differ());
	assert_false(sparkplug_differs());
	assert_false(page_differs());
	assert_false(info_differs());
	assert_int_equal(plan_diff_buffer(&before.plan.buffer, &after.plan.buffer), 0);
}

static void test_metric(void **state)
{
	(void)state;
	FLIP(metric_differs, metric.topic, "other");
	FLIP(metric_differs, metric.name, "other");
	FLIP(metric_differs, metric.unit, "V");
	FLIP(metric_differs, metric.n_words, 0);
	FLIP(metric_differs, words[0].number, 4);
	FLIP(metric_differs, words[0].word, "other");
	FLIP(metric_differs, metric.n_invalid, 0);
	FLIP(metric_differs, metric.invalid, other_invalid);
	FLIP(metric_differs, metric.invalid_texts, NULL);
	FLIP(metric_differs, invalid_texts.n, 1);
	FLIP(metric_differs, texts[1], "other");
	FLIP(metric_differs, metric.n_models, 0);
	FLIP(metric_differs, metric.models, other_models);
	FLIP(metric_differs, metric.keys, NULL);
	FLIP(metric_differs, metric.scale, 0.5);
	FLIP(metric_differs, metric.offset, 1);
	FLIP(metric_differs, metric.every_us, 1);
	FLIP(metric_differs, metric.min, 0);
	FLIP(metric_differs, metric.max, 0);
	FLIP(metric_differs, metric.max_step, 0);
	FLIP(metric_differs, metric.deadband, 0);
	FLIP(metric_differs, metric.heartbeat_us, 1);
	FLIP(metric_differs, metric.shape.type, BF_TYPE_F64);
	FLIP(metric_differs, metric.shape.words, BF_LITTLE);
	FLIP(metric_differs, metric.shape.bytes, BF_LITTLE);
	FLIP(metric_differs, metric.shape.length, 3);
	FLIP(metric_differs, metric.delivery.qos, 1);
	FLIP(metric_differs, metric.delivery.retain, true);
	FLIP(metric_differs, metric.delivery.per_device, true);
	FLIP(metric_differs, metric.delivery.buffer, true);
	FLIP(metric_differs, metric.delivery.latest_only, true);
	FLIP(metric_differs, metric.delivery.expire_s, 1);
	FLIP(metric_differs, metric.delivery.payload, PAYLOAD_PLAIN);
	FLIP(metric_differs, metric.place.space, BF_SPACE_INPUT);
	FLIP(metric_differs, metric.place.at, 1);
	FLIP(metric_differs, metric.place.count, 1);
	FLIP(metric_differs, metric.scale_place.at, 1);
	FLIP(metric_differs, metric.reduce, REDUCE_MAX);
	FLIP(metric_differs, metric.decimals, 1);
	FLIP(metric_differs, metric.message, 1);
	FLIP(metric_differs, metric.index, 1);
	FLIP(metric_differs, metric.bit, 1);
	FLIP(metric_differs, metric.n_bits, 1);
	FLIP(metric_differs, metric.event, true);
	FLIP(metric_differs, metric.scaled, true);
	FLIP(metric_differs, metric.scale_from, true);
	FLIP(metric_differs, metric.deadband_percent, true);
	FLIP(metric_differs, metric.monotonic, true);
	FLIP_KEYS(metric_differs, of_metric);
	FLIP(bus_differs, metric.scale, 0.5);
	FLIP(info_differs, metric.scale, 0.5);
}

static void test_device(void **state)
{
	(void)state;
	FLIP(bus_differs, device.topic, "other");
	FLIP(bus_differs, device.path, "other");
	FLIP(bus_differs, device.driver, &other_driver);
	FLIP(bus_differs, device.address, 1);
	FLIP(bus_differs, device.keys, NULL);
	FLIP(bus_differs, device.stream, NULL);
	FLIP(bus_differs, device.n_metrics, 0);
	FLIP(bus_differs, device.timeout_us, 1);
	FLIP(bus_differs, device.max_registers, 1);
	FLIP(bus_differs, device.max_gap, 1);
	FLIP(bus_differs, stream.n_messages, 0);
	FLIP(bus_differs, messages[0].name, "other");
	FLIP(bus_differs, messages[0].request.n, 1);
	FLIP(bus_differs, messages[0].keys, NULL);
	FLIP(bus_differs, stream.n_init, 0);
	FLIP(bus_differs, init[0].n, 1);
	FLIP(bus_differs, stream.n_stop, 0);
	FLIP(bus_differs, stop[0].at, other_bytes);
	FLIP(bus_differs, stream.ignore_first_us, 1);
	FLIP_KEYS(bus_differs, of_device);
	FLIP_KEYS(bus_differs, of_message);
}

/* A name for people and the order of devices change what is told of the gateway, but no bus. */
static void test_info(void **state)
{
	(void)state;
	FLIP(info_differs, device.name, "other");
	FLIP(info_differs, device.maker, "other");
	FLIP(info_differs, device.model, "other");
	FLIP(info_differs, plan.homeassistant.prefix, "other");
	FLIP(info_differs, device.bus, 1);
	FLIP(info_differs, device.topic, "other");
	FLIP(info_differs, bus.name, "other");
	FLIP(info_differs, plan.file, "other");
	FLIP(info_differs, plan.n_buses, 0);
	FLIP(info_differs, plan.n_devices, 0);
	FLIP(info_differs, plan.n_metrics, 0);
	FLIP(info_differs, plan.control, true);
	FLIP(info_differs, metric.write, NULL);
	FLIP(info_differs, write.min, 1);
	FLIP(info_differs, write.max, 1);
	FLIP(info_differs, write.step, 1);
	FLIP(info_differs, write.from, 1);
	FLIP(info_differs, write.many, true);
	after.device.name = "other";
	after.metric.write = NULL;
	assert_false(bus_differs());
}

/* Where a device's metrics lie in its plan is no matter. */
static void test_places(void **state)
{
	(void)state;
	struct plan_metric two[2] = {{.topic = "another's"}, after.metric};
	after.plan.metrics = two;
	after.device.first_metric = 1;
	assert_false(bus_differs());
}

static void test_bus(void **state)
{
	(void)state;
	FLIP(bus_differs, bus.name, "other");
	FLIP(bus_differs, bus.way, BF_WAY_STREAM);
	FLIP(bus_differs, bus.wire, WIRE_TCP);
	FLIP(bus_differs, bus.port, "other");
	FLIP(bus_differs, bus.host, "other");
	FLIP(bus_differs, bus.tcp_port, 1);
	FLIP(bus_differs, bus.line.baud, 1);
	FLIP(bus_differs, bus.line.data_bits, 1);
	FLIP(bus_differs, bus.line.parity, 'E');
	FLIP(bus_differs, bus.line.stop_bits, 1);
	FLIP(bus_differs, bus.timeout_us, 1);
	FLIP(bus_differs, bus.gap_us, 1);
	FLIP(bus_differs, bus.retries, 1);
	FLIP(bus_differs, bus.rs485, RS485_RTS);
	FLIP(bus_differs, bus.n_devices, 0);
}

static void test_plan(void **state)
{
	(void)state;
	FLIP(readings_differ, plan.site, "other");
	FLIP(readings_differ, plan.ids, true);
	FLIP(readings_differ, plan.sparkplug.enabled, false);
	FLIP(sparkplug_differs, plan.sparkplug.enabled, false);
	FLIP(sparkplug_differs, plan.sparkplug.group, "other");
	FLIP(sparkplug_differs, plan.sparkplug.node, "other");
	FLIP(sparkplug_differs, plan.sparkplug.host, NULL);
	FLIP(readings_differ, plan.page.host, NULL);
	FLIP(page_differs, plan.page.host, "other");
	FLIP(page_differs, plan.page.port, 1);
	FLIP(page_differs, plan.page.allow_remote, true);
	FLIP(page_differs, plan.page.password_file, "other");
	FLIP(page_differs, plan.n_warnings, 3);
	after.plan.page.host = "other"; /* buses go on */
	assert_false(readings_differ());
	FLIP(connection_differs, plan.site, "other");
	FLIP(connection_differs, plan.gateway_id, "other");
	FLIP(connection_differs, plan.gateway_topic, "other");
	FLIP(connection_differs, metric.delivery.qos, 2);
	FLIP(connection_differs, endpoint.url, "other");
	FLIP(connection_differs, endpoint.host, "other");
	FLIP(connection_differs, endpoint.port, 1);
	FLIP(connection_differs, endpoint.tls, true);
	FLIP(connection_differs, plan.broker.n_endpoints, 0);
	FLIP(connection_differs, plan.broker.protocol, 5);
	FLIP(connection_differs, plan.broker.client_id, "other");
	FLIP(connection_differs, plan.broker.user, "other");
	FLIP(connection_differs, plan.broker.password_file, "other");
	FLIP(connection_differs, plan.broker.ca_file, "other");
	FLIP(connection_differs, plan.broker.cert_file, "other");
	FLIP(connection_differs, plan.broker.key_file, "other");
	FLIP(connection_differs, plan.broker.keepalive_s, 1);
	FLIP(connection_differs, plan.broker.prefer_first_us, 1);
	FLIP(connection_differs, plan.broker.inflight, 1);
	FLIP(connection_differs, plan.broker.inflight_qos2, 1);
	FLIP(connection_differs, plan.broker.max_qos, 1);
}

static void test_buffer(void **state)
{
	(void)state;
	struct plan_buffer a = {.path = "p"}, b = {.path = NULL};
	assert_int_equal(plan_diff_buffer(&a, &b), BUFFER_PATH);
	b = (struct plan_buffer){.path = "p", .path_given = true};
	assert_int_equal(plan_diff_buffer(&a, &b), BUFFER_PATH);
	b = (struct plan_buffer){.path = "p", .max_size = 1, .max_age_us = 1, .sync_us = 1};
	assert_int_equal(plan_diff_buffer(&a, &b), BUFFER_MAX_SIZE | BUFFER_MAX_AGE | BUFFER_SYNC);
	b = (struct plan_buffer){.path = "p", .replay = 1, .when_full = WHEN_FULL_DROP_NEWEST, .live_first = true};
	assert_int_equal(plan_diff_buffer(&a, &b), BUFFER_REPLAY | BUFFER_WHEN_FULL | BUFFER_ORDER);
}

/* The copies that outlive a plan share nothing with it. */
static void test_copies(void **state)
{
	(void)state;
	struct arena arena = {0};
	before.plan.broker.user = before.plan.broker.ca_file = before.text;
	struct plan copy = before.plan;
	copy.broker = plan_broker_copy(&before.plan.broker, &arena);
	copy.buffer = plan_buffer_copy(&before.plan.buffer, &arena);
	assert_false(plan_diff_connection(&before.plan, &copy));
	assert_int_equal(plan_diff_buffer(&before.plan.buffer, &copy.buffer), 0);
	strcpy(before.text, "gone");
	assert_string_equal(copy.broker.user, "text");
	assert_string_equal(copy.broker.endpoints[0].url, "text");
	assert_string_equal(copy.buffer.path, "text");
	assert_null(copy.broker.key_file);
	arena_free(&arena);
}

int main(void)
{
#define DIFF_TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		DIFF_TEST(test_same),
		DIFF_TEST(test_metric),
		DIFF_TEST(test_device),
		DIFF_TEST(test_info),
		DIFF_TEST(test_places),
		DIFF_TEST(test_bus),
		DIFF_TEST(test_plan),
		DIFF_TEST(test_buffer),
		DIFF_TEST(test_copies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

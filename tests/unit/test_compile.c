/* From maps to plans: what is resolved, inherited, defaulted, and the facts that golden files cannot show. */
#include "app/compile.h"
#include "app/config.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define HEAD "site: \"home\" broker: \"mqtt://localhost\" "
#define NET  "buses: { net: { tcp: \"10.0.0.5\" } } "

static char folder[] = "/tmp/test_compile.XXXXXX";
static struct faults faults;
static struct plan plan;

static int load(const char *text)
{
	char file[64];
	faults_destroy(&faults);
	plan_destroy(&plan);
	snprintf(file, sizeof(file), "%s/m.conf", folder);
	FILE *to = fopen(file, "w");
	assert_non_null(to);
	fputs(text, to);
	fclose(to);
	return config_load(file, &faults, &plan);
}

static void sound(const char *text)
{
	int err = load(text);
	if (err < 0)
		faults_print(&faults, stderr, false);
	assert_int_equal(err, 0);
}

/* The metrics of one device on Modbus TCP. */
static void metrics(const char *text)
{
	char map[4096];
	snprintf(map, sizeof(map), HEAD NET "floors: { f: { d: { metrics: {\n%s\n} } } }", text);
	sound(map);
}

static void refused(const char *text, const char *what)
{
	assert_int_equal(load(text), -EINVAL);
	for (const struct fault *fault = faults.first; fault; fault = fault->next)
		if (strstr(fault->what, what))
			return;
	faults_print(&faults, stderr, false);
	fail_msg("not told: %s", what);
}

static const struct plan_metric *metric(const char *topic)
{
	for (size_t i = 0; i < plan.n_metrics; i++)
		if (strcmp(plan.metrics[i].topic, topic) == 0)
			return &plan.metrics[i];
	fail_msg("no metric %s", topic);
	return NULL;
}

static void test_defaults(void **state)
{
	(void)state;
	sound(HEAD);
	assert_int_equal(plan.n_metrics + plan.n_devices + plan.n_buses, 0);
	assert_string_equal(plan.site, "home");
	assert_true(plan.gateway_id[0] != '\0');
	assert_int_equal(strncmp(plan.gateway_topic, "home/gateway/", 13), 0);
	assert_int_equal(plan.broker.n_endpoints, 1);
	assert_string_equal(plan.broker.endpoints[0].host, "localhost");
	assert_int_equal(plan.broker.endpoints[0].port, 1883);
	assert_int_equal(plan.broker.protocol, 4);
	assert_int_equal(plan.broker.keepalive_s, 30);
	assert_int_equal(plan.broker.inflight, 100);
	assert_int_equal(plan.broker.inflight_qos2, 10);
	assert_int_equal(plan.broker.max_qos, 2);
	assert_int_equal(strncmp(plan.broker.client_id, "busferry-", 9), 0);
	assert_int_equal(strlen(plan.broker.client_id), 17);
	assert_string_equal(plan.buffer.path, "/var/lib/busferry/buffer.db");
	assert_false(plan.buffer.path_given);
	assert_true(plan.buffer.max_size == 256000000 && plan.buffer.sync_us == 1000000);
	assert_true(plan.buffer.max_age_us == INT64_C(7) * 86400 * 1000000);
	assert_false(plan.buffer.live_first);
}

static void test_broker_group(void **state)
{
	(void)state;
	char *text = NULL;
	assert_true(
		asprintf(&text,
			"site: \"home\" gateway: { id: \"g\" ids: true } broker: { url: [\"mqtts://b\", "
			"\"mqtt://[::1]:99/\"]"
			" protocol: 5 client_id: \"me\" user: \"u\" password_file: \"%s/pw\" keepalive: \"1m\" "
			"inflight: 50 max_qos: 1 prefer_first: \"5m\" }"
			" buffer: { path: \":none:\" when_full: \"drop_newest\" order: \"live_first\" sync: \"0s\" }",
			folder) > 0);
	char file[64];
	snprintf(file, sizeof(file), "%s/pw", folder);
	FILE *to = fopen(file, "w");
	fputs("x\n", to);
	fclose(to);
	chmod(file, 0644);
	refused(text, "can be read by everybody");
	chmod(file, 0640);
	sound(text);
	free(text);
	assert_int_equal(plan.broker.n_endpoints, 2);
	assert_true(plan.broker.endpoints[0].tls && plan.broker.endpoints[0].port == 8883);
	assert_string_equal(plan.broker.endpoints[1].host, "::1");
	assert_int_equal(plan.broker.endpoints[1].port, 99);
	assert_string_equal(plan.broker.client_id, "me");
	assert_int_equal(plan.broker.inflight, 50);
	assert_true(plan.broker.prefer_first_us == 300 * (int64_t)1000000);
	assert_int_equal(plan.broker.inflight_qos2, 20);
	assert_string_equal(plan.gateway_topic, "home/gateway/g");
	assert_true(plan.ids && !plan.buffer.path && plan.buffer.live_first && plan.buffer.sync_us == 0);
	assert_int_equal(plan.buffer.when_full, WHEN_FULL_DROP_NEWEST);
}

static void test_every_is_inherited(void **state)
{
	(void)state;
	sound(HEAD NET
		"every: \"7s\" floors: { a: { d: { metrics: { m: { input: 1 } n: { input: 2 every: \"0s\" } } }"
		" b: { every: \"3s\" c: { d: { address: 2 metrics: { m: { input: 1 } } }"
		" e: { address: 3 every: \"start\" metrics: { m: { input: 1 } n: { input: 2 every: 0.25 } } } } } } }");
	assert_true(metric("home/a/d/m")->every_us == 7000000);
	assert_true(metric("home/a/d/n")->every_us == 0);
	assert_true(metric("home/a/b/c/d/m")->every_us == 3000000);
	assert_true(metric("home/a/b/c/e/m")->every_us == PLAN_EVERY_START);
	assert_true(metric("home/a/b/c/e/n")->every_us == 250000);
	assert_int_equal(plan.n_devices, 3);
	assert_string_equal(plan.devices[1].path, "a/b/c/d");
	for (uint32_t i = 0; i < plan.n_devices; i++)
		for (uint32_t j = 0; j < plan.devices[i].n_metrics; j++)
			assert_int_equal(plan.metrics[plan.devices[i].first_metric + j].device, i);
}

static void test_topics_and_names(void **state)
{
	(void)state;
	sound(HEAD NET "floors: { a: { topic: \"1. Stock\" name: \"First\" d: { topic: \"x/y\" name: \"Dee\" metrics: {"
		       " m: { input: 1 topic: \"p/q\" } r: { input: 2 bits: { b0: 0 b1: \"1-3\" top: 15 } } } } } }");
	assert_string_equal(plan.devices[0].topic, "home/1. Stock/x/y");
	assert_string_equal(plan.devices[0].name, "Dee");
	assert_string_equal(metric("home/1. Stock/x/y/p/q")->name, "q");
	assert_int_equal(plan.n_metrics, 4);
	const struct plan_metric *bits = metric("home/1. Stock/x/y/b1");
	assert_true(bits->bit == 1 && bits->n_bits == 3 && bits->place.at == 2);
	assert_true(metric("home/1. Stock/x/y/top")->bit == 15);
}

static void test_rules_key_by_key(void **state)
{
	(void)state;
	sound(HEAD NET "topics: { a: { match: \"home/+/d/#\" qos: 2 } b: { metric: \"e*\" qos: 0 retain: false expire: "
		       "\"1.5s\" }"
		       " c: { match: \"home/#\" metric: \"x\" per: \"device\" buffer: false backlog: \"latest\" "
		       "payload: \"influx\" } }"
		       " floors: { f: { d: { metrics: { energy: { input: 1 } own: { input: 2 qos: 0 retain: false "
		       "payload: \"plain\" } } }"
		       " z: { address: 2 metrics: { energy: { input: 1 } x: { input: 2 } y: { input: 3 } } } } }");
	const struct plan_delivery *both = &metric("home/f/d/energy")->delivery;
	assert_true(both->qos == 2 && !both->retain && both->expire_s == 2 && both->payload == PAYLOAD_JSON);
	const struct plan_delivery *own = &metric("home/f/d/own")->delivery;
	assert_true(own->qos == 0 && !own->retain && own->payload == PAYLOAD_PLAIN);
	assert_int_equal(metric("home/f/z/energy")->delivery.qos, 0);
	const struct plan_delivery *x = &metric("home/f/z/x")->delivery;
	assert_true(x->qos == 1 && x->per_device && !x->buffer && x->latest_only && x->payload == PAYLOAD_INFLUX);
	const struct plan_delivery *y = &metric("home/f/z/y")->delivery;
	assert_true(y->qos == 1 && y->retain && !y->per_device && y->buffer && !y->latest_only && y->expire_s == 0);
}

static void test_buses(void **state)
{
	(void)state;
	sound(HEAD "buses: { a: { port: \"/nonexistent/tty\" line: \"19200 8e1\" gap: \"5ms\" retries: 3 rs485: "
		   "\"rts\" timeout: \"2s\" }"
		   " b: { port: \"tcp://h:4001\" } } floors: { f: {"
		   " d1: { bus: \"a\" address: 247 metrics: { m: { input: 1 } } }"
		   " d2: { tcp: \"own\" metrics: { m: { input: 1 } } }"
		   " d3: { tcp: \"own:502\" address: 0 timeout: \"20ms\" metrics: { m: { input: 1 } } }"
		   " d4: { port: \"/nonexistent/ttyS9\" address: 1 metrics: { m: { input: 1 } } }"
		   " d5: { tcp: \"own:503\" max_gap: 0 metrics: { m: { input: 1 } } } } }");
	assert_int_equal(plan.n_buses, 5);
	assert_int_equal(plan.buses[0].line.baud, 19200);
	assert_int_equal(plan.buses[0].line.parity, 'E');
	assert_true(plan.buses[0].gap_us == 5000 && plan.buses[0].retries == 3 && plan.buses[0].rs485 == RS485_RTS);
	assert_int_equal(plan.buses[1].wire, WIRE_SERIAL_TCP);
	assert_int_equal(plan.buses[1].tcp_port, 4001);
	assert_true(plan.buses[1].gap_us == PLAN_ADAPTIVE);
	assert_int_equal(plan.buses[2].wire, WIRE_TCP);
	assert_string_equal(plan.buses[2].name, "own");
	assert_int_equal(plan.buses[2].n_devices, 2);
	assert_int_equal(plan.devices[1].address, 1);
	assert_int_equal(plan.devices[2].address, 0);
	assert_true(plan.devices[2].timeout_us == 20000 && plan.devices[0].timeout_us == 2000000);
	assert_string_equal(plan.buses[3].name, "ttyS9");
	assert_string_equal(plan.buses[4].name, "own:503");
	assert_true(plan.devices[4].max_gap == 0 && plan.devices[3].max_gap == PLAN_ADAPTIVE);
	assert_int_equal(plan.devices[0].max_registers, 125);
	assert_int_equal(faults.n_warnings, 2); /* ports that are not there */
}

static void test_by_id_links(void **state)
{
	(void)state;
	struct arena arena = {0};
	char port[64], links[64], link[96];
	snprintf(port, sizeof(port), "%s/ttyUSB0", folder);
	snprintf(links, sizeof(links), "%s/by-id", folder);
	snprintf(link, sizeof(link), "%s/usb-FTDI", links);
	fclose(fopen(port, "w"));
	mkdir(links, 0755);
	assert_null(compile_by_id(links, port, &arena));
	assert_int_equal(symlink("../ttyUSB0", link), 0);
	assert_string_equal(compile_by_id(links, port, &arena), link);
	assert_null(compile_by_id(links, "/nonexistent", &arena));
	char map[512];
	snprintf(map, sizeof(map), HEAD "buses: { a: { port: \"%s\" } b: { port: \"%s\" } }", port, link);
	refused(map, "two buses on one port");
	unlink(link);
	rmdir(links);
	unlink(port);
	arena_free(&arena);
}

static void test_scale_and_decimals(void **state)
{
	(void)state;
	metrics("a: { input: 1 } b: { input: 2 scale: 0.1 } c: { input: 3 scale: 10 offset: -0.25 } d: { input: 4 "
		"scale: 0.1 decimals: 3 }"
		" e: { input: 5 scale_from: 7 } f: { input: 10 type: \"f32\" decimals: 1 } g: { input: 12 scale: 1e-13 "
		"}"
		" h: { input: 13 scale: 0.016666666666666666 }");
	assert_true(!metric("home/f/d/a")->scaled && metric("home/f/d/a")->decimals == -1);
	assert_true(metric("home/f/d/b")->scaled && metric("home/f/d/b")->decimals == 1);
	assert_true(metric("home/f/d/c")->decimals == 2 && metric("home/f/d/c")->offset == -0.25);
	assert_int_equal(metric("home/f/d/d")->decimals, 3);
	const struct plan_metric *from = metric("home/f/d/e");
	assert_true(from->scale_from && from->scale_place.at == 7 && from->scale_place.space == BF_SPACE_INPUT);
	assert_int_equal(from->decimals, -1);
	assert_int_equal(metric("home/f/d/f")->decimals, 1);
	assert_int_equal(metric("home/f/d/g")->decimals, -1); /* rounded to twelve it would be 0 */
	assert_int_equal(metric("home/f/d/h")->decimals, BF_DECIMALS_MAX);
}

static void test_models(void **state)
{
	(void)state;
	metrics("a: { model: [101, 102, 103] holding: 14 scale_from: 15 } b: { model: 1 holding: 2 type: \"string\" "
		"length: 32 }"
		" c: { holding: 14 }");
	const struct plan_metric *a = metric("home/f/d/a"), *b = metric("home/f/d/b");
	assert_int_equal(a->n_models, 3);
	assert_int_equal(a->models[0], 101);
	assert_int_equal(a->models[2], 103);
	assert_true(a->place.at == 14 && a->scale_from && a->scale_place.at == 15);
	assert_int_equal(b->n_models, 1);
	assert_int_equal(b->models[0], 1);
	assert_int_equal(metric("home/f/d/c")->n_models, 0);
	/* what counts from different models is not the same register */
	sound(HEAD NET "floors: { f: { d: { address: 1 metrics: { a: { model: 103 holding: 2 } } } "
		       "e: { address: 1 metrics: { a: { model: 160 holding: 2 } } } } }");
}

static void test_sentinels(void **state)
{
	(void)state;
	metrics("a: { input: 1 type: \"s16\" invalid: 0x8000 } b: { input: 2 type: \"s16\" invalid: -1 } c: { input: 3 "
		"type: \"u32\" invalid: 0xFFFFFFFF }"
		" d: { input: 5 type: \"u64\" invalid: 0xFFFFFFFFFFFFFFFFL } e: { input: 9 type: \"f32\" invalid: "
		"[-9999.0] }"
		" f: { input: 11 type: \"f32\" invalid: 0x7FC00000 } g: { input: 13 type: \"bcd16\" invalid: (0xFFFF, "
		"9999) }"
		" h: { input: 14 type: \"string\" length: 4 invalid: [\"----\", \"\"] } i: { input: 16 type: \"u8\" "
		"invalid: \"0xFF\" }"
		" j: { input: 17 type: \"u64\" invalid: 0xFFFFFFFF } k: { input: 30 type: \"s32\" invalid: -2147483648 "
		"} l: { input: 32 type: \"f64\" invalid: 1 } m: { input: 36 type: \"u64\" invalid: "
		"[\"18446744073709551615\", \"9223372036854775807\"] } n: { input: 40 type: \"u64\" invalid: \"-1\" }");
	const struct {
		const char *topic;
		uint64_t raw;
	} cases[] = {{"a", 0x8000}, {"b", 0xFFFF}, {"c", 0xFFFFFFFF}, {"d", UINT64_MAX}, {"e", 0xC61C3C00},
		{"f", 0x7FC00000}, {"g", 0xFFFF}, {"i", 0xFF}, {"j", 0xFFFFFFFF}, {"k", 0x80000000},
		{"l", 0x3FF0000000000000}, {"m", UINT64_MAX}, {"n", UINT64_MAX}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char topic[32];
		snprintf(topic, sizeof(topic), "home/f/d/%s", cases[i].topic);
		assert_true(metric(topic)->n_invalid >= 1);
		if (metric(topic)->invalid[0] != cases[i].raw)
			fail_msg("%s: %llx", topic, (unsigned long long)metric(topic)->invalid[0]);
	}
	assert_true(metric("home/f/d/g")->invalid[1] == 0x9999);
	assert_true(metric("home/f/d/m")->invalid[1] == INT64_MAX);
	assert_int_equal(metric("home/f/d/h")->invalid_texts->n, 2);
}

static void test_enums(void **state)
{
	(void)state;
	metrics("a: { input: 1 enum: [\"off\", \"on=1\"] } b: { input: 2 type: \"s16\" enum: [\"255=error\", \"-1 = "
		"none\", \"0x10=eco\"] }");
	const struct plan_metric *plain = metric("home/f/d/a"), *given = metric("home/f/d/b");
	assert_int_equal(plain->n_words, 2);
	assert_string_equal(plain->words[1].word, "on=1");
	assert_true(given->words[0].number == -1 && given->words[1].number == 16 && given->words[2].number == 255);
	assert_string_equal(given->words[0].word, "none");
}

static void test_worth_telling(void **state)
{
	(void)state;
	metrics("a: { input: 1 } b: { input: 2 deadband: 0.2 min: -5 max: 5.5 max_step: 1 monotonic: true reduce: "
		"\"mean\" }"
		" c: { input: 3 deadband: \"2.5%\" heartbeat: \"0s\" } d: { coil: 3 deadband: 0 heartbeat: 60 }");
	const struct plan_metric *a = metric("home/f/d/a"), *b = metric("home/f/d/b");
	assert_true(isnan(a->deadband) && isnan(a->min) && isnan(a->max_step) && a->heartbeat_us == 0 && !a->monotonic);
	assert_true(b->deadband == 0.2 && b->min == -5 && b->max == 5.5 && b->max_step == 1 && b->monotonic);
	assert_true(b->heartbeat_us == INT64_C(900000000) && b->reduce == REDUCE_MEAN);
	const struct plan_metric *c = metric("home/f/d/c"), *d = metric("home/f/d/d");
	assert_true(c->deadband == 2.5 && c->deadband_percent && c->heartbeat_us == 0);
	assert_true(d->deadband == 0 && d->shape.type == BF_TYPE_BOOL && d->heartbeat_us == 60000000);
}

static void test_orders_of_words_and_bytes(void **state)
{
	(void)state;
	sound(HEAD NET
		"floors: { f: { d: { words: \"little\" bytes: \"little\" metrics: { a: { input: 1 type: \"u32\" }"
		" b: { input: 3 type: \"u32\" words: \"big\" bytes: \"big\" } } } } }");
	assert_true(metric("home/f/d/a")->shape.words == BF_LITTLE && metric("home/f/d/a")->shape.bytes == BF_LITTLE);
	assert_true(metric("home/f/d/b")->shape.words == BF_BIG && metric("home/f/d/b")->shape.bytes == BF_BIG);
}

static void test_what_is_left_out(void **state)
{
	(void)state;
	sound(HEAD NET "floors: { f: { d: { enabled: false metrics: { a: { input: 1 } } } e: { metrics: { a: { input: "
		       "1 } } } g: { metrics: { } } } }");
	assert_int_equal(plan.n_devices, 1);
	assert_int_equal(plan.n_metrics, 1);
	assert_string_equal(plan.devices[0].path, "f/e");
	refused(HEAD NET "floors: { f: { d: { enabled: false metrics: { a: { input: -1 } } } } }", "out of range");
}

static void test_lengthy_topics(void **state)
{
	(void)state;
	char name[1100], map[2400];
	memset(name, 'x', sizeof(name));
	name[1000] = '\0';
	snprintf(map, sizeof(map), HEAD NET "floors: { f: { d: { topic: \"%s\" metrics: { m: { input: 1 } } } } }",
		name);
	sound(map);
	name[1000] = 'x';
	name[1020] = '\0';
	snprintf(map, sizeof(map), HEAD NET "floors: { f: { d: { topic: \"%s\" metrics: { m: { input: 1 } } } } }",
		name);
	refused(map, "is longer than 1024 bytes");
}

/* Collisions are looked for with a dictionary: a big map is checked while one looks at it. */
static void test_a_big_map(void **state)
{
	(void)state;
	size_t size = 4u * 1024 * 1024, n = 0;
	char *map = malloc(size);
	n += (size_t)snprintf(map, size, HEAD "floors: {\n");
	for (unsigned i = 0; i < 100; i++) {
		n += (size_t)snprintf(map + n, size - n, "d%u: { tcp: \"10.0.0.%u\" metrics: {\n", i, i);
		for (unsigned j = 0; j < 100; j++)
			n += (size_t)snprintf(
				map + n, size - n, " m%u: { holding: %u type: \"u32\" scale: 0.1 }\n", j, j * 2);
		n += (size_t)snprintf(map + n, size - n, "} }\n");
	}
	snprintf(map + n, size - n, "}\n");
	sound(map);
	free(map);
	assert_int_equal(plan.n_metrics, 10000);
	assert_int_equal(plan.n_buses, 100);
}

static void test_nothing_is_left_behind(void **state)
{
	(void)state;
	struct plan untouched = {.ids = true};
	faults_destroy(&faults);
	assert_int_equal(config_load("/nonexistent", &faults, &untouched), -ENOENT);
	assert_true(untouched.ids && !untouched.file);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	char file[64];
	snprintf(file, sizeof(file), "%s/m.conf", folder);
	unlink(file);
	snprintf(file, sizeof(file), "%s/pw", folder);
	unlink(file);
	faults_destroy(&faults);
	plan_destroy(&plan);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_broker_group),
		cmocka_unit_test(test_every_is_inherited),
		cmocka_unit_test(test_topics_and_names),
		cmocka_unit_test(test_rules_key_by_key),
		cmocka_unit_test(test_buses),
		cmocka_unit_test(test_by_id_links),
		cmocka_unit_test(test_scale_and_decimals),
		cmocka_unit_test(test_models),
		cmocka_unit_test(test_sentinels),
		cmocka_unit_test(test_enums),
		cmocka_unit_test(test_worth_telling),
		cmocka_unit_test(test_orders_of_words_and_bytes),
		cmocka_unit_test(test_what_is_left_out),
		cmocka_unit_test(test_lengthy_topics),
		cmocka_unit_test(test_a_big_map),
		cmocka_unit_test(test_nothing_is_left_behind),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

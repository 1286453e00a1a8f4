/*
 * What the status page says of counters and boards that are known: its HTML, its metrics and its json, to the byte,
 * with names that would be more than text if they could.
 *
 * BUSFERRY_BLESS=1 in the environment writes the expected texts anew, to be looked at in the diff.
 */
#include "app/page_html.h"
#include "app/page_text.h"
#include "field/strip.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S    ((int64_t)1000000)
#define NOW  (100000 * S)
#define DATE INT64_C(2764000000000)

static const struct plan_word words[] = {{0, "off"}, {1, "<on>"}};
static struct plan_metric metrics[] = {
	{.topic = "h&m/floor/m<i>/volt\"age", .name = "volt\"age", .unit = "V", .decimals = 1, .every_us = S},
	{.topic = "h&m/floor/m<i>/state", .name = "state", .words = words, .n_words = 2, .decimals = -1},
	{.topic = "h&m/floor/m<i>/label", .name = "label", .shape = {.type = BF_TYPE_STRING, .length = 40}},
	{.topic = "h&m/floor/m<i>/on", .name = "on", .every_us = S},
	{.topic = "h&m/away/x", .name = "x", .unit = "\\\"\n'", .device = 1, .delivery.qos = 1},
	{.topic = "h&m/away/y", .name = "y", .device = 1, .delivery.qos = 2},
};
static uint32_t first[] = {0}, second[] = {1};
static struct plan_bus buses[] = {
	{.name = "rs<b>485", .wire = WIRE_SERIAL, .port = "/dev/tty'USB0", .devices = first, .n_devices = 1},
	{.name = "tcp", .wire = WIRE_TCP, .host = "10.0.0.5", .tcp_port = 502, .devices = second, .n_devices = 1},
};
static struct plan_device devices[] = {
	{.topic = "h&m/floor/m<i>", .path = "floor/m<i>", .name = "", .address = 7, .n_metrics = 4},
	{.topic = "h&m/away",
		.path = "away",
		.name = "<script>alert(1)</script>",
		.bus = 1,
		.first_metric = 4,
		.n_metrics = 2},
};
static const struct plan the_plan = {.file = "/etc/<secret folder>/a&b.conf",
	.n_warnings = 2,
	.site = "h&m",
	.gateway_id = "<pi>",
	.buses = buses,
	.n_buses = 2,
	.devices = devices,
	.n_devices = 2,
	.metrics = metrics,
	.n_metrics = 6};

static struct strip strip;
static struct bus_counts of_bus[2];
static struct device_counts of_device[2];
static struct board *board;
static struct page_bus page_buses[2];
static struct page_device page_devices[2];
static struct page_facts facts;

static void put(uint32_t metric, enum quality quality, struct bf_value value, int64_t ago_us)
{
	struct reading reading = {
		.metric = metric, .quality = quality, .value = value, .time_ms = DATE - ago_us / 1000};
	board_tap(board)->judged(board_tap(board), &reading, NOW - ago_us, true);
}

static int setup(void **state)
{
	(void)state;
	memset(&strip, 0, sizeof(strip));
	memset(of_bus, 0, sizeof(of_bus));
	memset(of_device, 0, sizeof(of_device));
	of_bus[0].strip = &strip;
	of_bus[0].open = 1;
	of_bus[0].requests = 12;
	of_bus[0].busy_us = 5 * S;
	times_note(&of_bus[0].late_by, 20000);
	strip_count(&of_bus[0], OUTCOME_ANSWER, NOW - 30 * S);
	strip_count(&of_bus[0], OUTCOME_ANSWER, NOW - 30 * S + STRIP_BLOCK_US);
	strip_count(&of_bus[0], OUTCOME_TIMEOUT, NOW - 20 * S);
	of_device[0].availability = AVAILABILITY_ONLINE;
	of_device[0].answered_at = NOW - 3 * S;
	times_note(&of_device[0].answer_times, 12000);
	of_device[1].availability = AVAILABILITY_OFFLINE;
	of_device[1].timeouts = 1;
	of_device[1].missed = 3;
	of_device[1].quiet_until = NOW + 9 * S;
	page_buses[0] = (struct page_bus){.counts = &of_bus[0], .started_at = NOW - 100 * S};
	page_buses[1] = (struct page_bus){.counts = NULL};
	page_devices[0] = (struct page_device){.counts = &of_device[0], .board = board, .first_metric = 0};
	page_devices[1] = (struct page_device){.counts = &of_device[1], .board = board, .first_metric = 4};
	assert_int_equal(board_init(&the_plan, true, &board), 0);
	page_devices[0].board = page_devices[1].board = board;
	put(0, QUALITY_GOOD, (struct bf_value){.kind = BF_FLOAT32, .f32 = 229.94F}, 20 * S);
	put(0, QUALITY_GOOD, (struct bf_value){.kind = BF_FLOAT32, .f32 = 230.06F}, 3 * S);
	put(1, QUALITY_GOOD, (struct bf_value){.kind = BF_UNSIGNED, .u = 1}, 0);
	put(2, QUALITY_GOOD, (struct bf_value){.kind = BF_TEXT, .text = {"<img src=x onerror=alert(1)>", 28}}, 0);
	put(3, QUALITY_GOOD, (struct bf_value){.kind = BF_BOOLEAN, .yes = true}, 0);
	put(4, QUALITY_TIMEOUT, (struct bf_value){.kind = BF_NONE}, 60 * S);
	facts = (struct page_facts){.plan = &the_plan,
		.now_us = NOW,
		.wall_ms = DATE,
		.started_at = NOW - 7200 * S,
		.map_at = NOW - 600 * S,
		.ships = true,
		.stores = true,
		.broker = {.connected = false,
			.broker_url = "mqtt://br&ker",
			.acknowledged = 99,
			.reconnects = 1,
			.since_us = NOW - 30 * S,
			.fault = UPLINK_CLOSED},
		.taken_s = 4.25,
		.fell_s = 2.5,
		.buffer = {.waiting = 150, .waiting_bytes = 4321, .oldest_ms = DATE - 30000, .dropped_expired = 2},
		.store = {.durable = true, .bytes = 5000000, .max_bytes = 256000000},
		.tells = true,
		.sparkplug = {.node = {.state = "waiting", .broker_url = "mqtt://br&ker", .births = 1, .told = 70},
			.waiting = 12},
		.alive_until = NOW + S,
		.memory_bytes = 1000000,
		.buses = page_buses,
		.devices = page_devices};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	board_destroy(board);
	return 0;
}

static void compare(const char *name, const struct sheet *sheet)
{
	char path[300], expected[40000];
	snprintf(path, sizeof(path), "%s/%s", EXPECTED, name);
	assert_false(sheet->broken);
	if (getenv("BUSFERRY_BLESS")) {
		FILE *to = fopen(path, "we");
		assert_non_null(to);
		assert_int_equal(fwrite(sheet->text, 1, sheet->n, to), sheet->n);
		fclose(to);
	}
	FILE *from = fopen(path, "re");
	assert_non_null(from);
	size_t n = fread(expected, 1, sizeof(expected), from);
	fclose(from);
	if (n != sheet->n || memcmp(sheet->text, expected, n) != 0)
		fail_msg("%s is another one:\n%.*s", path, (int)sheet->n, sheet->text);
}

static bool has(const struct sheet *sheet, const char *text)
{
	return memmem(sheet->text, sheet->n, text, strlen(text)) != NULL;
}

static void as_html(void **state)
{
	(void)state;
	struct sheet sheet = {0};
	page_html_live(&sheet, &facts, 0);
	assert_false(has(&sheet, "<script") || has(&sheet, "<img") || has(&sheet, "<b>485") || has(&sheet, "secret"));
	compare("live.html", &sheet);
	sheet_drop(&sheet);
	page_html(&sheet, &facts, 0, "NoNcE");
	assert_true(has(&sheet, "<style nonce=\"NoNcE\">") && has(&sheet, "<script nonce=\"NoNcE\">"));
	assert_true(has(&sheet, "<title>h&#38;m · Busferry</title>") && has(&sheet, "</html>\n"));
	assert_false(has(&sheet, "{{") || has(&sheet, "<img") || has(&sheet, "href=\"http") || has(&sheet, "<script>"));
	sheet_drop(&sheet);
}

static void as_metrics(void **state)
{
	(void)state;
	struct sheet sheet = {0};
	page_metrics(&sheet, &facts);
	compare("metrics.txt", &sheet);
	sheet_drop(&sheet);
}

static void as_json(void **state)
{
	(void)state;
	struct sheet sheet = {0};
	page_json(&sheet, &facts, "{\"version\":\"1\"}", 15);
	compare("status.json", &sheet);
	sheet_drop(&sheet);
}

static void health(void **state)
{
	(void)state;
	assert_null(page_facts_fault(&facts));
	facts.broker.since_us = NOW - 61 * S;
	assert_null(page_facts_fault(&facts));
	/* What is on disk is not in memory, and memory has no more than a window of it. */
	facts.buffer.waiting_bytes = 950000;
	assert_null(page_facts_fault(&facts));
	facts.store.nearly_full = true;
	assert_string_equal(page_facts_fault(&facts), "no broker, and the buffer is nearly full");
	facts.store.durable = false;
	assert_string_equal(page_facts_fault(&facts), "no broker, and the buffer is nearly full");
	facts.buffer.waiting_bytes = 890000;
	assert_null(page_facts_fault(&facts));
	facts.stores = false;
	facts.buffer.waiting_bytes = 950000;
	assert_string_equal(page_facts_fault(&facts), "no broker, and the buffer is nearly full");
	facts.broker.connected = true;
	assert_null(page_facts_fault(&facts));
	facts.alive_until = NOW - 1;
	assert_string_equal(page_facts_fault(&facts), "a thread hangs");
}

/* Between looks of ten seconds apart or more, however often somebody looks; not over a pause, nor over what counts
 * anew. */
static void rates(void **state)
{
	(void)state;
	struct page_past past = {0};
	for (int at = 0; at <= 40; at += 2) {
		facts.now_us = NOW + at * S;
		facts.broker.acknowledged = 1000 + (uint64_t)at * 50;
		facts.buffer.waiting = 9000 - (uint64_t)at * 30;
		facts.taken_s = facts.fell_s = 0;
		page_facts_compare(&facts, &past);
		assert_int_equal(lround(facts.taken_s), at < 10 ? 0 : 50);
		assert_int_equal(lround(facts.fell_s), at < 10 ? 0 : 30);
	}
	facts.broker.acknowledged = 7;
	facts.taken_s = 0;
	page_facts_compare(&facts, &past);
	assert_true(facts.taken_s == 0 && past.older.at_us == 0);
	facts.now_us += 200 * S;
	page_facts_compare(&facts, &past);
	assert_true(facts.taken_s == 0);
}

/* However many metrics there are, a page has no more than its share, and a number from outside can't leave the plan. */
static void windows(void **state)
{
	(void)state;
	static struct plan_metric many[1000];
	static struct plan_device of_many[1000];
	static struct page_device pages[1000];
	struct plan plan = the_plan;
	for (uint32_t i = 0; i < 1000; i++) {
		many[i] = (struct plan_metric){.topic = "s/f/d/m", .name = "m", .device = i};
		of_many[i] = (struct plan_device){
			.topic = "s/f/d", .path = "f/d", .first_metric = i, .n_metrics = 1, .name = ""};
	}
	plan.metrics = many;
	plan.devices = of_many;
	plan.n_metrics = plan.n_devices = 1000;
	facts.plan = &plan;
	facts.devices = pages;
	static const uint32_t from[] = {0, 149, 150, 851, 999, 1000, UINT32_MAX};
	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		struct sheet sheet = {0};
		uint32_t n = 0, begin = from[i] < 1000 ? from[i] : 0;
		page_html_live(&sheet, &facts, from[i]);
		sheet_put(&sheet, "", 1);
		for (const char *at = sheet.text; (at = strstr(at, "<tr id=\"m")); at++, n++)
			assert_int_equal(strtoul(at + 9, NULL, 10), begin + n);
		assert_int_equal(n, 1000 - begin < PAGE_READINGS ? 1000 - begin : PAGE_READINGS);
		char which[100];
		uint32_t of = begin / PAGE_DEVICES * PAGE_DEVICES;
		snprintf(which, sizeof(which), "<h2>Devices</h2><nav>%u to %u of 1000", of + 1, of + PAGE_DEVICES);
		assert_true(has(&sheet, which));
		snprintf(which, sizeof(which), " <a href=\"?from=%u#d\">next</a>", of + PAGE_DEVICES);
		assert_int_equal(has(&sheet, which), of < 800);
		assert_true(sheet.n < 150000);
		sheet_drop(&sheet);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(as_html, setup, teardown),
		cmocka_unit_test_setup_teardown(as_metrics, setup, teardown),
		cmocka_unit_test_setup_teardown(as_json, setup, teardown),
		cmocka_unit_test_setup_teardown(health, setup, teardown),
		cmocka_unit_test_setup_teardown(rates, setup, teardown),
		cmocka_unit_test_setup_teardown(windows, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

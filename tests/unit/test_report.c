/*
 * When a reading is told: contract, section 1.  Time is a number in each batch, after any build
 * date; the sink is scripted.
 */
#include "base/log.h"
#include "ship/payload.h"
#include "ship/report.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SECOND ((int64_t)1000000)

/* One device with one metric, a second with two; each test fills in what it is about. */
static struct plan_metric metrics[3];
static struct plan_device devices[2];
static struct plan plan;

static char told[4096];       /* payloads since the last look, each followed by a blank */
static char long_told[20000]; /* the last payload, if it is `whole` that is wanted */
static bool whole;
static unsigned n_told, n_flushed;
static int put_answer;
static struct message last;

static int sink_put(struct message_sink *sink, const struct message *message)
{
	(void)sink;
	if (put_answer)
		return put_answer;
	last = *message;
	if (whole) {
		assert_true(message->payload_n < sizeof(long_told));
		memcpy(long_told, message->payload, message->payload_n);
		long_told[message->payload_n] = '\0';
		return 0;
	}
	size_t n = strlen(told);
	assert_true(n + message->payload_n + 2 < sizeof(told));
	memcpy(told + n, message->payload, message->payload_n);
	memcpy(told + n + message->payload_n, " ", 2);
	n_told++;
	return 0;
}

static void sink_flush(struct message_sink *sink)
{
	(void)sink;
	n_flushed++;
}

static struct message_sink sink = {.put = sink_put, .flush = sink_flush};

static char availability[256];

static void listen(struct report_listener *listener, uint32_t device, bool online)
{
	(void)listener;
	size_t n = strlen(availability);
	snprintf(availability + n, sizeof(availability) - n, "%u%s@%u ", device, online ? "+" : "-", n_told);
}

static struct report_listener listener = {.availability = listen};
static struct report *report;
static int64_t now;

static int setup(void **state)
{
	(void)state;
	static const char *const names[] = {"power", "volt", "amp"};
	static const char *const topics[] = {"home/meter/power", "home/two/volt", "home/two/amp"};
	for (uint32_t i = 0; i < 3; i++)
		metrics[i] = (struct plan_metric){.topic = topics[i],
			.name = names[i],
			.device = i > 0,
			.decimals = -1,
			.min = (double)NAN,
			.max = (double)NAN,
			.max_step = (double)NAN,
			.deadband = (double)NAN,
			.every_us = 10 * SECOND,
			.delivery = {.qos = 1, .retain = true, .buffer = true, .payload = PAYLOAD_PLAIN}};
	devices[0] = (struct plan_device){.topic = "home/meter", .path = "meter", .n_metrics = 1};
	devices[1] = (struct plan_device){.topic = "home/two", .path = "two", .first_metric = 1, .n_metrics = 2};
	plan = (struct plan){.site = "home",
		.gateway_topic = "home/gateway/pi",
		.devices = devices,
		.n_devices = 2,
		.metrics = metrics,
		.n_metrics = 3};
	told[0] = availability[0] = '\0';
	n_told = n_flushed = 0;
	put_answer = 0;
	now = 100 * SECOND;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	report_destroy(report);
	report = NULL;
	return 0;
}

static void start(void)
{
	assert_int_equal(report_init(&plan, &clock_system, &sink, &listener, &report), 0);
}

static void take(uint32_t device, const struct reading *readings, size_t n, bool round_over)
{
	struct batch batch = {.device = device, .readings = readings, .n = n, .round_over = round_over, .now_us = now};
	report_sink(report)->take(report_sink(report), &batch);
}

static void take_value(struct bf_value value)
{
	struct reading reading = {.value = value, .time_ms = 2764000000000};
	take(0, &reading, 1, true);
}

static void f64(double number)
{
	take_value((struct bf_value){.kind = BF_FLOAT64, .f64 = number});
}

static void u64(uint64_t number)
{
	take_value((struct bf_value){.kind = BF_UNSIGNED, .u = number});
}

static void bad(enum quality quality, uint8_t code)
{
	struct reading reading = {.quality = quality, .code = code, .time_ms = 2764000000000};
	take(0, &reading, 1, true);
}

static void expect(const char *expected)
{
	assert_string_equal(told, expected);
	told[0] = '\0';
}

static void test_every_poll(void **state)
{
	(void)state;
	metrics[0].delivery.expire_s = 7;
	metrics[0].delivery.latest_only = true;
	start();
	f64(1);
	f64(1);
	expect("1 1 ");
	assert_true(last.latest_only);
	assert_string_equal(last.topic, "home/meter/power");
	assert_int_equal(last.qos, 1);
	assert_int_equal(last.expire_s, 7);
	assert_int_equal(last.time_ms, 2764000000000);
	assert_int_equal(last.kind, MESSAGE_READING);
	assert_true(last.retain && last.buffer && !last.json);
	assert_int_equal(last.put_at, now);
	assert_int_equal(n_flushed, 0); /* all of a step leaves together */
	report_sink(report)->rest(report_sink(report));
	assert_int_equal(n_flushed, 1);
}

static void test_deadband(void **state)
{
	(void)state;
	metrics[0].deadband = 0.2;
	metrics[0].heartbeat_us = 900 * SECOND;
	start();
	f64(230.1);
	f64(230.3); /* not more than 0.2, whatever binary fractions make of it */
	f64(229.9);
	expect("230.1 ");
	f64(230.31);
	f64(230.2);
	expect("230.31 ");
	for (int i = 1; i <= 30; i++) /* creeping is told against what was told */
		f64(230.31 + 0.01 * i);
	assert_int_equal(n_told, 3);
	told[0] = '\0';
	now += 900 * SECOND - 1;
	f64(230.52);
	expect("");
	now++;
	f64(230.52);
	f64(230.52);
	expect("230.52 ");
	take_value((struct bf_value){.kind = BF_FLOAT32, .f32 = 1.1f});
	take_value((struct bf_value){.kind = BF_FLOAT32, .f32 = 1.3f});
	take_value((struct bf_value){.kind = BF_FLOAT32, .f32 = 1.31f});
	expect("1.1 1.31 ");
}

/* Somebody wants to know how things are: each metric is told once more, good or bad. */
static void test_occasions(void **state)
{
	static _Atomic unsigned occasions;
	(void)state;
	metrics[0].deadband = 0.2;
	start();
	report_tell_anew(report, &occasions);
	f64(230.1);
	f64(230.1);
	expect("230.1 ");
	occasions++;
	f64(230.1);
	f64(230.1);
	expect("230.1 ");
	metrics[0].delivery.payload = PAYLOAD_JSON;
	bad(QUALITY_TIMEOUT, 0);
	bad(QUALITY_TIMEOUT, 0);
	assert_int_equal(n_told, 3);
	occasions++;
	bad(QUALITY_TIMEOUT, 0);
	bad(QUALITY_TIMEOUT, 0);
	assert_int_equal(n_told, 4);
	metrics[0].delivery.payload = PAYLOAD_PLAIN;
	told[0] = '\0';
	f64(230.1);
	f64(230.1);
	expect("230.1 ");
	for (int i = 0; i < 40; i++) { /* they are counted round */
		occasions++;
		f64(230.1);
		f64(230.1);
		expect("230.1 ");
	}
}

static char heard[512];

static void hear(struct report_tap *tap, const struct reading *reading, int64_t now_us, bool was_told)
{
	(void)tap;
	size_t n = strlen(heard);
	assert_int_equal(now_us, now);
	snprintf(heard + n, sizeof(heard) - n, "%u:%g%s%s ", reading->metric, bf_value_number(&reading->value),
		reading->quality ? quality_word(reading->quality) : "", was_told ? "!" : "");
}

/* Taps hear everything as it was judged, and which of it was worth telling, whether there is room or not. */
static void test_taps(void **state)
{
	(void)state;
	struct report_tap first = {.judged = hear}, second = {.judged = hear};
	heard[0] = '\0';
	metrics[0].deadband = 1;
	metrics[0].max = 100;
	metrics[1].reduce = REDUCE_MEAN;
	start();
	report_add_tap(report, &first);
	f64(5);
	f64(5.5);
	f64(101);
	bad(QUALITY_TIMEOUT, 0);
	bad(QUALITY_TIMEOUT, 0);
	assert_string_equal(heard, "0:5! 0:5.5 0:0range! 0:0timeout! 0:0timeout ");
	heard[0] = '\0';
	put_answer = -ENOBUFS;
	f64(7);
	f64(7);
	assert_string_equal(heard, "0:7! 0:7! ");
	heard[0] = '\0';
	for (unsigned i = 1; i <= 2; i++) {
		struct reading reading = {.metric = 1, .value = {.kind = BF_FLOAT64, .f64 = 2 * i}};
		take(1, &reading, 1, true);
		now += 10 * SECOND;
	}
	assert_string_equal(heard, "1:2 1:3! ");
	heard[0] = '\0';
	report_add_tap(report, &second);
	f64(8);
	assert_string_equal(heard, "0:8! 0:8! ");
}

static void test_deadband_percent(void **state)
{
	(void)state;
	metrics[0].deadband = 2; /* "2%" in the map */
	metrics[0].deadband_percent = true;
	start();
	f64(-100);
	f64(-102);
	f64(-98);
	f64(-102.1);
	f64(-104.1);
	f64(-104.2);
	expect("-100 -102.1 -104.2 ");
	f64(0);
	f64(0);
	f64(0.001);
	expect("0 0.001 ");
}

static void test_any_change(void **state)
{
	(void)state;
	static const struct plan_word words[] = {{1, "on"}};
	metrics[0].deadband = 0;
	start();
	u64(UINT64_MAX);
	u64(UINT64_MAX);
	u64(UINT64_MAX - 1); /* alike as a double */
	expect("18446744073709551615 18446744073709551614 ");
	take_value((struct bf_value){.kind = BF_BOOLEAN, .yes = true});
	take_value((struct bf_value){.kind = BF_BOOLEAN, .yes = true});
	take_value((struct bf_value){.kind = BF_BOOLEAN});
	expect("true false ");
	take_value((struct bf_value){.kind = BF_TEXT, .text = {"ab", 2}});
	take_value((struct bf_value){.kind = BF_TEXT, .text = {"ab", 2}});
	take_value((struct bf_value){.kind = BF_TEXT, .text = {"ba", 2}});
	expect("ab ba ");
	f64(0.0);
	f64(-0.0);
	f64(1e-300);
	assert_int_equal(n_told, 8);
	told[0] = '\0';
	metrics[0].words = words;
	metrics[0].n_words = 1;
	metrics[0].deadband = 5;
	u64(1);
	u64(2);
	u64(2);
	expect("on 2 ");
}

static void test_quality(void **state)
{
	(void)state;
	metrics[0].delivery.payload = PAYLOAD_JSON;
	metrics[0].deadband = 1;
	start();
	bad(QUALITY_TIMEOUT, 0);
	bad(QUALITY_TIMEOUT, 0);
	expect("{\"value\":null,\"quality\":\"timeout\",\"time\":2764000000000} ");
	f64(5);
	f64(5);
	expect("{\"value\":5,\"time\":2764000000000} ");
	assert_true(last.json);
	bad(QUALITY_EXCEPTION, 2);
	bad(QUALITY_EXCEPTION, 2);
	bad(QUALITY_OFFLINE, 0);
	f64(5); /* within the deadband, but the end of what was bad */
	expect("{\"value\":null,\"quality\":\"exception\",\"code\":2,\"time\":2764000000000} "
	       "{\"value\":null,\"quality\":\"offline\",\"time\":2764000000000} "
	       "{\"value\":5,\"time\":2764000000000} ");
}

static void test_quality_plain(void **state)
{
	(void)state;
	metrics[0].deadband = 1;
	start();
	f64(5);
	bad(QUALITY_TIMEOUT, 0);
	f64(5);
	f64(5);
	expect("5 5 ");
}

static void test_range(void **state)
{
	(void)state;
	metrics[0].delivery.payload = PAYLOAD_JSON;
	metrics[0].min = -10;
	metrics[0].max = 10;
	start();
	f64(10);
	f64(10.1);
	f64(-11);
	f64(-10);
	f64((double)NAN);
	take_value((struct bf_value){.kind = BF_NONE});
	expect("{\"value\":10,\"time\":2764000000000} {\"value\":null,\"quality\":\"range\",\"time\":2764000000000} "
	       "{\"value\":-10,\"time\":2764000000000} "
	       "{\"value\":null,\"quality\":\"invalid\",\"time\":2764000000000} ");
}

static void test_monotonic(void **state)
{
	(void)state;
	metrics[0].monotonic = true;
	start();
	u64(9000);
	u64(5); /* once */
	u64(9001);
	u64(5);
	u64(4); /* lower again: does not agree with 5 */
	u64(4);
	expect("9000 9001 ");
	bad(QUALITY_TIMEOUT, 0); /* no value, so it breaks no row */
	u64(6);
	u64(5);
	u64(7);
	expect("6 7 ");
}

static void test_max_step(void **state)
{
	(void)state;
	metrics[0].max_step = 5;
	start();
	f64(20);
	f64(25);
	f64(85); /* the classic of a lost DS18B20 */
	f64(24);
	expect("20 25 24 ");
	f64(85);
	f64(85);
	f64(24); /* a good one ends the row */
	f64(85);
	f64(24);
	expect("24 24 ");
	f64(40);
	f64(60);
	f64(61);
	expect("");
	f64(59);
	f64(58);
	expect("59 58 ");
}

static void test_reduce(void **state)
{
	(void)state;
	metrics[0].reduce = REDUCE_MEAN;
	start();
	for (int i = 0; i <= 30; i++) {
		f64(i);
		now += SECOND;
	}
	expect("5 15.5 25.5 ");
}

static void test_reduce_extremes(void **state)
{
	(void)state;
	for (int most = 0; most < 2; most++) {
		metrics[0].reduce = most ? REDUCE_MAX : REDUCE_MIN;
		metrics[0].min = 0;
		start();
		static const float series[] = {2.1f, 1.1f, 3.1f, -7.0f, 2.5f, 2.2f, 9.9f, 2.2f};
		for (size_t i = 0; i < sizeof(series) / sizeof(series[0]); i++) {
			take_value((struct bf_value){.kind = BF_FLOAT32, .f32 = series[i]});
			now += 2500000;
		}
		expect(most ? "3.1 " : "1.1 ");
		for (uint64_t i = 10; i < 14; i++) {
			u64(i);
			now += 2500000;
		}
		expect(most ? "10 " : "2 "); /* the kind is that of the last value */
		report_destroy(report);
		report = NULL;
	}
}

static void test_reduce_pause(void **state)
{
	(void)state;
	metrics[0].reduce = REDUCE_MAX;
	start();
	u64(1);
	now += 35 * SECOND; /* one window, however long it lasted */
	u64(2);
	now += SECOND;
	u64(3);
	now += 9 * SECOND;
	u64(1);
	expect("2 3 ");
}

/* What could not be put was not told. */
static void test_put_fails(void **state)
{
	(void)state;
	metrics[0].deadband = 10;
	metrics[0].delivery.payload = PAYLOAD_JSON;
	start();
	put_answer = -ENOBUFS;
	f64(1);
	bad(QUALITY_TIMEOUT, 0);
	put_answer = 0;
	bad(QUALITY_TIMEOUT, 0);
	bad(QUALITY_TIMEOUT, 0);
	f64(1);
	expect("{\"value\":null,\"quality\":\"timeout\",\"time\":2764000000000} {\"value\":1,\"time\":2764000000000} ");
	put_answer = -ENOBUFS;
	f64(20);
	put_answer = 0;
	f64(1);
	f64(1);
	expect("{\"value\":1,\"time\":2764000000000} ");
}

static void test_availability(void **state)
{
	(void)state;
	start();
	struct reading reading = {.metric = 1, .value = {.kind = BF_UNSIGNED, .u = 1}};
	struct batch batch = {
		.device = 1, .availability = AVAILABILITY_ONLINE, .readings = &reading, .n = 1, .now_us = now};
	report_sink(report)->take(report_sink(report), &batch);
	batch.availability = AVAILABILITY_SAME;
	report_sink(report)->take(report_sink(report), &batch);
	batch.availability = AVAILABILITY_OFFLINE;
	batch.n = 0;
	report_sink(report)->take(report_sink(report), &batch);
	assert_string_equal(availability, "1+@0 1-@2 "); /* before the readings */
}

static struct reading of(uint32_t metric, enum quality quality, double number)
{
	struct reading reading = {.metric = metric, .quality = quality, .time_ms = 2764000000000 + metric};
	if (quality == QUALITY_GOOD)
		reading.value = (struct bf_value){.kind = BF_FLOAT64, .f64 = number};
	return reading;
}

/* Words and units as long as people like: the payload is as long as it must be. */
static void test_long_words(void **state)
{
	(void)state;
	enum { LONG = 5000 };
	static char word[LONG + 1], unit[LONG + 1], expected[3 * LONG + 200];
	memset(word, '"', LONG);
	memset(unit, 'u', LONG);
	struct plan_word words[] = {{.number = 1, .word = word}};
	metrics[0].words = words;
	metrics[0].n_words = 1;
	metrics[0].unit = unit;
	metrics[0].delivery.payload = PAYLOAD_JSON;
	start();
	struct reading reading = {.value = {.kind = BF_UNSIGNED, .u = 1}, .time_ms = 2764000000000};
	whole = true;
	take(0, &reading, 1, true);
	size_t n = 0;
	n += (size_t)sprintf(expected + n, "{\"value\":\"");
	for (int i = 0; i < LONG; i++)
		n += (size_t)sprintf(expected + n, "\\\"");
	n += (size_t)sprintf(expected + n, "\",\"unit\":\"%s\",\"time\":2764000000000}", unit);
	assert_int_equal(last.payload_n, n);
	assert_string_equal(long_told, expected);
	report_destroy(report);

	metrics[0].delivery.payload = PAYLOAD_JSON;
	metrics[0].delivery.per_device = true;
	start();
	take(0, &reading, 1, true);
	n = (size_t)sprintf(expected, "{\"time\":2764000000000,\"values\":{\"power\":\"");
	for (int i = 0; i < LONG; i++)
		n += (size_t)sprintf(expected + n, "\\\"");
	sprintf(expected + n, "\"}}");
	assert_string_equal(long_told, expected);
	whole = false;
}

static void test_per_device(void **state)
{
	(void)state;
	for (int i = 1; i <= 2; i++) {
		metrics[i].delivery.per_device = true;
		metrics[i].delivery.payload = PAYLOAD_JSON;
	}
	metrics[2].deadband = 1;
	start();
	struct reading volt = of(1, QUALITY_GOOD, 230), amp = of(2, QUALITY_GOOD, 3), none = of(2, QUALITY_TIMEOUT, 0);
	take(1, &volt, 1, false);
	expect("");
	take(1, &amp, 1, true);
	assert_string_equal(last.topic, "home/two");
	assert_true(last.json);
	expect("{\"time\":2764000000002,\"values\":{\"volt\":230,\"amp\":3}} ");
	struct reading both[] = {volt, amp};
	take(1, both, 2, true); /* the deadband leaves one out */
	expect("{\"time\":2764000000001,\"values\":{\"volt\":230}} ");
	both[1] = none;
	take(1, both, 2, true);
	take(1, both, 2, true);
	expect("{\"time\":2764000000001,\"values\":{\"volt\":230},\"quality\":{\"amp\":\"timeout\"}} "
	       "{\"time\":2764000000001,\"values\":{\"volt\":230},\"quality\":{\"amp\":\"timeout\"}} ");
	take(1, &none, 1, true); /* nothing new, nothing good: no message */
	expect("");
	put_answer = -ENOBUFS;
	take(1, &amp, 1, true);
	put_answer = 0;
	take(1, &amp, 1, true);
	expect("{\"time\":2764000000002,\"values\":{\"amp\":3}} ");
}

/* The map was read again: a metric that is the same is known by what was told of it. */
static void test_carry(void **state)
{
	(void)state;
	metrics[0].deadband = 5;
	metrics[0].monotonic = true;
	start();
	f64(100);
	expect("100 ");
	struct report *before = report;
	report = NULL;
	start();
	report_carry(report, 0, before, 0);
	report_destroy(before);
	f64(103);
	expect("");
	f64(50); /* not again from the beginning */
	f64(106);
	expect("106 ");
}

/* Ids go on over the reports of one process. */
static void test_common_ids(void **state)
{
	(void)state;
	struct payload_ids ids;
	char both[64];
	payload_ids_init(&ids);
	plan.ids = true;
	metrics[0].delivery.payload = PAYLOAD_JSON;
	start();
	report_count_ids(report, &ids);
	struct report *first = report;
	f64(1);
	snprintf(both, sizeof(both), "\"id\":\"%s-1\"", ids.boot);
	assert_non_null(strstr(told, both));
	report = NULL;
	start();
	report_count_ids(report, &ids);
	f64(1);
	snprintf(both, sizeof(both), "\"id\":\"%s-2\"", ids.boot);
	assert_non_null(strstr(told, both));
	report_destroy(first);
}

int main(void)
{
#define REPORT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		REPORT_TEST(test_every_poll),
		REPORT_TEST(test_deadband),
		REPORT_TEST(test_occasions),
		REPORT_TEST(test_deadband_percent),
		REPORT_TEST(test_any_change),
		REPORT_TEST(test_quality),
		REPORT_TEST(test_quality_plain),
		REPORT_TEST(test_range),
		REPORT_TEST(test_monotonic),
		REPORT_TEST(test_max_step),
		REPORT_TEST(test_reduce),
		REPORT_TEST(test_reduce_extremes),
		REPORT_TEST(test_reduce_pause),
		REPORT_TEST(test_put_fails),
		REPORT_TEST(test_availability),
		REPORT_TEST(test_long_words),
		REPORT_TEST(test_per_device),
		REPORT_TEST(test_carry),
		REPORT_TEST(test_common_ids),
		REPORT_TEST(test_taps),
	};
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

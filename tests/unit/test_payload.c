/*
 * Payloads to the letter of the contract, section 2.
 */
#include "ship/payload.h"
#include "ship/payload_round.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* After any build date, so that no payload says "clock":"unset" unasked. */
#define NOW 2764000000123

static const struct plan_word words[] = {{-1, "say \"no\""}, {0, "off"}, {1, "heating"}, {255, "error"}};

enum {
	VOLTAGE,
	ENERGY,
	HEAT,
	MODEL,
	PLAIN,
	PLAIN_WORD,
	INFLUX,
	INFLUX_WORD,
	ROUND_VOLTAGE,
	ROUND_ENERGY,
	ROUND_MODEL,
	LINE_VOLTAGE,
	LINE_ON,
	ODD,
	N_METRICS,
};

#define METRIC(at, label, ...)                                                                                         \
	{                                                                                                              \
		.topic = at "/" label, .name = label, .decimals = 1, __VA_ARGS__                                       \
	}

static struct plan_metric metrics[N_METRICS] = {
	[VOLTAGE] = METRIC("home/ground/meter", "voltage", .unit = "V"),
	[ENERGY] = METRIC("home/ground/meter", "energy", .unit = NULL),
	[HEAT] = METRIC("home/ground/meter", "heat", .words = words, .n_words = 4),
	[MODEL] = METRIC("home/ground/meter", "model", .unit = "\"\\"),
	[PLAIN] = METRIC("home/ground/meter", "plain", .delivery.payload = PAYLOAD_PLAIN, .unit = "V"),
	[PLAIN_WORD] =
		METRIC("home/ground/meter", "word", .delivery.payload = PAYLOAD_PLAIN, .words = words, .n_words = 4),
	[INFLUX] = METRIC("home/ground/meter", "influx", .delivery.payload = PAYLOAD_INFLUX),
	[INFLUX_WORD] = METRIC(
		"home/ground/meter", "a b,c=d", .delivery.payload = PAYLOAD_INFLUX, .words = words, .n_words = 4),
	[ROUND_VOLTAGE] = METRIC("home/a/b/round", "voltage", .device = 1,
		.delivery = {.per_device = true, .qos = 2, .retain = true, .buffer = true, .expire_s = 9}),
	[ROUND_ENERGY] = METRIC("home/a/b/round", "energy", .device = 1, .delivery.per_device = true),
	[ROUND_MODEL] = METRIC("home/a/b/round", "model", .device = 1, .delivery.per_device = true,
		.shape = {.type = BF_TYPE_STRING, .length = 16}),
	[LINE_VOLTAGE] = METRIC(
		"home/line", "volt age", .device = 2, .delivery = {.per_device = true, .payload = PAYLOAD_INFLUX}),
	[LINE_ON] = METRIC("home/line", "on", .device = 2, .delivery = {.per_device = true, .payload = PAYLOAD_INFLUX}),
	[ODD] = METRIC("my home/1. Stock, left/a=b", "x/y", .device = 3, .delivery.payload = PAYLOAD_INFLUX),
};

static struct plan_device devices[] = {
	{.topic = "home/ground/meter", .path = "ground/meter", .first_metric = VOLTAGE, .n_metrics = 8},
	{.topic = "home/a/b/round", .path = "a/b/round", .first_metric = ROUND_VOLTAGE, .n_metrics = 3},
	{.topic = "home/line", .path = "line", .first_metric = LINE_VOLTAGE, .n_metrics = 2},
	{.topic = "my home/1. Stock, left/a=b", .path = "1. Stock, left/a=b", .first_metric = ODD, .n_metrics = 1},
};

static struct plan plan = {
	.site = "home", .devices = devices, .n_devices = 4, .metrics = metrics, .n_metrics = N_METRICS};

static struct payload payload;
static char text[PAYLOAD_READING_MAX];

static int setup(void **state)
{
	(void)state;
	plan.ids = false;
	plan.site = "home";
	payload_init(&payload, &plan);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	payload_destroy(&payload);
	return 0;
}

static struct bf_value f64(double number)
{
	return (struct bf_value){.kind = BF_FLOAT64, .f64 = number};
}

static struct bf_value u64(uint64_t number)
{
	return (struct bf_value){.kind = BF_UNSIGNED, .u = number};
}

static struct bf_value s64(int64_t number)
{
	return (struct bf_value){.kind = BF_SIGNED, .i = number};
}

static struct bf_value yes(bool is)
{
	return (struct bf_value){.kind = BF_BOOLEAN, .yes = is};
}

static struct bf_value words_of(const char *words_)
{
	return (struct bf_value){.kind = BF_TEXT, .text = {words_, strlen(words_)}};
}

static struct reading good(uint32_t metric, struct bf_value value)
{
	return (struct reading){.metric = metric, .value = value, .time_ms = NOW};
}

static struct reading bad(uint32_t metric, enum quality quality, uint8_t code)
{
	return (struct reading){.metric = metric, .quality = quality, .code = code, .time_ms = NOW};
}

static void expect(struct reading reading, const char *expected)
{
	int n = payload_reading(&payload, &reading, text, sizeof(text));
	assert_string_equal(text, expected);
	assert_int_equal(n, strlen(expected));
}

static void test_json(void **state)
{
	(void)state;
	expect(good(VOLTAGE, f64(230.1)), "{\"value\":230.1,\"unit\":\"V\",\"time\":2764000000123}");
	expect(good(VOLTAGE, f64(230.0999)), "{\"value\":230.1,\"unit\":\"V\",\"time\":2764000000123}");
	expect(good(ENERGY, u64(UINT64_MAX)), "{\"value\":18446744073709551615,\"time\":2764000000123}");
	expect(good(ENERGY, yes(true)), "{\"value\":true,\"time\":2764000000123}");
	expect(good(ENERGY, yes(false)), "{\"value\":false,\"time\":2764000000123}");
	expect(good(MODEL, words_of("SDM \"120\"\n")),
		"{\"value\":\"SDM \\\"120\\\"\\n\",\"unit\":\"\\\"\\\\\",\"time\":2764000000123}");
}

static void test_words(void **state)
{
	(void)state;
	expect(good(HEAT, u64(1)), "{\"value\":\"heating\",\"time\":2764000000123}");
	expect(good(HEAT, u64(0)), "{\"value\":\"off\",\"time\":2764000000123}");
	expect(good(HEAT, s64(-1)), "{\"value\":\"say \\\"no\\\"\",\"time\":2764000000123}");
	expect(good(HEAT, u64(255)), "{\"value\":\"error\",\"time\":2764000000123}");
	expect(good(HEAT, yes(true)), "{\"value\":\"heating\",\"time\":2764000000123}");
	expect(good(HEAT, u64(7)), "{\"value\":7,\"time\":2764000000123}");
	expect(good(HEAT, u64(UINT64_MAX)), "{\"value\":18446744073709551615,\"time\":2764000000123}");
	expect(good(HEAT, s64(INT64_MIN)), "{\"value\":-9223372036854775808,\"time\":2764000000123}");
}

static void test_bad(void **state)
{
	(void)state;
	expect(bad(VOLTAGE, QUALITY_EXCEPTION, 2),
		"{\"value\":null,\"quality\":\"exception\",\"code\":2,\"unit\":\"V\",\"time\":2764000000123}");
	expect(bad(VOLTAGE, QUALITY_TIMEOUT, 2),
		"{\"value\":null,\"quality\":\"timeout\",\"unit\":\"V\",\"time\":2764000000123}");
	expect(bad(ENERGY, QUALITY_OFFLINE, 0), "{\"value\":null,\"quality\":\"offline\",\"time\":2764000000123}");
	expect(good(ENERGY, f64(NAN)), "{\"value\":null,\"quality\":\"invalid\",\"time\":2764000000123}");
	struct reading none[] = {bad(PLAIN, QUALITY_TIMEOUT, 0), bad(INFLUX, QUALITY_RANGE, 0), good(PLAIN, f64(NAN))};
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(payload_reading(&payload, &none[i], text, sizeof(text)), -ENOMSG);
}

static void test_plain(void **state)
{
	(void)state;
	expect(good(PLAIN, f64(230.1)), "230.1");
	expect(good(PLAIN, yes(true)), "true");
	expect(good(PLAIN, words_of("a \"b\"")), "a \"b\"");
	expect(good(PLAIN, words_of("")), "");
	expect(good(PLAIN_WORD, u64(1)), "heating");
	expect(good(PLAIN_WORD, u64(2)), "2");
}

static void test_influx(void **state)
{
	(void)state;
	expect(good(INFLUX, f64(230.1)),
		"reading,site=home,path=ground,device=meter,metric=influx value=230.1 2764000000123000000");
	expect(good(INFLUX, u64(12)),
		"reading,site=home,path=ground,device=meter,metric=influx value=12 2764000000123000000");
	expect(good(INFLUX, yes(false)),
		"reading,site=home,path=ground,device=meter,metric=influx value=false 2764000000123000000");
	expect(good(INFLUX_WORD, s64(-1)),
		"reading,site=home,path=ground,device=meter,metric=a\\ b\\,c\\=d value=\"say \\\"no\\\"\" "
		"2764000000123000000");
	expect(good(INFLUX, words_of("a\\b")),
		"reading,site=home,path=ground,device=meter,metric=influx value=\"a\\\\b\" 2764000000123000000");
	payload_destroy(&payload);
	plan.site = "my home";
	payload_init(&payload, &plan);
	expect(good(ODD, u64(1)),
		"reading,site=my\\ home,path=1.\\ Stock\\,\\ left,device=a\\=b,metric=x/y value=1 2764000000123000000");
}

static void test_clock_and_ids(void **state)
{
	(void)state;
	struct reading early = good(VOLTAGE, f64(1));
	early.time_ms = 5000;
	expect(early, "{\"value\":1,\"unit\":\"V\",\"time\":5000,\"clock\":\"unset\"}");
	plan.ids = true;
	char expected[200];
	for (int i = 1; i <= 2; i++) {
		snprintf(expected, sizeof(expected),
			"{\"value\":1,\"unit\":\"V\",\"time\":5000,\"clock\":\"unset\",\"id\":\"%s-%d\"}",
			payload.own.boot, i);
		expect(early, expected);
	}
	assert_int_equal(strspn(payload.own.boot, "0123456789abcdef"), 8);
}

static void test_small_buffers(void **state)
{
	(void)state;
	static const uint32_t which[] = {VOLTAGE, HEAT, MODEL, PLAIN, INFLUX, INFLUX_WORD};
	for (size_t i = 0; i < 6; i++) {
		struct reading reading = good(which[i], which[i] == MODEL ? words_of("\x01\x02") : u64(1));
		int whole = payload_reading(&payload, &reading, text, sizeof(text));
		assert_true(whole > 0);
		for (int size = 0; size <= whole; size++) {
			char *exact = malloc(size ? (size_t)size : 1);
			assert_int_equal(payload_reading(&payload, &reading, exact, (size_t)size), -ENOSPC);
			free(exact);
		}
		assert_int_equal(payload_reading(&payload, &reading, text, (size_t)whole + 1), whole);
	}
}

static void expect_mark(const char *before, size_t size, bool replayed, bool again, const char *after)
{
	char *copy = malloc(size);
	memcpy(copy, before, strlen(before));
	size_t n = payload_mark(copy, strlen(before), size, replayed, again);
	assert_int_equal(n, strlen(after));
	assert_memory_equal(copy, after, n);
	free(copy);
}

static void test_mark(void **state)
{
	(void)state;
	expect_mark("{\"value\":1}", 64, false, false, "{\"value\":1}");
	expect_mark("{\"value\":1}", 64, true, false, "{\"value\":1,\"replayed\":true}");
	expect_mark("{\"value\":1}", 64, false, true, "{\"value\":1,\"again\":true}");
	expect_mark("{\"value\":1}", 64, true, true, "{\"value\":1,\"replayed\":true,\"again\":true}");
	expect_mark("{\"value\":1}", 40, true, true, "{\"value\":1,\"replayed\":true,\"again\":true}");
	expect_mark("{\"value\":1}", 39, true, true, "{\"value\":1}");
	expect_mark("{}", 64, true, true, "{\"replayed\":true,\"again\":true}");
	expect_mark("230.1", 64, true, true, "230.1");
	expect_mark("}", 64, true, true, "}");
}

static void expect_round(struct payload_rounds *rounds, uint32_t device, const char *expected)
{
	struct message message;
	assert_int_equal(payload_round_end(rounds, device, &message), 0);
	assert_int_equal(message.payload_n, strlen(expected));
	assert_memory_equal(message.payload, expected, strlen(expected));
	assert_ptr_equal(message.topic, devices[device].topic);
}

static void add(struct payload_rounds *rounds, struct reading reading, int64_t later_ms, bool worth)
{
	reading.time_ms += later_ms;
	payload_round_add(rounds, &reading, worth);
}

static void test_rounds(void **state)
{
	(void)state;
	struct payload_rounds rounds;
	struct message message;
	payload_rounds_init(&rounds, &payload);
	assert_null(rounds.devices[0]);
	assert_int_equal(payload_round_end(&rounds, 0, &message), -ENOMSG);
	assert_int_equal(payload_round_end(&rounds, 1, &message), -ENOMSG);

	/* the time is that of the last answer, not of the time-out after it */
	add(&rounds, good(ROUND_VOLTAGE, f64(230.1)), 0, true);
	add(&rounds, bad(ROUND_ENERGY, QUALITY_TIMEOUT, 0), 500, true);
	expect_round(&rounds, 1,
		"{\"time\":2764000000123,\"values\":{\"voltage\":230.1},\"quality\":{\"energy\":\"timeout\"}}");

	char model[] = "abc";
	add(&rounds, good(ROUND_VOLTAGE, f64(230.1)), 0, true);
	add(&rounds, good(ROUND_MODEL, words_of(model)), 7, true);
	memset(model, 'x', 3); /* the text was the caller's */
	add(&rounds, bad(ROUND_ENERGY, QUALITY_EXCEPTION, 2), 9, false);
	assert_int_equal(payload_round_end(&rounds, 1, &message), 0);
	const char *expected = "{\"time\":2764000000132,\"values\":{\"voltage\":230.1,\"model\":\"abc\"},"
			       "\"quality\":{\"energy\":\"exception\"}}";
	assert_int_equal(message.payload_n, strlen(expected));
	assert_memory_equal(message.payload, expected, strlen(expected));
	assert_int_equal(message.qos, 2);
	assert_int_equal(message.expire_s, 9);
	assert_true(message.retain && message.buffer && message.json);

	/* bad as before is no reason for a message; only time-outs give the time of the last one */
	add(&rounds, bad(ROUND_ENERGY, QUALITY_TIMEOUT, 0), 0, false);
	assert_int_equal(payload_round_end(&rounds, 1, &message), -ENOMSG);
	add(&rounds, bad(ROUND_VOLTAGE, QUALITY_OFFLINE, 0), 0, true);
	add(&rounds, bad(ROUND_ENERGY, QUALITY_TIMEOUT, 0), 1, true);
	expect_round(&rounds, 1,
		"{\"time\":2764000000124,\"values\":{},\"quality\":{\"voltage\":\"offline\",\"energy\":\"timeout\"}}");

	plan.ids = true;
	struct reading early = good(ROUND_VOLTAGE, f64(1));
	early.time_ms = 1;
	payload_round_add(&rounds, &early, true);
	char with_id[128];
	snprintf(with_id, sizeof(with_id),
		"{\"time\":1,\"values\":{\"voltage\":1},\"clock\":\"unset\",\"id\":\"%s-1\"}", payload.own.boot);
	expect_round(&rounds, 1, with_id);
	payload_rounds_destroy(&rounds);
}

static void test_rounds_full(void **state)
{
	(void)state;
	struct payload_rounds rounds;
	struct message message;
	payload_rounds_init(&rounds, &payload);
	char longest[16];
	memset(longest, 1, sizeof(longest));
	struct bf_value value = {.kind = BF_TEXT, .text = {longest, sizeof(longest)}};
	for (int i = 0; i < 50; i++) { /* no bus says a metric so often; nothing breaks if one does */
		add(&rounds, good(ROUND_MODEL, value), 0, true);
		add(&rounds, bad(ROUND_ENERGY, QUALITY_EXCEPTION, 1), 0, true);
	}
	assert_int_equal(payload_round_end(&rounds, 1, &message), 0);
	const char *end = (const char *)message.payload + message.payload_n;
	assert_memory_equal(end - 2, "}}", 2);
	payload_rounds_destroy(&rounds);
}

static void test_rounds_influx(void **state)
{
	(void)state;
	struct payload_rounds rounds;
	struct message message;
	payload_rounds_init(&rounds, &payload);
	for (int i = 0; i < 2; i++) {
		add(&rounds, good(LINE_VOLTAGE, f64(230.5)), 0, true);
		add(&rounds, good(LINE_ON, yes(true)), 1, true);
		expect_round(&rounds, 2, "reading,site=home,device=line volt\\ age=230.5,on=true 2764000000124000000");
	}
	add(&rounds, bad(LINE_ON, QUALITY_TIMEOUT, 0), 1, true);
	assert_int_equal(payload_round_end(&rounds, 2, &message), -ENOMSG);
	payload_rounds_destroy(&rounds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_json, setup, teardown),
		cmocka_unit_test_setup_teardown(test_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_influx, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clock_and_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_buffers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mark, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rounds_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rounds_influx, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The board: what a reader sees of readings that others write.  Through a report, as in the gateway; one test has a
 * thread that writes while another one looks, for TSan and for halves of two readings.
 */
#include "ship/board.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SECOND ((int64_t)1000000)
#define DATE   INT64_C(2764000000000)
#define ROUNDS 20000u

static struct plan_metric metrics[3];
static struct plan_device device = {.topic = "home/meter", .path = "meter", .n_metrics = 3};
static struct plan plan = {.site = "home",
	.gateway_topic = "home/gateway/pi",
	.devices = &device,
	.n_devices = 1,
	.metrics = metrics,
	.n_metrics = 3};
static struct board *board;
static struct report *report;
static char text[BF_STRING_MAX + 1];
static struct reading seen;
static int64_t seen_at;

static int put(struct message_sink *sink, const struct message *message)
{
	(void)sink;
	(void)message;
	return 0;
}

static struct message_sink sink = {.put = put};

static int setup(void **state)
{
	(void)state;
	static const char *const names[] = {"power", "state", "label"};
	for (size_t i = 0; i < 3; i++)
		metrics[i] = (struct plan_metric){.topic = "home/meter/x",
			.name = names[i],
			.min = (double)NAN,
			.max = 1000,
			.max_step = (double)NAN,
			.deadband = (double)NAN,
			.decimals = -1,
			.shape.type = i == 2 ? BF_TYPE_STRING : BF_TYPE_U16};
	metrics[2].shape.length = 12;
	assert_int_equal(board_init(&plan, true, &board), 0);
	assert_int_equal(report_init(&plan, &clock_system, &sink, NULL, &report), 0);
	report_add_tap(report, board_tap(board));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	report_destroy(report);
	board_destroy(board);
	return 0;
}

static void take(uint32_t metric, struct bf_value value, enum quality quality, int64_t now_us)
{
	struct reading reading = {.metric = metric,
		.value = value,
		.quality = quality,
		.code = quality ? 2 : 0,
		.time_ms = DATE + now_us / 1000};
	struct batch batch = {.readings = &reading, .n = 1, .round_over = true, .now_us = now_us};
	report_sink(report)->take(report_sink(report), &batch);
}

static void take_number(uint64_t number, int64_t now_us)
{
	take(0, (struct bf_value){.kind = BF_UNSIGNED, .u = number}, QUALITY_GOOD, now_us);
}

static bool look(uint32_t metric)
{
	return board_look(board, metric, text, &seen, &seen_at);
}

static void test_newest(void **state)
{
	(void)state;
	assert_false(look(0));
	take_number(230, 5 * SECOND);
	take_number(231, 6 * SECOND);
	assert_true(look(0));
	assert_int_equal(seen.value.kind, BF_UNSIGNED);
	assert_int_equal(seen.value.u, 231);
	assert_int_equal(seen.quality, QUALITY_GOOD);
	assert_true(seen.time_ms == DATE + 6000 && seen_at == 6 * SECOND);
	assert_false(look(1));
	take(0, (struct bf_value){.kind = BF_NONE}, QUALITY_EXCEPTION, 7 * SECOND);
	assert_true(look(0));
	assert_int_equal(seen.quality, QUALITY_EXCEPTION);
	assert_int_equal(seen.code, 2);
	assert_int_equal(seen.value.kind, BF_NONE);
}

/* What hangs there is what the report made of it. */
static void test_judged(void **state)
{
	(void)state;
	take_number(1001, SECOND);
	assert_true(look(0));
	assert_int_equal(seen.quality, QUALITY_RANGE);
	assert_int_equal(seen.value.kind, BF_NONE);
}

static void test_kinds(void **state)
{
	(void)state;
	take(1, (struct bf_value){.kind = BF_BOOLEAN, .yes = true}, QUALITY_GOOD, SECOND);
	assert_true(look(1) && seen.value.kind == BF_BOOLEAN && seen.value.yes);
	take(1, (struct bf_value){.kind = BF_SIGNED, .i = -7}, QUALITY_GOOD, SECOND);
	assert_true(look(1) && seen.value.kind == BF_SIGNED && seen.value.i == -7);
	take(1, (struct bf_value){.kind = BF_FLOAT32, .f32 = 0.5f}, QUALITY_GOOD, SECOND);
	assert_true(look(1) && seen.value.kind == BF_FLOAT32 && seen.value.f32 == 0.5f);
	take(1, (struct bf_value){.kind = BF_FLOAT64, .f64 = -0.25}, QUALITY_GOOD, SECOND);
	assert_true(look(1) && seen.value.kind == BF_FLOAT64 && seen.value.f64 == -0.25);
	static const char *const words[] = {"a longer one", "short", ""};
	for (size_t i = 0; i < 3; i++) {
		take(2, (struct bf_value){.kind = BF_TEXT, .text = {words[i], strlen(words[i])}}, QUALITY_GOOD, SECOND);
		assert_true(look(2));
		assert_int_equal(seen.value.text.n, strlen(words[i]));
		assert_string_equal(text, words[i]);
	}
}

static void test_points(void **state)
{
	(void)state;
	float points[BOARD_POINTS];
	int64_t now = 1000 * SECOND;
	take_number(1, now);
	take_number(2, now + 3 * SECOND);  /* the last one in its ten seconds */
	take_number(3, now + 20 * SECOND); /* one left out between */
	board_points(board, 0, now + 25 * SECOND, points);
	assert_true(points[59] == 3 && isnan(points[58]) && points[57] == 2 && isnan(points[56]) && isnan(points[0]));
	/* Ten minutes later the places are still there, but they are old. */
	board_points(board, 0, now + 615 * SECOND, points);
	assert_true(points[0] == 3 && isnan(points[59]));
	board_points(board, 0, now + 625 * SECOND, points);
	for (size_t i = 0; i < BOARD_POINTS; i++)
		assert_true(isnan(points[i]));
}

static void test_carry(void **state)
{
	(void)state;
	struct board *next;
	float points[BOARD_POINTS];
	take_number(42, 1000 * SECOND);
	take(2, (struct bf_value){.kind = BF_TEXT, .text = {"label", 5}}, QUALITY_GOOD, SECOND);
	assert_int_equal(board_init(&plan, true, &next), 0);
	board_carry(next, 0, board, 0);
	board_carry(next, 2, board, 2);
	board_destroy(board);
	board = next;
	assert_true(look(0) && seen.value.u == 42);
	board_points(board, 0, 1000 * SECOND, points);
	assert_true(points[59] == 42);
	assert_true(look(2) && strcmp(text, "label") == 0);
	assert_false(look(1));
}

static void *write_many(void *arg)
{
	(void)arg;
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		char label[13];
		memset(label, (int)('a' + i % 26), 12);
		take(2, (struct bf_value){.kind = BF_TEXT, .text = {label, i % 2 ? 12 : 9}}, QUALITY_GOOD, (int64_t)i);
	}
	return NULL;
}

/* A text is always of one letter, and as long as that letter's writing said. */
static void test_beside_a_writer(void **state)
{
	(void)state;
	pthread_t writer;
	uint64_t last = 0;
	assert_int_equal(pthread_create(&writer, NULL, write_many, NULL), 0);
	while (last < ROUNDS) {
		if (!look(2))
			continue;
		assert_true(seen_at >= (int64_t)last);
		last = (uint64_t)seen_at;
		assert_int_equal(strlen(text), last % 2 ? 12 : 9);
		for (size_t i = 0; text[i]; i++)
			assert_int_equal(text[i], (char)('a' + last % 26));
	}
	pthread_join(writer, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_newest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_judged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_points, setup, teardown),
		cmocka_unit_test_setup_teardown(test_carry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_beside_a_writer, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

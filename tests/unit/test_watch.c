/*
 * What is made of messages that may be anything, and the table that shows them: bounded, and nothing that moves the
 * terminal but its own sequences.
 */
#include "cli/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1764000060000

static struct watch_value last;
static char last_metric[64];
static size_t n_taken;

static void take(void *user, const char *metric, const struct watch_value *value)
{
	(void)user;
	last = *value;
	snprintf(last_metric, sizeof(last_metric), "%s", metric ? metric : "");
	n_taken++;
}

static void says(const char *topic, const char *payload, enum watch_kind kind, const char *text, const char *unit,
	const char *quality)
{
	size_t n = strlen(payload);
	char *exact = malloc(n + !n); /* so that a sanitizer sees a byte too many */
	assert_non_null(exact);
	memcpy(exact, payload, n);
	n_taken = 0;
	watch_values(topic, exact, n, take, NULL);
	assert_int_equal(n_taken, 1);
	assert_int_equal(last.kind, kind);
	assert_string_equal(last.text, text);
	assert_string_equal(last.unit, unit);
	assert_string_equal(last.quality, quality);
	free(exact);
}

static void test_values(void **state)
{
	(void)state;
	says("a/m", "{\"value\":230.1,\"unit\":\"V\",\"time\":1764000000123}", WATCH_READING, "230.1", "V", "");
	assert_true(last.has_number);
	assert_true(last.number > 230.09 && last.number < 230.11);
	assert_int_equal(last.time_ms, 1764000000123);
	says("a/m", "{\"value\":null,\"quality\":\"timeout\"}", WATCH_READING, "null", "", "timeout");
	assert_false(last.has_number);
	says("a/m", "{\"value\":true}", WATCH_READING, "true", "", "");
	assert_true(last.has_number);
	says("a/m", "{\"value\":\"heat\\u00e9\"}", WATCH_READING, "heat\xc3\xa9", "", "");
	says("a/m", "{\"value\":-1.5e-3}", WATCH_READING, "-1.5e-3", "", "");
	assert_true(last.raw_n == 7);
	says("a/m", "21.5", WATCH_READING, "21.5", "", "");
	says("a/m", "", WATCH_CLEARED, "", "", "");
	says("a/availability", "offline", WATCH_STATE, "offline", "", "");
	says("a/m", "offline", WATCH_OTHER, "offline", "", "");
}

static void test_none_of_ours(void **state)
{
	(void)state;
	static const char *const payloads[] = {"{\"value\":01}", "{\"value\":1.}", "{\"value\":.5}", "{\"value\":+1}",
		"{\"value\":1e}", "{\"value\":nan}", "{\"value\":[1]}", "{\"value\":{\"a\":1}}", "{\"value\":\"a",
		"{\"value\"", "{", "[1]", "0x10", "1 2", "{\"values\":1}", "{\"values\":{"};
	for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
		says("a/m", payloads[i], WATCH_OTHER, payloads[i], "", "");
		assert_false(last.has_number);
		assert_null(last.raw);
	}
}

static void test_a_device(void **state)
{
	(void)state;
	static const char payload[] =
		"{\"time\":5,\"values\":{\"a\":1,\"b\":[2],\"c\":\"on\"},\"quality\":{\"d\":\"timeout\"}}";
	n_taken = 0;
	watch_values("a", payload, strlen(payload), take, NULL);
	assert_int_equal(n_taken, 3); /* a list is no value */
	assert_string_equal(last_metric, "d");
	assert_string_equal(last.quality, "timeout");
	assert_int_equal(last.time_ms, 5);
}

static void put(struct watch_table *table, const char *topic, const char *payload, size_t n)
{
	struct uplink_message message = {.topic = topic, .payload = payload, .payload_n = n};
	watch_table_put(table, &message, NOW);
}

static char *drawn(struct watch_table *table, unsigned columns, unsigned rows)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);
	struct watch_screen screen = {.columns = columns, .rows = rows, .title = "a/#", .coloured = true};
	watch_table_draw(table, &screen, NOW, to);
	fclose(to);
	return text;
}

static void test_bounds(void **state)
{
	(void)state;
	struct watch_table *table = watch_table_make();
	assert_non_null(table);
	for (int i = 0; i < 5000; i++) {
		char topic[32];
		snprintf(topic, sizeof(topic), "a/%d", i);
		put(table, topic, "1", 1);
	}
	assert_int_equal(watch_table_topics(table), 2000);
	assert_int_equal(watch_table_messages(table), 5000);
	char *long_topic = malloc(65536);
	memset(long_topic, 'x', 65535);
	long_topic[65535] = '\0';
	put(table, long_topic, "1", 1);
	free(long_topic);
	char *text = drawn(table, 80, 24);
	assert_non_null(strstr(text, "for which there is no room"));
	assert_true(strlen(text) < 16384);
	free(text);
	watch_table_free(table);
}

/* Only the sequences of the table itself: ESC [ … H J K m. */
static void is_tame(const char *text)
{
	for (const char *at = text; *at; at++) {
		unsigned char c = (unsigned char)*at;
		if (c == 0x1b) {
			assert_int_equal(at[1], '[');
			at += 2 + strspn(at + 2, "0123456789;");
			assert_non_null(strchr("HJKm", *at));
			continue;
		}
		assert_true(c >= 0x20 || c == '\r' || c == '\n');
		assert_int_not_equal(c, 0x7f);
	}
}

static void test_any_bytes(void **state)
{
	(void)state;
	static const char *const parts[] = {"{\"value\":", "1", "\"", "}", "\x1b[2J", "\xff", "\xe2\x80\xae", "null",
		",\"unit\":\"", "\n", "{\"values\":{", "\"a\":", "\xc2\x9b", "[", "e", ".", "\xe6\xb8\xa9", "\\u0000",
		"\\u001b"};
	uint32_t random = 7;
	struct watch_table *table = watch_table_make();
	for (int turn = 0; turn < 20000; turn++) {
		char text[200] = "", topic[40];
		for (int i = 0; i < 10; i++) {
			random = random * 1664525u + 1013904223u;
			strcat(text, parts[(random >> 8) % (sizeof(parts) / sizeof(parts[0]))]);
		}
		snprintf(topic, sizeof(topic), "a/%u%s", random % 50, random & 64 ? "\x1b[31m" : "/availability");
		size_t n = strlen(text);
		char *exact = malloc(n);
		memcpy(exact, text, n);
		put(table, topic, exact, random >> 31 ? n : n / 2);
		free(exact);
		if (turn % 100 == 0) {
			char *screen = drawn(table, random >> 16 & 0x7f, random >> 8 & 0x3f);
			is_tame(screen);
			free(screen);
		}
	}
	watch_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_none_of_ours),
		cmocka_unit_test(test_a_device), cmocka_unit_test(test_bounds), cmocka_unit_test(test_any_bytes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

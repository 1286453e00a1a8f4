/*
 * Topic filters by the examples of the standard, and what a topic text may not be.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "model/topic.h"

#include <stdlib.h>
#include <string.h>

/* MQTT 3.1.1, sections 4.7.1.2, 4.7.1.3 and 4.7.2, where they give examples; then corners. */
static void test_matches(void **state)
{
	(void)state;
	const struct {
		const char *filter, *topic;
		bool yes;
	} cases[] = {
		{"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
		{"sport/#", "sport", true},
		{"#", "sport/tennis", true},
		{"sport/tennis/+", "sport/tennis/player1", true},
		{"sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"+/tennis/#", "sport/tennis/x", true},
		{"sport/+/player1", "sport/tennis/player1", true},
		{"+/+", "/finance", true},
		{"/+", "/finance", true},
		{"+", "/finance", false},
		{"#", "$SYS/monitor/Clients", false},
		{"+/monitor/Clients", "$SYS/monitor/Clients", false},
		{"$SYS/#", "$SYS/monitor/Clients", true},
		{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
		{"home/cellar/meter/voltage", "home/cellar/meter/voltage", true},
		{"home/cellar/meter/volt", "home/cellar/meter/voltage", false},
		{"home/cellar/meter/voltage", "home/cellar/meter/volt", false},
		{"home/cellar", "home/cellar/meter", false},
		{"home/cellar/meter", "home/cellar", false},
		{"home/#", "house", false},
		{"home/+/#", "home", false},
		{"home/+/#", "home/a", true},
		{"+/#", "home", true},
		{"a//b", "a//b", true},
		{"a/+/b", "a//b", true},
		{"a//b", "a/x/b", false},
		{"a/", "a", false},
		{"a", "a/", false},
		{"a", "A", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (topic_matches(cases[i].filter, cases[i].topic) != cases[i].yes)
			fail_msg("%s against %s", cases[i].filter, cases[i].topic);
}

/* By levels and recursion, as the standard tells it. */
static bool by_definition(const char *filter, const char *topic, bool first)
{
	if (first && topic[0] == '$' && strchr("+#", filter[0]))
		return false;
	if (strcmp(filter, "#") == 0)
		return true;
	size_t n = strcspn(filter, "/"), m = strcspn(topic, "/");
	if (!(n == 1 && filter[0] == '+') && !(n == m && strncmp(filter, topic, n) == 0))
		return false;
	if (!topic[m])
		return !filter[n] || strcmp(filter + n, "/#") == 0;
	return filter[n] && by_definition(filter + n + 1, topic + m + 1, false);
}

static void test_random(void **state)
{
	(void)state;
	uint64_t seed = 5;
	unsigned matched = 0;
	for (int i = 0; i < 200000; i++) {
		char filter[16] = "", topic[16] = "";
		static const char *const parts[] = {"a", "b", "", "+", "#", "$"};
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		uint64_t bits = seed >> 16;
		for (unsigned k = 0, n = 1 + (unsigned)(bits % 4); k < n; k++, bits /= 7) {
			strcat(filter, k ? "/" : "");
			strcat(filter, parts[bits % (k + 1 == n ? 5 : 4)]);
			strcat(topic, k ? "/" : "");
			strcat(topic, parts[bits / 3 % 7 == 6 ? 5 : bits / 3 % 3]);
		}
		bool yes = by_definition(filter, topic, true);
		matched += yes;
		if (*filter && *topic && topic_matches(filter, topic) != yes)
			fail_msg("%s against %s", filter, topic);
	}
	assert_true(matched > 1000);
}

static void test_filter_faults(void **state)
{
	(void)state;
	static const char *const good[] = {"#", "+", "a", "/", "a/#", "+/a/+", "a//b", "$SYS/#", "\xC2\xB0", "a b"};
	static const char *const bad[] = {
		"", "a#", "#a", "a/#/b", "#/", "a+", "+a/b", "++", "##", "a/b+/c", "a\nb", "\xFF", "a/\x7F"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(topic_filter_fault(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(topic_filter_fault(bad[i]));
}

static void test_text_faults(void **state)
{
	(void)state;
	static const char *const good[] = {"home", "1. Stock", "a/b", "21 \xC2\xB0", "$x", "a.b*c"};
	static const char *const bad[] = {"", "/", "a/", "/a", "a//b", "a+b", "#", "a\tb", "\xC3(", "\x1B[2J"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(topic_text_fault(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(topic_text_fault(bad[i]));
	assert_string_equal(topic_text_fault(""), "is empty");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_filter_faults),
		cmocka_unit_test(test_text_faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

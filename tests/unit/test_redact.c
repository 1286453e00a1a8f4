/*
 * What is taken out of texts and maps before they are shown to others.
 */
#include "app/redact.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *printed(const struct redact *redact, const char *map, size_t n, bool as_map)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);
	assert_non_null(to);
	if (as_map)
		redact_print_map(redact, "map.conf", map, n, to);
	else
		redact_print(redact, map, n, to);
	fclose(to);
	return text;
}

static void becomes(const char *map, const char *wanted)
{
	struct redact redact = {.names_too = true};
	redact_learn_map(&redact, "map.conf", map, strlen(map));
	char *text = printed(&redact, map, strlen(map), true);
	assert_string_equal(text, wanted);
	free(text);
	redact_destroy(&redact);
}

static void test_maps(void **state)
{
	(void)state;
	becomes("site: \"home\" # a secret\nevery: \"1s\"", "site: \"home\" \nevery: \"1s\"\n");
	becomes("a: 1 /* one\ntwo */ b: 2", "a: 1 \nb: 2\n");
	becomes("user: \"u1\"  password: \"x y\"", "user: \"(user)\"  password: \"********\"\n");
	becomes("MQTT_Password = hunter2;", "MQTT_Password = \"********\";\n");
	becomes("password: \"a\" \"b\" other: 1", "password: \"********\" \"********\" other: 1\n");
	becomes("password: \"without an end", "password: \"…\n");
	becomes("a_password_with_a_name_that_is_far_longer_than_any_key_of_a_map_can_be_word: \"x\"",
		"a_password_with_a_name_that_is_far_longer_than_any_key_of_a_map_can_be_word: \"********\"\n");
	becomes("a_name_that_is_far_longer_than_any_key_of_a_map_can_be_and_ends_in_password: \"x\"",
		"a_name_that_is_far_longer_than_any_key_of_a_map_can_be_and_ends_in_password: \"********\"\n");
	becomes("password_file: \"/etc/none\"", "password_file: \"/etc/none\"\n");
	becomes("key_file: \"/etc/none\"  keepalive: \"5s\"", "key_file: \"/etc/none\"  keepalive: \"5s\"\n");
	becomes("url: \"mqtt://u:pw@h:1\"", "url: \"********@h:1\"\n");
	becomes("bypass: { input: 1 }  name: \"x\"", "bypass: { input: 1 }  name: \"x\"\n");
	becomes("a: 1 /* without an end", "a: 1 \n");
	becomes("", "\n");
}

static void test_texts(void **state)
{
	(void)state;
	static const char map[] = "broker: { user: \"bob\" client_id: \"bobs-client\" url: \"mqtt://eve:letmein@h\" }";
	static const char log[] = "bob and bobs-client, not bobby; letmein, eve:letmein@h\x1b[2J\xff busferry";
	struct redact redact = {.names_too = true};
	redact_learn_map(&redact, "map.conf", map, strlen(map));
	redact_learn(&redact, "busferry", "no");
	redact_learn(&redact, "", "no");
	char *text = printed(&redact, log, strlen(log), false);
	assert_string_equal(text, "(user) and (client id), not bobby; ********, ********@h?[2J\xef\xbf\xbd busferry");
	free(text);
	redact_destroy(&redact);
}

/* As a hunter does it: a map of random pieces, in which the value of each secret key must never be seen. */
static void test_any_map(void **state)
{
	(void)state;
	static const char *const parts[] = {"password: \"QQQ1QQQ\" ", "a: { ", "} ", "\n", "secret = \"QQQ2QQQ\"; ",
		"# QQQ3QQQ\n", "/* QQQ4QQQ */ ", "b: [\"x\", ", "\"y\"] ", "\"", "c: 0x1FL ", "user: \"QQQ5QQQ\" ",
		"@include ", "token: [\"QQQ6QQQ\", \"QQQ7QQQ\"] ", "\xff", "1.5e3 ", "( ", ") ", "// QQQ8QQQ\n"};
	uint32_t random = 1;
	for (int turn = 0; turn < 3000; turn++) {
		char map[2048] = "";
		bool lost = false;
		for (int i = 0; i < 20; i++) {
			random = random * 1664525u + 1013904223u;
			const char *part = parts[(random >> 8) % (sizeof(parts) / sizeof(parts[0]))];
			if (part[0] == '"' && part[1] == '\0' && random >> 30)
				continue; /* what a lost quote makes of the rest is tried less often */
			lost |= part[0] == '"' && part[1] == '\0';
			strcat(map, part);
		}
		struct redact redact = {.names_too = true};
		redact_learn_map(&redact, "map.conf", map, strlen(map));
		char *text = printed(&redact, map, strlen(map), true);
		for (char which = '1'; which <= '8'; which++) {
			char secret[] = {'Q', 'Q', 'Q', which, 'Q', 'Q', 'Q', '\0'};
			bool comment = strchr("348", which);
			if (strstr(text, secret) && !(comment && lost)) /* or it is none but part of a text */
				fail_msg("%s is seen in:\n%s\nof:\n%s", secret, text, map);
		}
		assert_true(strlen(text) < 3 * sizeof(map));
		free(text);
		redact_destroy(&redact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_maps), cmocka_unit_test(test_texts), cmocka_unit_test(test_any_map)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Lines of words: what they are split into, what they are refused for, and that lines made of words come back as them.
 */
#include "app/request.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *words[REQUEST_WORDS_MAX];

/* The line in memory of exactly its size, so that the sanitizer sees a step beyond it. */
static int split(const char *text, size_t n)
{
	static char *line;
	free(line);
	line = malloc(n + 1);
	assert_non_null(line);
	memcpy(line, text, n);
	line[n] = '\n';
	int n_words = request_words(line, n, words);
	if (n == 0) { /* the last call of the test */
		free(line);
		line = NULL;
	}
	return n_words;
}

static int split_text(const char *text)
{
	return split(text, strlen(text));
}

static void test_words(void **state)
{
	(void)state;
	assert_int_equal(split_text("buffer status"), 2);
	assert_string_equal(words[0], "buffer");
	assert_string_equal(words[1], "status");
	assert_int_equal(split_text("  buffer   export  \"1. Stock/+\" "), 3);
	assert_string_equal(words[2], "1. Stock/+");
	assert_int_equal(split_text("\"a \\\"b\\\" \\\\c\" \"\""), 2);
	assert_string_equal(words[0], "a \"b\" \\c");
	assert_string_equal(words[1], "");
	assert_int_equal(split_text("gr\xc3\xb6\xc3\x9f"
				    "e"),
		1);
	assert_int_equal(split_text("   "), 0);
	assert_int_equal(split_text(""), 0);
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"\"open", "a\"b", "\"a\"b", "\"a\\", "\"", "tab\there", "\x7f", "\xff\xfe", "\xc3"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (split_text(bad[i]) != -EBADMSG)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(split("a\0b", 3), -EBADMSG);
	assert_int_equal(split_text("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"), REQUEST_WORDS_MAX);
	assert_int_equal(split_text("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"), -E2BIG);
	assert_int_equal(split_text(""), 0);
}

static void test_there_and_back(void **state)
{
	(void)state;
	static const char letters[] = "a \"\\/+#1";
	uint32_t random = 1;
	for (int turn = 0; turn < 2000; turn++) {
		char texts[5][12], line[256];
		const char *in[5];
		for (size_t i = 0; i < 5; i++) {
			size_t n = 0;
			for (; n < 11; n++) {
				random = random * 1664525u + 1013904223u;
				if (random >> 28 == 0)
					break;
				texts[i][n] = letters[(random >> 8) % (sizeof(letters) - 1)];
			}
			texts[i][n] = '\0';
			in[i] = texts[i];
		}
		int n = request_line(in, 5, line, sizeof(line));
		assert_true(n > 0 && line[n - 1] == '\n' && strlen(line) == (size_t)n);
		assert_int_equal(split(line, (size_t)n - 1), 5);
		for (size_t i = 0; i < 5; i++)
			assert_string_equal(words[i], texts[i]);
	}
	assert_int_equal(split_text(""), 0);
}

static void test_no_room(void **state)
{
	(void)state;
	const char *const in[] = {"buffer", "export", "a filter"};
	char line[64];
	for (size_t size = 0; size < sizeof(line); size++) {
		memset(line, 'x', sizeof(line));
		int n = request_line(in, 3, line, size);
		assert_true(n == -ENOSPC || (size_t)n < size);
		for (size_t i = size; i < sizeof(line); i++)
			assert_int_equal(line[i], 'x');
	}
	assert_string_equal(line, "buffer export \"a filter\"\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_no_room)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

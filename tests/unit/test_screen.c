/*
 * What is shown of texts that may be anything: within its columns, and nothing that moves the terminal.
 */
#include "cli/screen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void shows(const char *text, unsigned columns, const char *wanted, unsigned wanted_columns)
{
	char to[256];
	unsigned n = screen_text(to, sizeof(to), text, strlen(text), columns);
	assert_string_equal(to, wanted);
	assert_int_equal(n, wanted_columns);
}

static void test_plain(void **state)
{
	(void)state;
	shows("", 5, "", 0);
	shows("meter", 5, "meter", 5);
	shows("meters", 5, "mete…", 5);
	shows("21.5 °C", 0, "21.5 °C", 7);
	shows("21.5 °C", 6, "21.5 …", 6);
	shows("x", 1, "x", 1);
	shows("xy", 1, "…", 1);
}

static void test_wide(void **state)
{
	(void)state;
	shows("温度", 4, "温度", 4);
	shows("温度計", 5, "温度…", 5);
	shows("温度計", 4, "温…", 3);
	shows("温", 1, "…", 1);
}

static void test_hostile(void **state)
{
	(void)state;
	shows("\x1b[2J", 0, "\\x1b[2J", 7);
	shows("a\nb\x7f", 0, "a\\x0ab\\x7f", 10);
	shows("\x1b[2J", 6, "\\x1b[…", 6);
	shows("\x1b", 3, "…", 1);
	shows("\xc2\x9b"
	      "31m",
		0, "\\x9b31m", 7); /* the one byte form of ESC [ */
	shows("a\xff\xc3", 0, "a\xef\xbf\xbd\xef\xbf\xbd", 3);
	shows("\xe2\x80\xae"
	      "abc",
		0,
		"\xef\xbf\xbd"
		"abc",
		4); /* right to left */
	shows("e\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81"
	      "f",
		0,
		"e\xcc\x81\xcc\x81"
		"f",
		2);
}

static void test_any_bytes(void **state)
{
	(void)state;
	uint32_t random = 1;
	for (int turn = 0; turn < 20000; turn++) {
		char text[40], to[24];
		size_t n = random % sizeof(text);
		for (size_t i = 0; i < n; i++) {
			random = random * 1664525u + 1013904223u;
			text[i] = (char)(random >> 24);
		}
		random = random * 1664525u + 1013904223u;
		unsigned columns = random >> 28;
		unsigned width = screen_text(to, sizeof(to), text, n, columns);
		assert_true(columns == 0 || width <= columns);
		assert_true(strlen(to) < sizeof(to));
		for (const char *c = to; *c; c++)
			assert_false((unsigned char)*c < 0x20 || *c == 0x7f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain), cmocka_unit_test(test_wide),
		cmocka_unit_test(test_hostile), cmocka_unit_test(test_any_bytes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Settings found by their braces. */
#include "app/mappiece.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* The pieces of a text, each in <>; of groups the inside, in {}. */
static void pieces(const char *text, const char *expected)
{
	char is[256] = "";
	size_t at = 0, n = 0, before = 0;
	struct mappiece piece;
	while (mappiece_next(text, &at, strlen(text), &piece)) {
		assert_true(at > before && at <= strlen(text));
		before = at;
		n += (size_t)snprintf(is + n, sizeof(is) - n, "<%.*s>", (int)(piece.end - piece.at), text + piece.at);
		if (piece.open)
			n += (size_t)snprintf(is + n, sizeof(is) - n, "{%.*s}", (int)(piece.close - piece.open - 1),
				text + piece.open + 1);
	}
	assert_string_equal(is, expected);
}

static void test_settings(void **state)
{
	(void)state;
	pieces("", "");
	pieces(" # nothing\n/* at: 1 */ // all", "");
	pieces("a: 1", "<a: 1>");
	pieces("a: 1, b = 2;c:3", "<a: 1><b = 2><c:3>");
	pieces("a: \"x\" /* } */ \"y\\\"}\" # \"\n\"z\" b: 0x1L", "<a: \"x\" /* } */ \"y\\\"}\" # \"\n\"z\"><b: 0x1L>");
	pieces("a { b: [1, 2] # }\n }; c: (\"}\", { })", "<a { b: [1, 2] # }\n }>{ b: [1, 2] # }\n }<c: (\"}\", { })>");
	pieces("a: 1\n@include \"b.inc\"\nc: 2", "<a: 1><@include \"b.inc\"><c: 2>");
	pieces("a:true#x\nb:-1.5e3/**/c:{}", "<a:true><b:-1.5e3><c:{}>{}");
}

static void test_rubbish_ends(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"a: {", "a: }", "}}", ":", "a: \"x\\", "\\", "[", "(((", "/*", "/", "a:/", "\""};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t at = 0, n = 0;
		struct mappiece piece;
		while (mappiece_next(texts[i], &at, strlen(texts[i]), &piece)) {
			assert_true(piece.end <= strlen(texts[i]));
			assert_true(++n < 5);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_rubbish_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

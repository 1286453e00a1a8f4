/*
 * The JSON writer: shapes, escapes, numbers, and every size of buffer that is too small.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/json.h"

#include <errno.h>
#include <string.h>

static void everything(struct json *json)
{
	json_object(json, NULL);
	json_text(json, "text", "a\"b\\c");
	json_int(json, "least", INT64_MIN);
	json_int(json, "most", INT64_MAX);
	json_int(json, "zero", 0);
	json_bool(json, "yes", true);
	json_bool(json, "no", false);
	json_null(json, "nothing");
	json_raw(json, "raw", "1.5e-7", 6);
	json_array(json, "list");
	json_int(json, NULL, 1);
	json_text(json, NULL, "");
	json_object(json, NULL);
	json_object_end(json);
	json_array(json, NULL);
	json_array_end(json);
	json_array_end(json);
	json_object(json, "inner");
	json_int(json, "a", -1);
	json_object_end(json);
	json_int(json, "last", 2);
	json_object_end(json);
}

static const char expected[] = "{\"text\":\"a\\\"b\\\\c\",\"least\":-9223372036854775808,\"most\":9223372036854775807,"
			       "\"zero\":0,\"yes\":true,\"no\":false,\"nothing\":null,\"raw\":1.5e-7,"
			       "\"list\":[1,\"\",{},[]],\"inner\":{\"a\":-1},\"last\":2}";

static void test_shapes(void **state)
{
	(void)state;
	char text[512];
	struct json json = json_into(text, sizeof(text));
	everything(&json);
	assert_int_equal(json_end(&json), (int)strlen(expected));
	assert_string_equal(text, expected);
}

static void test_every_size(void **state)
{
	(void)state;
	for (size_t size = 0; size <= sizeof(expected) + 1; size++) {
		char text[sizeof(expected) + 2];
		memset(text, '#', sizeof(text));
		struct json json = json_into(text, size);
		everything(&json);
		int n = json_end(&json);
		assert_int_equal(n, size < sizeof(expected) ? -ENOSPC : (int)strlen(expected));
		for (size_t i = size; i < sizeof(text); i++)
			assert_int_equal(text[i], '#');
	}
}

static void escapes(const char *text, size_t n, const char *wanted)
{
	char out[128];
	struct json json = json_into(out, sizeof(out));
	json_text_n(&json, NULL, text, n);
	assert_int_equal(json_end(&json), (int)strlen(wanted));
	assert_string_equal(out, wanted);
}

static void test_escapes(void **state)
{
	(void)state;
	escapes("", 0, "\"\"");
	escapes("\n\t\r", 3, "\"\\n\\t\\r\"");
	escapes("\0\x01\x1F\x7F", 4, "\"\\u0000\\u0001\\u001f\\u007f\"");
	escapes("21 \xC2\xB0"
		"C",
		6,
		"\"21 \xC2\xB0"
		"C\"");
	escapes("\xF0\x9F\x98\x80/", 5, "\"\xF0\x9F\x98\x80/\"");
	escapes("a\xFF"
		"b",
		3, "\"a\\ufffdb\"");
	escapes("\xC3(", 2, "\"\\ufffd(\"");
	escapes("\xED\xA0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\"");
	escapes("cut\xE2\x82", 5, "\"cut\\ufffd\\ufffd\"");
}

static void test_key_is_escaped(void **state)
{
	(void)state;
	char text[64];
	struct json json = json_into(text, sizeof(text));
	json_object(&json, NULL);
	json_int(&json, "a\"b", 1);
	json_object_end(&json);
	assert_true(json_end(&json) > 0);
	assert_string_equal(text, "{\"a\\\"b\":1}");
}

/* RFC 4648, section 10. */
static void test_base64(void **state)
{
	(void)state;
	static const char *const vectors[][2] = {{"", "\"\""}, {"f", "\"Zg==\""}, {"fo", "\"Zm8=\""},
		{"foo", "\"Zm9v\""}, {"foob", "\"Zm9vYg==\""}, {"fooba", "\"Zm9vYmE=\""}, {"foobar", "\"Zm9vYmFy\""},
		{"\xff\xfe\xfb", "\"//77\""}};
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		char text[64];
		struct json json = json_into(text, sizeof(text));
		json_base64(&json, NULL, vectors[i][0], strlen(vectors[i][0]));
		assert_true(json_end(&json) > 0);
		assert_string_equal(text, vectors[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_every_size),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_key_is_escaped),
		cmocka_unit_test(test_base64),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

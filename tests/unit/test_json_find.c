/*
 * Members read out of JSON texts: whole ones, cut ones, hostile ones.
 */
#include "base/json.h"
#include "base/json_find.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char sample[] = "{ \"a\":1 ,\"nested\":{\"b\":[2,\"}\\\"\",{\"a\":7}],\"c\":-3},\"yes\":true,\"no\":false,"
			     "\"text\":\"q\\\"\\\\\\u00e9\\u20ac\\n\",\"least\":-9223372036854775808,"
			     "\"most\":9223372036854775807,\"over\":9223372036854775808,\"part\":1.5,\"none\":null}";

static bool find_int(const char *text, const char *key, int64_t *number)
{
	return json_find_int(text, strlen(text), key, number);
}

static void test_numbers(void **state)
{
	(void)state;
	int64_t number = 5;
	bool yes = false;
	assert_true(find_int(sample, "a", &number));
	assert_int_equal(number, 1);
	assert_true(find_int(sample, "least", &number));
	assert_true(number == INT64_MIN);
	assert_true(find_int(sample, "most", &number));
	assert_true(number == INT64_MAX);
	number = 5;
	assert_false(find_int(sample, "over", &number));
	assert_false(find_int(sample, "part", &number));
	assert_false(find_int(sample, "none", &number));
	assert_false(find_int(sample, "yes", &number));
	assert_false(find_int(sample, "b", &number)); /* of another object */
	assert_int_equal(number, 5);
	assert_true(json_find_bool(sample, strlen(sample), "yes", &yes) && yes);
	assert_true(json_find_bool(sample, strlen(sample), "no", &yes) && !yes);
	assert_false(json_find_bool(sample, strlen(sample), "a", &yes));
}

static void test_values(void **state)
{
	(void)state;
	struct json_value value;
	int64_t number;
	char text[16], small[4];
	assert_true(json_find(sample, strlen(sample), "nested", &value));
	assert_true(json_find_int(value.text, value.n, "c", &number));
	assert_int_equal(number, -3);
	assert_true(json_find_text(sample, strlen(sample), "text", text, sizeof(text)));
	assert_string_equal(text, "q\"\\\xc3\xa9\xe2\x82\xac\n");
	assert_false(json_find_text(sample, strlen(sample), "text", small, sizeof(small)));
	assert_false(json_find_text(sample, strlen(sample), "a", text, sizeof(text)));
	static const char *const bad[] = {
		"{\"t\":\"\\u0000\"}", "{\"t\":\"\\ud800\"}", "{\"t\":\"\\x\"}", "{\"t\":\"\\u12\"}"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(json_find_text(bad[i], strlen(bad[i]), "t", text, sizeof(text)));
}

/* What our own writer has escaped comes back as it was. */
static void test_there_and_back(void **state)
{
	(void)state;
	char line[256], text[64];
	static const char said[] = "tab\t quote\" back\\ bell\a del\x7f gr\xc3\xbc\xc3\x9f";
	struct json json = json_into(line, sizeof(line));
	json_object(&json, NULL);
	json_text(&json, "said", said);
	json_object_end(&json);
	int n = json_end(&json);
	assert_true(n > 0);
	assert_true(json_find_text(line, (size_t)n, "said", text, sizeof(text)));
	assert_string_equal(text, said);
}

/* Each beginning of the sample, in memory of exactly its size, and with each byte made another. */
static void test_cut_and_bent(void **state)
{
	(void)state;
	size_t whole = strlen(sample);
	for (size_t n = 0; n < whole; n++) {
		char *text = malloc(n + 1), found[32];
		struct json_value value;
		int64_t number;
		assert_non_null(text);
		text = realloc(text, n ? n : 1);
		memcpy(text, sample, n);
		if (json_find(text, n, "none", &value))
			assert_int_equal(n, whole - 1); /* only its end is missing */
		json_find_text(text, n, "text", found, sizeof(found));
		for (size_t i = 0; i < n; i += 3) {
			text[i] = (char)(text[i] ^ 0x41);
			json_find(text, n, "absent", &value);
			json_find_int(text, n, "most", &number);
		}
		free(text);
	}
}

static void test_each(void **state)
{
	(void)state;
	static const char text[] = "{ \"a\" : 1 , \"b \\\"q\\\"\": {\"c\":[1,2]} ,\"d\":\"x\"} and more";
	static const char *const keys[] = {"a", "b \"q\"", "d"}, *const values[] = {"1", "{\"c\":[1,2]}", "\"x\""};
	struct json_value key, value;
	size_t at = 0, n = 0;
	char name[16];
	for (; json_each(text, strlen(text), &at, &key, &value); n++) {
		assert_true(n < 3);
		assert_true(json_text_of(&key, name, sizeof(name)));
		assert_string_equal(name, keys[n]);
		assert_int_equal(value.n, strlen(values[n]));
		assert_memory_equal(value.text, values[n], value.n);
	}
	assert_int_equal(n, 3);
	at = 0;
	assert_false(json_each("{}", 2, &at, &key, &value));
	assert_false(json_each("", 0, &at, &key, &value));
	assert_false(json_each("[1]", 3, &at, &key, &value));
	value = (struct json_value){"1", 1};
	assert_false(json_text_of(&value, name, sizeof(name)));
	value = (struct json_value){"", 0};
	assert_false(json_text_of(&value, name, sizeof(name)));
}

static void test_depth(void **state)
{
	(void)state;
	enum { N = 200000 };
	char *text = malloc(N);
	struct json_value value;
	assert_non_null(text);
	memset(text, '[', N);
	memcpy(text, "{\"a\":", 5);
	assert_false(json_find(text, N, "b", &value));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_values),
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_cut_and_bent),
		cmocka_unit_test(test_depth), cmocka_unit_test(test_each)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

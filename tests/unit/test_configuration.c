/*
 * docs/configuration.md: its tables of keys are made from the tables that read the map, between two marks.  This test
 * makes them anew and compares; BUSFERRY_BLESS=1 in the environment writes them.
 */
#include "app/explain.h"
#include "field/registry.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define FILE_NAME BUSFERRY_SOURCE "/docs/configuration.md"
#define BEGIN     "<!-- made from the tables of the program: BUSFERRY_BLESS=1 build/tests/unit/test_configuration -->\n"
#define END       "<!-- end of what is made -->\n"

static char *contents(void)
{
	FILE *from = fopen(FILE_NAME, "r");
	assert_non_null(from);
	assert_int_equal(fseek(from, 0, SEEK_END), 0);
	size_t size = (size_t)ftell(from);
	rewind(from);
	char *text = calloc(1, size + 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, size, from), size);
	fclose(from);
	return text;
}

static void print_cell(FILE *to, const char *text)
{
	for (; *text; text++)
		fprintf(to, *text == '|' ? "\\%c" : "%c", *text);
}

static void print_row(FILE *to, const struct bf_key *key)
{
	char type[EXPLAIN_SIZE], fallback[EXPLAIN_SIZE], required[EXPLAIN_SIZE];
	explain_type(key, type);
	explain_default(key, fallback);
	explain_required(key, required);
	fprintf(to, "| `%s` | ", key->name);
	print_cell(to, type);
	fprintf(to, " | %s | ", required[0] ? required : fallback);
	print_cell(to, key->help);
	fputs(" |\n", to);
}

static char *made(void)
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);
	struct explain_row row, before = {0};
	for (size_t i = 0; explain_row_at(i, &row); i++) {
		if (!before.group || strcmp(row.group, before.group) != 0 || row.driver != before.driver) {
			fprintf(to, "\n### %c%s%s%s\n\n", toupper((unsigned char)row.group[0]), row.group + 1,
				row.driver ? ", driver " : "", row.driver ? row.driver : "");
			fputs("| key | is | default | what it does |\n|---|---|---|---|\n", to);
		}
		print_row(to, row.key);
		before = row;
	}
	fputc('\n', to);
	fclose(to);
	return text;
}

static void test_the_reference_is_current(void **state)
{
	(void)state;
	char *is = contents(), *should = made();
	char *begin = strstr(is, BEGIN), *end = strstr(is, END);
	assert_non_null(begin);
	assert_non_null(end);
	begin += strlen(BEGIN);
	bool same = strlen(should) == (size_t)(end - begin) && memcmp(begin, should, strlen(should)) == 0;
	if (!same && getenv("BUSFERRY_BLESS")) {
		FILE *to = fopen(FILE_NAME, "w");
		assert_non_null(to);
		fprintf(to, "%.*s%s%s", (int)(begin - is), is, should, end);
		fclose(to);
		same = true;
	}
	if (!same)
		print_message("docs/configuration.md is not what the tables say; BUSFERRY_BLESS=1 writes it anew\n");
	assert_true(same);
	free(is);
	free(should);
}

static void test_each_key_says_what_it_is(void **state)
{
	(void)state;
	struct explain_row row;
	size_t n = 0;
	for (; explain_row_at(n, &row); n++) {
		char type[EXPLAIN_SIZE];
		size_t length = row.key->help ? strlen(row.key->help) : 0;
		explain_type(row.key, type);
		if (length < 5 || row.key->help[length - 1] == '.' || type[0] == '\0')
			print_message("%s of %s\n", row.key->name, row.group);
		assert_true(length >= 5 && row.key->help[length - 1] != '.' && type[0] != '\0');
	}
	assert_true(n > 80);
}

static void explained(const struct bf_key *key, const char *type, const char *fallback)
{
	char is[EXPLAIN_SIZE];
	explain_type(key, is);
	assert_string_equal(is, type);
	explain_default(key, is);
	assert_string_equal(is, fallback);
}

static void required(const char *name, unsigned flags, const char *expected)
{
	char is[EXPLAIN_SIZE];
	explain_required(&(struct bf_key){.name = name, .flags = flags}, is);
	assert_string_equal(is, expected);
}

static void test_what_must_be_given(void **state)
{
	(void)state;
	required("site", BF_KEY_REQUIRED, "must be given");
	required("frame.check.kind", BF_KEY_REQUIRED, "must be given in \"frame.check\"");
	required("frame.check.kind", 0, "");
}

static void test_types_and_defaults(void **state)
{
	(void)state;
	explained(&(struct bf_key){.type = BF_KEY_INT, .min = 1, .max = 5, .fallback = "2"},
		"a whole number from 1 to 5", "2");
	explained(&(struct bf_key){.type = BF_KEY_NUMBER, .max = 1e300}, "a number from 0", "");
	explained(&(struct bf_key){.type = BF_KEY_NUMBER}, "a number", "");
	explained(&(struct bf_key){.type = BF_KEY_DURATION, .min = 0.001, .max = 60, .fallback = "1s"},
		"a duration from \"1ms\" to \"1m\"", "\"1s\"");
	explained(&(struct bf_key){.type = BF_KEY_DURATION, .max = 60, .choices = "start"},
		"a duration up to \"1m\", or \"start\"", "");
	explained(&(struct bf_key){.type = BF_KEY_SIZE, .min = 1000, .max = 2e9}, "a size from \"1kB\" to \"2GB\"", "");
	explained(&(struct bf_key){.type = BF_KEY_CHOICE, .choices = "a|b|c", .fallback = "b"}, "\"a\", \"b\" or \"c\"",
		"\"b\"");
	explained(&(struct bf_key){.type = BF_KEY_BOOL, .fallback = "false"}, "true or false", "false");
	explained(&(struct bf_key){.type = BF_KEY_TEXT}, "a text", "");
	explained(&(struct bf_key){.type = BF_KEY_TEXTS}, "a text or a list of texts", "");
	explained(&(struct bf_key){.type = BF_KEY_SCALAR}, "a number or a text", "");
	explained(&(struct bf_key){.type = BF_KEY_NODE}, "a group", "");
	explained(&(struct bf_key){.type = BF_KEY_NODE, .choices = "group|text"}, "a group or a text", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_reference_is_current),
		cmocka_unit_test(test_each_key_says_what_it_is),
		cmocka_unit_test(test_what_must_be_given),
		cmocka_unit_test(test_types_and_defaults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

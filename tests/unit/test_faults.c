/* The look of faults, their order, and what "did you mean" takes for near. */
#include "app/faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char *printed(struct faults *faults, bool colour)
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);
	faults_print(faults, to, colour);
	fclose(to);
	return text;
}

/* A map of that text, in the working folder of the test. */
static void map_is(const char *text)
{
	FILE *to = fopen("test_faults.conf", "w");
	assert_non_null(to);
	fputs(text, to);
	fclose(to);
}

static void expect(struct faults *faults, const char *text)
{
	char *is = printed(faults, false);
	assert_string_equal(is, text);
	free(is);
	faults_destroy(faults);
	unlink("test_faults.conf");
}

static void add(struct faults *faults, unsigned line, uint16_t column, uint16_t width, const char *what)
{
	struct place_in_map at = {"test_faults.conf", line, column, width};
	faults_add(faults, FAULT_ERROR, &at, NULL, "%s", what);
}

static void test_line_caret_and_hint(void **state)
{
	(void)state;
	struct faults faults = {0};
	map_is("a: 1\n    flow: { input: 100  scael: 0.1 }\n");
	struct place_in_map at = {"test_faults.conf", 2, 25, 5};
	faults_add(&faults, FAULT_ERROR, &at, "did you mean \"scale\"?", "unknown setting \"%s\"", "scael");
	assert_int_equal(faults.n_errors, 1);
	expect(&faults, "test_faults.conf:2:25: error: unknown setting \"scael\"\n"
			"     2 |     flow: { input: 100  scael: 0.1 }\n"
			"       |                         ^~~~~\n"
			"       = did you mean \"scale\"?\n");
}

static void test_tabs_umlauts_and_ends_of_lines(void **state)
{
	(void)state;
	struct faults faults = {0};
	map_is("\xEF\xBB\xBF\tä: 5\r\nlast");
	add(&faults, 1, 5, 9, "one");
	add(&faults, 2, 5, 0, "two");
	add(&faults, 7, 1, 1, "no such line");
	expect(&faults, "test_faults.conf:1:5: error: one\n     1 | \tä: 5\n       | \t   ^\n"
			"test_faults.conf:2:5: error: two\n     2 | last\n       |     ^\n"
			"test_faults.conf:7:1: error: no such line\n");
}

static void test_sorted_by_place_and_told_once(void **state)
{
	(void)state;
	struct faults faults = {0};
	map_is("\n");
	struct place_in_map whole = {.file = "a.conf"};
	for (unsigned line = 20; line > 1; line--)
		add(&faults, line, 2, 1, "b");
	add(&faults, 2, 1, 1, "a");
	add(&faults, 2, 2, 1, "b");
	add(&faults, 2, 2, 1, "c");
	faults_add(&faults, FAULT_WARNING, &whole, NULL, "first of all");
	assert_int_equal(faults.n_warnings, 1);
	faults_sort(&faults);
	assert_string_equal(faults.first->what, "first of all");
	unsigned line = 0, n = 0;
	for (const struct fault *fault = faults.first; fault; fault = fault->next, n++) {
		assert_true(fault->at.line >= line);
		line = fault->at.line;
	}
	assert_int_equal(n, 23);
	char *text = printed(&faults, false);
	assert_int_equal(strncmp(text, "a.conf: warning: first of all\n", 30), 0);
	assert_non_null(
		strstr(text, ":2:1: error: a\ntest_faults.conf:2:2: error: b\ntest_faults.conf:2:2: error: c\n"));
	free(text);
	faults_destroy(&faults);
	unlink("test_faults.conf");
}

static void test_secrets_are_not_shown(void **state)
{
	(void)state;
	struct faults faults = {0};
	map_is("url: \"mqtt://me:secret@host\" password: \"secret\" password_file: \"/etc/pw\"\n");
	add(&faults, 1, 1, 1, "x");
	char *text = printed(&faults, true);
	assert_null(strstr(text, "secret"));
	assert_non_null(strstr(text, "/etc/pw"));
	assert_non_null(strstr(text, "\033[1;31merror:"));
	free(text);
	faults_destroy(&faults);
	unlink("test_faults.conf");
}

static void test_did_you_mean(void **state)
{
	(void)state;
	const char *const words[] = {"scale", "offset", "qos", "min", "max", "every", NULL};
	assert_string_equal(faults_did_you_mean("scael", words), "scale");
	assert_string_equal(faults_did_you_mean("scal", words), "scale");
	assert_string_equal(faults_did_you_mean("ofset", words), "offset");
	assert_string_equal(faults_did_you_mean("evrey", words), "every");
	assert_string_equal(faults_did_you_mean("qso", words), "qos");
	assert_string_equal(faults_did_you_mean("mxa", words), "max");
	assert_null(faults_did_you_mean("qxx", words));
	assert_null(faults_did_you_mean("slope", words));
	assert_null(faults_did_you_mean("", words));
	assert_null(faults_did_you_mean("x", words));
	char lengthy[300];
	memset(lengthy, 'a', sizeof(lengthy) - 1);
	lengthy[sizeof(lengthy) - 1] = '\0';
	assert_null(faults_did_you_mean(lengthy, words));
}

static void test_a_long_line_is_cut_around_the_caret(void **state)
{
	(void)state;
	struct faults faults = {0};
	char line[1001], expected[600];
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	map_is(line);
	add(&faults, 1, 500, 3, "here");
	snprintf(expected, sizeof(expected), "test_faults.conf:1:500: error: here\n     1 | …%.160s…\n       | %*s~~\n",
		line, 82, "^");
	expect(&faults, expected);
}

static void test_a_million_are_not_printed(void **state)
{
	(void)state;
	struct faults faults = {0};
	map_is("x");
	for (unsigned i = 0; i < 3000; i++)
		add(&faults, 1 + i, 1, 1, "again");
	char *text = printed(&faults, false);
	size_t n = 0;
	for (const char *c = text; (c = strstr(c, "again")) != NULL; c++)
		n++;
	assert_int_equal(n, 1000);
	assert_non_null(strstr(text, "… and more: 3000 errors and 0 warnings in all\n"));
	free(text);
	faults_destroy(&faults);
	unlink("test_faults.conf");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_caret_and_hint),
		cmocka_unit_test(test_tabs_umlauts_and_ends_of_lines),
		cmocka_unit_test(test_sorted_by_place_and_told_once),
		cmocka_unit_test(test_secrets_are_not_shown),
		cmocka_unit_test(test_did_you_mean),
		cmocka_unit_test(test_a_long_line_is_cut_around_the_caret),
		cmocka_unit_test(test_a_million_are_not_printed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

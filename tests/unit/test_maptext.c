/* The raw-text pass: places of keys and values, and what is told and mended. */
#include "app/maptext.h"
#include "app/maptoken.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

struct bench {
	struct arena arena;
	struct faults faults;
	struct maptext map;
};

static void pass(struct bench *bench, const char *text)
{
	*bench = (struct bench){0};
	maptext_read("m.conf", text, strlen(text), &bench->arena, &bench->faults, &bench->map);
	faults_sort(&bench->faults);
}

static void done(struct bench *bench)
{
	faults_destroy(&bench->faults);
	maptext_destroy(&bench->map);
	arena_free(&bench->arena);
}

static size_t count(const struct tree *node)
{
	size_t n = 0;
	if (node->type == TREE_GROUP || node->type == TREE_LIST)
		for (const struct tree *child = node->first; child; child = child->next)
			n += 1 + count(child);
	return n;
}

static void sound(const char *text, size_t n)
{
	struct bench bench;
	pass(&bench, text);
	if (bench.faults.first)
		print_message("%s: %s\n", text, bench.faults.first->what);
	assert_int_equal(bench.faults.n_errors, 0);
	assert_false(bench.map.broken);
	assert_int_equal(count(bench.map.root), n);
	assert_string_equal(bench.map.text, text);
	done(&bench);
}

/* One fault at that place, and the text that libconfig is given. */
static void faulty(const char *text, unsigned line, unsigned column, unsigned width, const char *mended)
{
	struct bench bench;
	pass(&bench, text);
	if (bench.faults.n_errors != 1)
		print_message("%s: %zu faults\n", text, bench.faults.n_errors);
	assert_int_equal(bench.faults.n_errors, 1);
	const struct fault *fault = bench.faults.first;
	if (fault->at.line != line || fault->at.column != column || fault->at.width != width)
		print_message(
			"%s: %u:%u-%u %s\n", text, fault->at.line, fault->at.column, fault->at.width, fault->what);
	assert_int_equal(fault->at.line, line);
	assert_int_equal(fault->at.column, column);
	assert_int_equal(fault->at.width, width);
	assert_int_equal(bench.map.broken, mended == NULL);
	if (mended)
		assert_string_equal(bench.map.text, mended);
	done(&bench);
}

static void test_what_libconfig_takes_is_sound(void **state)
{
	(void)state;
	sound("", 0);
	sound("a: 1", 1);
	sound("a = 1; b : 2, c: 3\nd:4", 4);
	sound("a: { b: { c: [1, 2, 3] } }", 6);
	sound("a: ( { b: 1 }, [ ], ( ), \"x\" )", 6);
	sound("a: \"x\" \"y\"\n\"z\" b: 1", 2);
	sound("a: \"\\\"{ # // \\\\\" # { \"\n// [\n/* ( \n */ b: TRUE", 2);
	sound("a: 0xFFFFFFFF b: -2147483648 c: 4294967296L d: +5 e: .5 f: 5. g: 1e3 h: -1.5E-3 i: 0x8000LL", 9);
	sound("a-b_c*: 1\r\n\tb: { }\r\n", 2);
	sound("a: { b: 1; }; c: { d: 1, },", 4);
}

static void test_places(void **state)
{
	(void)state;
	struct bench bench;
	pass(&bench, "\xEF\xBB\xBF"
		     "ä: 1");
	assert_int_equal(bench.faults.n_errors, 1); /* ä is no key */
	done(&bench);
	pass(&bench, "\xEF\xBB\xBFx: \"äöü\" yy: [0xFFFFFFFF,\n  7]\n\tz: { }");
	assert_int_equal(bench.faults.n_errors, 0);
	assert_int_equal(count(bench.map.root), 5);
	const struct tree *x = bench.map.root->first, *yy = x->next, *z = yy->next;
	const struct tree *hex = yy->first, *seven = hex->next;
	assert_string_equal(yy->name, "yy");
	assert_int_equal(z->type, TREE_GROUP);
	assert_int_equal(x->key.column, 1);
	assert_int_equal(x->at.column, 4);
	assert_int_equal(x->at.width, 5);
	assert_int_equal(yy->key.column, 10);
	assert_int_equal(yy->key.width, 2);
	assert_int_equal(yy->at.column, 14);
	assert_true(hex->hex && hex->type == TREE_INT);
	assert_true(hex->i == INT64_C(0xFFFFFFFF));
	assert_int_equal(seven->at.line, 2);
	assert_int_equal(seven->key.column, 3);
	assert_int_equal(z->key.line, 3);
	assert_int_equal(z->key.column, 2);
	assert_int_equal(z->at.column, 5);
	done(&bench);
}

static void test_faults_that_are_mended(void **state)
{
	(void)state;
	faulty("a: 10s", 1, 4, 3, "a: \"10s\"");
	faulty("a: 2147483648", 1, 4, 10, "a: 2147483648L");
	faulty("a: -2147483649", 1, 4, 11, "a: -2147483649L");
	faulty("a: 0x100000000", 1, 4, 11, "a: 0x100000000L");
	faulty("a: 9223372036854775808L", 1, 4, 20, "a: 0");
	faulty("a: 010", 1, 4, 3, "a: 10L");
	faulty("a: [1, 2,]", 1, 9, 1, "a: [1, 2]");
	faulty("a: (1,)", 1, 6, 1, "a: (1)");
	faulty("a: [\"x\" \"y\"]", 1, 9, 3, "a: [\"x\" ,\"y\"]");
	faulty("a: ( \"x\"\n\"y\")", 2, 1, 3, "a: ( \"x\"\n,\"y\")");
	faulty("a: [1, 2.0]", 1, 8, 3, "a: (1, 2.0)");
	faulty("a: 'x'", 1, 4, 3, "a: \"x\"");
	faulty("a: mqtt://h:1/x b: 1", 1, 4, 12, "a: \"mqtt://h:1/x\" b: 1");
	faulty("a: 9600 8N1 b: 1", 1, 4, 8, "a: \"9600 8N1\" b: 1");
	faulty("a: no", 1, 4, 2, "a: false");
	faulty("a: 0,5", 1, 4, 3, "a: 0.5");
	faulty("a 5", 1, 1, 1, "a: 5");
	faulty("a: 1 a:\n2", 1, 6, 1, "a: 1 \n");
	faulty("b: { a: [1, 2 }", 1, 9, 1, "b: { a: [1, 2] }");
}

static void test_faults_that_are_not(void **state)
{
	(void)state;
	faulty("a: { b: 1", 1, 4, 1, NULL);
	faulty("a: {\n  b: {\n  c: { }\n}\n", 2, 6, 1, NULL);
	faulty("a: 1 }", 1, 6, 1, NULL);
	faulty("a: \"x\nb: 1", 1, 4, 2, NULL);
	faulty("a: \"x  b: \"y\"", 1, 4, 10, NULL);
	faulty("a: /* x", 1, 4, 2, NULL);
	faulty("\"a\": 1", 1, 1, 3, NULL);
	faulty("a: 1 # \xFF", 1, 8, 1, NULL);
}

static void test_depth_and_rubbish_end(void **state)
{
	(void)state;
	char text[4001];
	const char *const pieces[] = {
		"a:{", "a:(", "(", "}", "\"", "a:1 a:1 ", "'", "@include \"x\"\n", ",", "1 ", "a:[["};
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		size_t n = 0, m = strlen(pieces[i]);
		for (; n + m < sizeof(text); n += m)
			memcpy(text + n, pieces[i], m);
		text[n] = '\0';
		struct bench bench;
		pass(&bench, text);
		assert_true(bench.faults.n_errors > 0 && bench.faults.n_errors < 110);
		done(&bench);
	}
}

/* A file of that size is no map: nothing of it is asked for in memory. */
static void test_a_huge_file_is_refused(void **state)
{
	(void)state;
	char path[64];
	struct arena arena = {0};
	const char *text;
	size_t n;
	int fd = memfd_create("map", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)1 << 45), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(maptext_load(path, &arena, &text, &n), -EFBIG);
	assert_int_equal(arena.used, 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_libconfig_takes_is_sound),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_faults_that_are_mended),
		cmocka_unit_test(test_faults_that_are_not),
		cmocka_unit_test(test_depth_and_rubbish_end),
		cmocka_unit_test(test_a_huge_file_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

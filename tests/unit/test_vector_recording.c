/*
 * Recordings as the input of a vector: chunks of a sensor that sends by itself, answers of one that is asked.
 */
#include "app/vector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define HEAD "# busferry recording 1\n"

static char folder[64], recordings[96], file[128], conf[128];

struct tried {
	struct arena arena;
	struct faults faults;
	struct profile profile;
	const struct vector *vectors;
	size_t n;
};

static void put(const char *path, const char *text)
{
	FILE *to = fopen(path, "w");
	assert_non_null(to);
	assert_true(fputs(text, to) >= 0);
	assert_int_equal(fclose(to), 0);
}

static struct tried try_it(const char *device, const char *vector, const char *recording)
{
	struct tried tried = {0};
	char text[2048];
	snprintf(text, sizeof(text),
		"profile: { id: \"x\"  maker: \"m\"  device: \"d\"  document: \"x\"  revision: \"1\"  transport: "
		"\"frame\" }\n"
		"frame: { start: \"AA\"  length: 3  check: { kind: \"sum8\" } }\n%s\n"
		"metrics: { a: { at: 1  type: \"u8\" } }\n"
		"vectors: { v: { origin: \"synthetic\"  %s  expect: { a: 1 } } }\n",
		device, vector);
	put(conf, text);
	put(file, recording);
	assert_int_equal(profile_read(conf, &tried.arena, &tried.faults, &tried.profile), 0);
	vectors_read(&tried.profile, &tried.arena, &tried.faults, &tried.vectors, &tried.n);
	assert_int_equal(tried.n, 1);
	return tried;
}

static void forget(struct tried *tried)
{
	arena_free(&tried->arena);
	faults_destroy(&tried->faults);
}

static void assert_item(const struct tried *tried, size_t i, const void *bytes, size_t n)
{
	assert_true(i < tried->vectors[0].n_input);
	assert_int_equal(tried->vectors[0].input[i].n, n);
	assert_memory_equal(tried->vectors[0].input[i].at, bytes, n);
}

static void each_chunk_is_one(void **state)
{
	(void)state;
	struct tried tried = try_it("", "recording: \"r.rec\"", HEAD "0 < AA 01\n10 < AB\n20 < AA 02 AC\n");
	assert_int_equal(tried.faults.n_errors, 0);
	assert_int_equal(tried.vectors[0].n_input, 3);
	assert_item(&tried, 0, "\xaa\x01", 2);
	assert_item(&tried, 1, "\xab", 1);
	assert_item(&tried, 2, "\xaa\x02\xac", 3);
	forget(&tried);
	tried = try_it("", "input: [ \"01\" ]  recording: \"r.rec\"", HEAD "< 02\n");
	assert_int_equal(tried.vectors[0].n_input, 2);
	assert_item(&tried, 0, "\x01", 1);
	assert_item(&tried, 1, "\x02", 1);
	forget(&tried);
}

static void what_is_between_requests_is_an_answer(void **state)
{
	(void)state;
	const char *text = HEAD "0 < 99\n1 > 01\n2 > 02\n3 < 98\n"
				"100 > 55\n110 < AA 01\n115 < AB\n"
				"200 > 55\n"
				"2300 > 55\n2310 < AA 02 AC\n";
	struct tried tried = try_it("init: [ \"01\", \"02\" ]", "recording: \"r.rec\"", text);
	assert_int_equal(tried.faults.n_errors, 0);
	assert_int_equal(tried.vectors[0].n_input, 3);
	assert_item(&tried, 0, "\xaa\x01\xab", 3);
	assert_item(&tried, 1, "", 0); /* it was not answered */
	assert_item(&tried, 2, "\xaa\x02\xac", 3);
	forget(&tried);
}

static void what_is_wrong_is_told_once(void **state)
{
	(void)state;
	static const struct {
		const char *vector, *recording, *what;
	} cases[] = {
		{"recording: \"none.rec\"", HEAD,
			"the recording \"none.rec\" can't be read: No such file or directory"},
		{"recording: \"../recordings/r.rec\"", HEAD, "\"../recordings/r.rec\" is not the name of a file"},
		{"recording: \".\"", HEAD, "\".\" is not the name of a file"},
		{"recording: \"r.rec\"", HEAD "0 < 4\n",
			"a byte is a pair of hexadecimal digits; one here stands alone"},
		{"recording: \"r.rec\"", HEAD, "the vector \"v\" has no input"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tried tried = try_it("", cases[i].vector, cases[i].recording);
		assert_int_equal(tried.faults.n_errors, 1);
		assert_string_equal(tried.faults.first->what, cases[i].what);
		assert_true(tried.faults.first->at.line > 0);
		forget(&tried);
	}
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/busferry-vector-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(recordings, sizeof(recordings), "%s/recordings", folder);
	snprintf(file, sizeof(file), "%s/r.rec", recordings);
	snprintf(conf, sizeof(conf), "%s/x.conf", folder);
	return mkdir(recordings, 0700);
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(file);
	unlink(conf);
	return rmdir(recordings) || rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_chunk_is_one),
		cmocka_unit_test(what_is_between_requests_is_an_answer), cmocka_unit_test(what_is_wrong_is_told_once)};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

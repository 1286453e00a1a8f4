/*
 * What another program says, with bounds.
 */
#include "cli/capture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#define SECONDS 60

static void both_outputs_are_kept(void **state)
{
	(void)state;
	struct captured captured;
	const char *const argv[] = {"sh", "-c", "echo out; echo err >&2; exit 7", NULL};
	assert_int_equal(capture(argv, SECONDS, 100, &captured), 0);
	assert_string_equal(captured.text, "out\nerr\n");
	assert_int_equal(captured.n, 8);
	assert_int_equal(captured.code, 7);
	captured_free(&captured);
}

static void more_than_is_wanted_is_dropped(void **state)
{
	(void)state;
	struct captured captured;
	const char *const argv[] = {"head", "-c", "300000", "/dev/zero", NULL};
	assert_int_equal(capture(argv, SECONDS, 10000, &captured), 0);
	assert_int_equal(captured.n, 10000);
	assert_int_equal(captured.code, 0);
	captured_free(&captured);
}

static void one_that_does_not_end_is_killed(void **state)
{
	(void)state;
	struct captured captured;
	const char *const argv[] = {"sleep", "600", NULL};
	assert_int_equal(capture(argv, 0, 100, &captured), 0);
	assert_string_equal(captured.text, "");
	assert_int_equal(captured.code, -1);
	captured_free(&captured);
}

static void one_that_is_not_there(void **state)
{
	(void)state;
	struct captured captured;
	const char *const argv[] = {"busferry-no-such-program", NULL};
	assert_int_equal(capture(argv, SECONDS, 100, &captured), -ENOENT);
}

static void without_descriptors_nothing_is_left(void **state)
{
	(void)state;
	struct captured captured = {.code = 42};
	struct rlimit before, none;
	const char *const argv[] = {"true", NULL};
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	int rc = capture(argv, SECONDS, 100, &captured);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(rc, -EMFILE);
	assert_null(captured.text);
	assert_int_equal(captured.code, 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_outputs_are_kept),
		cmocka_unit_test(more_than_is_wanted_is_dropped),
		cmocka_unit_test(one_that_does_not_end_is_killed),
		cmocka_unit_test(one_that_is_not_there),
		cmocka_unit_test(without_descriptors_nothing_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

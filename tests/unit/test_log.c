/*
 * Complaints grow quiet and are ended once; log lines leave whole, harmless, and by level.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)

/* A fault every second for a day: told at 0, 1, 3, 7, 15, 31, 63, 123, 183 … minutes. */
static void test_grows_quiet(void **state)
{
	(void)state;
	struct complaint complaint = {0};
	int64_t start = 12345, wait = MINUTE, due = 0;
	uint64_t count = 0;
	for (int64_t at = 0; at < 24 * 60 * MINUTE; at += SECOND) {
		bool told = complaint_raise(&complaint, start + at);
		count++;
		assert_int_equal(told, at == due);
		if (!told)
			continue;
		due = at + wait;
		wait = 2 * wait < 60 * MINUTE ? 2 * wait : 60 * MINUTE;
	}
	assert_true(complaint.count == count);
}

static void test_is_ended_once(void **state)
{
	(void)state;
	struct complaint complaint = {0};
	int64_t lasted = -7;
	uint64_t count = 99;
	assert_false(complaint_clear(&complaint, 5, &lasted, &count));
	assert_true(lasted == -7 && count == 99);
	assert_true(complaint_raise(&complaint, MINUTE));
	assert_false(complaint_raise(&complaint, MINUTE + SECOND));
	assert_false(complaint_raise(&complaint, MINUTE + 2 * SECOND));
	assert_true(complaint_clear(&complaint, MINUTE + 10 * SECOND, &lasted, &count));
	assert_true(lasted == 10 * SECOND && count == 3);
	assert_false(complaint_clear(&complaint, MINUTE + 11 * SECOND, NULL, NULL));
	assert_true(complaint_raise(&complaint, MINUTE + 12 * SECOND)); /* a new one is told at once */
	assert_true(complaint_clear(&complaint, MINUTE + 13 * SECOND, NULL, NULL));
}

static void test_from_instant_zero(void **state)
{
	(void)state;
	struct complaint complaint = {0};
	assert_true(complaint_raise(&complaint, 0));
	assert_false(complaint_raise(&complaint, 1));
	assert_true(complaint_clear(&complaint, 2, NULL, NULL));
}

static int pipe_ends[2], kept_stderr;

static int capture_begin(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM"); /* before the first line: the style is asked for once */
	if (pipe(pipe_ends) < 0)
		return -1;
	kept_stderr = dup(STDERR_FILENO);
	return dup2(pipe_ends[1], STDERR_FILENO) < 0 ? -1 : 0;
}

static int capture_end(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_INFO);
	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	return 0;
}

/* What stands in the pipe; an end mark tells where it ends, so nothing waits. */
static const char *captured(void)
{
	static char text[8192];
	assert_int_equal(write(pipe_ends[1], "\f", 1), 1);
	ssize_t n = read(pipe_ends[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	assert_int_equal(text[n - 1], '\f');
	text[n - 1] = '\0';
	return text;
}

static void test_line(void **state)
{
	(void)state;
	log_warning("bus %s: %d", "rs485", 3);
	const char *text = captured();
	assert_non_null(strstr(text, " warning: bus rs485: 3\n"));
	assert_int_equal(strspn(text, "0123456789-: "), strlen("2024-01-01 00:00:00 "));
}

static void test_level(void **state)
{
	(void)state;
	log_debug("not %s", "this");
	assert_string_equal(captured(), "");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("but this");
	assert_non_null(strstr(captured(), "debug: but this\n"));
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("nor this");
	assert_string_equal(captured(), "");
	log_error("this too");
	assert_non_null(strstr(captured(), "error: this too\n"));
}

static void test_nothing_raw(void **state)
{
	(void)state;
	log_notice("model \033[2J\n\x7F"
		   "end 21 \xC2\xB0"
		   "C");
	assert_non_null(strstr(captured(), "notice: model ?[2J??end 21 \xC2\xB0"
					   "C\n"));
}

static void test_long_line(void **state)
{
	(void)state;
	char long_text[3000];
	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	log_info("%s", long_text);
	const char *text = captured();
	size_t n = strlen(text);
	assert_true(n <= 1024 && n > 1000);
	assert_string_equal(text + n - 5, "x...\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_quiet),
		cmocka_unit_test(test_is_ended_once),
		cmocka_unit_test(test_from_instant_zero),
		cmocka_unit_test_setup_teardown(test_line, capture_begin, capture_end),
		cmocka_unit_test_setup_teardown(test_level, capture_begin, capture_end),
		cmocka_unit_test_setup_teardown(test_nothing_raw, capture_begin, capture_end),
		cmocka_unit_test_setup_teardown(test_long_line, capture_begin, capture_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

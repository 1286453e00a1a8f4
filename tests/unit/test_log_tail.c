/*
 * The last lines of the log: in their order, whole whoever writes, and only where somebody asked for them.
 */
#include "base/log_tail.h"
#include "base/utf8.h"
#include "log_capture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct log_tail_line lines[LOG_TAIL_LINES];

/* Runs first: what is kept is kept until the process ends. */
static void nothing_is_kept_unasked(void **state)
{
	(void)state;
	log_info("before");
	assert_int_equal(log_tail_read(lines), 0);
	assert_int_equal(log_tail_keep(), 0);
	assert_int_equal(log_tail_read(lines), 0);
	log_captured();
}

static void the_newest_comes_first(void **state)
{
	(void)state;
	assert_int_equal(log_tail_keep(), 0);
	log_warning("one %s", "bus");
	log_debug("below the level");
	log_about(LOG_LEVEL_ERROR, &(struct log_about){.device = "a/b"}, "two\033[31m");
	assert_int_equal(log_tail_read(lines), 2);
	assert_string_equal(lines[0].text, "two?[31m");
	assert_int_equal(lines[0].level, LOG_LEVEL_ERROR);
	assert_string_equal(lines[1].text, "one bus");
	assert_int_equal(lines[1].level, LOG_LEVEL_WARNING);
	assert_true(lines[0].time_ms >= lines[1].time_ms && lines[1].time_ms > 1700000000000);
	for (int i = 0; i < 3 * LOG_TAIL_LINES; i++)
		log_info("line %d", i);
	assert_int_equal(log_tail_read(lines), LOG_TAIL_LINES);
	for (int i = 0; i < LOG_TAIL_LINES; i++) {
		char text[16];
		snprintf(text, sizeof(text), "line %d", 3 * LOG_TAIL_LINES - 1 - i);
		assert_string_equal(lines[i].text, text);
	}
	log_captured();
}

static void a_long_line_is_cut_between_characters(void **state)
{
	(void)state;
	for (size_t from = 0; from < 3; from++) {
		char text[400] = "ab";
		size_t n = from;
		while (n < 390) {
			memcpy(text + n, "€", 3);
			n += 3;
		}
		text[n] = '\0';
		log_info("%s", text);
		assert_true(log_tail_read(lines) > 0);
		size_t length = strlen(lines[0].text);
		assert_in_range(length, LOG_TAIL_BYTES - 3, LOG_TAIL_BYTES - 1);
		assert_true(utf8_valid(lines[0].text, length));
		assert_memory_equal(lines[0].text, text, length);
	}
	log_captured();
}

static void *write_on(void *user)
{
	char text[201];
	memset(text, *(const char *)user, 200);
	text[200] = '\0';
	for (int i = 0; i < 5000; i++)
		log_tail_note(LOG_LEVEL_INFO, text, 200);
	return NULL;
}

/* Each line is of one writer. */
static void lines_stay_whole(void **state)
{
	(void)state;
	pthread_t writers[3];
	assert_int_equal(log_tail_keep(), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&writers[i], NULL, write_on, (void *)(uintptr_t) & "xyz"[i]), 0);
	for (int round = 0; round < 2000; round++) {
		size_t n = log_tail_read(lines);
		for (size_t i = 0; i < n; i++)
			for (const char *at = lines[i].text; at[0] && strchr("xyz", at[0]) && at[1]; at++)
				assert_int_equal(at[0], at[1]);
	}
	for (size_t i = 0; i < 3; i++)
		pthread_join(writers[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_kept_unasked, log_capture_begin, log_capture_end),
		cmocka_unit_test_setup_teardown(the_newest_comes_first, log_capture_begin, log_capture_end),
		cmocka_unit_test_setup_teardown(
			a_long_line_is_cut_between_characters, log_capture_begin, log_capture_end),
		cmocka_unit_test(lines_stay_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

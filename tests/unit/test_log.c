/*
 * Complaints grow quiet and are ended once; log lines leave whole, harmless, and by level.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/log_sink.h"
#include "log_capture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

/* A loose plug, gone and back each second for a day: what is told are pairs, and some of the first. */
static void test_comes_and_goes(void **state)
{
	(void)state;
	struct complaint complaint = {0};
	unsigned n_told = 0;
	for (int64_t at = 0; at < 24 * 60 * MINUTE; at += SECOND) {
		bool told = complaint_raise(&complaint, at);
		assert_true(complaint.since_us != 0);
		assert_int_equal(complaint.told, told);
		n_told += told;
		assert_true(at >= 10 * SECOND || told); /* the first ten */
		assert_int_equal(complaint_clear(&complaint, at + SECOND / 2, NULL, NULL), told);
	}
	assert_in_range(n_told, 240, 252);
	/* One that was not told is told when it lasts. */
	complaint = (struct complaint){0};
	for (int64_t at = 0; at < 100 * SECOND; at += SECOND) {
		complaint_raise(&complaint, at);
		complaint_clear(&complaint, at + SECOND / 2, NULL, NULL);
	}
	int64_t begin = 100 * SECOND, lasted = 0;
	assert_false(complaint_raise(&complaint, begin));
	bool told = false;
	for (int64_t at = begin; at < begin + 8 * MINUTE; at += SECOND)
		told = complaint_raise(&complaint, at) || told;
	assert_true(told);
	assert_true(complaint_clear(&complaint, begin + 8 * MINUTE, &lasted, NULL));
	assert_true(lasted == 8 * MINUTE);
}

static int capture_end(void **state)
{
	log_set_level(LOG_LEVEL_INFO);
	return log_capture_end(state);
}

static void test_line(void **state)
{
	(void)state;
	log_warning("bus %s: %d", "rs485", 3);
	const char *text = log_captured();
	assert_non_null(strstr(text, " warning: bus rs485: 3\n"));
	assert_int_equal(strspn(text, "0123456789-: "), strlen("2024-01-01 00:00:00 "));
}

static void test_level(void **state)
{
	(void)state;
	log_debug("not %s", "this");
	assert_string_equal(log_captured(), "");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("but this");
	assert_non_null(strstr(log_captured(), "debug: but this\n"));
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("nor this");
	assert_string_equal(log_captured(), "");
	log_error("this too");
	assert_non_null(strstr(log_captured(), "error: this too\n"));
}

static void test_nothing_raw(void **state)
{
	(void)state;
	log_notice("model \033[2J\n\x7F"
		   "end 21 \xC2\xB0"
		   "C");
	assert_non_null(strstr(log_captured(), "notice: model ?[2J??end 21 \xC2\xB0"
					       "C\n"));
}

static void test_long_line(void **state)
{
	(void)state;
	char long_text[3000];
	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	log_info("%s", long_text);
	const char *text = log_captured();
	size_t n = strlen(text);
	assert_true(n <= 1024 && n > 1000);
	assert_string_equal(text + n - 5, "x...\n");
}

/* Not within a character. */
static void test_cut_between_characters(void **state)
{
	(void)state;
	for (unsigned shift = 0; shift < 4; shift++) {
		char long_text[3000] = "";
		memset(long_text, 'x', shift);
		for (size_t i = shift; i + 3 < sizeof(long_text); i += 3)
			memcpy(long_text + i, "\xE2\x82\xAC", 4);
		log_info("%s", long_text);
		const char *text = log_captured(), *euro = strstr(text, "\xE2\x82\xAC");
		assert_non_null(euro);
		assert_null(strchr(text, '?'));
		size_t n = strlen(euro);
		assert_string_equal(euro + n - 4, "...\n");
		assert_int_equal((n - 4) % 3, 0);
	}
}

/* What is no UTF-8, and the control characters of two bytes: a terminal takes U+009B for the beginning of a command. */
static void test_no_text(void **state)
{
	(void)state;
	log_notice("a\xFF\xC2\x9B"
		   "b\xE2\x82"
		   "c\xC2\xA0");
	assert_non_null(strstr(log_captured(), "notice: a???b??c\xC2\xA0\n"));
}

/* A reader of stderr that has stopped reading: nobody waits, and how many lines are missing is told later. */
static void test_stopped_reader(void **state)
{
	(void)state;
	static char drained[1 << 20];
	for (unsigned i = 0; i < 5000; i++)
		log_notice("line %u", i);
	assert_int_equal(fcntl(log_capture_fd, F_SETFL, O_NONBLOCK), 0);
	ssize_t n = read(log_capture_fd, drained, sizeof(drained) - 1);
	assert_in_range(n, 4096, sizeof(drained) - 2);
	drained[n] = '\0';
	unsigned taken = 0;
	for (const char *at = drained; *at; at++)
		taken += *at == '\n';
	log_notice("and on");
	char told[80];
	snprintf(told, sizeof(told), "warning: %u log lines were lost: nobody took them\n", 5000 - taken);
	const char *text = log_captured();
	assert_non_null(strstr(text, told));
	assert_non_null(strstr(text, "notice: and on\n"));
	log_notice("once");
	assert_null(strstr(log_captured(), "lost"));
}

/* Nor is the description of others made non-blocking: the shell's terminal is the same. */
static void test_stderr_stays(void **state)
{
	(void)state;
	log_notice("x");
	log_captured();
	assert_int_equal(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
}

static int journal_fd, journal_other, kept_stderr;
static char journal_folder[64], journal_path[96];

/* A socket of ours as the journal; stderr is the stream that it is said to have made. */
static int journal_begin(void **state)
{
	(void)state;
	struct stat status;
	char stream[64];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int ends[2];
	snprintf(journal_folder, sizeof(journal_folder), "/tmp/busferry-log-XXXXXX");
	if (!mkdtemp(journal_folder) || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return -1;
	snprintf(journal_path, sizeof(journal_path), "%s/socket", journal_folder);
	memcpy(address.sun_path, journal_path, strlen(journal_path) + 1);
	journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (bind(journal_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	kept_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	journal_other = ends[0];
	fcntl(journal_other, F_SETFL, O_NONBLOCK);
	if (fstat(STDERR_FILENO, &status) < 0)
		return -1;
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
		(unsigned long long)status.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_sink_journal_at(journal_path);
	return 0;
}

static int journal_end(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	close(journal_fd);
	close(journal_other);
	unlink(journal_path);
	rmdir(journal_folder);
	log_sink_journal_at(NULL);
	return 0;
}

static const char *told(int fd)
{
	static char text[1 << 20];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void test_entries(void **state)
{
	(void)state;
	log_warning("%s is\ngone", "it");
	assert_string_equal(told(journal_fd), "PRIORITY=4\nSYSLOG_IDENTIFIER=busferry\nMESSAGE=it is?gone\n");
	log_about(LOG_LEVEL_NOTICE, &(struct log_about){.device = "cellar/boiler", .bus = "rs485\nX=1"}, "%d", 7);
	assert_string_equal(told(journal_fd), "PRIORITY=5\nSYSLOG_IDENTIFIER=busferry\nMESSAGE=7\n"
					      "BUSFERRY_BUS=rs485?X=1\nBUSFERRY_DEVICE=cellar/boiler\n");
	log_about(LOG_LEVEL_ERROR, &(struct log_about){.broker = "mqtt://b", .topic = "a/b"}, "x");
	assert_string_equal(told(journal_fd), "PRIORITY=3\nSYSLOG_IDENTIFIER=busferry\nMESSAGE=x\n"
					      "BUSFERRY_BROKER=mqtt://b\nBUSFERRY_TOPIC=a/b\n");
	assert_string_equal(told(journal_other), "");
	char huge[5000];
	memset(huge, 't', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	log_about(LOG_LEVEL_ERROR, &(struct log_about){.broker = huge, .topic = "a/b"}, "x");
	assert_string_equal(
		told(journal_fd), "PRIORITY=3\nSYSLOG_IDENTIFIER=busferry\nMESSAGE=x\nBUSFERRY_TOPIC=a/b\n");
}

/* Frozen: its queue is full; then it is gone, and comes back. */
static void test_dead_journal(void **state)
{
	(void)state;
	unsigned n = 0, taken = 0;
	for (; n < 5000; n++)
		log_notice("line %u", n);
	while (*told(journal_fd))
		taken++;
	assert_in_range(taken, 1, 4999);
	log_notice("and on");
	char lost[160];
	snprintf(lost, sizeof(lost),
		"PRIORITY=4\nSYSLOG_IDENTIFIER=busferry\nMESSAGE=%u log lines were lost: nobody took them\n",
		n - taken);
	assert_string_equal(told(journal_fd), lost);
	assert_non_null(strstr(told(journal_fd), "MESSAGE=and on\n"));
	unlink(journal_path);
	log_notice("by stderr");
	assert_string_equal(told(journal_other), "<5>by stderr\n");
	for (n = 0; n < 5000; n++) /* nobody reads that one */
		log_notice("line %u", n);
	taken = 0;
	for (const char *at = told(journal_other); *at; at = told(journal_other))
		for (; *at; at++)
			taken += *at == '\n';
	log_notice("and on");
	snprintf(lost, sizeof(lost), "<4>%u log lines were lost: nobody took them\n<5>and on\n", n - taken);
	assert_string_equal(told(journal_other), lost);
}

/* Inherited from a parent whose stderr was the journal, but ours goes elsewhere. */
static void test_another_stream(void **state)
{
	(void)state;
	setenv("JOURNAL_STREAM", "1:2", 1);
	log_sink_journal_at(journal_path);
	log_notice("by stderr");
	assert_string_equal(told(journal_fd), "");
	assert_non_null(strstr(told(journal_other), " notice: by stderr\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_quiet),
		cmocka_unit_test(test_is_ended_once),
		cmocka_unit_test(test_from_instant_zero),
		cmocka_unit_test(test_comes_and_goes),
		cmocka_unit_test_setup_teardown(test_line, log_capture_begin, capture_end),
		cmocka_unit_test_setup_teardown(test_level, log_capture_begin, capture_end),
		cmocka_unit_test_setup_teardown(test_nothing_raw, log_capture_begin, capture_end),
		cmocka_unit_test_setup_teardown(test_long_line, log_capture_begin, capture_end),
		cmocka_unit_test_setup_teardown(test_cut_between_characters, log_capture_begin, capture_end),
		cmocka_unit_test_setup_teardown(test_no_text, log_capture_begin, capture_end),
		cmocka_unit_test_setup_teardown(test_stopped_reader, log_capture_begin, capture_end),
		cmocka_unit_test_setup_teardown(test_stderr_stays, log_capture_begin, capture_end),
		cmocka_unit_test_setup_teardown(test_entries, journal_begin, journal_end),
		cmocka_unit_test_setup_teardown(test_dead_journal, journal_begin, journal_end),
		cmocka_unit_test_setup_teardown(test_another_stream, journal_begin, journal_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

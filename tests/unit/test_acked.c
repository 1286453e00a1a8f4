/*
 * Notes of what is acknowledged: what was written is read back, whatever else lies there is no note.
 */
#include "ship/acked.h"
#include "ship/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define OPENING 0x123456789abcdefu
#define LINE    64
#define BLOCK   416 /* sequences of a line */
#define LINES   1024
#define WALL    (1764000000000ull << 20) /* where sequences begin in life */

static char folder[64], path[96], notes[104];

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/dev/shm/busferry-acked-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/buffer.db", folder);
	snprintf(notes, sizeof(notes), "%s-acks", path);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static struct acked *open_notes(void)
{
	struct acked *acked = NULL;
	assert_int_equal(acked_open(path, OPENING, &acked), 0);
	return acked;
}

static void note_span(struct acked *acked, uint64_t first, uint64_t last)
{
	for (uint64_t sequence = first; sequence <= last; sequence++)
		acked_note(acked, sequence);
}

static void assert_spans(uint64_t opening, const struct journal_span *right, size_t n_right)
{
	struct journal_span *spans = NULL;
	size_t n = acked_read(path, opening, &spans);
	assert_int_equal(n, n_right);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(spans[i].first, right[i].first);
		assert_int_equal(spans[i].last, right[i].last);
	}
	free(spans);
}

static void what_is_written_is_read_back(void **state)
{
	(void)state;
	struct acked *acked = open_notes();
	assert_spans(OPENING, NULL, 0);
	note_span(acked, WALL + 5, WALL + 2000); /* over several lines */
	assert_spans(OPENING, NULL, 0);
	acked_write(acked);
	const struct journal_span one[] = {{WALL + 5, WALL + 2000}};
	assert_spans(OPENING, one, 1);
	acked_note(acked, 7);
	acked_note(acked, WALL + 2002);
	acked_note(acked, WALL + 2001);
	acked_note(acked, WALL + 2100);
	acked_note(acked, 1);
	acked_note(acked, 7);
	acked_write(acked);
	acked_write(acked);
	acked_close(acked);
	const struct journal_span all[] = {{1, 1}, {7, 7}, {WALL + 5, WALL + 2002}, {WALL + 2100, WALL + 2100}};
	assert_spans(OPENING, all, 4);
	struct stat st;
	assert_int_equal(stat(notes, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, LINES * LINE);
}

static void notes_are_of_one_opening(void **state)
{
	(void)state;
	struct acked *acked = open_notes();
	note_span(acked, 1000, 1900);
	acked_write(acked);
	acked_begin(acked, OPENING + 2);
	acked_note(acked, 4000);
	acked_write(acked);
	acked_close(acked);
	const struct journal_span newer[] = {{4000, 4000}};
	assert_spans(OPENING + 2, newer, 1);
	assert_spans(OPENING + 1, NULL, 0);
	acked = NULL;
	assert_int_equal(acked_open(path, OPENING + 3, &acked), 0);
	acked_write(acked);
	assert_spans(OPENING + 3, NULL, 0);
	acked_close(acked);
}

static void the_oldest_make_way(void **state)
{
	(void)state;
	struct acked *acked = open_notes();
	for (uint64_t block = 1; block <= 3 * LINES + 5; block++)
		note_span(acked, block * BLOCK + 10, block * BLOCK + 12);
	acked_write(acked);
	acked_close(acked);
	struct journal_span *spans = NULL;
	size_t n = acked_read(path, OPENING, &spans);
	assert_int_equal(n, LINES);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(spans[i].first, (2 * LINES + 6 + i) * BLOCK + 10);
		assert_int_equal(spans[i].last, spans[i].first + 2);
	}
	free(spans);
}

/* A walk with a window, as acknowledgements of QoS 1 and 2 come, with a second front far ahead. */
static void in_any_order(void **state)
{
	(void)state;
	static bool noted[40000];
	struct acked *acked = open_notes();
	uint64_t seed = 1;
	for (unsigned i = 0; i < 60000; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		unsigned front = i % 2 ? 20000 : 0, at = front + i / 4 + (unsigned)(seed >> 33) % 200;
		if ((seed >> 20) % 3 == 0)
			acked_write(acked);
		noted[at] = true;
		acked_note(acked, WALL + at);
	}
	acked_write(acked);
	acked_close(acked);
	struct journal_span *spans = NULL;
	size_t n = acked_read(path, OPENING, &spans);
	for (unsigned i = 0; i < 40000; i++)
		assert_int_equal(acked_has(spans, n, WALL + i), noted[i]);
	for (size_t i = 1; i < n; i++)
		assert_true(spans[i].first > spans[i - 1].last + 1);
	free(spans);
}

static void spill(const void *bytes, size_t n)
{
	int fd = open(notes, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
}

static void slurp(void *bytes, size_t n)
{
	int fd = open(notes, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, bytes, n), n);
	close(fd);
}

static void what_is_damaged_is_no_note(void **state)
{
	(void)state;
	unsigned char bytes[3 * LINE];
	struct acked *acked = open_notes();
	note_span(acked, 10 * BLOCK, 13 * BLOCK - 1);
	acked_write(acked);
	acked_close(acked);
	slurp(bytes, sizeof(bytes));
	const struct journal_span outer[] = {
		{10 * BLOCK, 11 * BLOCK - 1}, {12 * BLOCK, 13 * BLOCK - 1}, {10 * BLOCK, 13 * BLOCK - 1}};
	for (unsigned bit = 0; bit < 8 * LINE; bit++) {
		bytes[LINE + bit / 8] ^= (unsigned char)(1u << bit % 8);
		spill(bytes, sizeof(bytes));
		assert_spans(OPENING, outer, 2);
		bytes[LINE + bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	spill(bytes, sizeof(bytes) - 1);
	const struct journal_span whole[] = {{10 * BLOCK, 12 * BLOCK - 1}};
	assert_spans(OPENING, whole, 1);
	unsigned char others[3 * LINE]; /* in another place, and twice */
	memcpy(others, bytes + 2 * LINE, LINE);
	memcpy(others + LINE, bytes, LINE);
	memcpy(others + 2 * LINE, bytes + 2 * LINE, LINE);
	spill(others, sizeof(others));
	assert_spans(OPENING, outer, 2);
}

/* A power cut keeps any part of a write: then it is what was there before, or what came, or nothing. */
static void torn_lines_are_no_notes(void **state)
{
	(void)state;
	unsigned char before[LINE], after[LINE], torn[LINE];
	struct acked *acked = open_notes();
	note_span(acked, WALL, WALL + 20);
	acked_write(acked);
	slurp(before, LINE);
	acked_begin(acked, OPENING);
	acked_close(acked);
	acked = open_notes();
	note_span(acked, 5 * BLOCK, 5 * BLOCK + 200); /* another block in its place */
	acked_write(acked);
	acked_close(acked);
	slurp(after, LINE);
	for (size_t n = 1; n < LINE; n++) {
		memcpy(torn, before, LINE);
		memcpy(torn, after, n);
		spill(torn, LINE);
		assert_spans(OPENING, NULL, 0);
		memcpy(torn, after, LINE);
		memcpy(torn, before, n);
		spill(torn, LINE);
		assert_spans(OPENING, NULL, 0);
	}
}

static void garbage_is_no_note(void **state)
{
	(void)state;
	static uint64_t garbage[3 * LINES];
	uint64_t seed = 7;
	for (unsigned round = 0; round < 200; round++) {
		for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			garbage[i] = seed ^ seed >> 29;
		}
		spill(garbage, round % 2 ? sizeof(garbage) : (size_t)(seed >> 40) % sizeof(garbage));
		assert_spans(OPENING, NULL, 0);
	}
	memset(garbage, 0, sizeof(garbage));
	spill(garbage, sizeof(garbage));
	assert_spans(OPENING, NULL, 0);
	struct acked *acked = open_notes(); /* over what lies there, which may be longer */
	acked_note(acked, 99);
	acked_write(acked);
	acked_close(acked);
	const struct journal_span one[] = {{99, 99}};
	assert_spans(OPENING, one, 1);
}

static void something_else_in_its_place(void **state)
{
	(void)state;
	struct acked *acked = NULL;
	assert_spans(OPENING, NULL, 0);
	assert_int_equal(mkdir(notes, 0700), 0);
	assert_true(acked_open(path, OPENING, &acked) < 0);
	assert_spans(OPENING, NULL, 0);
	assert_int_equal(rmdir(notes), 0);
	assert_int_equal(mkfifo(notes, 0600), 0);
	assert_int_equal(acked_open(path, OPENING, &acked), -EEXIST);
	assert_spans(OPENING, NULL, 0);
	assert_int_equal(unlink(notes), 0);
	char target[112];
	snprintf(target, sizeof(target), "%s/target", folder);
	assert_int_equal(symlink(target, notes), 0);
	assert_int_equal(acked_open(path, OPENING, &acked), -ELOOP);
	assert_spans(OPENING, NULL, 0);
	assert_int_not_equal(access(target, F_OK), 0);
	assert_null(acked);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_disk_that_fails_is_tried_again(void **state)
{
	(void)state;
	struct acked *acked = open_notes();
	acked_note(acked, 1);
	acked_write(acked);
	signal(SIGXFSZ, SIG_IGN);
	limit_files(30); /* writes a part of the line first */
	acked_note(acked, 3);
	acked_write(acked);
	acked_write(acked);
	assert_spans(OPENING, NULL, 0);
	limit_files(0);
	for (uint64_t block = 1; block < 100; block++)
		acked_note(acked, block * BLOCK);
	acked_write(acked);
	limit_files(RLIM_INFINITY);
	acked_note(acked, 5);
	acked_write(acked);
	acked_close(acked);
	struct journal_span *spans = NULL;
	size_t n = acked_read(path, OPENING, &spans);
	assert_true(n >= 3 && acked_has(spans, n, 1) && acked_has(spans, n, 3) && acked_has(spans, n, 5));
	assert_true(!acked_has(spans, n, 2) && !acked_has(spans, n, 4) && acked_has(spans, n, 99 * BLOCK));
	free(spans);
	acked_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_written_is_read_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(notes_are_of_one_opening, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_oldest_make_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(in_any_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_damaged_is_no_note, set_up, tear_down),
		cmocka_unit_test_setup_teardown(torn_lines_are_no_notes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(garbage_is_no_note, set_up, tear_down),
		cmocka_unit_test_setup_teardown(something_else_in_its_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_disk_that_fails_is_tried_again, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

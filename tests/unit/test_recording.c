/*
 * Recordings: what was written is read again, what people write is understood, and what is wrong is told at its place.
 */
#include "app/recording.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[64], path[96];

/* One reading of a text as a file. */
struct tried {
	struct arena arena;
	struct faults faults;
	const struct recording_chunk *chunks;
	size_t n;
	int rc;
};

static void put(const char *text, size_t n)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
}

static struct tried try_file(void)
{
	struct tried tried = {0};
	tried.rc = recording_read(path, &tried.arena, &tried.faults, &tried.chunks, &tried.n);
	assert_true(tried.rc == -EINVAL || tried.faults.n_errors == 0);
	return tried;
}

static struct tried try_text(const char *text)
{
	put(text, strlen(text));
	return try_file();
}

static void forget(struct tried *tried)
{
	arena_free(&tried->arena);
	faults_destroy(&tried->faults);
	unlink(path);
}

static void assert_chunk(const struct recording_chunk *chunk, bool sent, int64_t at_ms, const void *bytes, size_t n)
{
	assert_int_equal(chunk->sent, sent);
	assert_int_equal(chunk->at_ms, at_ms);
	assert_int_equal(chunk->bytes.n, n);
	assert_memory_equal(chunk->bytes.at, bytes, n);
}

static void what_people_write_is_read(void **state)
{
	(void)state;
	struct tried tried = try_text("# busferry recording 1\r\n"
				      "# line: 9600 8N1\n"
				      "\n"
				      "   # a remark\n"
				      "0 < 42 4D 00 1C  # BM..\r\n"
				      "< 0d0A\n"
				      "  1204\t>FF\t01 86   \n"
				      "1204<00");
	assert_int_equal(tried.rc, 0);
	assert_int_equal(tried.n, 4);
	assert_chunk(&tried.chunks[0], false, 0, "BM\0\x1c", 4);
	assert_chunk(&tried.chunks[1], false, 0, "\r\n", 2);
	assert_chunk(&tried.chunks[2], true, 1204, "\xff\x01\x86", 3);
	assert_chunk(&tried.chunks[3], false, 1204, "\0", 1);
	forget(&tried);
	tried = try_text("# busferry recording 1");
	assert_int_equal(tried.rc, 0);
	assert_int_equal(tried.n, 0);
	forget(&tried);
}

static void what_was_written_is_read(void **state)
{
	(void)state;
	struct recording *recording;
	uint8_t bytes[1000];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	assert_int_equal(recording_create(path, "/dev/ttyUSB0", "9600 8N1", INT64_C(1769860800123), &recording), 0);
	assert_int_equal(recording_add(recording, true, 5, bytes, 3), 0);
	assert_int_equal(recording_add(recording, false, 17, bytes, sizeof(bytes)), 0);
	assert_int_equal(recording_close(recording), 0);

	char text[512];
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	const char *head = "# busferry recording 1\n# line: 9600 8N1\n# port: /dev/ttyUSB0\n"
			   "# started: 2026-01-31T12:00:00Z\n5 > 00 07 0E  # ...\n17 < 00 07 0E 15 1C 23 2A";
	assert_memory_equal(text, head, strlen(head));

	struct tried tried = try_file();
	assert_int_equal(tried.rc, 0);
	assert_chunk(&tried.chunks[0], true, 5, bytes, 3);
	size_t at = 0;
	for (size_t i = 1; i < tried.n; i++) {
		assert_true(at + tried.chunks[i].bytes.n <= sizeof(bytes));
		assert_chunk(&tried.chunks[i], false, 17, bytes + at, tried.chunks[i].bytes.n);
		at += tried.chunks[i].bytes.n;
	}
	assert_int_equal(at, sizeof(bytes));
	assert_int_equal(recording_create(path, "x", NULL, 0, &recording), -EEXIST);
	forget(&tried);
	assert_int_equal(recording_create("/nowhere/at/all", "x", NULL, 0, &recording), -ENOENT);
	assert_int_equal(recording_close(NULL), 0);
}

static void what_is_wrong_is_told_at_its_place(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned line, column;
		const char *what;
	} cases[] = {
		{"", 1, 1, "this is no recording"},
		{"0 < 42\n", 1, 1, "this is no recording"},
		{"# busferry recordings 1\n", 1, 1, "this is no recording"},
		{"# busferry recording 2\n0 ~ 1\n", 1, 22, "a recording of a version that this busferry does not know"},
		{"# busferry recording 1\n\n 42 4D\n", 3, 2, "write milliseconds"},
		{"# busferry recording 1\n10 = 42 4D\n", 2, 4, "write milliseconds"},
		{"# busferry recording 1\n-1 < 42\n", 2, 1, "write milliseconds"},
		{"# busferry recording 1\n10 < 42 4G\n", 2, 10, "bytes are pairs of hexadecimal digits"},
		{"# busferry recording 1\n10 < 42 4\n", 2, 5, "a byte is a pair"},
		{"# busferry recording 1\n10 <   # nothing\n", 2, 4, "no bytes in this chunk"},
		{"# busferry recording 1\n10 < 42\n9 < 42\n", 3, 1, "this is earlier than the chunk before"},
		{"# busferry recording 1\n99999999999999999999 < 42\n", 2, 1, "this is no time"},
		{"# busferry recording 1\n1000000000001 < 42\n", 2, 1, "this is no time"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tried tried = try_text(cases[i].text);
		assert_int_equal(tried.rc, -EINVAL);
		assert_int_equal(tried.faults.n_errors, 1);
		const struct fault *fault = tried.faults.first;
		assert_string_equal(fault->at.file, path);
		assert_int_equal(fault->at.line, cases[i].line);
		assert_int_equal(fault->at.column, cases[i].column);
		if (strncmp(fault->what, cases[i].what, strlen(cases[i].what)) != 0)
			assert_string_equal(fault->what, cases[i].what);
		forget(&tried);
	}
	static const char zero[] = "# busferry recording 1\n0 < 42\0 43\n";
	put(zero, sizeof(zero) - 1);
	struct tried tried = try_file();
	assert_int_equal(tried.rc, -EINVAL);
	assert_string_equal(tried.faults.first->what, "a zero byte in a text");
	forget(&tried);
}

static void what_is_too_much_is_refused(void **state)
{
	(void)state;
	char *text = malloc(RECORDING_SIZE_MAX + 2);
	assert_non_null(text);
	memset(text, '\n', RECORDING_SIZE_MAX + 2);
	static const char head[] = "# busferry recording 1\n";
	memcpy(text, head, sizeof(head) - 1);
	put(text, RECORDING_SIZE_MAX + 1);
	struct tried tried = try_file();
	assert_int_equal(tried.rc, -EFBIG);
	forget(&tried);
	put(text, RECORDING_SIZE_MAX);
	tried = try_file();
	assert_int_equal(tried.rc, -EINVAL);
	assert_string_equal(tried.faults.first->what, "more than 200000 lines");
	forget(&tried);

	/* the largest chunk, and one byte more */
	size_t n = sizeof(head) - 1;
	text[n++] = '<';
	memset(text + n, 'a', 2 * RECORDING_CHUNK_MAX + 2);
	put(text, n + 2 * RECORDING_CHUNK_MAX);
	tried = try_file();
	assert_int_equal(tried.rc, 0);
	assert_int_equal(tried.chunks[0].bytes.n, RECORDING_CHUNK_MAX);
	forget(&tried);
	put(text, n + 2 * RECORDING_CHUNK_MAX + 2);
	tried = try_file();
	assert_int_equal(tried.rc, -EINVAL);
	assert_string_equal(tried.faults.first->what, "more than 16384 bytes in one chunk");
	forget(&tried);

	/* of endless faults the first ones */
	for (size_t i = 0; i < 1000; i++)
		text[sizeof(head) - 1 + i] = i % 2 ? '\n' : 'x';
	put(text, sizeof(head) - 1 + 1000);
	tried = try_file();
	assert_int_equal(tried.faults.n_errors, 20);
	forget(&tried);
	free(text);
}

static void what_is_no_file_is_told(void **state)
{
	(void)state;
	struct tried tried = try_file();
	assert_int_equal(tried.rc, -ENOENT);
	forget(&tried);
	assert_int_equal(mkdir(path, 0700), 0);
	tried = try_file();
	assert_int_equal(tried.rc, -EISDIR);
	forget(&tried);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	tried = try_file(); /* and nobody is waited for */
	assert_int_equal(tried.rc, -EINVAL);
	forget(&tried);
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/busferry-recording-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/one.rec", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(what_people_write_is_read),
		cmocka_unit_test(what_was_written_is_read), cmocka_unit_test(what_is_wrong_is_told_at_its_place),
		cmocka_unit_test(what_is_too_much_is_refused), cmocka_unit_test(what_is_no_file_is_told)};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

/*
 * Damaged, foreign and half finished files: none stops the start, a page costs its own rows only, and looking changes
 * nothing.
 */
#include "journal_bench.h"
#include "ship/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static void empty_folder(void)
{
	char command[160];
	snprintf(command, sizeof(command), "rm -f %s/*", folder);
	assert_int_equal(system(command), 0);
}

/* A new file with so many rows, all of them in the file itself. */
static void lay_out(uint64_t n)
{
	struct journal_found found;
	empty_folder();
	struct journal *journal = open_journal(&found);
	write_rows(journal, 1, n, true);
	journal_close(journal);
	drop_log();
}

static void damage(int kind, unsigned seed)
{
	struct stat st;
	char bytes[4096];
	assert_int_equal(stat(path, &st), 0);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	off_t used = 60 * 4096, at = (off_t)(seed * 2654435761u) % used;
	unsigned char byte = 0;
	switch (kind) {
	case 0: /* one bit */
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= (unsigned char)(1u << (seed % 8));
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		break;
	case 1: /* a page of zeros */
		memset(bytes, 0, sizeof(bytes));
		assert_int_equal(pwrite(fd, bytes, sizeof(bytes), at / 4096 * 4096), sizeof(bytes));
		break;
	case 2: /* a page of garbage */
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)(seed * (i + 7) >> 3);
		assert_int_equal(pwrite(fd, bytes, sizeof(bytes), at / 4096 * 4096), sizeof(bytes));
		break;
	default: /* cut off */
		assert_int_equal(ftruncate(fd, at), 0);
		break;
	}
	close(fd);
}

/* The leaf pages of the table, in the order of the file, which is that of the rows. */
static size_t leaves_of(int fd, off_t *leaves, size_t max)
{
	size_t n = 0;
	unsigned char page[4096];
	for (off_t at = 4 * 4096; n < max && pread(fd, page, sizeof(page), at) == sizeof(page); at += 4096)
		if (page[0] == 13 && (page[3] || page[4]))
			leaves[n++] = at;
	return n;
}

/* In pieces of n, as the store does, but from the start again when the file turns out to be damaged. */
static uint64_t read_in_pieces(size_t n)
{
	struct journal_found found;
	for (unsigned turn = 0; turn < 3; turn++) {
		struct journal *journal = open_journal(&found);
		struct reader reader = {0};
		uint64_t damaged = 0;
		int rc = 1;
		while (rc > 0)
			rc = journal_read(journal, reader.last + 1, found.last, n, read_row, &reader, &damaged);
		journal_close(journal);
		assert_int_equal(reader.wrong, 0);
		if (rc == 0)
			return reader.n;
		assert_int_equal(rc, -EBADMSG);
	}
	fail();
	return 0;
}

static void no_damage_stops_the_start(void **state)
{
	(void)state;
	uint64_t worst[4] = {20000, 20000, 20000, 20000};
	for (unsigned trial = 0; trial < 80; trial++) {
		struct journal_found found;
		lay_out(3000);
		damage((int)(trial % 4), trial + 1);
		struct journal *journal = NULL;
		int rc = journal_open(path, MEGA, &journal, &found);
		assert_int_equal(rc, 0);
		uint64_t damaged = 0;
		struct reader reader = {0};
		for (int n = -1; n < 0;) {
			reader = (struct reader){0};
			n = journal_read(journal, 1, INT64_MAX, 1000000, read_row, &reader, &damaged);
			uint64_t all = 3000;
			if (n >= 0 && reader.n < all - 70 && trial % 4 != 3) /* SQLite has seen only a part */
				n = journal_read(journal, reader.last + 1, INT64_MAX, 1, read_row, &reader, &damaged);
			if (n >= 0)
				break;
			assert_int_equal(n, -EBADMSG); /* as the store does: open anew */
			journal_close(journal);
			assert_int_equal(journal_open(path, MEGA, &journal, &found), 0);
			assert_true(found.set_aside);
		}
		assert_int_equal(reader.wrong, 0);
		if (reader.n < worst[trial % 4])
			worst[trial % 4] = reader.n;
		write_rows(journal, 100000, 10, true);
		journal_close(journal);
	}
	for (size_t kind = 0; kind < 3; kind++) /* a bit, or a page: what was on one page, at the most */
		assert_true(worst[kind] >= 3000 - 70);
}

/* A search by key that begins in the wrong page is led past all that lies between it and the right one. */
static void a_page_in_the_place_of_another_hides_nothing(void **state)
{
	(void)state;
	static const size_t pieces[] = {1, 10, 77, 500};
	for (unsigned trial = 0; trial < 20; trial++) {
		unsigned char page[4096];
		off_t leaves[100];
		struct journal_found found;
		empty_folder();
		struct journal *journal = open_journal(&found);
		write_rows(journal, 1, 2000, true);
		uint64_t dropped, apart = 1000000; /* how many there may be between the ends tells nothing */
		struct journal_row far = row_at(apart);
		assert_int_equal(journal_write(journal, NULL, 0, &far, 1, true, &dropped), 0);
		journal_close(journal);
		drop_log();
		int fd = open(path, O_RDWR);
		size_t n = leaves_of(fd, leaves, 100);
		assert_true(n > 20);
		off_t to = leaves[trial % 5 == 0 ? 0 : trial % 5 == 1 ? n - 1 : trial % n];
		off_t from = leaves[(trial * 7 + 5) % (n - 1)];
		if (from == to)
			from = leaves[n / 2];
		assert_int_equal(pread(fd, page, sizeof(page), from), sizeof(page));
		assert_int_equal(pwrite(fd, page, sizeof(page), to), sizeof(page));
		close(fd);
		assert_true(read_in_pieces(pieces[trial % 4]) >= 2001 - 70);
	}
}

/* Nor does a damaged key of an inner page, which sends a search too far. */
static void a_wrong_key_of_an_inner_page_hides_nothing(void **state)
{
	(void)state;
	for (unsigned trial = 4; trial < 40; trial++) { /* a search begins in the middle */
		unsigned char page[4096];
		lay_out(3000);
		int fd = open(path, O_RDWR);
		off_t root = 4096;
		while (pread(fd, page, sizeof(page), root) == sizeof(page) && (page[0] != 5 || page[4] < 41))
			root += 4096;
		unsigned cell = (unsigned)(page[12 + 2 * trial] << 8 | page[13 + 2 * trial]);
		unsigned key = (page[cell + 4] & 0x7fu) << 7 | page[cell + 5]; /* two bytes: 128 .. 16383 */
		assert_true(key > 128 && key < 3000);
		page[cell + 4] = 0x81; /* as the first of all */
		assert_int_equal(pwrite(fd, page, sizeof(page), root), sizeof(page));
		close(fd);
		assert_int_equal(read_in_pieces(200), 3000);
	}
}

/* Nor does a deletion that begins there take what it is led past. */
static void a_deletion_by_a_wrong_page_takes_its_rows_only(void **state)
{
	(void)state;
	for (unsigned trial = 0; trial < 10; trial++) {
		unsigned char page[4096];
		off_t leaves[100];
		struct journal_found found;
		uint64_t dropped;
		lay_out(2000);
		int fd = open(path, O_RDWR);
		size_t n = leaves_of(fd, leaves, 100);
		assert_true(n > 20);
		assert_int_equal(pread(fd, page, sizeof(page), leaves[2 + trial]), sizeof(page));
		assert_int_equal(pwrite(fd, page, sizeof(page), leaves[n - 3 - trial / 3]), sizeof(page));
		close(fd);
		struct journal *journal = open_journal(&found);
		for (uint64_t sequence = 1000; sequence < 2000; sequence += 20) {
			struct journal_span done = {sequence, sequence};
			int rc = journal_write(journal, &done, 1, NULL, 0, true, &dropped);
			assert_true(rc == 0 || rc == -EBADMSG);
		}
		journal_close(journal);
		assert_true(read_in_pieces(500) >= 2000 - 50 - 70);
	}
}

static void what_is_noted_as_done_is_not_rescued(void **state)
{
	(void)state;
	struct journal_found found;
	struct journal *journal = open_journal(&found);
	uint64_t damaged = 0;
	write_rows(journal, 1, 1000, true);
	note(journal, 101, 1000);
	journal_close(journal);
	journal_file_mark(path);
	journal = open_journal(&found);
	assert_true(found.set_aside);
	assert_int_equal(found.damaged, 0);
	assert_int_equal(found.rows, 100);
	assert_int_equal(read_all(journal, &damaged).last, 100);
	journal_close(journal);
}

/* As an older map had more room for it: the newest are kept. */
static void a_damaged_file_is_rescued_into_a_smaller_one(void **state)
{
	(void)state;
	struct journal_found found;
	struct journal *journal = open_journal(&found);
	uint64_t damaged = 0, dropped = write_rows(journal, 1, 20000, true);
	assert_true(dropped > 0);
	journal_close(journal);
	journal_file_mark(path);
	drop_log();
	assert_int_equal(journal_open(path, MEGA / 4, &journal, &found), 0);
	struct reader reader = read_all(journal, &damaged);
	assert_int_equal(reader.wrong, 0);
	assert_int_equal(reader.last, 20000);
	assert_true(reader.n > 1000 && reader.n < 20000 - dropped);
	assert_int_equal(found.rows, reader.n);
	assert_int_equal(found.rescued, reader.n);
	assert_int_equal(found.damaged, 20000 - dropped - reader.n);
	assert_int_equal(write_rows(journal, 30000, 10, true), 0);
	journal_close(journal);
}

static void a_new_file_with_rows_in_its_log_replaces_nothing(void **state)
{
	(void)state;
	char new[112], log[128], aside[256];
	struct journal_found found;
	uint64_t damaged = 0;
	struct journal *journal = open_journal(&found);
	write_rows(journal, 1, 100, true);
	journal_close(journal);
	snprintf(new, sizeof(new), "%s.new", path);
	snprintf(log, sizeof(log), "%s-wal", new);
	for (unsigned i = 0; i < 2; i++) {
		FILE *file = fopen(i ? log : new, "w");
		fputs("something", file);
		fclose(file);
	}
	assert_int_equal(journal_file_replace(path, aside, sizeof(aside)), -EIO);
	journal = open_journal(&found);
	assert_int_equal(read_all(journal, &damaged).n, 100);
	journal_close(journal);
}

/* Looking leaves no trace, whatever is seen. */
static void looking_at_a_damaged_file_changes_nothing(void **state)
{
	(void)state;
	off_t leaves[100];
	unsigned char page[4096];
	struct journal_found found;
	struct journal *journal = open_journal(&found);
	write_rows(journal, 1, 2000, true);
	journal_close(journal);
	drop_log();
	int fd = open(path, O_RDWR);
	assert_true(leaves_of(fd, leaves, 100) > 20);
	assert_int_equal(pread(fd, page, sizeof(page), leaves[9]), sizeof(page));
	assert_int_equal(pwrite(fd, page, sizeof(page), leaves[5]), sizeof(page));
	close(fd);
	struct reader reader = {0};
	uint64_t damaged = 0;
	assert_int_equal(journal_look(path, &journal), 0);
	assert_int_equal(journal_peek(journal, 1, INT64_MAX, 100000, read_row, &reader, &damaged), -EBADMSG);
	journal_close(journal);
	assert_false(journal_file_is_marked(path));
	journal = open_journal(&found);
	assert_int_equal(journal_read(journal, 1, INT64_MAX, 100000, read_row, &reader, &damaged), -EBADMSG);
	journal_close(journal);
	assert_true(journal_file_is_marked(path));
	assert_int_equal(journal_look(path, &journal), -EBADMSG);
}

static void a_rescue_that_was_cut_is_ended(void **state)
{
	(void)state;
	char new[112];
	struct journal_found found;
	uint64_t damaged = 0;
	struct journal *journal = open_journal(&found);
	write_rows(journal, 1, 500, true);
	journal_close(journal);
	snprintf(new, sizeof(new), "%s.new", path); /* complete, and the old one is set aside but for its log */
	assert_int_equal(rename(path, new), 0);
	journal = open_journal(&found);
	assert_int_equal(read_all(journal, &damaged).n, 500);
	journal_close(journal);
	FILE *file = fopen(new, "w"); /* one that is not complete, beside the old one */
	fputs("half", file);
	fclose(file);
	journal = open_journal(&found);
	assert_int_equal(read_all(journal, &damaged).n, 500);
	journal_close(journal);
}

static void a_foreign_or_newer_file_is_set_aside(void **state)
{
	(void)state;
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE other(a); PRAGMA user_version=9", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	struct journal_found found;
	struct journal *journal = open_journal(&found);
	assert_true(found.set_aside);
	assert_int_equal(access(found.aside, F_OK), 0);
	journal_close(journal);
	drop_log();
	FILE *file = fopen(path, "w");
	fputs("this is no database, but longer than a header of one would be, by a good deal: 123456789", file);
	fclose(file);
	journal = open_journal(&found);
	assert_true(found.set_aside);
	write_rows(journal, 1, 10, true);
	journal_close(journal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_damage_stops_the_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_page_in_the_place_of_another_hides_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_wrong_key_of_an_inner_page_hides_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_deletion_by_a_wrong_page_takes_its_rows_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_noted_as_done_is_not_rescued, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_damaged_file_is_rescued_into_a_smaller_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_new_file_with_rows_in_its_log_replaces_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(looking_at_a_damaged_file_changes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_rescue_that_was_cut_is_ended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_foreign_or_newer_file_is_set_aside, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

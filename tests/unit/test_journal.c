/*
 * The journal: rows survive, order holds, limits drop by the rule, and what is noted as done is gone.
 */
#include "journal_bench.h"

#include <errno.h>
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

static void rows_survive_in_order(void **state)
{
	(void)state;
	struct journal_found found;
	struct journal *journal = open_journal(&found);
	assert_int_equal(found.last, 0);
	uint64_t first = 0, damaged = 0, dropped;
	assert_int_equal(journal_reserve(journal, 1000, &first), 0);
	assert_int_equal(first, 1);
	write_rows(journal, 1, 500, true);
	const struct journal_span done[] = {{1, 100}, {200, 200}};
	assert_int_equal(journal_write(journal, done, 2, NULL, 0, true, &dropped), 0);
	journal_close(journal);

	journal = open_journal(&found);
	assert_false(found.set_aside);
	assert_int_equal(found.first, 101);
	assert_int_equal(found.last, 500);
	struct reader reader = read_all(journal, &damaged);
	assert_int_equal(reader.n, 399);
	assert_int_equal(reader.wrong + damaged, 0);
	assert_int_equal(journal_reserve(journal, 1000, &first), 0);
	assert_int_equal(first, 1001);
	journal_close(journal);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, MEGA);
}

static void nobody_else_opens_it(void **state)
{
	(void)state;
	struct journal_found found;
	struct journal *journal = open_journal(&found), *other = NULL;
	assert_int_equal(journal_open(path, MEGA, &other, &found), -EBUSY);
	assert_null(other);
	journal_close(journal);
}

static void a_full_file_drops_by_the_rule(void **state)
{
	(void)state;
	struct journal_found found;
	struct journal *journal = open_journal(&found);
	uint64_t damaged = 0;
	uint64_t dropped = write_rows(journal, 1, 20000, true);
	assert_true(dropped > 0);
	struct reader reader = read_all(journal, &damaged);
	assert_int_equal(reader.n + dropped, 20000);
	assert_int_equal(reader.last, 20000);
	uint64_t refused = write_rows(journal, 20001, 20000, false);
	assert_true(refused > 10000);
	uint64_t none = 0;
	const struct journal_span all = {1, 40000};
	assert_int_equal(journal_write(journal, &all, 1, NULL, 0, true, &none), 0); /* a full file can be emptied */
	assert_int_equal(read_all(journal, &damaged).n, 0);
	assert_int_equal(write_rows(journal, 50000, 1000, true), 0);
	struct journal_size size;
	journal_size(journal, &size);
	assert_true(size.bytes < size.max_bytes && size.max_bytes == MEGA);
	journal_close(journal);
}

static void an_unusable_folder_is_told(void **state)
{
	(void)state;
	struct journal *journal = NULL;
	struct journal_found found;
	assert_int_equal(journal_open("/no/such/folder/x.db", MEGA, &journal, &found), -ENOENT);
}

static void what_is_noted_as_done_is_gone(void **state)
{
	(void)state;
	struct journal_found found;
	struct journal *journal = open_journal(&found);
	uint64_t damaged = 0;
	write_rows(journal, 1, 1000, true);
	note(journal, 1, 300);
	journal_close(journal);
	assert_int_equal(look_at_all().n, 700); /* and changes nothing */
	assert_int_equal(look_at_all().n, 700);
	journal = open_journal(&found);
	assert_false(found.set_aside);
	assert_int_equal(found.first, 301);
	assert_int_equal(found.last, 1000);
	assert_int_equal(found.rows, 700);
	assert_int_equal(read_all(journal, &damaged).n, 700);
	note(journal, 1, 1000); /* all that is there */
	journal_close(journal);
	assert_int_equal(look_at_all().n, 0);
	journal = open_journal(&found);
	assert_int_equal(found.rows, 0);
	assert_int_equal(found.first, 0);
	write_rows(journal, 1, 10, true); /* nobody does that, but they would be safe: it is another opening */
	journal_close(journal);
	journal = open_journal(&found);
	assert_int_equal(found.rows, 10);
	journal_close(journal);
}

static void notes_of_another_file_do_not_count(void **state)
{
	(void)state;
	struct journal_found found;
	char other[128], command[640];
	snprintf(other, sizeof(other), "%s/other.db", folder);
	struct journal *journal = NULL;
	assert_int_equal(journal_open(other, MEGA, &journal, &found), 0);
	write_rows(journal, 1, 100, true);
	journal_close(journal);
	journal = open_journal(&found);
	write_rows(journal, 1, 100, true);
	note(journal, 1, 100);
	journal_close(journal);
	snprintf(command, sizeof(command), "mv %s %s; mv %s-wal %s-wal", other, path, other, path);
	assert_int_equal(system(command), 0);
	assert_int_equal(look_at_all().n, 100);
	journal = open_journal(&found);
	assert_int_equal(found.rows, 100);
	journal_close(journal);
}

/* As an older version leaves it: without the number of an opening. */
static void a_file_without_openings_is_fine(void **state)
{
	(void)state;
	struct journal_found found;
	struct journal *journal = open_journal(&found);
	write_rows(journal, 1, 10, true);
	note(journal, 1, 5);
	journal_close(journal);
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "DELETE FROM meta WHERE k='opening'", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(look_at_all().n, 10);
	journal = open_journal(&found);
	assert_false(found.set_aside);
	assert_int_equal(found.rows, 10);
	note(journal, 1, 5);
	journal_close(journal);
	journal = open_journal(&found);
	assert_int_equal(found.rows, 5);
	journal_close(journal);
}

static void a_link_on_the_way_is_fine(void **state)
{
	(void)state;
	char real[112], link[112], behind[144];
	struct journal *journal = NULL;
	struct journal_found found;
	snprintf(real, sizeof(real), "%s/real", folder);
	snprintf(link, sizeof(link), "%s/link", folder);
	snprintf(behind, sizeof(behind), "%s/buffer.db", link);
	assert_int_equal(mkdir(real, 0700), 0);
	assert_int_equal(symlink(real, link), 0);
	assert_int_equal(journal_open(behind, MEGA, &journal, &found), 0); /* /var/lib may be one */
	journal_close(journal);
	assert_int_equal(symlink(behind, path), 0);
	assert_int_equal(journal_open(path, MEGA, &journal, &found), -ELOOP);
}

/* Half a page each: a page holds one of them. */
static void a_full_file_takes_rows_of_any_size(void **state)
{
	(void)state;
	static char payload[300000];
	struct journal_found found;
	struct journal *journal = open_journal(&found);
	for (size_t size = 100; size < 200000; size = size * 7 / 5) {
		struct journal_row rows[40];
		size_t n = size < 10000 ? 40 : 2;
		for (unsigned turn = 0; turn < 20; turn++) {
			uint64_t dropped = 0;
			for (size_t i = 0; i < n; i++) {
				rows[i] = row_at(size * 1000 + turn * 40 + i);
				rows[i].message.payload = payload;
				rows[i].message.payload_n = size;
			}
			assert_int_equal(journal_write(journal, NULL, 0, rows, n, true, &dropped), 0);
		}
	}
	journal_close(journal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rows_survive_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_else_opens_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_full_file_drops_by_the_rule, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_unusable_folder_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_link_on_the_way_is_fine, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_full_file_takes_rows_of_any_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_noted_as_done_is_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(notes_of_another_file_do_not_count, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_without_openings_is_fine, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

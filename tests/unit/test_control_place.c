/*
 * Where control sockets are: which folder, whose name, what becomes of dead ones, and who is let in.
 */
#include "app/control_place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], map[96], other_map[96], linked_map[96];

static void file_at(const char *path)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/busferry-place-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(map, sizeof(map), "%s/the plant.conf", folder);
	snprintf(other_map, sizeof(other_map), "%s/other", folder);
	snprintf(linked_map, sizeof(linked_map), "%s/link.conf", folder);
	file_at(map);
	assert_int_equal(mkdir(other_map, 0700), 0);
	snprintf(other_map, sizeof(other_map), "%s/other/the plant.conf", folder);
	file_at(other_map);
	assert_int_equal(symlink(map, linked_map), 0);
	setenv("RUNTIME_DIRECTORY", folder, 1);
	unsetenv("XDG_RUNTIME_DIR");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode;
}

static void test_a_map_has_its_own(void **state)
{
	(void)state;
	struct control_place place = {0}, other = {0};
	int fd = -1, other_fd = -1;
	assert_int_equal(control_place_connect(map), -ENOENT);
	assert_int_equal(control_place_listen(map, &place, &fd), 0);
	assert_non_null(strstr(place.path, "/the_plant-"));
	assert_int_equal(mode_of(place.path), S_IFSOCK | 0600);
	int client = control_place_connect(map), by_link = control_place_connect(linked_map);
	assert_true(client >= 0 && by_link >= 0);
	assert_int_equal(control_place_connect(other_map), -ENOENT);
	assert_int_equal(control_place_listen(other_map, &other, &other_fd), 0);
	assert_string_not_equal(other.path, place.path);
	assert_int_equal(control_place_listen(linked_map, &other, &other_fd), -EADDRINUSE);
	control_place_clear(&place);
	assert_int_equal(control_place_connect(map), -ENOENT);
	control_place_clear(&other);
	close(client);
	close(by_link);
	close(fd);
	close(other_fd);
}

static void test_a_dead_one_is_replaced(void **state)
{
	(void)state;
	struct control_place dead = {0}, place = {0};
	int fd = -1;
	assert_int_equal(control_place_listen(map, &dead, &fd), 0);
	close(fd); /* as at a kill: the file stays */
	assert_int_equal(control_place_connect(map), -ENOENT);
	assert_int_equal(control_place_listen(map, &place, &fd), 0);
	assert_string_equal(place.path, dead.path);
	if (place.inode != dead.inode) {
		control_place_clear(&dead); /* its own is gone: that of its successor stays */
		assert_int_equal(mode_of(place.path), S_IFSOCK | 0600);
	}
	int client = control_place_connect(map);
	assert_true(client >= 0);
	close(client);
	close(fd);
	control_place_clear(&place);
}

/* What is no socket is not removed, and the next folder is taken. */
static void test_something_else_is_in_the_way(void **state)
{
	(void)state;
	struct control_place place = {0}, next = {0};
	char runtime[96];
	int fd = -1;
	assert_int_equal(control_place_listen(map, &place, &fd), 0);
	close(fd);
	control_place_clear(&place);
	file_at(place.path);
	snprintf(runtime, sizeof(runtime), "%s/run", folder);
	assert_int_equal(mkdir(runtime, 0700), 0);
	setenv("XDG_RUNTIME_DIR", runtime, 1);
	if (access("/run/busferry", W_OK) == 0)
		skip(); /* a service has its folder here, and it comes first */
	assert_int_equal(control_place_listen(map, &next, &fd), 0);
	assert_int_equal(strncmp(next.path, runtime, strlen(runtime)), 0);
	assert_int_equal(mode_of(place.path) & S_IFMT, S_IFREG);
	int client = control_place_connect(map);
	assert_true(client >= 0);
	close(client);
	close(fd);
	control_place_clear(&next);
	/* One that others can look into is not taken: the next is. */
	snprintf(runtime, sizeof(runtime), "%s/run/busferry", folder);
	assert_int_equal(chmod(runtime, 0755), 0);
	assert_int_equal(control_place_listen(map, &next, &fd), 0);
	assert_int_not_equal(strncmp(next.path, runtime, strlen(runtime)), 0);
	close(fd);
	control_place_clear(&next);
}

static void test_a_group_is_served(void **state)
{
	(void)state;
	struct control_place place = {0};
	int fd = -1;
	assert_int_equal(chmod(folder, 0750), 0);
	assert_int_equal(control_place_listen(map, &place, &fd), 0);
	assert_int_equal(mode_of(place.path), S_IFSOCK | 0660);
	close(fd);
	control_place_clear(&place);
}

static void test_no_map(void **state)
{
	(void)state;
	struct control_place place = {0};
	int fd = -1;
	assert_int_equal(control_place_listen("/no/such/map.conf", &place, &fd), -ENOENT);
	assert_int_equal(control_place_connect("/no/such/map.conf"), -ENOENT);
	assert_int_equal(fd, -1);
}

static void test_a_folder_that_is_too_deep(void **state)
{
	(void)state;
	struct control_place place = {0};
	char deep[200];
	int fd = -1;
	memset(deep, 'x', sizeof(deep));
	deep[0] = '/';
	deep[sizeof(deep) - 1] = '\0';
	setenv("RUNTIME_DIRECTORY", deep, 1);
	setenv("XDG_RUNTIME_DIR", folder, 1);
	assert_int_equal(control_place_listen(map, &place, &fd), 0); /* in the next one */
	close(fd);
	control_place_clear(&place);
}

int main(void)
{
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {WITH_FOLDER(test_a_map_has_its_own),
		WITH_FOLDER(test_a_dead_one_is_replaced), WITH_FOLDER(test_something_else_is_in_the_way),
		WITH_FOLDER(test_a_group_is_served), WITH_FOLDER(test_no_map),
		WITH_FOLDER(test_a_folder_that_is_too_deep)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The list of drivers: what is built in first, then the modules of a folder by name, each name once.  And each driver
 * that is really built in would be taken if it came as a module.
 */
#include "field/registry.h"
#include "field/driver_sound.h"
#include "log_capture.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/busferry-registry-XXXXXX";
static const char *const links[][2] = {{"a-good.so", "good"}, {"b-again.so", "good"}, {"c-clash.so", "clash"},
	{"d-old.so", "old"}, {".hidden.so", "mute"}, {"e-good.so.bak", "mute"}, {".so", "mute"}};

static char said[4096]; /* while they were loaded */

static int load(void **state)
{
	char at[PATH_MAX], target[PATH_MAX];
	if (!mkdtemp(folder))
		return -1;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		snprintf(at, sizeof(at), "%s/%s", folder, links[i][0]);
		snprintf(target, sizeof(target), BUSFERRY_MODULES "/%s.so", links[i][1]);
		if (symlink(target, at) < 0)
			return -1;
	}
	if (setenv("BUSFERRY_DRIVERS", folder, 1) < 0 || log_capture_begin(state) < 0)
		return -1;
	registry_load();
	registry_load(); /* nothing more */
	snprintf(said, sizeof(said), "%s", log_captured());
	return log_capture_end(state);
}

static int remove_folder(void **state)
{
	(void)state;
	char at[PATH_MAX];
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		snprintf(at, sizeof(at), "%s/%s", folder, links[i][0]);
		unlink(at);
	}
	return rmdir(folder);
}

static size_t n_builtin(void)
{
	size_t n = 0;
	while (registry_builtin[n])
		n++;
	return n;
}

static void test_what_is_built_in_comes_first(void **state)
{
	(void)state;
	size_t n = n_builtin();
	assert_true(n >= 1);
	for (size_t i = 0; i < n; i++) {
		assert_ptr_equal(registry_at(i), registry_builtin[i]);
		assert_ptr_equal(registry_find(registry_builtin[i]->name), registry_builtin[i]);
		assert_null(registry_file(i));
	}
}

static void test_modules_by_name_and_each_once(void **state)
{
	(void)state;
	size_t n = n_builtin();
	char file[PATH_MAX];
	snprintf(file, sizeof(file), "%s/a-good.so", folder);
	assert_string_equal(registry_at(n)->name, "tide");
	assert_string_equal(registry_file(n), file);
	assert_null(registry_at(n + 1));
	assert_null(registry_file(n + 1));
	assert_null(registry_at(SIZE_MAX));
	assert_ptr_equal(registry_find("tide"), registry_at(n));
	assert_null(registry_find("none"));
}

static void test_what_is_not_used_is_told(void **state)
{
	(void)state;
	char expected[3 * PATH_MAX];
	snprintf(expected, sizeof(expected),
		"driver module %s/b-again.so: not used, its driver \"tide\" is there already, from %s/a-good.so\n",
		folder, folder);
	assert_non_null(strstr(said, expected));
	snprintf(expected, sizeof(expected),
		"driver module %s/c-clash.so: not used, its driver \"modbus\" is built in\n", folder);
	assert_non_null(strstr(said, expected));
	snprintf(expected, sizeof(expected), "driver module %s/d-old.so: made for ABI ", folder);
	assert_non_null(strstr(said, expected));
	size_t lines = 0;
	for (const char *c = said; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, 3);
}

static void test_each_that_is_built_in_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; registry_builtin[i]; i++) {
		char why[DRIVER_SOUND_SIZE] = "";
		bool sound = driver_sound(registry_builtin[i], why);
		if (!sound)
			print_message("%s %s\n", registry_builtin[i]->name ? registry_builtin[i]->name : "?", why);
		assert_true(sound);
		assert_int_equal(registry_builtin[i]->abi, BF_DRIVER_ABI);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_built_in_comes_first),
		cmocka_unit_test(test_modules_by_name_and_each_once),
		cmocka_unit_test(test_what_is_not_used_is_told),
		cmocka_unit_test(test_each_that_is_built_in_is_sound),
	};
	return cmocka_run_group_tests(tests, load, remove_folder);
}

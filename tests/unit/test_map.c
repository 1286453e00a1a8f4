/*
 * Golden files: for each map in tests/map the exact text of all its faults and warnings, as a user sees it.
 *
 * BUSFERRY_BLESS=1 in the environment writes the expected texts anew, to be looked at in the diff.  The example map
 * must load without a fault.
 */
#include "app/config.h"

#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char *told_by(const char *map)
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);
	struct faults faults = {0};
	struct plan plan = {0};
	int err = config_load(map, &faults, &plan);
	faults_print(&faults, to, false);
	if (access(map, F_OK) < 0)
		assert_int_equal(err, -ENOENT);
	else
		assert_int_equal(err, faults.n_errors ? -EINVAL : 0);
	faults_destroy(&faults);
	plan_destroy(&plan);
	fclose(to);
	return text;
}

static char *contents(const char *file)
{
	FILE *from = fopen(file, "r");
	char *text = NULL;
	size_t size = 0;
	if (!from || getdelim(&text, &size, '\0', from) < 0) {
		free(text);
		text = strdup("");
	}
	if (from)
		fclose(from);
	return text;
}

static unsigned compare(const char *map)
{
	char expected[256];
	snprintf(expected, sizeof(expected), "%.*s.expected", (int)(strlen(map) - strlen(".conf")), map);
	char *is = told_by(map);
	if (getenv("BUSFERRY_BLESS")) {
		FILE *to = fopen(expected, "w");
		assert_non_null(to);
		fputs(is, to);
		fclose(to);
	}
	char *should = contents(expected);
	bool same = access(expected, R_OK) == 0 && strcmp(is, should) == 0;
	if (!same)
		fprintf(stderr, "%s tells:\n%s--- instead of:\n%s", map, is, should);
	free(is);
	free(should);
	return same ? 0 : 1;
}

static void test_each_fault_has_its_text(void **state)
{
	(void)state;
	assert_int_equal(chdir(BUSFERRY_SOURCE "/tests/map"), 0);
	assert_int_equal(chmod("world-readable.txt", 0644), 0);
	assert_int_equal(setenv("BUSFERRY_PROFILES", "profiles", 1), 0);
	unsigned n_wrong = 0;
	glob_t maps = {0};
	assert_int_equal(glob("*.conf", 0, NULL, &maps), 0);
	assert_true(maps.gl_pathc > 30);
	for (size_t i = 0; i < maps.gl_pathc; i++)
		n_wrong += compare(maps.gl_pathv[i]);
	globfree(&maps);
	n_wrong += compare("missing.conf");
	assert_int_equal(chdir("merged"), 0);
	n_wrong += compare("merged.conf");
	assert_int_equal(n_wrong, 0);
}

static void test_the_example_map_is_sound(void **state)
{
	(void)state;
	struct faults faults = {0};
	struct plan plan = {0};
	int err = config_load(BUSFERRY_SOURCE "/config/busferry.conf", &faults, &plan);
	if (err < 0)
		faults_print(&faults, stderr, false);
	assert_int_equal(err, 0);
	assert_true(plan.n_metrics > 10);
	plan_destroy(&plan);
	faults_destroy(&faults);
}

static void test_a_map_that_is_missing(void **state)
{
	(void)state;
	struct faults faults = {0};
	struct plan plan = {0};
	assert_int_equal(config_load("/nonexistent/map.conf", &faults, &plan), -ENOENT);
	assert_int_equal(faults.n_errors, 1);
	assert_null(plan.file);
	assert_int_equal(config_load("/", &faults, &plan), -EINVAL);
	assert_int_equal(faults.n_errors, 2);
	faults_destroy(&faults);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_fault_has_its_text),
		cmocka_unit_test(test_the_example_map_is_sound),
		cmocka_unit_test(test_a_map_that_is_missing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

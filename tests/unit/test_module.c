/* Modules: a sound one is loaded, all others are refused with the reason, and nobody else's code is loaded. */
#include "field/driver_sound.h"
#include "field/module.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/busferry-module-XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

/* The file of a variant as CMake built it. */
static const char *variant(const char *name)
{
	static char file[PATH_MAX];
	snprintf(file, sizeof(file), BUSFERRY_MODULES "/%s.so", name);
	return file;
}

static void refused(const char *file, int err, const char *says)
{
	const struct bf_driver *driver = NULL;
	char why[MODULE_WHY_SIZE] = "";
	assert_int_equal(module_open(file, &driver, why), err);
	if (!strstr(why, says))
		print_message("%s: %s\n", file, why);
	assert_non_null(strstr(why, says));
	assert_null(strstr(why, file));
	assert_null(driver);
}

static void test_a_sound_one(void **state)
{
	(void)state;
	const struct bf_driver *driver = NULL;
	char why[MODULE_WHY_SIZE];
	assert_int_equal(module_open(variant("good"), &driver, why), 0);
	assert_string_equal(driver->name, "tide");
	struct bf_found found;
	assert_int_equal(driver->find(NULL, (const uint8_t *)"x", 1, NULL, &found), BF_FIND_MESSAGE);
}

static void test_another_abi(void **state)
{
	(void)state;
	char says[64];
	snprintf(says, sizeof(says), "made for ABI %u, this busferry has %u: build it anew", BF_DRIVER_ABI - 1,
		BF_DRIVER_ABI);
	refused(variant("old"), -EPROTO, says);
}

static void test_what_is_no_driver(void **state)
{
	(void)state;
	refused(variant("nothing"), -EINVAL, "has no symbol \"bf_driver\"");
	refused(variant("function"), -EINVAL, "is no driver");
	refused(variant("small"), -EINVAL, "a driver has");
	refused(variant("unnamed"), -EINVAL, "its driver has no name, or one that is no word");
	refused(variant("mute"), -EINVAL, "its driver has no function \"find\"");
	refused(variant("endless"), -EINVAL, "does the table end?");
	refused(variant("outside"), -EINVAL, "a key \"level\" that lies outside of its struct of 4 bytes");
}

static void test_what_can_not_be_loaded(void **state)
{
	(void)state;
	char file[PATH_MAX];
	refused(variant("stranger"), -ENOEXEC, "can't be loaded: undefined symbol: bf_nobody_has_this");
	refused(variant("none"), -ENOENT, "No such file");
	snprintf(file, sizeof(file), "%s/text.so", folder);
	FILE *to = fopen(file, "w");
	assert_non_null(to);
	fputs("not a module\n", to);
	fclose(to);
	refused(file, -ENOEXEC, "can't be loaded: ");
	unlink(file);
}

/* Through a link, so that what it leads to is looked at. */
static void test_what_others_can_change(void **state)
{
	(void)state;
	char *file, *link, *open, *command;
	assert_true(asprintf(&open, "%s/open", folder) > 0);
	assert_true(asprintf(&file, "%s/good.so", open) > 0);
	assert_true(asprintf(&link, "%s/link.so", folder) > 0);
	assert_true(asprintf(&command, "cp '%s' '%s'", variant("good"), file) > 0);
	assert_int_equal(mkdir(open, 0755), 0);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
	assert_int_equal(symlink(file, link), 0);
	const struct bf_driver *driver = NULL;
	char why[MODULE_WHY_SIZE];
	assert_int_equal(chmod(file, 0644), 0);
	assert_int_equal(module_open(link, &driver, why), 0);

	assert_int_equal(chmod(file, 0646), 0);
	refused(link, -EPERM, "it may be written by anybody");
	assert_int_equal(chmod(file, 0644), 0);
	assert_int_equal(chmod(open, 01777), 0);
	refused(link, -EPERM, "the folder may be written by anybody");
	assert_int_equal(chmod(open, 0755), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(file, 4711, 0), 0);
		refused(link, -EPERM, "it belongs to user 4711");
	}
	unlink(link);
	unlink(file);
	rmdir(open);
	free(file);
	free(link);
	free(open);
	free(command);
}

/* Each thing that a struct can lack. */
static const struct bf_driver *lacking(const struct bf_driver *changed, const char *says)
{
	char why[DRIVER_SOUND_SIZE] = "";
	assert_false(driver_sound(changed, why));
	if (!strstr(why, says))
		print_message("%s\n", why);
	assert_non_null(strstr(why, says));
	return changed;
}

static void test_a_struct_that_can_not_be_used(void **state)
{
	(void)state;
	const struct bf_driver *good = NULL;
	struct bf_driver other;
	char why[MODULE_WHY_SIZE];
	assert_int_equal(module_open(variant("good"), &good, why), 0);
	assert_true(driver_sound(good, why));
#define LACKING(field_, value_, says_)                                                                                 \
	do {                                                                                                           \
		other = *good;                                                                                         \
		other.field_ = (value_);                                                                               \
		lacking(&other, says_);                                                                                \
	} while (0)
	LACKING(name, NULL, "has no name");
	LACKING(name, "", "has no name");
	LACKING(name, "../x", "has no name");
	LACKING(name, "abcdefghijklmnopqrstuvwxyzabcdefg", "has no name");
	LACKING(summary, NULL, "has no summary");
	LACKING(way, (enum bf_way)7, "goes a way that is not known (7)");
	LACKING(way, BF_WAY_REGISTERS, "has no function \"place\"");
	LACKING(shape, NULL, "has no function \"shape\"");
	LACKING(longest, NULL, "has no function \"longest\"");
	LACKING(value, NULL, "has no function \"value\"");
	LACKING(device_keys, NULL, "has no device_keys");
	LACKING(metric_keys, NULL, "has no metric_keys");
	LACKING(metric_size, 0, "outside of its struct");
	LACKING(metric_size, 1 << 20, "wants 1048576 bytes");
	LACKING(memory_size, 1 << 30, "bytes of memory");
#undef LACKING
}

static void test_a_row_that_can_not_be_used(void **state)
{
	(void)state;
	const struct bf_driver *good = NULL;
	char why[MODULE_WHY_SIZE];
	assert_int_equal(module_open(variant("good"), &good, why), 0);
	struct bf_key rows[2] = {{0}}, row = {"a.b_2", BF_KEY_CHOICE, 4, 0, 0, NULL, "x|y", 0, "What it is"};
	struct bf_driver other = *good;
	other.message_keys = rows;
	other.message_size = 8;
	rows[0] = row;
	assert_true(driver_sound(&other, why));
#define LACKING(field_, value_, says_)                                                                                 \
	do {                                                                                                           \
		rows[0] = row;                                                                                         \
		rows[0].field_ = (value_);                                                                             \
		lacking(&other, says_);                                                                                \
	} while (0)
	LACKING(choices, NULL, "without its choices");
	LACKING(help, NULL, "says nothing of itself");
	LACKING(type, (enum bf_key_type)99, "of a type that is not known");
	LACKING(offset, 5, "outside of its struct");
	LACKING(offset, 2, "outside of its struct");
	LACKING(offset, SIZE_MAX, "outside of its struct");
	LACKING(type, BF_KEY_BYTES, "outside of its struct");
	LACKING(name, "", "whose name is no word");
	LACKING(name, "a b", "whose name is no word");
#undef LACKING
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_sound_one),
		cmocka_unit_test(test_another_abi),
		cmocka_unit_test(test_what_is_no_driver),
		cmocka_unit_test(test_what_can_not_be_loaded),
		cmocka_unit_test(test_what_others_can_change),
		cmocka_unit_test(test_a_struct_that_can_not_be_used),
		cmocka_unit_test(test_a_row_that_can_not_be_used),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

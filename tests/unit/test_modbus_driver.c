/* Places of the Modbus driver: both notations, their edges, and what is refused. */
#include "sdk/driver.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct bf_driver bf_driver_modbus;

/* The struct that the driver's table fills, with one or two of its keys given. */
struct given {
	const char *key;
	struct bf_scalar value;
};

static struct bf_scalar number(int64_t i)
{
	return (struct bf_scalar){BF_SCALAR_INT, i, (double)i, NULL};
}

static struct bf_scalar text(const char *at)
{
	return (struct bf_scalar){BF_SCALAR_TEXT, 0, 0, at};
}

static int place(const struct given *given, size_t n, struct bf_shape *shape, struct bf_place *ret_place,
	struct bf_complaint *complaint)
{
	const struct bf_driver *driver = &bf_driver_modbus;
	unsigned char *keys = calloc(1, driver->metric_size);
	*complaint = (struct bf_complaint){0};
	for (size_t i = 0; i < n; i++)
		for (const struct bf_key *key = driver->metric_keys; key->name; key++)
			if (strcmp(key->name, given[i].key) == 0)
				memcpy(keys + key->offset, &given[i].value, sizeof(given[i].value));
	int err = driver->place(NULL, keys, shape, ret_place, complaint);
	free(keys);
	return err;
}

static void lies(
	const char *key, struct bf_scalar value, enum bf_type type, enum bf_space space, unsigned at, unsigned count)
{
	struct bf_shape shape = {.type = type};
	struct bf_place is = {0};
	struct bf_complaint complaint;
	struct given given = {key, value};
	assert_int_equal(place(&given, 1, &shape, &is, &complaint), 0);
	assert_int_equal(is.space, space);
	assert_int_equal(is.at, at);
	assert_int_equal(is.count, count);
	if (space == BF_SPACE_COIL || space == BF_SPACE_DISCRETE)
		assert_int_equal(shape.type, BF_TYPE_BOOL);
	else
		assert_int_equal(shape.type, type);
}

static void refused(const char *key, struct bf_scalar value, enum bf_type type, const char *what)
{
	struct bf_shape shape = {.type = type};
	struct bf_place is = {.at = 77};
	struct bf_complaint complaint;
	struct given given = {key, value};
	assert_int_equal(place(&given, 1, &shape, &is, &complaint), -EINVAL);
	assert_string_equal(complaint.key, key);
	assert_non_null(strstr(complaint.what, what));
	assert_int_equal(is.at, 77);
}

static void test_numbers_from_0(void **state)
{
	(void)state;
	lies("input", number(0), BF_TYPE_U16, BF_SPACE_INPUT, 0, 1);
	lies("holding", number(65535), BF_TYPE_U16, BF_SPACE_HOLDING, 65535, 1);
	lies("holding", number(65534), BF_TYPE_F32, BF_SPACE_HOLDING, 65534, 2);
	lies("coil", number(3), BF_TYPE_U16, BF_SPACE_COIL, 3, 1);
	lies("discrete", number(65535), BF_TYPE_BOOL, BF_SPACE_DISCRETE, 65535, 1);
	refused("input", number(-1), BF_TYPE_U16, "out of range");
	refused("input", number(65536), BF_TYPE_U16, "out of range");
	refused("input", number(65535), BF_TYPE_U32, "would pass register 65535");
	refused("holding", number(65533), BF_TYPE_F64, "would pass register 65535");
	refused("input", (struct bf_scalar){BF_SCALAR_NUMBER, 0, 1.5, NULL}, BF_TYPE_U16, "whole number");
}

static void test_numbers_of_the_manual(void **state)
{
	(void)state;
	lies("input", text("30001"), BF_TYPE_U16, BF_SPACE_INPUT, 0, 1);
	lies("input", text("30013"), BF_TYPE_U16, BF_SPACE_INPUT, 12, 1);
	lies("input", text("300013"), BF_TYPE_U16, BF_SPACE_INPUT, 12, 1);
	lies("input", text("3x0013"), BF_TYPE_U16, BF_SPACE_INPUT, 12, 1);
	lies("holding", text("4X00123"), BF_TYPE_S32, BF_SPACE_HOLDING, 122, 2);
	lies("holding", text("49999"), BF_TYPE_U16, BF_SPACE_HOLDING, 9998, 1);
	lies("holding", text("465536"), BF_TYPE_U16, BF_SPACE_HOLDING, 65535, 1);
	lies("coil", text("00001"), BF_TYPE_U16, BF_SPACE_COIL, 0, 1);
	lies("coil", text("0x0002"), BF_TYPE_U16, BF_SPACE_COIL, 1, 1);
	lies("discrete", text("10008"), BF_TYPE_U16, BF_SPACE_DISCRETE, 7, 1);
	refused("input", text("40013"), BF_TYPE_U16, "is a holding register by its first digit");
	refused("holding", text("30013"), BF_TYPE_U16, "is an input register by its first digit");
	refused("coil", text("10001"), BF_TYPE_U16, "is a discrete input by its first digit");
	refused("input", text("20001"), BF_TYPE_U16, "starts with 2; the manual");
	refused("input", text("30000"), BF_TYPE_U16, "count from 1");
	refused("input", text("365537"), BF_TYPE_U16, "count from 1");
	refused("input", text("365536"), BF_TYPE_U32, "would pass register 65535");
	const char *const none[] = {
		"", "3", "3x", "301", "3001", "3000013", "30 13", "3x13", "x0013", "-0013", "30013 "};
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		refused("input", text(none[i]), BF_TYPE_U16, "no register number");
}

static void test_exactly_one_place(void **state)
{
	(void)state;
	struct bf_shape shape = {.type = BF_TYPE_U16};
	struct bf_place is;
	struct bf_complaint complaint;
	assert_int_equal(place(NULL, 0, &shape, &is, &complaint), -EINVAL);
	assert_null(complaint.key);
	struct given two[] = {{"input", number(1)}, {"holding", number(1)}};
	assert_int_equal(place(two, 2, &shape, &is, &complaint), -EINVAL);
	assert_string_equal(complaint.key, "holding");
}

static void test_strings(void **state)
{
	(void)state;
	struct bf_shape shape = {.type = BF_TYPE_STRING, .length = 15};
	struct bf_place is;
	struct bf_complaint complaint;
	struct given given = {"holding", number(65528)};
	assert_int_equal(place(&given, 1, &shape, &is, &complaint), 0);
	assert_int_equal(is.count, 8);
	shape.length = 17;
	assert_int_equal(place(&given, 1, &shape, &is, &complaint), -EINVAL);
}

static void test_it_declares_itself(void **state)
{
	(void)state;
	assert_int_equal(bf_driver_modbus.abi, BF_DRIVER_ABI);
	for (const struct bf_key *key = bf_driver_modbus.metric_keys; key->name; key++) {
		assert_true(key->offset < bf_driver_modbus.metric_size);
		assert_non_null(key->help);
	}
	assert_null(bf_driver_modbus.device_keys[0].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_from_0),
		cmocka_unit_test(test_numbers_of_the_manual),
		cmocka_unit_test(test_exactly_one_place),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_it_declares_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

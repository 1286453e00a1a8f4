/*
 * The operands of a scan.
 */
#include "cli/scan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void addresses_are_lists_of_ranges(void **state)
{
	(void)state;
	uint8_t units[256];
	size_t n = 0;
	assert_int_equal(scan_parse_units("1-3,42,2-4", false, units, &n), 0);
	assert_int_equal(n, 5);
	assert_memory_equal(units, ((uint8_t[]){1, 2, 3, 42, 4}), 5);
	assert_int_equal(scan_parse_units("1-247", false, units, &n), 0);
	assert_int_equal(n, 247);
	assert_int_equal(scan_parse_units("1,255,0,2-254", true, units, &n), 0);
	assert_int_equal(n, 256);
	static const char *const bad[] = {"", ",", "1,", "1-", "-3", "a", "1-2-3", "1;2", " 1", "+1", "5-"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(scan_parse_units(bad[i], false, units, &n), -EINVAL);
	static const char *const none[] = {"0", "248", "3-2", "1-248", "99999999999999999999"};
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(scan_parse_units(none[i], false, units, &n), -ERANGE);
	assert_int_equal(scan_parse_units("256", true, units, &n), -ERANGE);
}

static void settings_are_a_list(void **state)
{
	(void)state;
	struct plan_line lines[SCAN_LINES_MAX];
	size_t n = 0;
	assert_int_equal(scan_parse_lines("9600 8N1, 19200 8E1,14400 7O2", lines, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(lines[1].baud, 19200);
	assert_int_equal(lines[1].parity, 'E');
	assert_int_equal(lines[2].data_bits, 7);
	assert_int_equal(lines[2].stop_bits, 2);
	static const char *const bad[] = {"", "9600", "9600 8N1,", ",9600 8N1", "9600 8N1;19200 8E1", "0 8N1"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(scan_parse_lines(bad[i], lines, &n) < 0);
	char many[40 * 9 + 1] = "";
	for (int i = 0; i < 40; i++)
		strcat(many, i ? ",9600 8N1" : "9600 8N1");
	assert_int_equal(scan_parse_lines(many, lines, &n), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_lists_of_ranges),
		cmocka_unit_test(settings_are_a_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

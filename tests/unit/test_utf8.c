/*
 * UTF-8: an independent decoder over all short sequences, and the edges of the table.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/utf8.h"

#include <string.h>

/* By the definition instead of the table: decode, then ask what may not be. */
static size_t by_definition(const unsigned char *s, size_t n)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
	if (length <= 1)
		return length;
	if (n < length)
		return 0;
	uint32_t point = s[0] & (0x7Fu >> length);
	for (size_t i = 1; i < length; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		point = point << 6 | (s[i] & 0x3F);
	}
	bool surrogate = point >= 0xD800 && point <= 0xDFFF;
	return point >= least[length] && point <= 0x10FFFF && !surrogate ? length : 0;
}

static void test_all_of_three_bytes(void **state)
{
	(void)state;
	for (uint32_t bits = 0; bits < 0x1000000; bits++) {
		unsigned char s[3] = {(unsigned char)(bits >> 16), (unsigned char)(bits >> 8), (unsigned char)bits};
		if (s[0] < 0x80 && (s[1] | s[2])) {
			bits |= 0xFFFF; /* one byte says it all */
			continue;
		}
		if (utf8_length((const char *)s, 3) != by_definition(s, 3))
			fail_msg("%02x %02x %02x", s[0], s[1], s[2]);
	}
}

static void test_four_bytes(void **state)
{
	(void)state;
	static const unsigned char edges[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
	for (unsigned a = 0xF0; a <= 0xFF; a++)
		for (unsigned b = 0; b <= 0xFF; b++)
			for (size_t c = 0; c < sizeof(edges); c++)
				for (size_t d = 0; d < sizeof(edges); d++) {
					unsigned char s[4] = {(unsigned char)a, (unsigned char)b, edges[c], edges[d]};
					assert_int_equal(utf8_length((const char *)s, 4), by_definition(s, 4));
				}
}

static void test_cut_short(void **state)
{
	(void)state;
	static const char *const whole[] = {"\xC2\xB0", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
	assert_int_equal(utf8_length("", 0), 0);
	for (size_t i = 0; i < 3; i++)
		for (size_t n = 1; n <= i + 2; n++)
			assert_int_equal(utf8_length(whole[i], n), n == i + 2 ? n : 0);
}

static void test_control_characters(void **state)
{
	(void)state;
	static const char *const yes[] = {"\x01", "\x1F", "\x7F", "\xC2\x80", "\xC2\x9F"};
	static const char *const no[] = {" ", "~", "\xC2\xA0", "\xC3\x80", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		assert_true(utf8_is_control(yes[i], strlen(yes[i])));
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_false(utf8_is_control(no[i], strlen(no[i])));
	assert_true(utf8_is_control("", 1));
	assert_false(utf8_is_control("\x9B", 0)); /* no character at all */
}

static void test_texts(void **state)
{
	(void)state;
	assert_true(utf8_valid("", 0));
	assert_true(utf8_valid("21 \xC2\xB0"
			       "C \xE2\x82\xAC \xF0\x9F\x98\x80",
		15));
	assert_true(utf8_valid("a\0b", 3));
	assert_false(utf8_valid("\xC0\x80", 2));         /* an overlong NUL */
	assert_false(utf8_valid("\xED\xA0\x80", 3));     /* a surrogate */
	assert_false(utf8_valid("\xF4\x90\x80\x80", 4)); /* above U+10FFFF */
	assert_false(utf8_valid("ab\xC2", 3));
	assert_false(utf8_valid("\xB0"
				"C",
		2)); /* Latin-1 */
	assert_int_equal(utf8_columns("21 \xC2\xB0"
				      "C",
				 6),
		5);
	assert_int_equal(utf8_columns("", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_three_bytes),
		cmocka_unit_test(test_four_bytes),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

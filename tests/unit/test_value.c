/*
 * Numbers in print: they read back equal, nothing shorter does, and the locale has no say.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sdk/value.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 200000

static uint64_t seed = 20240611;

static uint64_t chance(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 0x2545F4914F6CDD1Du;
}

static struct bf_value wide(double number)
{
	return (struct bf_value){.kind = BF_FLOAT64, .f64 = number};
}

static struct bf_value narrow(float number)
{
	return (struct bf_value){.kind = BF_FLOAT32, .f32 = number};
}

static void prints(struct bf_value value, int decimals, const char *expected)
{
	char text[BF_NUMBER_SIZE];
	memset(text, 'x', sizeof(text));
	int n = bf_value_print(&value, decimals, text);
	assert_int_equal(n, (int)strlen(expected));
	assert_string_equal(text, expected);
}

static void test_doubles(void **state)
{
	(void)state;
	prints(wide(0.0), -1, "0");
	prints(wide(-0.0), -1, "0");
	prints(wide(230.1), -1, "230.1");
	prints(wide(-230.1), -1, "-230.1");
	prints(wide(100.0), -1, "100");
	prints(wide(0.1 + 0.2), -1, "0.30000000000000004");
	prints(wide(1e-5), -1, "0.00001");
	prints(wide(-1.2345678901234567e-5), -1, "-0.000012345678901234568");
	prints(wide(9.9e-6), -1, "9.9e-6");
	prints(wide(1e14), -1, "100000000000000");
	prints(wide(999999999999999.9), -1, "999999999999999.9");
	prints(wide(1e15), -1, "1e15");
	prints(wide(1e20), -1, "1e20");
	prints(wide(-1.5e300), -1, "-1.5e300");
	prints(wide(5e-324), -1, "5e-324");
	prints(wide(-DBL_MAX), -1, "-1.7976931348623157e308");
	prints(wide(-DBL_MIN), -1, "-2.2250738585072014e-308");
	prints(wide(0x1p-44), -1, "5.684341886080802e-14");
}

static void test_floats(void **state)
{
	(void)state;
	prints(narrow(0.1f), -1, "0.1");
	prints(narrow(-230.1f), -1, "-230.1");
	prints(narrow(-0.0f), -1, "0");
	prints(narrow(16777216.0f), -1, "16777216");
	prints(narrow(3.4028235e38f), -1, "3.4028235e38");
	prints(narrow(1e-45f), -1, "1e-45");
	prints(narrow(49.97f), -1, "49.97");
	prints(narrow(1e15f), -1, "1e15");             /* is 999999986991104 */
	prints(narrow(123456789.0f), -1, "123456790"); /* is 123456792 */
}

static void test_rounded(void **state)
{
	(void)state;
	prints(narrow(2.236868e32f), 1, "2.236868e32"); /* its own digits, not those of a double */
	prints(narrow(16777216.0f), 1, "16777216");
	prints(wide(0.1 * 2305), 1, "230.5");
	prints(wide(2.0), 3, "2");
	prints(wide(-0.04), 1, "0");
	prints(wide(-0.0), 2, "0");
	prints(wide(-0.05), 1, "-0.1");
	prints(wide(1234.5678), 2, "1234.57");
	prints(wide(1234.5678), 0, "1235");
	prints(wide(999.96), 1, "1000");
	prints(wide(3e-6), 6, "3e-6");
	prints(wide(0.1 * 123456789), 12, "12345678.9");
	prints(wide(123456.7), 12, "123456.7");
	prints(wide(1.0 / 3), 400, "0.333333333333");
	prints(wide(1e300), 2, "1e300");
	prints(narrow(230.1f), 1, "230.1");
	prints(narrow(230.1f), 9, "230.100006104");
}

static void test_integers(void **state)
{
	(void)state;
	prints((struct bf_value){.kind = BF_UNSIGNED, .u = UINT64_MAX}, 2, "18446744073709551615");
	prints((struct bf_value){.kind = BF_UNSIGNED, .u = 0}, -1, "0");
	prints((struct bf_value){.kind = BF_SIGNED, .i = INT64_MIN}, -1, "-9223372036854775808");
	prints((struct bf_value){.kind = BF_SIGNED, .i = INT64_MAX}, -1, "9223372036854775807");
	prints((struct bf_value){.kind = BF_SIGNED, .i = -1}, 0, "-1");
	prints((struct bf_value){.kind = BF_BOOLEAN, .yes = true}, -1, "true");
	prints((struct bf_value){.kind = BF_BOOLEAN, .yes = false}, 1, "false");
}

static void test_nothing_to_print(void **state)
{
	(void)state;
	const struct bf_value values[] = {{.kind = BF_NONE}, {.kind = BF_TEXT, .text = {"1", 1}}, wide(NAN),
		wide(INFINITY), narrow(-INFINITY), narrow(NAN)};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char text[BF_NUMBER_SIZE] = "untouched";
		assert_int_equal(bf_value_print(&values[i], -1, text), -EINVAL);
		assert_int_equal(bf_value_print(&values[i], 2, text), -EINVAL);
		assert_string_equal(text, "untouched");
	}
}

/* How many digits stand in a number, without leading and trailing zeros. */
static int digits_in(const char *text)
{
	int n = 0, zeros = 0;
	for (; *text && *text != 'e'; text++) {
		if (*text < '0' || *text > '9' || (n == 0 && *text == '0'))
			continue;
		zeros = *text == '0' ? zeros + 1 : 0;
		n++;
	}
	return n - zeros;
}

static bool json_number(const char *text)
{
	text += *text == '-';
	if (*text == '0' ? text[1] >= '0' && text[1] <= '9' : *text < '1' || *text > '9')
		return false;
	text += strspn(text, "0123456789");
	if (*text == '.') {
		size_t n = strspn(++text, "0123456789");
		if (n == 0 || text[n - 1] == '0')
			return false;
		text += n;
	}
	if (*text == 'e') {
		text += 1 + (text[1] == '-');
		size_t n = strspn(text, "0123456789");
		if (n == 0)
			return false;
		text += n;
	}
	return *text == '\0';
}

static void shortest(struct bf_value value)
{
	char text[BF_NUMBER_SIZE], other[400];
	bool is_float = value.kind == BF_FLOAT32;
	double number = bf_value_number(&value);
	int n = bf_value_print(&value, -1, text);
	assert_int_equal(n, (int)strlen(text));
	assert_true(json_number(text));
	double back = is_float ? (double)strtof(text, NULL) : strtod(text, NULL);
	assert_true(back == number);
	double shown = fabs(strtod(text, NULL));
	bool plain = shown >= 1e-5 && shown < 1e15;
	assert_true(number == 0.0 || plain == !strchr(text, 'e'));
	int digits = digits_in(text);
	if (digits > 1) {
		snprintf(other, sizeof(other), "%.*g", digits - 1, number);
		back = is_float ? (double)strtof(other, NULL) : strtod(other, NULL);
		assert_true(back != number);
	}
}

static void test_shortest(void **state)
{
	(void)state;
	static const double powers[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10};
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t bits = chance();
		uint32_t low = (uint32_t)(bits >> 32);
		struct bf_value value = {.kind = BF_FLOAT64};
		memcpy(&value.f64, &bits, sizeof(bits));
		if (isfinite(value.f64))
			shortest(value);
		value.kind = BF_FLOAT32;
		memcpy(&value.f32, &low, sizeof(low));
		if (isfinite(value.f32))
			shortest(value);
		/* what sensors say: a few digits and a point, as they are and after some arithmetic
		 */
		double number = (double)(int32_t)chance() / powers[chance() % 11];
		shortest(wide(number));
		shortest(wide(number * 0.1));
		shortest(wide(number / 3 * 1e6));
		shortest(narrow((float)number));
		shortest(narrow((float)(number * 1e-3)));
	}
}

/* Neighbours of the powers of two, where the distance between numbers changes, and of ten, where
 * the form does. */
static void test_edges(void **state)
{
	(void)state;
	for (int e = -1074; e < 1024; e++) {
		double number = ldexp(1.0, e);
		shortest(wide(number));
		shortest(wide(nextafter(number, 0.0)));
		shortest(wide(nextafter(number, 1e308)));
		if (e >= -149 && e < 128) {
			shortest(narrow((float)number));
			shortest(narrow(nextafterf((float)number, 0.0f)));
			shortest(narrow(nextafterf((float)number, 1e38f)));
		}
	}
	for (int e = -307; e < 309; e++) {
		char text[16];
		snprintf(text, sizeof(text), "1e%d", e);
		double number = strtod(text, NULL);
		shortest(wide(number));
		shortest(wide(nextafter(number, 0.0)));
		shortest(wide(nextafter(number, 1e308)));
	}
}

/* A power of two may read back from a decimal that is not the nearest of its length: that one is to
 * be found. */
static void test_powers_of_two(void **state)
{
	(void)state;
	for (int e = -1074; e < 1024; e++)
		for (int is_float = 0; is_float < 2; is_float++) {
			if (is_float && (e < -149 || e > 127))
				continue;
			double number = ldexp(1.0, e);
			char text[BF_NUMBER_SIZE], other[64], near[80];
			struct bf_value value = is_float ? narrow((float)number) : wide(number);
			bf_value_print(&value, -1, text);
			int digits = digits_in(text);
			if (digits < 2)
				continue;
			snprintf(other, sizeof(other), "%.*e", digits - 2, number);
			char *exponent = strchr(other, 'e');
			assert_non_null(exponent);
			*exponent = '\0';
			double step = pow(10, -(digits - 2));
			for (int k = -1; k <= 1; k++) {
				snprintf(near, sizeof(near), "%.*fe%s", digits - 2, strtod(other, NULL) + k * step,
					exponent + 1);
				double back = is_float ? (double)strtof(near, NULL) : strtod(near, NULL);
				assert_true(back != number);
			}
		}
}

static void test_rounded_as_printf(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		int decimals = (int)(chance() % 7);
		double number = ldexp((double)(int64_t)chance(), -(int)(chance() % 64) - 20);
		char text[BF_NUMBER_SIZE], other[400];
		struct bf_value value = wide(number);
		double ten = pow(10, decimals), cells = fabs(number) * ten;
		if (cells >= 1e15 || fma(fabs(number), ten, -floor(cells)) == 0.5)
			continue; /* printf sends ties to the even digit */
		bf_value_print(&value, decimals, text);
		snprintf(other, sizeof(other), "%.*f", decimals, number);
		assert_true(json_number(text));
		assert_true(strtod(text, NULL) == strtod(other, NULL));
		assert_true(digits_in(text) == digits_in(other));
	}
}

static void test_locale(void **state)
{
	(void)state;
	static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "sv_SE.UTF-8"};
	bool found = false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !found; i++)
		found = setlocale(LC_ALL, names[i]) != NULL;
	if (!found)
		skip();
	prints(wide(0.1 + 0.2), -1, "0.30000000000000004");
	prints(wide(1.25e-7), -1, "1.25e-7");
	prints(wide(230.1), -1, "230.1");
	prints(narrow(1.1754944e-38f), -1, "1.1754944e-38");
	prints(wide(1234567.891), 2, "1234567.89");
	setlocale(LC_ALL, "C");
}

static void test_decimals(void **state)
{
	(void)state;
	assert_int_equal(bf_decimals_of(0.1), 1);
	assert_int_equal(bf_decimals_of(-0.1), 1);
	assert_int_equal(bf_decimals_of(0.025), 3);
	assert_int_equal(bf_decimals_of(10), 0);
	assert_int_equal(bf_decimals_of(1), 0);
	assert_int_equal(bf_decimals_of(0), 0);
	assert_int_equal(bf_decimals_of(2.5), 1);
	assert_int_equal(bf_decimals_of(1e-7), 7);
	assert_int_equal(bf_decimals_of(1e20), 0);
	assert_int_equal(bf_decimals_of(1.0 / 3), BF_DECIMALS_MAX);
	assert_int_equal(bf_decimals_of(NAN), 0);
}

static void test_number_and_equal(void **state)
{
	(void)state;
	const struct bf_value values[] = {{.kind = BF_NONE}, {.kind = BF_BOOLEAN, .yes = true},
		{.kind = BF_SIGNED, .i = 1}, {.kind = BF_UNSIGNED, .u = 1}, narrow(1.0f), wide(1.0),
		{.kind = BF_TEXT, .text = {"1", 1}}};
	size_t n = sizeof(values) / sizeof(values[0]);
	for (size_t i = 0; i < n; i++) {
		double number = values[i].kind == BF_NONE || values[i].kind == BF_TEXT ? 0.0 : 1.0;
		assert_true(bf_value_number(&values[i]) == number);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(bf_value_equal(&values[i], &values[k]), i == k);
	}
	struct bf_value a = {.kind = BF_TEXT, .text = {"abc", 3}}, b = {.kind = BF_TEXT, .text = {"abd", 3}};
	struct bf_value empty = {.kind = BF_TEXT};
	assert_false(bf_value_equal(&a, &b));
	b.text.n = a.text.n = 2;
	assert_true(bf_value_equal(&a, &b));
	assert_true(bf_value_equal(&empty, &empty));
	a = (struct bf_value){.kind = BF_SIGNED, .i = -5};
	assert_true(bf_value_number(&a) == -5.0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_floats),
		cmocka_unit_test(test_rounded),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_nothing_to_print),
		cmocka_unit_test(test_shortest),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_powers_of_two),
		cmocka_unit_test(test_rounded_as_printf),
		cmocka_unit_test(test_locale),
		cmocka_unit_test(test_decimals),
		cmocka_unit_test(test_number_and_equal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Numbers to text and back to numbers.  See value.h.
 *
 * Every reading passes here, so the common ones go without printf: a sensor's number is nearly
 * always a decimal of few digits, and such a decimal is found by trying.  m / 10^d with both exact
 * in a double is one correctly rounded division, which is what strtod does with the text; when it
 * gives the value back, the text does too.  A decimal of at most 15 digits is the only one of that
 * length that reads as its double, so what is found first is the shortest. What is not found takes
 * the long way: printf's correctly rounded digits, one more each time, until they read back.
 *
 * Locale: the digits are picked out of printf's text around whatever its decimal point is, and are
 * read back as "digits e exponent", which has none.
 *
 * Invariant: a number in print is digits × 10^exponent with digits below 10^17 (or a whole 64 bit
 * integer) and no trailing zero.  No state; any thread.
 */
#include "sdk/value.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_SURE  1e15 /* below it every decimal has a double of its own (DBL_DIG) */
#define PLAIN_FROM   1e-5
#define PLAIN_TO     1e15
#define FLOAT_SPARSE 0x1p24 /* from here on whole floats may have shorter texts than their own digits */
#define DECIMALS_TRY 20     /* 15 digits from PLAIN_FROM on; 10^22 is the last power that a double holds exactly */

struct decimal {
	uint64_t digits;
	int exponent; /* of ten */
};

static const double power_of_ten[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14,
	1e15, 1e16, 1e17, 1e18, 1e19, 1e20};

static struct decimal decimal_trim(struct decimal number)
{
	if (number.digits == 0)
		number.exponent = 0;
	while (number.digits && number.digits % 10 == 0) {
		number.digits /= 10;
		number.exponent++;
	}
	return number;
}

static bool reads_back(struct decimal number, double value, bool narrow)
{
	char text[BF_NUMBER_SIZE];
	snprintf(text, sizeof(text), "%llue%d", (unsigned long long)number.digits, number.exponent);
	return narrow ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value;
}

/* The value (above 0) correctly rounded to n digits, 1 to 17. */
static struct decimal digits_of(double value, int n)
{
	char text[BF_NUMBER_SIZE];
	struct decimal number = {0};
	snprintf(text, sizeof(text), "%.*e", n - 1, value);
	const char *c = text;
	for (; *c && *c != 'e'; c++)
		if (*c >= '0' && *c <= '9')
			number.digits = number.digits * 10 + (unsigned)(*c - '0');
	if (*c == 'e')
		number.exponent = (int)strtol(c + 1, NULL, 10) - (n - 1);
	return number;
}

/*
 * Shortest digits that read back as the value (above 0): the long way.  A decimal of DIG digits or
 * less that reads as a normal number is what the number rounds to at DIG digits, so there is no
 * need to try fewer.
 */
static struct decimal decimal_searched(double value, bool narrow)
{
	int n = narrow ? FLT_DIG : DBL_DIG, most = narrow ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG, binary;
	bool power_of_two = frexp(value, &binary) == 0.5;
	if (value < (narrow ? (double)FLT_MIN : DBL_MIN))
		n = 1;
	for (;; n++) {
		struct decimal number = digits_of(value, n);
		if (n >= most || reads_back(number, value, narrow))
			return decimal_trim(number);
		/* The doubles below a power of two lie closer than those above: the nearest decimal
		 * may miss on that side while the next one hits on the other. */
		number.digits++;
		if (power_of_two && reads_back(number, value, narrow))
			return decimal_trim(number);
	}
}

static struct decimal decimal_of_double(double value)
{
	if (value < PLAIN_FROM || value >= PLAIN_TO)
		return decimal_searched(value, false);
	for (int d = 0; d <= DECIMALS_TRY; d++) {
		double digits = round(value * power_of_ten[d]);
		if (digits >= DIGITS_SURE)
			break;
		if (digits / power_of_ten[d] == value)
			return decimal_trim((struct decimal){(uint64_t)digits, -d});
	}
	return decimal_searched(value, false);
}

/* A double that lies half-way between two neighbouring floats: the decimal it came from may lie on
 * either side. */
static bool half_way(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return (bits & 0x1FFFFFFF) == 0x10000000;
}

static struct decimal decimal_of_float(float value)
{
	double wide = (double)value;
	if (wide < PLAIN_FROM || wide >= FLOAT_SPARSE)
		return decimal_searched(wide, true);
	for (int d = 0; d <= DECIMALS_TRY; d++) {
		double digits = round(wide * power_of_ten[d]);
		if (digits >= DIGITS_SURE)
			break;
		double quotient = digits / power_of_ten[d];
		if (half_way(quotient))
			break;
		if ((float)quotient == value)
			return decimal_trim((struct decimal){(uint64_t)digits, -d});
	}
	return decimal_searched(wide, true);
}

/*
 * Likewise for a float of 16 bits (IEEE 754 binary16: 11 bits of fraction, the smallest step 2^-24), which five digits
 * always tell apart.  A decimal reads back as the value when it lies within half a step of it, half-way only if the
 * value is an even number of steps; just below a power of two the steps are half as long.
 */
static struct decimal decimal_of_half(float value)
{
	double wide = (double)value;
	int binary;
	bool power_of_two = frexp(wide, &binary) == 0.5;
	double step = ldexp(1.0, binary > -13 ? binary - 11 : -24);
	double above = step / 2, below = power_of_two && binary > -13 ? step / 4 : step / 2;
	bool even = fmod(wide / step, 2.0) == 0.0;
	struct decimal number;
	for (int n = 1; n <= 5; n++) {
		char text[BF_NUMBER_SIZE];
		number = digits_of(wide, n);
		snprintf(text, sizeof(text), "%llue%d", (unsigned long long)number.digits, number.exponent);
		double off = strtod(text, NULL) - wide;
		if (even ? off <= above && -off <= below : off < above && -off < below)
			break;
	}
	return decimal_trim(number);
}

/* The value (0 or above) to so many decimals. */
static struct decimal decimal_rounded(double value, int decimals)
{
	if (decimals > BF_DECIMALS_MAX)
		decimals = BF_DECIMALS_MAX;
	double power = power_of_ten[decimals], digits = round(value * power);
	if (digits < DIGITS_SURE) {
		double rest = fma(value, power, -digits); /* the product above was rounded itself; this is not */
		if (rest >= 0.5)
			digits++;
		else if (rest < -0.5)
			digits--;
		return decimal_trim((struct decimal){(uint64_t)digits, -decimals});
	}
	struct decimal number = decimal_of_double(value);
	uint64_t last = 0;
	while (number.exponent < -decimals) {
		last = number.digits % 10;
		number.digits /= 10;
		number.exponent++;
	}
	if (last >= 5)
		number.digits++;
	return decimal_trim(number);
}

/* Each pair of digits. */
static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
			    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
			    "8081828384858687888990919293949596979899";

/* The digits of an integer, highest first, without a NUL; returns how many. */
static int put_digits(char *text, uint64_t number)
{
	char digits[20], *from = digits + sizeof(digits);
	for (; number >= 100; number /= 100)
		memcpy(from -= 2, pairs + 2 * (number % 100), 2);
	if (number >= 10)
		memcpy(from -= 2, pairs + 2 * number, 2);
	else
		*--from = (char)('0' + number);
	size_t n = (size_t)(digits + sizeof(digits) - from);
	memcpy(text, from, n);
	return (int)n;
}

static int put_zeros(char *text, int n)
{
	for (int i = 0; i < n; i++)
		text[i] = '0';
	return n;
}

static int print_decimal(bool negative, struct decimal number, char *text)
{
	char digits[20], *to = text;
	int n = put_digits(digits, number.digits);
	int whole = n + number.exponent; /* digits before the point; 10^(whole - 1) <= value < 10^whole */
	size_t n_digits = (size_t)n;
	if (negative && number.digits)
		*to++ = '-';
	if (whole < -4 || whole > 15) {
		*to++ = digits[0];
		if (n > 1) {
			*to++ = '.';
			memcpy(to, digits + 1, n_digits - 1);
			to += n - 1;
		}
		*to++ = 'e';
		if (whole < 1)
			*to++ = '-';
		to += put_digits(to, (uint64_t)(whole < 1 ? 1 - whole : whole - 1));
	} else if (number.exponent >= 0) {
		memcpy(to, digits, n_digits);
		to += n;
		to += put_zeros(to, number.exponent);
	} else if (whole > 0) {
		memcpy(to, digits, (size_t)whole);
		to += whole;
		*to++ = '.';
		memcpy(to, digits + whole, (size_t)(n - whole));
		to += n - whole;
	} else {
		*to++ = '0';
		*to++ = '.';
		to += put_zeros(to, -whole);
		memcpy(to, digits, n_digits);
		to += n;
	}
	*to = '\0';
	return (int)(to - text);
}

static int print_integer(bool negative, uint64_t number, char *text)
{
	int n = 0;
	if (negative)
		text[n++] = '-';
	n += put_digits(text + n, number);
	text[n] = '\0';
	return n;
}

int bf_value_print(const struct bf_value *value, int decimals, char text[static BF_NUMBER_SIZE])
{
	double number = 0.0;
	switch (value->kind) {
	case BF_BOOLEAN:
		memcpy(text, value->yes ? "true" : "false", value->yes ? 5 : 6);
		return value->yes ? 4 : 5;
	case BF_SIGNED:
		return print_integer(value->i < 0, value->i < 0 ? 0 - (uint64_t)value->i : (uint64_t)value->i, text);
	case BF_UNSIGNED:
		return print_integer(false, value->u, text);
	case BF_FLOAT16:
	case BF_FLOAT32:
		number = (double)value->f32;
		break;
	case BF_FLOAT64:
		number = value->f64;
		break;
	case BF_NONE:
	case BF_TEXT:
	default:
		return -EINVAL;
	}
	if (!isfinite(number))
		return -EINVAL;
	bool narrow = value->kind == BF_FLOAT16 || value->kind == BF_FLOAT32;
	struct decimal shown = {0};
	if (number == 0.0)
		;                                                            /* without a sign */
	else if (decimals >= 0 && !(narrow && fabs(number) >= FLOAT_SPARSE)) /* a whole one has nothing to round */
		shown = decimal_rounded(fabs(number), decimals);
	else if (value->kind == BF_FLOAT16)
		shown = decimal_of_half(fabsf(value->f32));
	else if (value->kind == BF_FLOAT32)
		shown = decimal_of_float(fabsf(value->f32));
	else
		shown = decimal_of_double(fabs(number));
	return print_decimal(number < 0.0, shown, text);
}

double bf_value_number(const struct bf_value *value)
{
	switch (value->kind) {
	case BF_BOOLEAN:
		return value->yes ? 1.0 : 0.0;
	case BF_SIGNED:
		return (double)value->i;
	case BF_UNSIGNED:
		return (double)value->u;
	case BF_FLOAT16:
	case BF_FLOAT32:
		return (double)value->f32;
	case BF_FLOAT64:
		return value->f64;
	case BF_NONE:
	case BF_TEXT:
	default:
		return 0.0;
	}
}

bool bf_value_equal(const struct bf_value *a, const struct bf_value *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case BF_NONE:
		return true;
	case BF_BOOLEAN:
		return a->yes == b->yes;
	case BF_SIGNED:
		return a->i == b->i;
	case BF_UNSIGNED:
		return a->u == b->u;
	case BF_FLOAT16:
	case BF_FLOAT32:
		return a->f32 == b->f32;
	case BF_FLOAT64:
		return a->f64 == b->f64;
	case BF_TEXT:
		return a->text.n == b->text.n && (a->text.n == 0 || memcmp(a->text.at, b->text.at, a->text.n) == 0);
	default:
		return false;
	}
}

int bf_decimals_of(double number)
{
	if (!isfinite(number) || number == 0.0)
		return 0;
	struct decimal shown = decimal_of_double(fabs(number));
	if (shown.exponent >= 0)
		return 0;
	return -shown.exponent < BF_DECIMALS_MAX ? -shown.exponent : BF_DECIMALS_MAX;
}

/*
 * Numbers as sensors write them, read strictly: a number is all of its field or it is none.
 *
 * No locale has a say: whole numbers are read digit by digit, and of a number with a point the digits are handed to
 * strtod without it, as "2145e-2", so that strtod rounds correctly and meets no character that a locale could change.
 * Any thread.
 */
#include "text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX   64
#define EXPONENT_MAX 999

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The sign in front, if any; balances put blanks between it and the number. */
static struct text_span without_sign(struct text_span span, bool *ret_minus)
{
	span = text_trim(span);
	*ret_minus = span.n > 0 && *span.at == '-';
	if (span.n > 0 && (*span.at == '-' || *span.at == '+')) {
		span.at++;
		span.n--;
		while (span.n > 0 && *span.at == ' ') {
			span.at++;
			span.n--;
		}
	}
	return span;
}

/* "e-3" and nothing behind it. */
static int exponent_of(struct text_span span, int *ret_exponent)
{
	bool minus = span.n > 1 && span.at[1] == '-';
	size_t i = span.n > 1 && (minus || span.at[1] == '+') ? 2 : 1;
	int exponent = 0;
	if (i >= span.n)
		return -EDOM;
	for (; i < span.n; i++) {
		if (!digit(span.at[i]))
			return -EDOM;
		exponent = exponent * 10 + (span.at[i] - '0');
		if (exponent > EXPONENT_MAX)
			return -EDOM;
	}
	*ret_exponent = minus ? -exponent : exponent;
	return 0;
}

int text_number_dec(struct text_span span, char point, double *ret_number)
{
	char plain[DIGITS_MAX + 16];
	size_t n = 0, n_digits = 0, i = 0;
	int n_decimals = 0, exponent = 0;
	bool minus, pointed = false;
	span = without_sign(span, &minus);
	if (minus)
		plain[n++] = '-';
	for (; i < span.n; i++) {
		if (span.at[i] == point && !pointed) {
			pointed = true;
			continue;
		}
		if (!digit(span.at[i]))
			break;
		if (++n_digits > DIGITS_MAX)
			return -EDOM;
		plain[n++] = span.at[i];
		n_decimals += pointed;
	}
	if (n_digits == 0)
		return -EDOM;
	if (i < span.n) {
		if (span.at[i] != 'e' && span.at[i] != 'E')
			return -EDOM;
		int err = exponent_of((struct text_span){span.at + i, span.n - i}, &exponent);
		if (err < 0)
			return err;
	}
	snprintf(plain + n, sizeof(plain) - n, "e%d", exponent - n_decimals);
	double number = strtod(plain, NULL);
	if (!isfinite(number))
		return -EDOM;
	*ret_number = number;
	return 0;
}

int text_number_int(struct text_span span, int64_t *ret_number)
{
	bool minus;
	span = without_sign(span, &minus);
	if (span.n == 0)
		return -EDOM;
	uint64_t number = 0, most = minus ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
	for (size_t i = 0; i < span.n; i++) {
		if (!digit(span.at[i]))
			return -EDOM;
		uint64_t next = (uint64_t)(span.at[i] - '0');
		if (number > (most - next) / 10)
			return -EDOM;
		number = number * 10 + next;
	}
	*ret_number = minus ? (int64_t)(0 - number) : (int64_t)number;
	return 0;
}

int text_number_hex(struct text_span span, uint64_t *ret_number)
{
	uint64_t number = 0;
	span = text_trim(span);
	if (span.n > 2 && span.at[0] == '0' && (span.at[1] == 'x' || span.at[1] == 'X')) {
		span.at += 2;
		span.n -= 2;
	}
	if (span.n == 0)
		return -EDOM;
	for (size_t i = 0; i < span.n; i++) {
		int nibble = text_nibble((uint8_t)span.at[i]);
		if (nibble < 0 || number >> 60)
			return -EDOM;
		number = number << 4 | (uint64_t)nibble;
	}
	*ret_number = number;
	return 0;
}

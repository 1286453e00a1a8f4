/*
 * Payloads of …/set.  See wanted.h.
 *
 * Why so strict: what is written here moves something.  A text that is nearly a number ("0x10", "21,5", "1e999", a JSON
 * object) was meant by somebody else for something else.  The number is rebuilt as digits and exponent before strtod
 * sees it, so no locale has a say and neither has what else strtod would take.
 */
#include "ship/wanted.h"
#include "base/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define OFF_STEP     1e-6 /* of a step: what decimal fractions are off in binary */
#define EXPONENT_MAX 400  /* beyond it a number is infinite, or 0 */

static int refuse(char why[static WANTED_WHY_SIZE], int rc, const char *text)
{
	snprintf(why, WANTED_WHY_SIZE, "%s", text);
	return rc;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(const char *text, size_t n, const char *word)
{
	return strlen(word) == n && strncasecmp(text, word, n) == 0;
}

static int boolean(const char *text, size_t n, struct bf_value *ret_value, char why[static WANTED_WHY_SIZE])
{
	static const char *const words[] = {"false", "off", "0", "true", "on", "1"};
	for (size_t i = 0; i < 6; i++)
		if (is_word(text, n, words[i])) {
			*ret_value = (struct bf_value){.kind = BF_BOOLEAN, .yes = i >= 3};
			return 0;
		}
	return refuse(why, -EINVAL, "neither true nor false; write true, false, on, off, 1 or 0");
}

static int word(const struct plan_metric *metric, const char *text, size_t n, struct bf_value *ret_value,
	char why[static WANTED_WHY_SIZE])
{
	for (uint32_t i = 0; i < metric->n_words; i++)
		if (strlen(metric->words[i].word) == n && memcmp(metric->words[i].word, text, n) == 0) {
			*ret_value = (struct bf_value){.kind = BF_SIGNED, .i = metric->words[i].number};
			return 0;
		}
	return refuse(why, -EINVAL, "not a word of the metric's enum");
}

/* -?digits[.digits][e[+-]digits] → digits without the point, and the exponent that makes up for it. */
static bool decimal(const char *text, size_t n, char digits[static WANTED_MAX + 1], int *ret_exponent, bool *ret_whole)
{
	size_t i = 0, n_digits = 0, from;
	int exponent = 0;
	*ret_whole = true;
	if (i < n && text[i] == '-')
		digits[n_digits++] = text[i++];
	for (from = i; i < n && is_digit(text[i]); i++)
		digits[n_digits++] = text[i];
	if (i == from)
		return false;
	if (i < n && text[i] == '.') {
		*ret_whole = false;
		for (from = ++i; i < n && is_digit(text[i]); i++, exponent--)
			digits[n_digits++] = text[i];
		if (i == from)
			return false;
	}
	if (i < n && (text[i] == 'e' || text[i] == 'E')) {
		*ret_whole = false;
		i++;
		bool minus = i < n && text[i] == '-';
		int given = 0;
		i += i < n && (text[i] == '-' || text[i] == '+');
		for (from = i; i < n && is_digit(text[i]); i++)
			given = given < EXPONENT_MAX ? given * 10 + (text[i] - '0') : given;
		if (i == from)
			return false;
		exponent += minus ? -given : given;
	}
	digits[n_digits] = '\0';
	*ret_exponent = exponent;
	return i == n;
}

/* Integers keep all their digits. */
static struct bf_value number_of(const char *digits, int exponent, bool whole)
{
	char text[WANTED_MAX + 16];
	errno = 0;
	if (whole && digits[0] == '-') {
		long long i = strtoll(digits, NULL, 10);
		if (errno == 0)
			return (struct bf_value){.kind = BF_SIGNED, .i = i};
	} else if (whole) {
		unsigned long long u = strtoull(digits, NULL, 10);
		if (errno == 0)
			return (struct bf_value){.kind = BF_UNSIGNED, .u = u};
	}
	snprintf(text, sizeof(text), "%se%d", digits, exponent);
	return (struct bf_value){.kind = BF_FLOAT64, .f64 = strtod(text, NULL)};
}

bool wanted_is_whole(double steps)
{
	return fabs(steps - nearbyint(steps)) <= OFF_STEP * fmax(1, fabs(steps) * 1e-6);
}

static bool on_step(const struct plan_write *write, const struct bf_value *value, double number)
{
	bool whole = value->kind == BF_SIGNED || value->kind == BF_UNSIGNED;
	if (isnan(write->step) || (whole && write->step == 1 && write->from == nearbyint(write->from)))
		return true;
	return wanted_is_whole((number - write->from) / write->step);
}

static int number(const struct plan_write *write, const char *text, size_t n, struct bf_value *ret_value,
	char why[static WANTED_WHY_SIZE])
{
	char digits[WANTED_MAX + 1];
	int exponent;
	bool whole;
	if (!decimal(text, n, digits, &exponent, &whole))
		return refuse(why, -EINVAL, "not a number; write it in decimal digits, with a point");
	struct bf_value value = number_of(digits, exponent, whole);
	double wanted = bf_value_number(&value);
	if (!isfinite(wanted))
		return refuse(why, -ERANGE, "too large a number");
	if (wanted < write->min) {
		snprintf(why, WANTED_WHY_SIZE, "below %.10g, the least that the map allows", write->min);
		return -ERANGE;
	}
	if (wanted > write->max) {
		snprintf(why, WANTED_WHY_SIZE, "above %.10g, the most that the map allows", write->max);
		return -ERANGE;
	}
	if (!on_step(write, &value, wanted)) {
		snprintf(why, WANTED_WHY_SIZE, "not on a step: they are %.10g wide, from %.10g on", write->step,
			write->from);
		return -ERANGE;
	}
	*ret_value = value;
	return 0;
}

int wanted_parse(const struct plan_metric *metric, const void *payload, size_t n, struct bf_value *ret_value,
	char ret_why[static WANTED_WHY_SIZE])
{
	const char *text = payload;
	if (n > WANTED_MAX)
		return refuse(ret_why, -EINVAL, "longer than 64 bytes");
	while (n > 0 && is_space(text[n - 1]))
		n--;
	for (; n > 0 && is_space(text[0]); text++)
		n--;
	if (n == 0)
		return refuse(ret_why, -EINVAL, "empty");
	if (memchr(text, '\0', n) || !utf8_valid(text, n))
		return refuse(ret_why, -EINVAL, "not a text in UTF-8");
	if (metric->n_words)
		return word(metric, text, n, ret_value, ret_why);
	if (metric->shape.type == BF_TYPE_BOOL)
		return boolean(text, n, ret_value, ret_why);
	return number(metric->write, text, n, ret_value, ret_why);
}

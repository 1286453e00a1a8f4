/*
 * One pass over the text: members are skipped until the key comes.  RFC 8259; what is no JSON is refused at the latest
 * where the scan has to understand it.  Containers are skipped by counting their brackets outside of texts, so a
 * hostile depth costs no stack.  See json_find.h.
 */
#include "base/json_find.h"

#include <string.h>

struct scan {
	const char *at, *end;
};

static void blanks(struct scan *scan)
{
	while (scan->at < scan->end && strchr(" \t\r\n", *scan->at) && *scan->at)
		scan->at++;
}

static bool take(struct scan *scan, char c)
{
	blanks(scan);
	if (scan->at == scan->end || *scan->at != c)
		return false;
	scan->at++;
	return true;
}

static bool skip_text(struct scan *scan)
{
	if (!take(scan, '"'))
		return false;
	for (; scan->at < scan->end; scan->at++) {
		if (*scan->at == '"') {
			scan->at++;
			return true;
		}
		if (*scan->at == '\\' && ++scan->at == scan->end)
			return false;
	}
	return false;
}

static bool skip_container(struct scan *scan)
{
	size_t depth = 0;
	while (scan->at < scan->end) {
		char c = *scan->at;
		if (c == '"') {
			if (!skip_text(scan))
				return false;
			continue;
		}
		scan->at++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			return true;
	}
	return false;
}

static bool skip_value(struct scan *scan, struct json_value *value)
{
	blanks(scan);
	value->text = scan->at;
	bool whole = false;
	if (scan->at < scan->end && *scan->at == '"') {
		whole = skip_text(scan);
	} else if (scan->at < scan->end && (*scan->at == '{' || *scan->at == '[')) {
		whole = skip_container(scan);
	} else { /* the object that it is in ends it at the latest; else it may be cut */
		while (scan->at < scan->end && *scan->at && !strchr(",]} \t\r\n", *scan->at))
			scan->at++;
		whole = scan->at < scan->end && scan->at > value->text;
	}
	value->n = (size_t)(scan->at - value->text);
	return whole;
}

/* One member, behind the brace or comma before it. */
static bool member(struct scan *scan, struct json_value *key, struct json_value *value)
{
	blanks(scan);
	key->text = scan->at;
	if (!skip_text(scan))
		return false;
	key->n = (size_t)(scan->at - key->text);
	return take(scan, ':') && skip_value(scan, value);
}

bool json_each(const char *text, size_t n, size_t *at, struct json_value *ret_key, struct json_value *ret_value)
{
	struct scan scan = {text + *at, text + n};
	struct json_value key, value;
	if (!take(&scan, *at ? ',' : '{') || !member(&scan, &key, &value))
		return false;
	*at = (size_t)(scan.at - text);
	*ret_key = key;
	*ret_value = value;
	return true;
}

bool json_find(const char *text, size_t n, const char *key, struct json_value *ret_value)
{
	struct json_value name, value;
	size_t key_n = strlen(key), at = 0;
	while (json_each(text, n, &at, &name, &value)) {
		if (name.n == key_n + 2 && memcmp(name.text + 1, key, key_n) == 0) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

bool json_find_int(const char *text, size_t n, const char *key, int64_t *ret_number)
{
	struct json_value value;
	int64_t number = 0;
	if (!json_find(text, n, key, &value))
		return false;
	bool minus = value.text[0] == '-';
	if (value.n == minus)
		return false;
	for (size_t i = minus; i < value.n; i++) {
		int digit = value.text[i] - '0';
		if (digit < 0 || digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
			__builtin_sub_overflow(
				number, digit, &number)) /* downwards: the least number has no opposite */
			return false;
	}
	if (!minus && __builtin_sub_overflow(0, number, &number))
		return false;
	*ret_number = number;
	return true;
}

bool json_find_bool(const char *text, size_t n, const char *key, bool *ret_yes)
{
	struct json_value value;
	if (!json_find(text, n, key, &value))
		return false;
	bool yes = value.n == 4 && memcmp(value.text, "true", 4) == 0;
	if (!yes && !(value.n == 5 && memcmp(value.text, "false", 5) == 0))
		return false;
	*ret_yes = yes;
	return true;
}

/* Four hexadecimal digits.  -1 when they are not. */
static int unit_of(const char *text)
{
	int unit = 0;
	for (int i = 0; i < 4; i++) {
		const char *digits = "0123456789abcdef", lower = (char)(text[i] | (text[i] >= 'A' ? 0x20 : 0));
		const char *digit = text[i] ? strchr(digits, lower) : NULL;
		if (!digit)
			return -1;
		unit = unit * 16 + (int)(digit - digits);
	}
	return unit;
}

/* The character of an escape as UTF-8; `at` stands behind the backslash.  Bytes written, 0 when it is none. */
static size_t unescape(const char **at, const char *end, char to[static 3])
{
	static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char *letter = **at ? strchr(letters, **at) : NULL;
	if (letter) {
		to[0] = meant[letter - letters];
		(*at)++;
		return 1;
	}
	int unit = **at == 'u' && end - *at > 5 ? unit_of(*at + 1) : -1;
	if (unit <= 0 || (unit >= 0xd800 && unit < 0xe000)) /* our writer makes no pairs of them */
		return 0;
	*at += 5;
	if (unit < 0x80) {
		to[0] = (char)unit;
		return 1;
	}
	size_t n = unit < 0x800 ? 2 : 3;
	for (size_t i = n - 1; i > 0; i--, unit >>= 6)
		to[i] = (char)(0x80 | (unit & 0x3f));
	to[0] = (char)((n == 2 ? 0xc0 : 0xe0) | unit);
	return n;
}

bool json_text_of(const struct json_value *value, char *to, size_t size)
{
	const char *end = value->text + value->n;
	size_t used = 0;
	if (value->n < 2 || value->text[0] != '"')
		return false;
	for (const char *at = value->text + 1; at < end - 1;) {
		char character[3] = {*at};
		size_t length = 1;
		if (*at == '\\') {
			at++;
			length = unescape(&at, end, character);
		} else {
			at++;
		}
		if (length == 0 || character[0] == '\0' || used + length >= size)
			return false;
		memcpy(to + used, character, length);
		used += length;
	}
	if (used >= size)
		return false;
	to[used] = '\0';
	return true;
}

bool json_find_text(const char *text, size_t n, const char *key, char *to, size_t size)
{
	struct json_value value;
	return json_find(text, n, key, &value) && json_text_of(&value, to, size);
}

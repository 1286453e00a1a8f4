/*
 * Where in a message something stands that columns or names tell: "21.4;48;1013", "T=21.4 H=48", lines of a name and
 * its values.
 *
 * Columns are parted by any of the characters of `split`; where a blank is among them, several in a row part only once,
 * as programs that print tables mean it, and else each of them begins a new column, which may be empty.
 * Pure; any thread.
 */
#include "text.h"

#include <errno.h>
#include <string.h>

const char *text_split(const struct text_device *keys)
{
	if (keys->split)
		return keys->split;
	return keys->keys == TEXT_PAIRS ? " " : ",";
}

bool text_is(const char *set, uint8_t c)
{
	return set && c && strchr(set, c);
}

int text_nibble(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\0' || c == '\r' || c == '\n';
}

struct text_span text_trim(struct text_span span)
{
	while (span.n > 0 && blank(*span.at)) {
		span.at++;
		span.n--;
	}
	while (span.n > 0 && blank(span.at[span.n - 1]))
		span.n--;
	return span;
}

bool text_next_line(struct text_span *rest, struct text_span *ret_line)
{
	while (rest->n > 0 && (*rest->at == '\r' || *rest->at == '\n')) {
		rest->at++;
		rest->n--;
	}
	size_t n = 0;
	while (n < rest->n && rest->at[n] != '\r' && rest->at[n] != '\n')
		n++;
	*ret_line = (struct text_span){rest->at, n};
	rest->at += n;
	rest->n -= n;
	return n > 0;
}

/* The next field of *rest; *rest is what stands behind the character that ends it, at = NULL behind the last one. */
static bool next_field(const char *split, struct text_span *rest, struct text_span *ret_field)
{
	bool runs = strchr(split, ' ') != NULL;
	if (!rest->at)
		return false;
	while (runs && rest->n > 0 && text_is(split, (uint8_t)*rest->at)) {
		rest->at++;
		rest->n--;
	}
	if (runs && rest->n == 0)
		return false;
	size_t n = 0;
	while (n < rest->n && !text_is(split, (uint8_t)rest->at[n]))
		n++;
	*ret_field = (struct text_span){rest->at, n};
	if (n < rest->n)
		*rest = (struct text_span){rest->at + n + 1, rest->n - n - 1};
	else
		rest->at = NULL;
	return true;
}

int text_place_column(
	const struct text_device *keys, struct text_span content, size_t column, struct text_span *ret_span)
{
	struct text_span field;
	for (size_t i = 0; next_field(text_split(keys), &content, &field); i++)
		if (i == column) {
			*ret_span = field;
			return 0;
		}
	return -ENOENT;
}

size_t text_place_columns(const struct text_device *keys, struct text_span content)
{
	struct text_span field;
	size_t n = 0;
	while (next_field(text_split(keys), &content, &field))
		n++;
	return n;
}

static bool same(struct text_span span, const char *key)
{
	span = text_trim(span);
	return span.n == strlen(key) && memcmp(span.at, key, span.n) == 0;
}

/* "T=21.4 H=48": fields of a name and a value. */
static int assigned(const struct text_device *keys, struct text_span line, const char *key, struct text_span *ret_span)
{
	struct text_span field;
	while (next_field(text_split(keys), &line, &field)) {
		size_t n = 0;
		while (n < field.n && !text_is(keys->assign, (uint8_t)field.at[n]))
			n++;
		if (n == field.n || !same((struct text_span){field.at, n}, key))
			continue;
		*ret_span = (struct text_span){field.at + n + 1, field.n - n - 1};
		return 0;
	}
	return -ENOENT;
}

int text_place_pair(const struct text_device *keys, struct text_span content, const char *key, size_t column,
	struct text_span *ret_span)
{
	struct text_span line, field;
	while (text_next_line(&content, &line)) {
		if (keys->assign) {
			if (assigned(keys, line, key, ret_span) == 0)
				return 0;
		} else if (text_place_column(keys, line, 0, &field) == 0 && same(field, key)) {
			return text_place_column(keys, line, column, ret_span);
		}
	}
	return -ENOENT;
}

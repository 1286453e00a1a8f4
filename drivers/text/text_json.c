/*
 * JSON as microcontrollers print it, one object a line: is it whole, and what stands at a path?
 *
 * Nothing is built: a cursor goes over the text, and what is looked for is a piece of it.  Nesting is bounded, and the
 * brackets that are open are bits of a word, so neither depth nor length of what comes can cost memory or stack.
 * Grammar: RFC 8259.  Names of the path are compared as they stand, so names with escapes are not found.
 * Pure; any thread.
 */
#include "text.h"

#include <errno.h>
#include <string.h>

#define DEPTH_MAX 16

struct cursor {
	const char *at, *end;
};

static bool more(const struct cursor *cursor)
{
	return cursor->at < cursor->end;
}

static void blanks(struct cursor *cursor)
{
	while (more(cursor) && text_is(" \t\r\n", (uint8_t)*cursor->at))
		cursor->at++;
}

static bool take(struct cursor *cursor, char c)
{
	blanks(cursor);
	if (!more(cursor) || *cursor->at != c)
		return false;
	cursor->at++;
	return true;
}

/* A text with its quotes; escapes are looked at, not undone. */
static bool take_text(struct cursor *cursor, struct text_span *ret_token)
{
	const char *from = cursor->at;
	if (!take(cursor, '"'))
		return false;
	for (; more(cursor) && *cursor->at != '"'; cursor->at++) {
		if ((uint8_t)*cursor->at < 0x20)
			return false;
		if (*cursor->at != '\\')
			continue;
		cursor->at++;
		if (!more(cursor) || !text_is("\"\\/bfnrtu", (uint8_t)*cursor->at))
			return false;
		for (int i = *cursor->at == 'u' ? 4 : 0; i > 0; i--) {
			cursor->at++;
			if (!more(cursor) || text_nibble((uint8_t)*cursor->at) < 0)
				return false;
		}
	}
	if (!more(cursor))
		return false;
	cursor->at++;
	*ret_token = (struct text_span){from, (size_t)(cursor->at - from)};
	return true;
}

static bool take_digits(struct cursor *cursor)
{
	const char *from = cursor->at;
	while (more(cursor) && *cursor->at >= '0' && *cursor->at <= '9')
		cursor->at++;
	return cursor->at > from;
}

static bool take_number(struct cursor *cursor)
{
	if (more(cursor) && *cursor->at == '-')
		cursor->at++;
	if (!take_digits(cursor))
		return false;
	if (more(cursor) && *cursor->at == '.') {
		cursor->at++;
		if (!take_digits(cursor))
			return false;
	}
	if (more(cursor) && (*cursor->at == 'e' || *cursor->at == 'E')) {
		cursor->at++;
		if (more(cursor) && (*cursor->at == '-' || *cursor->at == '+'))
			cursor->at++;
		return take_digits(cursor);
	}
	return true;
}

static bool take_word(struct cursor *cursor)
{
	static const char *const words[] = {"true", "false", "null"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i]);
		if ((size_t)(cursor->end - cursor->at) >= n && memcmp(cursor->at, words[i], n) == 0) {
			cursor->at += n;
			return true;
		}
	}
	return false;
}

/* A number, a word or a text. */
static bool take_plain(struct cursor *cursor)
{
	struct text_span token;
	if (!more(cursor))
		return false;
	if (*cursor->at == '"')
		return take_text(cursor, &token);
	return *cursor->at == '-' || (*cursor->at >= '0' && *cursor->at <= '9') ? take_number(cursor)
										: take_word(cursor);
}

static bool take_name(struct cursor *cursor, struct text_span *ret_name)
{
	blanks(cursor);
	return take_text(cursor, ret_name) && take(cursor, ':');
}

/* Any value, with all that is in it. */
static bool take_value(struct cursor *cursor, struct text_span *ret_token)
{
	uint32_t objects = 0; /* of the open brackets, which are those of objects; the innermost is the lowest bit */
	unsigned depth = 0;
	struct text_span name;
	blanks(cursor);
	const char *from = cursor->at;
	for (bool value = true;;) {
		blanks(cursor);
		if (value && more(cursor) && (*cursor->at == '{' || *cursor->at == '[')) {
			bool object = *cursor->at++ == '{';
			if (depth++ == DEPTH_MAX)
				return false;
			objects = objects << 1 | object;
			value = !take(cursor, object ? '}' : ']');
			if (value && object && !take_name(cursor, &name))
				return false;
			if (value)
				continue;
			depth--;
			objects >>= 1;
		} else if (value) {
			if (!take_plain(cursor))
				return false;
		} else if (take(cursor, objects & 1 ? '}' : ']')) {
			depth--;
			objects >>= 1;
		} else {
			if (!take(cursor, ',') || (objects & 1 && !take_name(cursor, &name)))
				return false;
			value = true;
			continue;
		}
		value = false;
		if (depth == 0)
			break;
	}
	*ret_token = (struct text_span){from, (size_t)(cursor->at - from)};
	return true;
}

bool text_json_sound(struct text_span content)
{
	struct cursor cursor = {content.at, content.at + content.n};
	struct text_span token;
	content = text_trim(content);
	if (content.n == 0 || *content.at != '{' || !take_value(&cursor, &token))
		return false;
	blanks(&cursor);
	while (more(&cursor) && *cursor.at == '\0')
		cursor.at++;
	return !more(&cursor);
}

static bool named(struct text_span name, const char *wanted, size_t n)
{
	return name.n == n + 2 && memcmp(name.at + 1, wanted, n) == 0;
}

/* The value of one step of the path in the object or list at the cursor; the cursor goes to its beginning. */
static bool step_into(struct cursor *cursor, const char *wanted, size_t n)
{
	struct text_span name, token;
	int64_t place = -1;
	bool object = take(cursor, '{');
	if (!object && (!take(cursor, '[') || text_number_int((struct text_span){wanted, n}, &place) < 0))
		return false;
	blanks(cursor);
	for (int64_t i = 0; more(cursor); i++) {
		if (object && !take_name(cursor, &name))
			return false;
		if (object ? named(name, wanted, n) : i == place) {
			blanks(cursor);
			return more(cursor) && *cursor->at != ']';
		}
		if (!take_value(cursor, &token) || !take(cursor, ','))
			return false;
	}
	return false;
}

int text_json_find(struct text_span content, const char *path, struct text_span *ret_token)
{
	struct cursor cursor = {content.at, content.at + content.n};
	for (size_t n; *path; path += n + (path[n] == '.')) {
		n = strcspn(path, ".");
		if (!step_into(&cursor, path, n))
			return -ENOENT;
	}
	return take_value(&cursor, ret_token) ? 0 : -ENOENT;
}

static unsigned four(const char *at)
{
	unsigned code = 0;
	for (int i = 0; i < 4; i++)
		code = code << 4 | (unsigned)text_nibble((uint8_t)at[i]);
	return code;
}

/* UTF-8 of a code point, 1..4 bytes. */
static size_t utf8(unsigned code, char bytes[static 4])
{
	if (code < 0x80) {
		bytes[0] = (char)code;
		return 1;
	}
	size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--, code >>= 6)
		bytes[i] = (char)(0x80 | (code & 0x3F));
	bytes[0] = (char)(0xF00u >> n | code);
	return n;
}

/* The escape at the "\"; how many characters it takes, 0: none that has a character. */
static size_t escape(const char *at, const char *end, char bytes[static 4], size_t *ret_n)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	*ret_n = 1;
	if (at[1] != 'u') {
		bytes[0] = to[strchr(from, at[1]) - from];
		return 2;
	}
	unsigned code = four(at + 2);
	if (code >= 0xD800 && code < 0xDC00 && end - at >= 12 && at[6] == '\\' && at[7] == 'u') {
		unsigned low = four(at + 8);
		if (low < 0xDC00 || low > 0xDFFF)
			return 0;
		*ret_n = utf8(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00), bytes);
		return 12;
	}
	if (code == 0 || (code >= 0xD800 && code < 0xE000))
		return 0;
	*ret_n = utf8(code, bytes);
	return 6;
}

int text_json_text(struct text_span token, char text[static BF_STRING_MAX + 1], struct text_span *ret_span)
{
	const char *at = token.at + 1, *end = token.at + token.n - 1;
	size_t n = 0;
	while (at < end) {
		char bytes[4] = {*at};
		size_t n_bytes = 1, taken = *at == '\\' ? escape(at, end, bytes, &n_bytes) : 1;
		if (taken == 0 || n + n_bytes > BF_STRING_MAX)
			return -EDOM;
		memcpy(text + n, bytes, n_bytes);
		n += n_bytes;
		at += taken;
	}
	*ret_span = (struct text_span){text, n};
	return 0;
}

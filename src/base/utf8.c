/*
 * UTF-8 by the table of the standard.  See utf8.h.
 */
#include "base/utf8.h"

static bool within(unsigned char c, unsigned char low, unsigned char high)
{
	return c >= low && c <= high;
}

size_t utf8_length(const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text;
	if (n == 0)
		return 0;
	if (s[0] < 0x80)
		return 1;
	if (within(s[0], 0xC2, 0xDF))
		return n >= 2 && within(s[1], 0x80, 0xBF) ? 2 : 0;
	if (within(s[0], 0xE0, 0xEF)) {
		unsigned char low = s[0] == 0xE0 ? 0xA0 : 0x80, high = s[0] == 0xED ? 0x9F : 0xBF;
		return n >= 3 && within(s[1], low, high) && within(s[2], 0x80, 0xBF) ? 3 : 0;
	}
	if (within(s[0], 0xF0, 0xF4)) {
		unsigned char low = s[0] == 0xF0 ? 0x90 : 0x80, high = s[0] == 0xF4 ? 0x8F : 0xBF;
		return n >= 4 && within(s[1], low, high) && within(s[2], 0x80, 0xBF) && within(s[3], 0x80, 0xBF) ? 4
														 : 0;
	}
	return 0;
}

bool utf8_is_control(const char *character, size_t length)
{
	const unsigned char *s = (const unsigned char *)character;
	return length == 1 ? s[0] < 0x20 || s[0] == 0x7F : length == 2 && s[0] == 0xC2 && s[1] < 0xA0;
}

bool utf8_valid(const char *text, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t length = utf8_length(text + i, n - i);
		if (length == 0)
			return false;
		i += length;
	}
	return true;
}

size_t utf8_columns(const char *text, size_t n)
{
	size_t columns = 0;
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)text[i] & 0xC0) != 0x80)
			columns++;
	return columns;
}

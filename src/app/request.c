/*
 * Lines to words and back.  See request.h.
 */
#include "app/request.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static bool has_control(const char *line, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			return true;
	return false;
}

/* Takes a quoted word; *at stands on its first quote.  It is closed up in place.  Its end, or NULL. */
static char *quoted(char *at, char *end, const char **ret_word)
{
	char *to = at;
	*ret_word = at;
	for (at++; at < end && *at != '"'; at++) {
		if (*at == '\\' && ++at == end)
			return NULL;
		*to++ = *at;
	}
	if (at == end || (at + 1 < end && at[1] != ' '))
		return NULL;
	*to = '\0';
	return at + 1;
}

int request_words(char *line, size_t n, const char *words[static REQUEST_WORDS_MAX])
{
	char *at = line, *end = line + n;
	int n_words = 0;
	if (!utf8_valid(line, n) || has_control(line, n))
		return -EBADMSG;
	for (;;) {
		while (at < end && *at == ' ')
			at++;
		if (at >= end)
			return n_words;
		if (n_words == REQUEST_WORDS_MAX)
			return -E2BIG;
		if (*at == '"') {
			at = quoted(at, end, &words[n_words++]);
			if (!at)
				return -EBADMSG;
			continue;
		}
		words[n_words++] = at;
		for (; at < end && *at != ' '; at++)
			if (*at == '"')
				return -EBADMSG;
		*at++ = '\0'; /* a blank, or where the newline was */
	}
}

int request_line(const char *const *words, size_t n_words, char *line, size_t size)
{
	size_t used = 0;
	for (size_t i = 0; i < n_words; i++) {
		bool quote = words[i][0] == '\0' || strpbrk(words[i], " \"");
		if (used + 2 * strlen(words[i]) + 5 > size)
			return -ENOSPC;
		if (i)
			line[used++] = ' ';
		if (quote)
			line[used++] = '"';
		for (const char *c = words[i]; *c; c++) {
			if (quote && (*c == '"' || *c == '\\'))
				line[used++] = '\\';
			line[used++] = *c;
		}
		if (quote)
			line[used++] = '"';
	}
	if (used + 2 > size)
		return -ENOSPC;
	line[used++] = '\n';
	line[used] = '\0';
	return (int)used;
}

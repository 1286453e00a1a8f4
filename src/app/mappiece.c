/*
 * Where settings begin and end.  See mappiece.h.
 *
 * It knows texts, comments and brackets, and nothing else: whether what stands between them is right is the business of
 * others.
 *
 * Invariant: every call moves forward, and never beyond the end.
 */
#include "app/mappiece.h"

#include <string.h>

static size_t after_text(const char *text, size_t at, size_t end)
{
	for (at++; at < end && text[at] != '"'; at++)
		if (text[at] == '\\')
			at++;
	return at < end ? at + 1 : end;
}

/* Behind a comment that starts here; here when none does. */
static size_t after_comment(const char *text, size_t at, size_t end)
{
	bool slash = text[at] == '/' && at + 1 < end;
	const char *close;
	if (text[at] == '#' || (slash && text[at + 1] == '/')) {
		close = memchr(text + at, '\n', end - at);
		return close ? (size_t)(close - text) : end;
	}
	if (!slash || text[at + 1] != '*')
		return at;
	close = end - at > 2 ? memmem(text + at + 2, end - at - 2, "*/", 2) : NULL;
	return close ? (size_t)(close - text) + 2 : end;
}

/* Behind blanks, comments, and the separators. */
static size_t after_blanks(const char *text, size_t at, size_t end, const char *separators)
{
	while (at < end) {
		size_t next = after_comment(text, at, end);
		if (next == at && !strchr(" \t\r\n\f", text[at]) && !strchr(separators, text[at]))
			break;
		at = next > at ? next : at + 1;
	}
	return at;
}

static size_t after_word(const char *text, size_t at, size_t end)
{
	while (at < end && !strchr(" \t\r\n\f:=,;{}[]()\"", text[at]) && after_comment(text, at, end) == at)
		at++;
	return at;
}

static size_t after_brackets(const char *text, size_t at, size_t end)
{
	size_t depth = 0;
	while (at < end) {
		size_t next = after_comment(text, at, end);
		if (next > at) {
			at = next;
			continue;
		}
		if (text[at] == '"') {
			at = after_text(text, at, end);
			continue;
		}
		if (strchr("{[(", text[at]))
			depth++;
		else if (strchr("}])", text[at]))
			depth--;
		at++;
		if (depth == 0)
			break;
	}
	return at;
}

static size_t after_texts(const char *text, size_t at, size_t end)
{
	for (;;) {
		at = after_text(text, at, end);
		size_t next = after_blanks(text, at, end, "");
		if (next >= end || text[next] != '"')
			return at;
		at = next;
	}
}

bool mappiece_next(const char *text, size_t *at, size_t end, struct mappiece *ret)
{
	size_t here = after_blanks(text, *at, end, ",;");
	if (here >= end)
		return false;
	*ret = (struct mappiece){.at = here};
	here = after_word(text, here, end);
	here = after_blanks(text, here, end, ":="); /* of @include it is the text that follows */
	if (here < end && text[here] == '"') {
		here = after_texts(text, here, end);
	} else if (here < end && strchr("{[(", text[here])) {
		bool group = text[here] == '{';
		size_t open = here;
		here = after_brackets(text, here, end);
		if (group) {
			ret->open = open;
			ret->close = here - 1;
		}
	} else {
		here = after_word(text, here, end);
	}
	if (here == ret->at)
		here++;
	ret->end = *at = here;
	return true;
}

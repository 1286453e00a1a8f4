/*
 * The tokenizer of maps.  See maptoken.h.
 *
 * Its rules are those of libconfig 1.5 (lib/scanner.l), widened: a text ends at the end of its line at the latest,
 * since a lost quote is otherwise noticed far below; runs of characters that libconfig cuts in strange places ("10" and
 * "s") stay in one piece.
 *
 * Invariant: tokens follow each other without overlap; line and column are those of `at`, counted on the way.
 */
#include "app/maptoken.h"
#include "base/utf8.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

struct tokens tokens_of(const char *file, const char *text, size_t n)
{
	return (struct tokens){.text = text, .n = n, .file = file, .line = 1, .column = 1};
}

/* Characters as a place counts them. */
static uint16_t columns(size_t n)
{
	return n > UINT16_MAX ? UINT16_MAX : (uint16_t)n;
}

static char look(const struct tokens *tokens, size_t at)
{
	return at < tokens->n ? tokens->text[at] : '\0';
}

static void advance(struct tokens *tokens, size_t to)
{
	for (; tokens->at < to; tokens->at++) {
		char c = tokens->text[tokens->at];
		if (c == '\n') {
			tokens->line++;
			tokens->column = 1;
			tokens->seen = tokens->sound = false;
			tokens->line_end = 0;
		} else if (((unsigned char)c & 0xC0) != 0x80) {
			tokens->column++;
		}
	}
}

static size_t line_end(const struct tokens *tokens, size_t at)
{
	const char *end = at < tokens->n ? memchr(tokens->text + at, '\n', tokens->n - at) : NULL;
	size_t n = end ? (size_t)(end - tokens->text) : tokens->n;
	return n > at && tokens->text[n - 1] == '\r' ? n - 1 : n;
}

static bool comment_at(const struct tokens *tokens, size_t at)
{
	char c = look(tokens, at), d = look(tokens, at + 1);
	return c == '#' || (c == '/' && (d == '/' || d == '*'));
}

/* Goes to the next token.  False at a comment that is never closed. */
static bool skip(struct tokens *tokens)
{
	while (tokens->at < tokens->n) {
		char c = tokens->text[tokens->at];
		if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f') {
			advance(tokens, tokens->at + 1);
		} else if (comment_at(tokens, tokens->at)) {
			if (c == '/' && look(tokens, tokens->at + 1) == '*') {
				size_t from = tokens->at + 2;
				const char *end = memmem(tokens->text + from, tokens->n - from, "*/", 2);
				if (!end)
					return false;
				advance(tokens, (size_t)(end - tokens->text) + 2);
			} else {
				advance(tokens, line_end(tokens, tokens->at));
			}
		} else {
			break;
		}
	}
	return true;
}

/* The end of the text that starts at the quote, behind its closing quote; 0 when its line has none. */
static size_t text_end(const struct tokens *tokens, size_t at)
{
	for (size_t i = at + 1; i < tokens->line_end; i++) {
		if (tokens->text[i] == '\\')
			i++;
		else if (tokens->text[i] == '"')
			return i + 1;
	}
	return 0;
}

/*
 * Does this line, from the text that starts here on, have an odd number of quotes?  Then *ret_at is where the missing
 * one is likely to be: the text that swallowed a key, else the last one.
 */
static bool quote_lost(const struct tokens *tokens, size_t *ret_at)
{
	size_t swallowed = 0, at = tokens->at;
	while (at < tokens->line_end) {
		if (tokens->text[at] == '"') {
			size_t close = text_end(tokens, at);
			if (close == 0) {
				*ret_at = swallowed ? swallowed : at;
				return true;
			}
			if (!swallowed && close - at > 3 && memchr(tokens->text + at, ':', close - at) &&
				(tokens->text[close - 2] == ' ' || tokens->text[close - 2] == ':'))
				swallowed = at;
			at = close;
		} else if (comment_at(tokens, at)) {
			return false;
		} else {
			at++;
		}
	}
	return false;
}

bool token_is_name(const char *text, size_t n)
{
	if (n == 0 || (!isalpha((unsigned char)text[0]) && text[0] != '*'))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("-_*", text[i]))
			return false;
	return true;
}

static size_t digits(const char *text, size_t n, size_t at)
{
	size_t end = at;
	while (end < n && isdigit((unsigned char)text[end]))
		end++;
	return end - at;
}

static bool is_number(const char *text, size_t n)
{
	size_t at = n && (text[0] == '-' || text[0] == '+') ? 1 : 0;
	size_t before = digits(text, n, at), after = 0;
	at += before;
	bool point = at < n && text[at] == '.';
	if (point) {
		after = digits(text, n, at + 1);
		at += 1 + after;
	}
	if (before + after == 0)
		return false;
	if (at == n)
		return point;
	if (text[at] != 'e' && text[at] != 'E')
		return false;
	at++;
	if (at < n && (text[at] == '-' || text[at] == '+'))
		at++;
	return digits(text, n, at) > 0 && at + digits(text, n, at) == n;
}

static bool is_int(const char *text, size_t n, struct token *token)
{
	if (n > 2 && text[n - 1] == 'L' && text[n - 2] == 'L')
		n -= 2, token->wide = true;
	else if (n > 1 && text[n - 1] == 'L')
		n -= 1, token->wide = true;
	token->hex = n > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	bool minus = text[0] == '-';
	size_t at = token->hex ? 2 : minus || text[0] == '+' ? 1 : 0;
	uint64_t base = token->hex ? 16 : 10, number = 0;
	bool big = false;
	if (at == n)
		return false;
	for (; at < n; at++) {
		unsigned char c = (unsigned char)text[at];
		if (token->hex ? !isxdigit(c) : !isdigit(c))
			return false;
		uint64_t digit = isdigit(c) ? (uint64_t)(c - '0') : (uint64_t)(tolower(c) - 'a') + 10;
		if (__builtin_mul_overflow(number, base, &number) || __builtin_add_overflow(number, digit, &number))
			big = true;
	}
	if (!token->hex && number > (uint64_t)INT64_MAX + (minus ? 1 : 0))
		big = true;
	token->too_big = big;
	token->number = big ? 0 : minus ? 0 - number : number;
	return true;
}

static void classify(const struct tokens *tokens, struct token *token)
{
	const char *text = tokens->text + token->at;
	size_t n = token->n;
	if ((n == 4 && strncasecmp(text, "true", 4) == 0) || (n == 5 && strncasecmp(text, "false", 5) == 0))
		token->kind = TOKEN_BOOL;
	else if (token_is_name(text, n))
		token->kind = TOKEN_NAME;
	else if (is_int(text, n, token))
		token->kind = TOKEN_INT;
	else
		token->kind = is_number(text, n) ? TOKEN_NUMBER : TOKEN_BAD;
}

static size_t word_end(const struct tokens *tokens)
{
	size_t at = tokens->at;
	while (at < tokens->n && !comment_at(tokens, at) && !strchr(" \t\r\n\f{}[]():=,;\"", tokens->text[at]))
		at++;
	return at > tokens->at ? at : tokens->at + 1;
}

/* The end of @include "…" at the beginning of a line, or 0. */
static size_t include_end(const struct tokens *tokens)
{
	static const char word[] = "@include";
	size_t at = tokens->at + sizeof(word) - 1;
	if (tokens->seen || tokens->n - tokens->at < sizeof(word) ||
		memcmp(tokens->text + tokens->at, word, sizeof(word) - 1) != 0)
		return 0;
	size_t blanks = at;
	while (look(tokens, at) == ' ' || look(tokens, at) == '\t')
		at++;
	return at > blanks && look(tokens, at) == '"' ? text_end(tokens, at) : 0;
}

struct token tokens_next(struct tokens *tokens)
{
	bool closed = skip(tokens);
	struct token token = {.kind = TOKEN_END, .at = tokens->at};
	if (tokens->line_end == 0)
		tokens->line_end = line_end(tokens, tokens->at);
	if (!tokens->seen)
		tokens->indent = tokens->column - 1;
	token.first = !tokens->seen;
	token.indent = tokens->indent;
	token.place = (struct place_in_map){tokens->file, tokens->line, columns(tokens->column), 1};
	if (tokens->at >= tokens->n)
		return token;
	char c = tokens->text[tokens->at];
	size_t end = tokens->at + 1, lost;
	if (!closed) {
		token.kind = TOKEN_OPEN;
		token.place.width = 2;
		advance(tokens, tokens->n);
		return token;
	}
	if (c == '"' && !tokens->sound && quote_lost(tokens, &lost)) {
		token.kind = TOKEN_LOST;
		end = tokens->line_end;
		advance(tokens, lost);
		token.at = lost;
		token.place.column = columns(tokens->column);
	} else if (c == '"') {
		end = text_end(tokens, tokens->at);
		token.kind = end ? TOKEN_TEXT : TOKEN_LOST;
		tokens->sound = end != 0;
		if (!end) /* behind a comment in the line, where quote_lost does not look */
			end = tokens->line_end;
	} else if (strchr("{}[]():=,;", c) && c != '\0') {
		token.kind = TOKEN_MARK;
		token.mark = c;
	} else if (c == '\'') {
		const char *close = memchr(tokens->text + end, '\'', tokens->line_end - end);
		token.kind = close ? TOKEN_QUOTED : TOKEN_BAD;
		end = close ? (size_t)(close - tokens->text) + 1 : word_end(tokens);
	} else if (c == '@' && include_end(tokens)) {
		token.kind = TOKEN_INCLUDE;
		end = include_end(tokens);
	} else {
		end = word_end(tokens);
		token.n = end - token.at;
		classify(tokens, &token);
	}
	token.n = end - token.at;
	token.place.width = columns(utf8_columns(tokens->text + token.at, token.n));
	advance(tokens, end);
	tokens->seen = true;
	return token;
}

struct token tokens_peek(const struct tokens *tokens)
{
	struct tokens copy = *tokens;
	return tokens_next(&copy);
}

void tokens_extend(struct tokens *tokens, struct token *token, size_t end)
{
	advance(tokens, end);
	token->n = end - token->at;
	token->place.width = columns(utf8_columns(tokens->text + token->at, token->n));
}

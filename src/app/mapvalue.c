/*
 * Values of the raw-text pass.  See mapvalue.h.
 *
 * People write 10s, mqtt://host and 0,1 without quotes; libconfig cuts that in pieces and complains about the piece
 * after.  So the pieces are put together again first, and the message says what to write.
 */
#include "app/mapvalue.h"
#include "base/utf8.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *mapvalue_quote(struct maptext *map, const struct tokens *tokens, const struct token *token)
{
	size_t n = token->n > 60 ? 60 : token->n;
	while (n && ((unsigned char)tokens->text[token->at + n - 1] & 0xC0) == 0x80 && n < token->n)
		n--;
	return arena_text_n(&map->scratch, tokens->text + token->at, n);
}

static bool is_word(const struct token *token)
{
	return token->kind == TOKEN_NAME || token->kind == TOKEN_BOOL || token->kind == TOKEN_INT ||
	       token->kind == TOKEN_NUMBER || token->kind == TOKEN_BAD;
}

static bool is_colon(const struct token *token)
{
	return token->kind == TOKEN_MARK && (token->mark == ':' || token->mark == '=');
}

/* Takes what belongs to an unquoted text: "mqtt" "://host:1883", "9600" "8N1". */
static bool gather(struct tokens *tokens, struct token *token, bool in_list)
{
	bool more = false;
	for (;;) {
		size_t at = tokens->at;
		if (at < tokens->n && strchr(":=", tokens->text[at]) && tokens->text[at] && at + 1 < tokens->n &&
			!strchr(" \t\r\n\"{([])},;", tokens->text[at + 1])) {
			while (at < tokens->n && !strchr(" \t\r\n\f,;{}[]()\"", tokens->text[at]))
				at++;
			tokens_extend(tokens, token, at);
			more = true;
			continue;
		}
		if (in_list)
			return more;
		struct tokens ahead = *tokens;
		struct token next = tokens_next(&ahead);
		struct token after = tokens_peek(&ahead);
		if (!is_word(&next) || next.first || is_colon(&after) ||
			(after.kind == TOKEN_MARK && strchr("{[(", after.mark)))
			return more;
		tokens_extend(tokens, token, next.at + next.n);
		*tokens = ahead;
		more = true;
	}
}

/* As a text for libconfig; what the token holds has no double quotes. */
static void quote(struct maptext *map, const struct token *token, const char *at, size_t n)
{
	char *text = arena_format(&map->scratch, "\"%.*s\"", (int)n, at);
	for (char *c = text + 1; c[1]; c++)
		if (*c == '\\')
			*c = '/';
	maptext_edit(map, token->at, token->n, text);
}

static enum mapvalue_kind bare(struct maptext *map, const struct tokens *tokens, const struct token *token)
{
	static const char *const yes[] = {"yes", "on", "no", "off"};
	const char *text = mapvalue_quote(map, tokens, token);
	for (size_t i = 0; i < 4; i++)
		if (strcasecmp(text, yes[i]) == 0) {
			const char *word = i < 2 ? "true" : "false";
			maptext_fault(map, &token->place, arena_format(&map->scratch, "write %s", word),
				"\"%s\" is neither true nor false", text);
			maptext_edit(map, token->at, token->n, word);
			return MAPVALUE_BOOL;
		}
	size_t at = strcspn(text, "0123456789");
	size_t number = strspn(text + at, "0123456789."), blanks = strspn(text + at + number, " \t");
	const char *rest = text + at + number + blanks;
	bool unit = at == strspn(text, "+-") && number && !strpbrk(rest, " :/") && !isdigit((unsigned char)*rest);
	if (unit) {
		text = arena_format(&map->scratch, "%.*s%s", (int)(at + number), text, rest);
		quote(map, token, text, strlen(text));
	} else {
		quote(map, token, tokens->text + token->at, token->n);
	}
	bool secret = strchr(text, '@'); /* an URL with a password: not to be shown */
	maptext_fault(map, &token->place, secret ? NULL : arena_format(&map->scratch, "write \"%s\"", text),
		unit ? "a number with a unit needs double quotes" : "a text needs double quotes");
	return MAPVALUE_TEXT;
}

static enum mapvalue_kind whole(
	struct maptext *map, const struct tokens *tokens, const struct token *token, struct tree *node)
{
	const char *text = mapvalue_quote(map, tokens, token);
	int64_t number = (int64_t)token->number;
	node->type = TREE_INT;
	node->hex = token->hex;
	node->i = number;
	if (token->too_big) {
		maptext_fault(map, &token->place, NULL, "\"%s\" has more than 64 bits", text);
		maptext_edit(map, token->at, token->n, "0");
		return MAPVALUE_INT;
	}
	const char *first = text + strspn(text, "+-");
	if (!token->hex && first[0] == '0' && isdigit((unsigned char)first[1])) {
		maptext_fault(map, &token->place,
			arena_format(&map->scratch, "write %lld: some versions of libconfig take a leading 0 for octal",
				(long long)number),
			"a number with a leading zero");
		maptext_edit(map, token->at, token->n, arena_format(&map->scratch, "%lldL", (long long)number));
		return MAPVALUE_INT;
	}
	bool fits = token->hex ? token->number <= UINT32_MAX : number >= INT32_MIN && number <= INT32_MAX;
	if (!token->wide && !fits) {
		maptext_fault(map, &token->place,
			arena_format(&map->scratch, "write %sL: libconfig reads it wrongly without L", text),
			"a number of more than 31 bits needs an L");
		maptext_edit(map, token->at + token->n, 0, "L");
		return MAPVALUE_INT64;
	}
	return token->wide ? MAPVALUE_INT64 : MAPVALUE_INT;
}

/* "0,1": libconfig takes the comma for the end of the setting. */
static bool comma(struct maptext *map, struct tokens *tokens, struct token *token, bool in_list)
{
	size_t at = tokens->at;
	if (in_list || at + 1 >= tokens->n || tokens->text[at] != ',' || !isdigit((unsigned char)tokens->text[at + 1]))
		return false;
	size_t point = at++;
	while (at < tokens->n && isdigit((unsigned char)tokens->text[at]))
		at++;
	tokens_extend(tokens, token, at);
	char *text = arena_text_n(&map->scratch, tokens->text + token->at, token->n);
	text[point - token->at] = '.';
	maptext_fault(map, &token->place, arena_format(&map->scratch, "write %s", text),
		"a decimal number has a point, not a comma");
	maptext_edit(map, token->at, token->n, text);
	return true;
}

/* libconfig ends a text at a \x00 without a word. */
static void check_text(struct maptext *map, const struct tokens *tokens, const struct token *token)
{
	const char *text = tokens->text + token->at;
	for (size_t i = 1; i + 4 < token->n; i++) {
		if (text[i] != '\\')
			continue;
		if (memcmp(text + i, "\\x00", 4) == 0) {
			maptext_fault(map, &token->place, "leave it out", "a text cannot hold the zero byte \\x00");
			maptext_edit(map, token->at + i, 4, "");
		}
		i++;
	}
}

enum mapvalue_kind mapvalue_read(
	struct maptext *map, struct tokens *tokens, struct token *token, bool in_list, struct tree *node)
{
	enum mapvalue_kind kind = MAPVALUE_OTHER;
	if (token->kind == TOKEN_TEXT) {
		struct tokens ahead = *tokens;
		struct token next = tokens_next(&ahead);
		check_text(map, tokens, token);
		while (!in_list && next.kind == TOKEN_TEXT) {
			struct token after = tokens_peek(&ahead);
			if (is_colon(&after)) /* a key in quotes: told by who reads keys */
				break;
			check_text(map, tokens, &next);
			*tokens = ahead;
			next = tokens_next(&ahead);
		}
		kind = MAPVALUE_TEXT;
	} else if (token->kind == TOKEN_QUOTED) {
		size_t n = token->n - 2;
		maptext_fault(map, &token->place,
			arena_format(&map->scratch, "write \"%.*s\"", (int)n, tokens->text + token->at + 1),
			"a text stands in double quotes, not in single ones");
		if (memchr(tokens->text + token->at, '"', token->n))
			map->broken = true;
		quote(map, token, tokens->text + token->at + 1, n);
		kind = MAPVALUE_TEXT;
	} else if (gather(tokens, token, in_list) || token->kind == TOKEN_NAME || token->kind == TOKEN_BAD) {
		kind = bare(map, tokens, token);
	} else if (token->kind == TOKEN_BOOL) {
		kind = MAPVALUE_BOOL;
	} else if (!comma(map, tokens, token, in_list) && token->kind == TOKEN_INT) {
		kind = whole(map, tokens, token, node);
	} else {
		kind = MAPVALUE_NUMBER;
	}
	if (kind == MAPVALUE_NUMBER)
		node->type = TREE_NUMBER;
	else if (kind == MAPVALUE_BOOL)
		node->type = TREE_BOOL;
	node->at = token->place;
	if (node->key.line == 0)
		node->key = token->place;
	return kind;
}

/*
 * Taking out what is secret.  See redact.h.
 *
 * A map is read by its tokens, so a map with faults is read as well; what cannot be told apart is masked.  Comments are
 * left out as a whole: an old password stands in one more often than anything that explains a fault.
 */
#include "app/redact.h"
#include "app/maptoken.h"
#include "base/utf8.h"
#include "ship/secret.h"

#include <ctype.h>
#include <string.h>

#define MASK      "********"
#define SHORT_MAX 3

enum kind { OPEN, SECRET, USER, CLIENT_ID, SECRET_FILE };

static bool has(const char *text, size_t n, const char *part)
{
	return memmem(text, n, part, strlen(part)) != NULL;
}

static bool ends(const char *text, size_t n, const char *part)
{
	size_t m = strlen(part);
	return n >= m && memcmp(text + n - m, part, m) == 0;
}

/* What the key says of its value. */
static enum kind kind_of(const char *key, size_t n)
{
	char lower[64];
	if (n > sizeof(lower)) /* no key of ours: who knows */
		return SECRET;
	for (size_t i = 0; i < n; i++)
		lower[i] = (char)tolower((unsigned char)key[i]);
	if (ends(lower, n, "_file"))
		return has(lower, n, "pass") ? SECRET_FILE : OPEN;
	if (has(lower, n, "pass") || has(lower, n, "secret") || has(lower, n, "token") || has(lower, n, "credential") ||
		ends(lower, n, "pw") || ends(lower, n, "pwd") || ends(lower, n, "psk") || ends(lower, n, "key"))
		return SECRET;
	if (ends(lower, n, "user") || ends(lower, n, "username") || ends(lower, n, "login"))
		return USER;
	return ends(lower, n, "client_id") || ends(lower, n, "clientid") ? CLIENT_ID : OPEN;
}

void redact_learn(struct redact *redact, const char *word, const char *by)
{
	size_t n = strlen(word);
	if (n == 0 || strcmp(word, "busferry") == 0 || redact->n_words == REDACT_WORDS)
		return;
	for (size_t i = 0; i < redact->n_words; i++)
		if (strcmp(redact->words[i].text, word) == 0)
			return;
	/* Longer ones first: one may be part of another. */
	size_t at = redact->n_words++;
	for (; at > 0 && strlen(redact->words[at - 1].text) < n; at--)
		redact->words[at] = redact->words[at - 1];
	redact->words[at] = (struct redact_word){arena_text(&redact->arena, word), by};
}

static void learn_n(struct redact *redact, const char *text, size_t n, const char *by)
{
	char *word = arena_text_n(&redact->arena, text, n);
	redact_learn(redact, word, by);
	explicit_bzero(word, n);
}

/* What a file holds: a password, or several lines. */
static void learn_file(struct redact *redact, const char *text, size_t n)
{
	static char secret[SECRET_MAX];
	char *path = arena_text_n(&redact->arena, text, n);
	if (secret_read(path, secret) == 0)
		redact_learn(redact, secret, MASK);
	secret_wipe(secret);
}

/* The bytes of a text without its quotes. */
static void inner(const char *text, const struct token *token, const char **ret_at, size_t *ret_n)
{
	size_t before = token->kind == TOKEN_TEXT || token->kind == TOKEN_QUOTED || token->kind == TOKEN_LOST;
	size_t quotes = before + (token->kind != TOKEN_LOST ? before : 0);
	*ret_at = text + token->at + before;
	*ret_n = token->n > quotes ? token->n - quotes : 0;
}

/* A walk over the tokens: what each of them is to be. */
struct walk {
	struct tokens tokens;
	struct token token;
	enum kind kind; /* of the key under which it stands */
	bool is_value;
};

/* A value that ends like "password: ": a quote is wrong before it, or a colon is missing, and what comes next is the
 * value. */
static enum kind kind_behind(const char *text, const struct token *token, enum kind kind)
{
	size_t end = token->at + token->n - (text[token->at + token->n - 1] == '"'), begin;
	while (end > token->at && strchr(" \t:=[(", text[end - 1]) && text[end - 1])
		end--;
	for (begin = end;
		begin > token->at && (isalnum((unsigned char)text[begin - 1]) || strchr("_-", text[begin - 1]));)
		begin--;
	bool assigns = text[end] && strchr(" \t:=[(", text[end]);
	enum kind found = assigns ? kind_of(text + begin, end - begin) : OPEN;
	return found != OPEN ? found : kind;
}

static bool walk_next(struct walk *walk, const char *text)
{
	if (walk->is_value)
		walk->kind = kind_behind(text, &walk->token, walk->kind);
	walk->token = tokens_next(&walk->tokens);
	walk->is_value = false;
	if (walk->token.kind == TOKEN_END)
		return false;
	if (walk->token.kind == TOKEN_MARK) {
		if (strchr("{}", walk->token.mark))
			walk->kind = OPEN;
		return true;
	}
	if (walk->token.kind == TOKEN_NAME || walk->token.kind == TOKEN_BAD) {
		struct token next = tokens_peek(&walk->tokens);
		if (next.kind == TOKEN_MARK && strchr(":=", next.mark)) {
			walk->kind = kind_of(text + walk->token.at, walk->token.n);
			return true;
		}
	}
	walk->is_value = true;
	return true;
}

static const char *at_sign(const char *text, size_t n)
{
	return memrchr(text, '@', n);
}

/* Of a URL with a user: the password, or all of it. */
static void learn_url(struct redact *redact, const char *text, size_t n)
{
	const char *at = at_sign(text, n), *begin = memmem(text, n, "://", 3);
	if (!at)
		return;
	begin = begin && begin + 3 < at ? begin + 3 : text;
	const char *colon = memchr(begin, ':', (size_t)(at - begin));
	if (colon)
		learn_n(redact, colon + 1, (size_t)(at - colon - 1), MASK);
	learn_n(redact, begin, (size_t)(at - begin), MASK);
}

void redact_learn_map(struct redact *redact, const char *file, const char *text, size_t n)
{
	struct walk walk = {.tokens = tokens_of(file, text, n)};
	while (walk_next(&walk, text)) {
		const char *value;
		size_t n_value;
		if (!walk.is_value)
			continue;
		inner(text, &walk.token, &value, &n_value);
		switch (walk.kind) {
		case SECRET:
			learn_n(redact, value, n_value, MASK);
			break;
		case SECRET_FILE:
			learn_file(redact, value, n_value);
			break;
		case USER:
			if (redact->names_too)
				learn_n(redact, value, n_value, "(user)");
			break;
		case CLIENT_ID:
			if (redact->names_too)
				learn_n(redact, value, n_value, "(client id)");
			break;
		case OPEN:
			learn_url(redact, value, n_value);
			break;
		}
	}
}

static void print_value(const struct redact *redact, const struct walk *walk, const char *text, FILE *to)
{
	const char *value;
	size_t n;
	inner(text, &walk->token, &value, &n);
	bool hidden = walk->kind == SECRET || (redact->names_too && (walk->kind == USER || walk->kind == CLIENT_ID));
	if (walk->token.kind == TOKEN_OPEN) /* a comment without an end */
		return;
	if (walk->token.kind == TOKEN_LOST) /* where it ends nobody knows */
		fputs("\"…", to);
	else if (hidden)
		fprintf(to, "\"%s\"", walk->kind == USER ? "(user)" : walk->kind == CLIENT_ID ? "(client id)" : MASK);
	else if (walk->token.kind == TOKEN_TEXT && at_sign(value, n))
		fprintf(to, "\"" MASK "%.*s", (int)(value + n - at_sign(value, n)) + 1, at_sign(value, n));
	else
		redact_print(redact, text + walk->token.at, walk->token.n, to);
}

void redact_print_map(const struct redact *redact, const char *file, const char *text, size_t n, FILE *to)
{
	struct walk walk = {.tokens = tokens_of(file, text, n)};
	size_t done = 0;
	while (walk_next(&walk, text)) {
		bool comment = false;
		for (; done < walk.token.at; done++) { /* blanks; of a comment its lines */
			comment = text[done] != '\n' && (comment || (text[done] != ' ' && text[done] != '\t'));
			if (!comment)
				fputc(text[done], to);
		}
		if (walk.is_value)
			print_value(redact, &walk, text, to);
		else
			redact_print(redact, text + walk.token.at, walk.token.n, to);
		done = walk.token.at + walk.token.n;
	}
	fputc('\n', to);
}

static bool is_part_of_word(const char *text, size_t n, size_t at)
{
	return at < n && (isalnum((unsigned char)text[at]) || text[at] == '_');
}

/* The word that begins at this byte, or NULL. */
static const struct redact_word *word_at(const struct redact *redact, const char *text, size_t n, size_t at)
{
	for (size_t i = 0; i < redact->n_words; i++) {
		const struct redact_word *word = &redact->words[i];
		size_t length = strlen(word->text);
		if (length > n - at || memcmp(text + at, word->text, length) != 0)
			continue;
		if (length > SHORT_MAX ||
			!((at > 0 && is_part_of_word(text, n, at - 1)) || is_part_of_word(text, n, at + length)))
			return word;
	}
	return NULL;
}

void redact_print(const struct redact *redact, const char *text, size_t n, FILE *to)
{
	for (size_t at = 0; at < n;) {
		const struct redact_word *word = word_at(redact, text, n, at);
		size_t length = word ? strlen(word->text) : utf8_length(text + at, n - at);
		bool control = text[at] != '\n' && text[at] != '\t' && utf8_is_control(text + at, length);
		if (word)
			fputs(word->by, to);
		else if (length == 0)
			fputs("\xef\xbf\xbd", to);
		else if (control)
			fputc('?', to);
		else
			fwrite(text + at, 1, length, to);
		at += length ? length : 1;
	}
}

void redact_destroy(struct redact *redact)
{
	for (size_t i = 0; i < redact->n_words; i++)
		explicit_bzero((char *)redact->words[i].text, strlen(redact->words[i].text));
	arena_free(&redact->arena);
	redact->n_words = 0;
}

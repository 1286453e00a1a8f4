/*
 * The words of a map, with their places.  The tokens are libconfig's, but that what libconfig has no token for comes as
 * TOKEN_BAD, so that it can be talked about.
 *
 * A tokens is a plain struct: copy it to look ahead.
 */
#ifndef APP_MAPTOKEN_H
#define APP_MAPTOKEN_H

#include "app/faults.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum token_kind {
	TOKEN_END,
	TOKEN_MARK, /* one of { } [ ] ( ) : = , ; */
	TOKEN_NAME, /* what can be a key */
	TOKEN_BOOL,
	TOKEN_INT,
	TOKEN_NUMBER,  /* with a point or an exponent */
	TOKEN_TEXT,    /* "…", whole */
	TOKEN_QUOTED,  /* '…', which libconfig does not know */
	TOKEN_LOST,    /* the rest of a line in which a double quote is missing */
	TOKEN_OPEN,    /* a comment that is never closed; the rest of the file */
	TOKEN_INCLUDE, /* @include "…", whole, first on its line */
	TOKEN_BAD,     /* any other run of characters */
};

struct token {
	enum token_kind kind;
	char mark;
	bool hex, wide;  /* of an int: 0x…, …L */
	bool too_big;    /* of an int: more than 64 bits (63 and a sign when decimal) */
	bool first;      /* on its line */
	uint64_t number; /* of an int, negative ones as two's complement */
	size_t at, n;    /* bytes in the text */
	unsigned indent; /* columns before the first token of its line */
	struct place_in_map place;
};

struct tokens {
	const char *text;
	size_t n;
	const char *file;
	size_t at;             /* of what comes next */
	unsigned line, column; /* of `at`, from 1 */
	unsigned indent;       /* of this line */
	bool seen;             /* a token on this line */
	bool sound;            /* no double quote is missing in this line */
	size_t line_end;       /* of this line; 0 = not looked for yet */
};

struct tokens tokens_of(const char *file, const char *text, size_t n);

struct token tokens_next(struct tokens *tokens);

/* The token that comes next, left in its place. */
struct token tokens_peek(const struct tokens *tokens);

/* Makes the token longer, to byte `end` of the text, and goes on behind it. */
void tokens_extend(struct tokens *tokens, struct token *token, size_t end);

/* Is it what libconfig takes for a key? */
bool token_is_name(const char *text, size_t n);

#endif

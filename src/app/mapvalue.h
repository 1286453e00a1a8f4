/*
 * Single values of the raw-text pass: numbers, texts, and what people write instead of them.
 */
#ifndef APP_MAPVALUE_H
#define APP_MAPVALUE_H

#include "app/maptext.h"
#include "app/maptoken.h"

/* What libconfig tells apart in [ ]. */
enum mapvalue_kind { MAPVALUE_INT, MAPVALUE_INT64, MAPVALUE_NUMBER, MAPVALUE_BOOL, MAPVALUE_TEXT, MAPVALUE_OTHER };

/*
 * Reads the value that starts with the token (no brace), tells what is wrong with it and fills the node.  The tokens
 * go on behind it.  In a list neighbours are values of their own; else texts that follow are joined, as libconfig does.
 */
enum mapvalue_kind mapvalue_read(
	struct maptext *map, struct tokens *tokens, struct token *token, bool in_list, struct tree *node);

/* The token as it stands in the map, cut to what fits into a message. */
const char *mapvalue_quote(struct maptext *map, const struct tokens *tokens, const struct token *token);

#endif

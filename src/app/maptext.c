/*
 * The raw-text pass over a map: its grammar, with a way on after every fault.  See maptext.h.
 *
 * libconfig has the last word on what is a map.  This pass runs beside it because libconfig has lines but no columns,
 * one message for all mistakes, and silence for the worst of them.  What is told here is also mended in a copy of the
 * text, so that libconfig can read the rest and unknown keys are found in the same run as a missing comma.
 *
 * Invariant: as long as nothing is broken there is one node of the tree for each setting and element of the mended
 * text, in its order; edits are in ascending order but for the brackets of a list.
 */
#include "app/maptext.h"
#include "app/mapvalue.h"
#include "app/names.h"
#include "base/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX    100
#define FAULTS_MAX   50 /* it is no map at all */
#define INCLUDES_MAX 10 /* within each other; libconfig's own limit */

/* A group or list that is open. */
struct frame {
	char close;        /* '}', ']', ')'; 0 = the whole file */
	struct tree *node; /* which it fills */
	struct keys *keys; /* of a group: those it has already */
	unsigned indent;   /* of the line that opens it */
	bool suspect;      /* a key inside stands no further right than that line */
	struct place_in_map at;
	size_t offset;
	bool braced; /* a ( ) list: groups may stand in it */
	bool mixed;  /* told already */
	bool closed; /* by its own bracket */
};

/* The keys of a group while it is open; the first few are looked for one by one. */
struct keys {
	struct arena arena;
	struct names names;
};

#define KEYS_FEW 12

static void settings(struct maptext *map, struct tokens *tokens, struct frame *frame);
static enum mapvalue_kind value(
	struct maptext *map, struct tokens *tokens, struct token *token, bool in_list, struct tree *node);

void maptext_fault(struct maptext *map, const struct place_in_map *at, const char *hint, const char *format, ...)
{
	char what[512];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	faults_add(map->faults, FAULT_ERROR, at, hint, "%s", what);
}

const char *maptext_keep(struct maptext *map, const char *text, size_t n)
{
	uint32_t hash = hash_fold(hash_bytes(HASH_BEGIN, text, n));
	const char **word = &map->words[(hash ^ hash >> 16) & 0xFF];
	if (!*word || strncmp(*word, text, n) != 0 || (*word)[n] != '\0')
		*word = arena_text_n(map->keep, text, n);
	return *word;
}

/* The setting of that name that the group has already; else NULL, and the new one is noted. */
static struct tree *keys_put(struct keys *keys, const struct tree *group, struct tree *node)
{
	size_t before;
	if (group->n <= KEYS_FEW) {
		for (struct tree *child = group->first; child; child = child->next)
			if (strcmp(child->name, node->name) == 0)
				return child;
		if (group->n < KEYS_FEW)
			return NULL;
		keys->names.arena = &keys->arena;
		for (struct tree *child = group->first; child; child = child->next)
			names_put(&keys->names, 0, child->name, strlen(child->name), (uintptr_t)child, &before);
	}
	bool fresh = names_put(&keys->names, 0, node->name, strlen(node->name), (uintptr_t)node, &before);
	return fresh ? NULL : (struct tree *)before;
}

static bool hopeless(const struct maptext *map)
{
	return map->hopeless || map->faults->n_errors - map->first_error >= FAULTS_MAX;
}

static bool is_mark(const struct token *token, const char *marks)
{
	return token->kind == TOKEN_MARK && strchr(marks, token->mark);
}

static void unexpected(struct maptext *map, const struct tokens *tokens, const struct token *token)
{
	map->broken = true;
	if (token->kind == TOKEN_LOST) {
		map->quote_lost = true;
		maptext_fault(map, &token->place, NULL, "a double quote is missing in this line");
	} else if (token->kind == TOKEN_OPEN) {
		map->quote_lost = true;
		maptext_fault(map, &token->place, "a */ is missing", "this comment is never closed");
	} else if (token->kind == TOKEN_INCLUDE) {
		maptext_fault(map, &token->place, NULL, "@include can only stand between settings");
	} else if (is_mark(token, "}])")) {
		maptext_fault(map, &token->place, "leave it out, or open a group before it", "this %c closes nothing",
			token->mark);
	} else {
		maptext_fault(map, &token->place, NULL, "unexpected %s", mapvalue_quote(map, tokens, token));
	}
}

/* A frame that was not closed where it should have been. */
static void note_suspect(struct maptext *map, const struct frame *frame)
{
	if (!frame->suspect || (map->suspect_by && map->suspect.line <= frame->at.line))
		return;
	map->suspect = frame->at;
	map->suspect_by = frame->close;
}

static void never_closed(struct maptext *map, const struct frame *frame)
{
	map->unclosed_found = true;
	map->unclosed = frame->at; /* outer ones come later and win */
	map->unclosed_by = frame->close;
	note_suspect(map, frame);
}

/* Elements of a list up to its closing bracket. */
static void elements(struct maptext *map, struct tokens *tokens, struct frame *frame)
{
	enum mapvalue_kind first = MAPVALUE_OTHER;
	struct token last = {0};
	bool any = false, comma = false, was_text = false;
	while (!hopeless(map)) {
		struct token token = tokens_peek(tokens);
		struct tokens ahead = *tokens;
		tokens_next(&ahead);
		struct token after = tokens_peek(&ahead);
		if (token.kind == TOKEN_END) {
			never_closed(map, frame);
			return;
		}
		bool key = token.kind == TOKEN_NAME && is_mark(&after, ":=") && token.first;
		if (key || (is_mark(&token, "}])") && token.mark != frame->close)) {
			char hint[] = "a ? is missing";
			hint[2] = frame->close;
			maptext_fault(map, &frame->at, hint, "this list is never closed");
			maptext_edit(map,
				comma    ? last.at
				: last.n ? last.at + last.n
					 : frame->offset + 1,
				comma ? 1 : 0, frame->close == ']' ? "]" : ")");
			return;
		}
		*tokens = ahead;
		if (is_mark(&token, "}])")) {
			frame->closed = true;
			if (comma) {
				maptext_fault(map, &last.place, "leave it out: libconfig 1.5 refuses it",
					"a comma before the closing %c", token.mark);
				maptext_edit(map, last.at, 1, "");
			}
			return;
		}
		if (is_mark(&token, ",;")) {
			if (!any || comma) {
				maptext_fault(map, &token.place, NULL, "a value is missing before this %c", token.mark);
				maptext_edit(map, token.at, 1, "");
				continue;
			}
			if (token.mark == ';') {
				maptext_fault(map, &token.place, "write ,", "values of a list are separated by commas");
				maptext_edit(map, token.at, 1, ",");
			}
			comma = true;
			last = token;
			continue;
		}
		if (token.kind == TOKEN_LOST || token.kind == TOKEN_OPEN || token.kind == TOKEN_INCLUDE ||
			is_mark(&token, ":=")) {
			unexpected(map, tokens, &token);
			continue;
		}
		if (any && !comma) {
			bool joined = was_text && token.kind == TOKEN_TEXT;
			maptext_fault(map, &token.place,
				joined ? "write a comma before it: libconfig joins the two to one text"
				       : "write a comma before it",
				"a comma is missing between these %s", joined ? "texts" : "values");
			maptext_edit(map, token.at, 0, ",");
		}
		struct tree *node = tree_add(frame->node, TREE_TEXT, NULL, map->keep);
		enum mapvalue_kind kind = value(map, tokens, &token, true, node);
		bool group = is_mark(&token, "{[(");
		if (!frame->braced && !frame->mixed && (group || (any && kind != first))) {
			frame->mixed = true;
			const char *hint = "write ( ) around them";
			if (kind + first == MAPVALUE_INT + MAPVALUE_INT64)
				hint = "write an L behind each number";
			maptext_fault(map, &node->at, hint,
				group ? "groups and lists stand in ( ), not in [ ]"
				      : "values in [ ] must be of one kind");
			map->broken = map->broken || group;
		}
		if (!any)
			first = kind;
		any = true;
		comma = false;
		was_text = token.kind == TOKEN_TEXT;
		last = token;
		last.n = tokens->at - token.at;
	}
}

/* A value of any kind, from its first token. */
static enum mapvalue_kind value(
	struct maptext *map, struct tokens *tokens, struct token *token, bool in_list, struct tree *node)
{
	if (!is_mark(token, "{[("))
		return mapvalue_read(map, tokens, token, in_list, node);
	struct keys keys = {0};
	struct frame frame = {.close = token->mark == '{'   ? '}'
				       : token->mark == '[' ? ']'
							    : ')',
		.node = node,
		.keys = &keys,
		.indent = token->indent,
		.at = token->place,
		.offset = token->at,
		.braced = token->mark == '('};
	node->at = token->place;
	if (node->key.line == 0)
		node->key = token->place;
	node->type = frame.close == '}' ? TREE_GROUP : TREE_LIST;
	if (++map->depth > DEPTH_MAX) {
		maptext_fault(map, &token->place, NULL, "groups within groups, more than %d deep", DEPTH_MAX);
		map->broken = map->quote_lost = true; /* what is closed can no longer be told */
		tokens->at = tokens->n;
	} else if (frame.close == '}') {
		settings(map, tokens, &frame);
	} else {
		elements(map, tokens, &frame);
		if (frame.mixed && !frame.closed) {
			map->broken = true;
		} else if (frame.mixed) {
			maptext_edit(map, frame.offset, 1, "(");
			maptext_edit(map, tokens->at - 1, 1, ")");
		}
	}
	map->depth--;
	arena_free(&keys.arena);
	return MAPVALUE_OTHER;
}

static void include(struct maptext *map, struct tokens *tokens, struct frame *frame, const struct token *token)
{
	const char *quote = memchr(tokens->text + token->at, '"', token->n);
	size_t n = token->n - (size_t)(quote - (tokens->text + token->at)) - 2;
	const char *name = arena_text_n(&map->scratch, quote + 1, n);
	const char *text = NULL;
	size_t size = 0;
	const char *path = arena_format(map->keep, "%s/%s", map->folder, name);
	if (name[0] == '/') {
		maptext_fault(map, &token->place, "write it as seen from the folder of the map",
			"@include takes no absolute path");
		map->broken = true;
		return;
	}
	if (map->n_within == INCLUDES_MAX) {
		maptext_fault(map, &token->place, "a file must not include itself, nor one that includes it",
			"files that include each other, more than %d deep", INCLUDES_MAX);
		map->broken = map->hopeless = true;
		return;
	}
	int err = maptext_load(path, &map->scratch, &text, &size);
	if (err < 0) {
		maptext_fault(map, &token->place, NULL, "cannot read %s: %s", path, strerror(-err));
		map->broken = true;
		return;
	}
	maptext_check_bytes(map, path, text, size);
	struct tokens inner = tokens_of(path, text, size);
	struct frame file = {.node = frame->node, .keys = frame->keys};
	map->n_within++;
	settings(map, &inner, &file);
	map->n_within--;
}

/* The key and what stands between it and its value.  False when there is no value to read. */
static bool key_read(struct maptext *map, struct tokens *tokens, const struct token *key)
{
	struct token next = tokens_peek(tokens);
	if (is_mark(&next, ":=")) {
		if (key->kind != TOKEN_NAME) {
			const char *name = mapvalue_quote(map, tokens, key);
			map->broken = true;
			bool plain = key->kind == TOKEN_TEXT && token_is_name(name + 1, strlen(name) - 2);
			maptext_fault(map, &key->place,
				plain ? arena_format(&map->scratch, "write %.*s", (int)strlen(name) - 2, name + 1)
				      : arena_format(&map->scratch,
						key->kind == TOKEN_TEXT
							? "write a plain key and, in its group, topic: %s"
							: "write another key and, in its group, topic: \"%s\"",
						name),
				key->kind == TOKEN_TEXT || key->kind == TOKEN_QUOTED
					? "a key stands without quotes"
					: "a key has only letters, digits, - and _, and starts with a letter");
		}
		tokens_next(tokens);
		next = tokens_peek(tokens);
		struct tokens ahead = *tokens;
		tokens_next(&ahead);
		struct token after = tokens_peek(&ahead);
		bool brace = next.first && is_mark(&after, "{[(");
		bool another = next.kind == TOKEN_NAME && (brace || is_mark(&after, ":=")) &&
			       (next.first || (after.at + 1 < tokens->n &&
						      strchr(" \t\r\n\"{[(", tokens->text[after.at + 1])));
		if (another || next.kind == TOKEN_END || is_mark(&next, "}]),;:=")) {
			maptext_fault(map, &key->place, NULL, "a value is missing after \"%s\"",
				mapvalue_quote(map, tokens, key));
			map->broken = true;
			return false;
		}
		if (next.kind == TOKEN_LOST || next.kind == TOKEN_OPEN || next.kind == TOKEN_INCLUDE) {
			tokens_next(tokens);
			unexpected(map, tokens, &next);
			return false;
		}
		return true;
	}
	const char *name = mapvalue_quote(map, tokens, key);
	if (key->kind == TOKEN_NAME && !next.first && next.kind != TOKEN_END && !is_mark(&next, "}]),;")) {
		maptext_fault(map, &key->place, arena_format(&map->scratch, "write %s: …", name),
			"a colon is missing after \"%s\"", name);
		maptext_edit(map, key->at + key->n, 0, ":");
		return next.kind != TOKEN_LOST && next.kind != TOKEN_OPEN;
	}
	if (key->kind == TOKEN_NAME) {
		maptext_fault(map, &key->place, arena_format(&map->scratch, "write %s: …", name), "\"%s\" has no value",
			name);
		map->broken = true;
		return false;
	}
	unexpected(map, tokens, key);
	return false;
}

static void setting(struct maptext *map, struct tokens *tokens, struct frame *frame, const struct token *key)
{
	if (!key_read(map, tokens, key))
		return;
	struct tree *node = tree_add(NULL, TREE_TEXT, NULL, map->keep), *before = NULL;
	node->key = key->place;
	if (key->kind == TOKEN_NAME) { /* else it was told, and libconfig will not be asked */
		node->name = maptext_keep(map, tokens->text + key->at, key->n);
		before = keys_put(frame->keys, frame->node, node);
	}
	if (before)
		maptext_fault(map, &key->place,
			arena_format(&map->scratch, "also set at %s:%u:%u", before->key.file, before->key.line,
				before->key.column),
			"\"%s\" is set twice in this group", node->name);
	struct token token = tokens_next(tokens);
	value(map, tokens, &token, false, node);
	if (before) { /* the first one counts, also for what was mended in this one */
		maptext_unedit(map, key->at);
		maptext_edit(map, key->at, tokens->at - key->at, "");
	} else if (node->name) {
		tree_append(frame->node, node);
	}
}

/* Settings up to the closing brace, or the end of the file. */
static void settings(struct maptext *map, struct tokens *tokens, struct frame *frame)
{
	bool separator = false; /* one may stand here */
	while (!hopeless(map)) {
		struct token token = tokens_next(tokens);
		if (token.kind == TOKEN_END) {
			if (frame->close)
				never_closed(map, frame);
			return;
		}
		if (token.first && frame->close && token.place.line > frame->at.line && token.kind == TOKEN_NAME &&
			token.indent <= frame->indent)
			frame->suspect = true;
		if (is_mark(&token, "}") && frame->close == '}') {
			if (!token.first || token.indent != frame->indent)
				note_suspect(map, frame);
			return;
		}
		if (is_mark(&token, ",;")) {
			if (!separator) {
				maptext_fault(
					map, &token.place, "leave it out", "this %c separates nothing", token.mark);
				maptext_edit(map, token.at, 1, "");
			}
			separator = false;
			continue;
		}
		separator = false;
		if (token.kind == TOKEN_INCLUDE) {
			include(map, tokens, frame, &token);
		} else if (token.kind == TOKEN_LOST || token.kind == TOKEN_OPEN || token.kind == TOKEN_MARK) {
			unexpected(map, tokens, &token);
		} else {
			setting(map, tokens, frame, &token);
			separator = true;
		}
	}
}

void maptext_read(
	const char *file, const char *text, size_t n, struct arena *keep, struct faults *faults, struct maptext *ret)
{
	*ret = (struct maptext){.file = arena_text(keep, file),
		.keep = keep,
		.faults = faults,
		.root = tree_add(NULL, TREE_GROUP, NULL, keep),
		.first_error = faults->n_errors};
	ret->root->key.file = ret->root->at.file = ret->file;
	const char *slash = strrchr(file, '/');
	ret->folder = slash ? arena_text_n(keep, file, slash == file ? 1 : (size_t)(slash - file)) : ".";
	if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
		text += 3;
		n -= 3;
	}
	maptext_check_bytes(ret, ret->file, text, n);
	struct tokens tokens = tokens_of(ret->file, text, n);
	struct keys keys = {0};
	struct frame whole = {.node = ret->root, .keys = &keys};
	settings(ret, &tokens, &whole);
	arena_free(&keys.arena);
	if (ret->unclosed_found && !ret->quote_lost && !hopeless(ret)) {
		bool suspect = ret->suspect_by != 0;
		char hint[] = "a ? is missing";
		hint[2] = suspect ? ret->suspect_by : ret->unclosed_by;
		maptext_fault(ret, suspect ? &ret->suspect : &ret->unclosed, hint,
			hint[2] == '}' ? "this group is never closed" : "this list is never closed");
	}
	ret->broken = ret->broken || ret->unclosed_found || hopeless(ret);
	ret->text = maptext_mend(ret, text, n);
}

void maptext_destroy(struct maptext *map)
{
	arena_free(&map->scratch);
}

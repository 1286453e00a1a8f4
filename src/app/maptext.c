/*
 * The raw-text pass over a map: its grammar, with a way on after every fault.  See maptext.h.
 *
 * libconfig has the last word on what is a map.  This pass runs beside it because libconfig has lines but no columns,
 * one message for all mistakes, and silence for the worst of them.  What is told here is also mended in a copy of the
 * text, so that libconfig can read the rest and unknown keys are found in the same run as a missing comma.
 *
 * Invariant: as long as nothing is broken there is one mark for each setting and element of the mended text, in its
 * order; edits are in ascending order but for the brackets of a list.
 */
#include "app/maptext.h"
#include "app/mapvalue.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX    100
#define FAULTS_MAX   50 /* it is no map at all */
#define INCLUDES_MAX 100

/* A group or list that is open. */
struct frame {
	char close; /* '}', ']', ')'; 0 = the whole file */
	uint32_t scope;
	unsigned indent; /* of the line that opens it */
	bool suspect;    /* a key inside stands no further right than that line */
	struct place_in_map at;
	size_t offset;
	bool braced; /* a ( ) list: groups may stand in it */
	bool mixed;  /* told already */
	bool closed; /* by its own bracket */
};

static void settings(struct maptext *map, struct tokens *tokens, struct frame *frame);
static enum mapvalue_kind value(
	struct maptext *map, struct tokens *tokens, struct token *token, bool in_list, size_t mark);

void maptext_fault(struct maptext *map, const struct place_in_map *at, const char *hint, const char *format, ...)
{
	char what[512];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	faults_add(map->faults, FAULT_ERROR, at, hint, "%s", what);
}

static size_t mark_new(struct maptext *map, const struct place_in_map *key)
{
	if (map->n_marks == map->marks_size) {
		size_t size = map->marks_size ? map->marks_size * 2 : 256;
		struct maptext_mark *marks = arena_array(map->arena, size, sizeof(*marks));
		if (map->n_marks)
			memcpy(marks, map->marks, map->n_marks * sizeof(*marks));
		map->marks = marks;
		map->marks_size = size;
	}
	struct maptext_mark *mark = &map->marks[map->n_marks];
	*mark = (struct maptext_mark){0};
	if (key)
		mark->key = *key;
	return map->n_marks++;
}

static bool hopeless(const struct maptext *map)
{
	return map->faults->n_errors - map->first_error >= FAULTS_MAX;
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
				maptext_fault(map, &token.place, "write ,", "values of a list are parted by commas");
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
		size_t mark = mark_new(map, NULL);
		enum mapvalue_kind kind = value(map, tokens, &token, true, mark);
		bool group = is_mark(&token, "{[(");
		if (!frame->braced && !frame->mixed && (group || (any && kind != first))) {
			frame->mixed = true;
			const char *hint = "write ( ) around them";
			if (kind + first == MAPVALUE_INT + MAPVALUE_INT64)
				hint = "write an L behind each number";
			maptext_fault(map, &map->marks[mark].value, hint,
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
	struct maptext *map, struct tokens *tokens, struct token *token, bool in_list, size_t mark)
{
	if (!is_mark(token, "{[("))
		return mapvalue_read(map, tokens, token, in_list, mark);
	struct frame frame = {.close = token->mark == '{'   ? '}'
				       : token->mark == '[' ? ']'
							    : ')',
		.scope = ++map->n_scopes,
		.indent = token->indent,
		.at = token->place,
		.offset = token->at,
		.braced = token->mark == '('};
	map->marks[mark].value = token->place;
	if (map->marks[mark].key.line == 0)
		map->marks[mark].key = token->place;
	if (++map->depth > DEPTH_MAX) {
		maptext_fault(map, &token->place, NULL, "groups within groups, more than %d deep", DEPTH_MAX);
		map->broken = true;
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
	return MAPVALUE_OTHER;
}

static void include(struct maptext *map, struct tokens *tokens, struct frame *frame, const struct token *token)
{
	const char *quote = memchr(tokens->text + token->at, '"', token->n);
	size_t n = token->n - (size_t)(quote - (tokens->text + token->at)) - 2;
	const char *name = arena_text_n(map->arena, quote + 1, n);
	const char *text = NULL;
	size_t size = 0;
	if (name[0] == '/' || ++map->n_included > INCLUDES_MAX) {
		maptext_fault(map, &token->place, name[0] == '/' ? "write it as seen from the folder of the map" : NULL,
			name[0] == '/' ? "@include takes no absolute path" : "files that include each other");
		map->broken = true;
		return;
	}
	const char *path = arena_format(map->arena, "%s/%s", map->folder, name);
	int err = maptext_load(path, map->arena, &text, &size);
	if (err < 0) {
		maptext_fault(map, &token->place, NULL, "cannot read %s: %s", path, strerror(-err));
		map->broken = true;
		return;
	}
	struct tokens inner = tokens_of(path, text, size);
	struct frame file = {.scope = frame->scope};
	bool was = map->in_include;
	map->in_include = true;
	if (++map->depth <= DEPTH_MAX)
		settings(map, &inner, &file);
	map->depth--;
	map->in_include = was;
}

/* Forgets a setting that was set before: its marks, and what was mended in it. */
static void forget(struct maptext *map, const struct tokens *tokens, const struct token *key, size_t mark)
{
	map->n_marks = mark;
	maptext_unedit(map, key->at);
	maptext_edit(map, key->at, tokens->at - key->at, "");
}

/* The key and what stands between it and its value.  False when there is no value to read. */
static bool key_read(struct maptext *map, struct tokens *tokens, const struct token *key)
{
	struct token next = tokens_peek(tokens);
	const char *name = mapvalue_quote(map, tokens, key);
	if (is_mark(&next, ":=")) {
		if (key->kind != TOKEN_NAME) {
			map->broken = true;
			bool plain = key->kind == TOKEN_TEXT && token_is_name(name + 1, strlen(name) - 2);
			maptext_fault(map, &key->place,
				plain ? arena_format(map->arena, "write %.*s", (int)strlen(name) - 2, name + 1)
				      : arena_format(map->arena,
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
			maptext_fault(map, &key->place, NULL, "a value is missing after \"%s\"", name);
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
	if (key->kind == TOKEN_NAME && !next.first && next.kind != TOKEN_END && !is_mark(&next, "}]),;")) {
		maptext_fault(map, &key->place, arena_format(map->arena, "write %s: …", name),
			"a colon is missing after \"%s\"", name);
		maptext_edit(map, key->at + key->n, 0, ":");
		return next.kind != TOKEN_LOST && next.kind != TOKEN_OPEN;
	}
	if (key->kind == TOKEN_NAME) {
		maptext_fault(
			map, &key->place, arena_format(map->arena, "write %s: …", name), "\"%s\" has no value", name);
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
	size_t mark = mark_new(map, &key->place), before;
	bool again = key->kind == TOKEN_NAME &&
		     !names_put(&map->keys, frame->scope, tokens->text + key->at, key->n, mark, &before);
	if (again) {
		const struct place_in_map *at = &map->marks[before].key;
		maptext_fault(map, &key->place,
			arena_format(map->arena, "also set at %s:%u:%u", at->file, at->line, at->column),
			"\"%s\" is set twice in this group", mapvalue_quote(map, tokens, key));
	}
	struct token token = tokens_next(tokens);
	value(map, tokens, &token, false, mark);
	if (again)
		forget(map, tokens, key, mark);
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
				maptext_fault(map, &token.place, "leave it out", "this %c parts nothing", token.mark);
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
	const char *file, const char *text, size_t n, struct arena *arena, struct faults *faults, struct maptext *ret)
{
	*ret = (struct maptext){.file = file,
		.arena = arena,
		.faults = faults,
		.keys = {.arena = arena},
		.first_error = faults->n_errors};
	const char *slash = strrchr(file, '/');
	ret->folder = slash ? arena_text_n(arena, file, slash == file ? 1 : (size_t)(slash - file)) : ".";
	if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
		text += 3;
		n -= 3;
	}
	maptext_check_bytes(ret, text, n);
	struct tokens tokens = tokens_of(file, text, n);
	struct frame whole = {0};
	settings(ret, &tokens, &whole);
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

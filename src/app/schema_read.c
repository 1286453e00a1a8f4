/*
 * The one reader for all tables of keys.  See schema.h.
 *
 * Why exact types: libconfig converts in silence (0.5 to 0, "1" to nothing), and a map that is half understood polls
 * the wrong registers.  So a value either is what its row says, or is a fault that says what it should be.
 *
 * Invariant: a field is written by its fallback or by a value that lies within its row, by nothing else.
 */
#include "app/schema.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KEYS_MAX 96 /* of one group, all its tables together */

struct reader {
	const char *what;
	struct arena *arena;
	struct faults *faults;
	const struct bf_key *key;
	const struct tree *value; /* NULL: the fallback is read */
	unsigned char *field;
	bool ok;
};

void schema_fault(
	struct faults *faults, const struct tree *group, const char *key, const char *hint, const char *format, ...)
{
	char what[512];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	faults_add(faults, FAULT_ERROR, key ? tree_place(group, key) : &group->key, hint, "%s", what);
}

static void fault(struct reader *reader, const char *hint, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void fault(struct reader *reader, const char *hint, const char *format, ...)
{
	char what[512];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	faults_add(reader->faults, FAULT_ERROR, &reader->value->at, hint, "%s", what);
	reader->ok = false;
}

static void set_int(struct reader *reader, int number)
{
	memcpy(reader->field, &number, sizeof(number));
}

static void set_int64(struct reader *reader, int64_t number)
{
	memcpy(reader->field, &number, sizeof(number));
}

static void set_double(struct reader *reader, double number)
{
	memcpy(reader->field, &number, sizeof(number));
}

static void set_pointer(struct reader *reader, const void *pointer)
{
	memcpy(reader->field, &pointer, sizeof(pointer));
}

static void clear(const struct bf_key *key, unsigned char *to)
{
	struct reader reader = {.field = to};
	switch (key->type) {
	case BF_KEY_BOOL:
	case BF_KEY_INT:
	case BF_KEY_CHOICE:
		set_int(&reader, BF_UNSET);
		break;
	case BF_KEY_NUMBER:
		set_double(&reader, NAN);
		break;
	case BF_KEY_DURATION:
	case BF_KEY_SIZE:
		set_int64(&reader, BF_UNSET);
		break;
	case BF_KEY_TEXT:
	case BF_KEY_NODE:
		set_pointer(&reader, NULL);
		break;
	case BF_KEY_TEXTS:
		memset(to, 0, sizeof(struct bf_texts));
		break;
	case BF_KEY_SCALAR:
		memset(to, 0, sizeof(struct bf_scalar));
		break;
	}
}

/* The place of a word among "one|two|three", or -1. */
static int choice_of(const char *choices, const char *word)
{
	size_t n = strlen(word);
	for (int i = 0; choices; i++) {
		size_t m = strcspn(choices, "|");
		if (m == n && memcmp(choices, word, n) == 0)
			return i;
		choices = choices[m] ? choices + m + 1 : NULL;
	}
	return -1;
}

/* What others call it. */
static const char *other_name(const char *choices, const char *word)
{
	static const char *const names[][2] = {{"float", "f32"}, {"float32", "f32"}, {"real", "f32"}, {"double", "f64"},
		{"float64", "f64"}, {"byte", "u8"}, {"uint8", "u8"}, {"int8", "s8"}, {"word", "u16"}, {"uint16", "u16"},
		{"ushort", "u16"}, {"int16", "s16"}, {"short", "s16"}, {"int", "s16"}, {"dword", "u32"},
		{"uint32", "u32"}, {"ulong", "u32"}, {"int32", "s32"}, {"dint", "s32"}, {"long", "s32"},
		{"uint64", "u64"}, {"int64", "s64"}, {"text", "string"}, {"ascii", "string"}, {"boolean", "bool"},
		{"bit", "bool"}, {"ABCD", "big"}, {"CDAB", "little"}, {"swapped", "little"}, {"swap", "little"}};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(names[i][0], word) == 0 && choice_of(choices, names[i][1]) >= 0)
			return names[i][1];
	return NULL;
}

static void choice_fault(struct reader *reader)
{
	char list[512] = "", words[16][32];
	const char *known[17] = {0};
	size_t at = 0, n = 0;
	for (const char *c = reader->key->choices; c && n < 16;) {
		size_t m = strcspn(c, "|");
		bool last = c[m] == '\0';
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s\"%.*s\"",
			n == 0 ? ""
			: last ? " or "
			       : ", ",
			(int)m, c);
		snprintf(words[n], sizeof(words[n]), "%.*s", (int)m, c);
		known[n] = words[n];
		n++;
		c = last ? NULL : c + m + 1;
	}
	const char *near = other_name(reader->key->choices, reader->value->text);
	if (!near)
		near = faults_did_you_mean(reader->value->text, known);
	for (size_t i = 0; i < n && !near; i++)
		if (strcasecmp(known[i], reader->value->text) == 0)
			near = known[i];
	fault(reader, near ? arena_format(reader->arena, "did you mean \"%s\"?", near) : NULL,
		"\"%s\" is \"%s\", it can be %s", reader->key->name, reader->value->text, list);
}

static void type_fault(struct reader *reader, const char *wanted)
{
	const struct tree *value = reader->value;
	const char *hint = NULL;
	char *end = NULL;
	if (value->type == TREE_TEXT && strstr(wanted, "number") && (strtod(value->text, &end), end) && *end == '\0' &&
		end != value->text)
		hint = arena_format(reader->arena, "write %s without quotes", value->text);
	if (value->type == TREE_TEXT && strcmp(wanted, "true or false") == 0 &&
		choice_of("true|false", value->text) >= 0)
		hint = arena_format(reader->arena, "write %s without quotes", value->text);
	fault(reader, hint, "\"%s\" is %s, it must be %s", reader->key->name, tree_what(value), wanted);
}

static bool bounded(const struct bf_key *key)
{
	return key->min < key->max;
}

static bool in_range(struct reader *reader, double number)
{
	const struct bf_key *key = reader->key;
	if (isfinite(number) && (!bounded(key) || (number >= key->min && number <= key->max)))
		return true;
	if (bounded(key))
		fault(reader, NULL, "\"%s\" is %.15g, it can be %.15g to %.15g", key->name, number, key->min, key->max);
	else
		fault(reader, NULL, "\"%s\" is not a finite number", key->name);
	return false;
}

static void read_int(struct reader *reader)
{
	const struct tree *value = reader->value;
	if (value->type == TREE_NUMBER)
		fault(reader, arena_format(reader->arena, "write %.0f", value->number),
			"\"%s\" has a point, it must be a whole number", reader->key->name);
	else if (value->type != TREE_INT)
		type_fault(reader, "a number");
	else if (in_range(reader, (double)value->i) && !bounded(reader->key) &&
		 (value->i < INT32_MIN || value->i > INT32_MAX))
		fault(reader, NULL, "\"%s\" is too big a number", reader->key->name);
	else if (reader->ok)
		set_int(reader, (int)value->i);
}

static void read_number(struct reader *reader)
{
	const struct tree *value = reader->value;
	if (value->type != TREE_INT && value->type != TREE_NUMBER)
		type_fault(reader, "a number");
	else if (in_range(reader, tree_number(value)))
		set_double(reader, tree_number(value));
}

/* Durations in µs and sizes in bytes; `one` is what a bare 1 is. */
static void read_quantity(struct reader *reader, int (*parse)(const char *, int64_t *), double one)
{
	const struct tree *value = reader->value;
	const struct bf_key *key = reader->key;
	bool duration = key->type == BF_KEY_DURATION;
	const char *example = duration ? "\"500ms\", \"10s\", \"5m\", \"7d\"" : "\"64kB\", \"256MB\"";
	int64_t quantity = 0;
	if (value->type == TREE_TEXT) {
		int word = key->choices ? choice_of(key->choices, value->text) : -1;
		if (word >= 0) {
			set_int64(reader, -2 - word);
			return;
		}
		int err = parse(value->text, &quantity);
		if (err == -ERANGE) {
			fault(reader, NULL, "\"%s\" is \"%s\", that is too much", key->name, value->text);
			return;
		}
		if (err < 0) {
			fault(reader,
				arena_format(reader->arena, "write %s%s%s", example, key->choices ? " or " : "",
					key->choices ? arena_format(reader->arena, "\"%s\"", key->choices) : ""),
				"\"%s\" is \"%s\", that is no %s", key->name, value->text,
				duration ? "duration" : "size");
			return;
		}
	} else if (value->type == TREE_INT || value->type == TREE_NUMBER) {
		double number = tree_number(value);
		if (!(number >= 0) || number * one > 9e17) {
			fault(reader, NULL, "\"%s\" is %.15g, that is no %s", key->name, number,
				duration ? "duration" : "size");
			return;
		}
		quantity = (int64_t)(number * one + 0.5);
	} else {
		type_fault(reader, duration ? "a text with a unit, or a number of seconds"
					    : "a text with a unit, or a number of bytes");
		return;
	}
	double amount = (double)quantity / one;
	if (bounded(key) && (amount < key->min || amount > key->max)) {
		if (duration) {
			char low[BF_DURATION_SIZE], high[BF_DURATION_SIZE];
			bf_duration_print((int64_t)(key->min * 1e6 + 0.5), low);
			bf_duration_print((int64_t)(key->max * 1e6 + 0.5), high);
			fault(reader, NULL, "\"%s\" must be between \"%s\" and \"%s\"", key->name, low, high);
		} else {
			char low[BF_SIZE_SIZE], high[BF_SIZE_SIZE];
			bf_size_print((int64_t)key->min, low);
			bf_size_print((int64_t)key->max, high);
			fault(reader, NULL, "\"%s\" must be between \"%s\" and \"%s\"", key->name, low, high);
		}
		return;
	}
	set_int64(reader, quantity);
}

static void read_texts(struct reader *reader)
{
	const struct tree *value = reader->value;
	if (value->type != TREE_TEXT && value->type != TREE_LIST) {
		type_fault(reader, "a text or a list of texts");
		return;
	}
	size_t n = value->type == TREE_TEXT ? 1 : value->n;
	const char **texts = arena_array(reader->arena, n ? n : 1, sizeof(*texts));
	const struct tree *item = value->type == TREE_TEXT ? value : value->first;
	for (size_t i = 0; i < n; i++, item = item->next) {
		if (item->type != TREE_TEXT) {
			type_fault(reader, "a list of texts");
			return;
		}
		texts[i] = arena_text(reader->arena, item->text);
	}
	struct bf_texts list = {texts, n};
	memcpy(reader->field, &list, sizeof(list));
}

static void read_scalar(struct reader *reader)
{
	const struct tree *value = reader->value;
	struct bf_scalar scalar = {0};
	if (value->type == TREE_INT) {
		scalar.kind = BF_SCALAR_INT;
		scalar.i = value->i;
		scalar.number = (double)value->i;
	} else if (value->type == TREE_NUMBER) {
		scalar.kind = BF_SCALAR_NUMBER;
		scalar.number = value->number;
	} else if (value->type == TREE_TEXT) {
		scalar.kind = BF_SCALAR_TEXT;
		scalar.text = arena_text(reader->arena, value->text);
	} else {
		type_fault(reader, "a number or a text");
		return;
	}
	memcpy(reader->field, &scalar, sizeof(scalar));
}

static void read_node(struct reader *reader)
{
	const struct tree *value = reader->value;
	const char *allowed = reader->key->choices ? reader->key->choices : "group";
	const char *is = value->type == TREE_GROUP ? "group" : value->type == TREE_LIST ? "list" : "value";
	if (choice_of(allowed, is) >= 0 || (value->type == TREE_TEXT && choice_of(allowed, "text") >= 0)) {
		set_pointer(reader, value);
		return;
	}
	char wanted[64] = "";
	size_t at = 0;
	for (const char *c = allowed; c;) {
		size_t m = strcspn(c, "|");
		at += (size_t)snprintf(wanted + at, sizeof(wanted) - at, "%sa %.*s", at ? " or " : "", (int)m, c);
		c = c[m] ? c + m + 1 : NULL;
	}
	fault(reader, NULL, "\"%s\" is %s, it must be %s", reader->key->name, tree_what(value), wanted);
}

static void read_value(struct reader *reader)
{
	switch (reader->key->type) {
	case BF_KEY_TEXT:
		if (reader->value->type == TREE_TEXT)
			set_pointer(reader, arena_text(reader->arena, reader->value->text));
		else
			type_fault(reader, "a text in double quotes");
		break;
	case BF_KEY_BOOL:
		if (reader->value->type == TREE_BOOL)
			set_int(reader, reader->value->yes ? 1 : 0);
		else
			type_fault(reader, "true or false");
		break;
	case BF_KEY_INT:
		read_int(reader);
		break;
	case BF_KEY_NUMBER:
		read_number(reader);
		break;
	case BF_KEY_DURATION:
		read_quantity(reader, bf_duration_parse, 1e6);
		break;
	case BF_KEY_SIZE:
		read_quantity(reader, bf_size_parse, 1);
		break;
	case BF_KEY_CHOICE:
		if (reader->value->type != TREE_TEXT)
			type_fault(reader, "a text in double quotes");
		else if (choice_of(reader->key->choices, reader->value->text) < 0)
			choice_fault(reader);
		else
			set_int(reader, choice_of(reader->key->choices, reader->value->text));
		break;
	case BF_KEY_TEXTS:
		read_texts(reader);
		break;
	case BF_KEY_SCALAR:
		read_scalar(reader);
		break;
	case BF_KEY_NODE:
		read_node(reader);
		break;
	}
}

/* What the row says when the map does not: the fallback, read as if it stood there. */
static void fall_back(struct reader *reader)
{
	const struct bf_key *key = reader->key;
	clear(key, reader->field);
	if (!key->fallback)
		return;
	struct tree value = {.type = TREE_TEXT, .text = key->fallback};
	if (key->type == BF_KEY_BOOL) {
		value.type = TREE_BOOL;
		value.yes = strcmp(key->fallback, "true") == 0;
	} else if (key->type == BF_KEY_INT) {
		value.type = TREE_INT;
		value.i = strtoll(key->fallback, NULL, 0);
	} else if (key->type == BF_KEY_NUMBER) {
		value.type = TREE_NUMBER;
		value.number = strtod(key->fallback, NULL);
	}
	reader->value = &value;
	read_value(reader);
	reader->value = NULL;
}

/* What other programs call a key of this group. */
static const char *other_key(const char *name, const char *const *words)
{
	static const char *const names[][2] = {{"password", "password_file"}, {"username", "user"}, {"host", "tcp"},
		{"interval", "every"}, {"period", "every"}, {"factor", "scale"}, {"multiplier", "scale"},
		{"register", "holding"}, {"baud", "line"}, {"baudrate", "line"}, {"parity", "line"},
		{"slave", "address"}, {"slave_id", "address"}, {"unit_id", "address"}, {"datatype", "type"},
		{"data_type", "type"}, {"word_order", "words"}, {"byte_order", "bytes"}, {"precision", "decimals"},
		{"device", "port"}};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (size_t k = 0; strcmp(names[i][0], name) == 0 && words[k]; k++)
			if (strcmp(names[i][1], words[k]) == 0)
				return words[k];
	return NULL;
}

static void unknown(struct reader *reader, const struct tree *setting, const struct schema_part *parts, size_t n_parts)
{
	const char *words[KEYS_MAX + 1] = {0};
	size_t n = 0;
	for (size_t i = 0; i < n_parts; i++)
		for (const struct bf_key *key = parts[i].keys; key->name && n < KEYS_MAX; key++)
			words[n++] = key->name;
	const char *near = other_key(setting->name, words);
	if (!near)
		near = faults_did_you_mean(setting->name, words);
	faults_add(reader->faults, FAULT_ERROR, &setting->key,
		near ? arena_format(reader->arena, "did you mean \"%s\"?", near) : NULL, "unknown setting \"%s\" in %s",
		setting->name, reader->what);
	reader->ok = false;
}

static const struct bf_key *row_of(const char *name, const struct schema_part *parts, size_t n_parts, void **ret_to)
{
	for (size_t i = 0; i < n_parts; i++)
		for (const struct bf_key *key = parts[i].keys; key->name; key++)
			if (strcmp(key->name, name) == 0) {
				*ret_to = parts[i].to;
				return key;
			}
	return NULL;
}

bool schema_read(const char *what, const struct tree *group, const struct schema_part *parts, size_t n_parts,
	struct arena *arena, struct faults *faults)
{
	struct reader reader = {.what = what, .arena = arena, .faults = faults, .ok = true};
	for (size_t i = 0; i < n_parts; i++)
		for (const struct bf_key *key = parts[i].keys; key->name; key++) {
			reader.key = key;
			reader.field = (unsigned char *)parts[i].to + key->offset;
			fall_back(&reader);
		}
	bool all_ok = true;
	for (const struct tree *setting = group ? group->first : NULL; setting; setting = setting->next) {
		void *to = NULL;
		reader.ok = true;
		reader.key = row_of(setting->name, parts, n_parts, &to);
		reader.value = setting;
		if (!reader.key) {
			unknown(&reader, setting, parts, n_parts);
		} else if (reader.key->flags & BF_KEY_NOT_YET) {
			faults_add(
				faults, FAULT_ERROR, &setting->key, NULL, "\"%s\" is not yet supported", setting->name);
			reader.ok = false;
		} else {
			reader.field = (unsigned char *)to + reader.key->offset;
			read_value(&reader);
		}
		all_ok = all_ok && reader.ok;
	}
	for (size_t i = 0; group && i < n_parts; i++)
		for (const struct bf_key *key = parts[i].keys; key->name; key++)
			if ((key->flags & BF_KEY_REQUIRED) && !tree_get(group, key->name)) {
				schema_fault(faults, group, NULL,
					arena_format(arena, "write %s: …   # %s", key->name, key->help),
					"\"%s\" is required in %s", key->name, what);
				all_ok = false;
			}
	return all_ok;
}

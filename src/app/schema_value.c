/*
 * One value of the map, read by its row: schema_value.h.
 *
 * Why exact types: libconfig converts in silence (0.5 to 0, "1" to nothing), and a map that is half understood polls
 * the wrong registers.  So a value either is what its row says, or is a fault that says what it should be.
 *
 * Invariant: a field is written by its fallback or by a value that lies within its row, by nothing else.
 */
#include "app/schema_value.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BYTES_MAX 256

static void fault(struct schema_reader *reader, const char *hint, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void fault(struct schema_reader *reader, const char *hint, const char *format, ...)
{
	char what[512];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	faults_add(reader->faults, FAULT_ERROR, &reader->value->at, hint, "%s", what);
	reader->ok = false;
}

static void set_int(struct schema_reader *reader, int number)
{
	memcpy(reader->field, &number, sizeof(number));
}

static void set_int64(struct schema_reader *reader, int64_t number)
{
	memcpy(reader->field, &number, sizeof(number));
}

static void set_double(struct schema_reader *reader, double number)
{
	memcpy(reader->field, &number, sizeof(number));
}

static void set_pointer(struct schema_reader *reader, const void *pointer)
{
	memcpy(reader->field, &pointer, sizeof(pointer));
}

static void clear(const struct bf_key *key, unsigned char *to)
{
	struct schema_reader reader = {.field = to};
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
	case BF_KEY_BYTES:
		memset(to, 0, sizeof(struct bf_bytes));
		break;
	case BF_KEY_PAIRS:
		memset(to, 0, sizeof(struct bf_pairs));
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

static void choice_fault(struct schema_reader *reader)
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

static void type_fault(struct schema_reader *reader, const char *wanted)
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

static bool in_range(struct schema_reader *reader, double number)
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

static void read_int(struct schema_reader *reader)
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

static void read_number(struct schema_reader *reader)
{
	const struct tree *value = reader->value;
	if (value->type != TREE_INT && value->type != TREE_NUMBER)
		type_fault(reader, "a number");
	else if (in_range(reader, tree_number(value)))
		set_double(reader, tree_number(value));
}

/* Durations in µs and sizes in bytes; `one` is what a bare 1 is. */
static void read_quantity(struct schema_reader *reader, int (*parse)(const char *, int64_t *), double one)
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

static void read_texts(struct schema_reader *reader)
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

static void read_scalar(struct schema_reader *reader)
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

static void read_bytes(struct schema_reader *reader)
{
	uint8_t bytes[BYTES_MAX];
	if (reader->value->type != TREE_TEXT) {
		type_fault(reader, "bytes in double quotes, such as \"42 4D\"");
		return;
	}
	int n = bf_bytes_parse(reader->value->text, bytes, sizeof(bytes));
	if (n < 0) {
		fault(reader, n == -EINVAL ? "write pairs of hexadecimal digits: \"42 4D\"" : NULL,
			n == -EINVAL ? "\"%s\" is \"%s\", that is no row of bytes"
				     : "\"%s\" is \"%s\", that is more than 256 bytes",
			reader->key->name, reader->value->text);
		return;
	}
	uint8_t *own = arena_array(reader->arena, n ? (size_t)n : 1, 1);
	memcpy(own, bytes, (size_t)n);
	struct bf_bytes row = {own, (size_t)n};
	memcpy(reader->field, &row, sizeof(row));
}

static void read_pairs(struct schema_reader *reader)
{
	const struct tree *value = reader->value;
	if (value->type != TREE_GROUP) {
		type_fault(reader, "a group of names and numbers");
		return;
	}
	const char **names = arena_array(reader->arena, value->n ? value->n : 1, sizeof(*names));
	int *numbers = arena_array(reader->arena, value->n ? value->n : 1, sizeof(*numbers));
	size_t n = 0;
	for (const struct tree *item = value->first; item; item = item->next, n++) {
		struct bf_key row = {.name = item->name, .min = reader->key->min, .max = reader->key->max};
		struct schema_reader inner = *reader;
		inner.key = &row;
		inner.value = item;
		inner.field = (unsigned char *)&numbers[n];
		names[n] = arena_text(reader->arena, item->name);
		read_int(&inner);
		reader->ok = inner.ok;
		if (!inner.ok)
			return;
	}
	struct bf_pairs pairs = {names, numbers, n};
	memcpy(reader->field, &pairs, sizeof(pairs));
}

static void read_node(struct schema_reader *reader)
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

void schema_value_read(struct schema_reader *reader)
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
	case BF_KEY_BYTES:
		read_bytes(reader);
		break;
	case BF_KEY_PAIRS:
		read_pairs(reader);
		break;
	case BF_KEY_NODE:
		read_node(reader);
		break;
	}
}

void schema_value_fall_back(struct schema_reader *reader)
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
	schema_value_read(reader);
	reader->value = NULL;
}

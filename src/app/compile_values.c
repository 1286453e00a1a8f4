/*
 * What the values of a metric mean: words, bits, sentinels, and which change is worth telling.  See compile.h.
 *
 * Sentinels are kept as raw bits in the width of the type, because that is what data sheets print (0x8000, 0xFFFFFFFF):
 * a hexadecimal number is those bits; a decimal one is the value, encoded as the device would encode it.
 */
#include "app/compile.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_signed(enum bf_type type)
{
	return type == BF_TYPE_S8 || type == BF_TYPE_S16 || type == BF_TYPE_S32 || type == BF_TYPE_S64;
}

bool compile_is_whole(enum bf_type type)
{
	return is_signed(type) || type == BF_TYPE_U8 || type == BF_TYPE_U16 || type == BF_TYPE_U24 ||
	       type == BF_TYPE_U32 || type == BF_TYPE_U64;
}

/* Can a value of this type be that number? */
static bool in_type(enum bf_type type, int64_t number)
{
	unsigned width = plan_type_bits(type);
	if (type == BF_TYPE_BCD16 || type == BF_TYPE_BCD32)
		return number >= 0 && number <= (type == BF_TYPE_BCD16 ? 9999 : 99999999);
	if (is_signed(type))
		return width == 64 || (number >= -(INT64_C(1) << (width - 1)) && number < INT64_C(1) << (width - 1));
	return number >= 0 && (width == 64 || number < INT64_C(1) << width);
}

static void told_at(struct compile *compile, const struct tree *at, const char *hint, const char *what)
{
	faults_add(compile->faults, FAULT_ERROR, &at->at, hint, "%s", what);
}

/* "16=eco" → 16 and "eco".  False when it has not this form. */
static bool numbered(const char *text, int64_t *ret_number, const char **ret_word)
{
	char *end;
	if (!isdigit((unsigned char)text[text[0] == '-']))
		return false;
	errno = 0;
	long long number = strtoll(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
	while (*end == ' ')
		end++;
	if (*end != '=' || errno)
		return false;
	end++;
	*ret_number = number;
	*ret_word = end + strspn(end, " ");
	return true;
}

static int by_number(const void *a, const void *b)
{
	const struct plan_word *x = a, *y = b;
	return x->number < y->number ? -1 : x->number > y->number;
}

void compile_enum(struct compile *compile, const struct tree *at, const struct tree *list, struct plan_metric *metric)
{
	enum bf_type type = metric->shape.type;
	if (!compile_is_whole(type) && type != BF_TYPE_BCD16 && type != BF_TYPE_BCD32) {
		compile_fault(
			compile, at, "enum", NULL, "\"enum\" needs a whole number, not \"%s\"", bf_type_name(type));
		return;
	}
	if (list->n == 0)
		compile_fault(compile, at, "enum", NULL, "\"enum\" is an empty list");
	struct plan_word *words = arena_array(compile->keep, list->n ? list->n : 1, sizeof(*words));
	bool first_numbered = false, mixed = false;
	size_t n = 0;
	for (const struct tree *item = list->first; item; item = item->next, n++) {
		const char *word = item->text;
		int64_t number = (int64_t)n;
		if (item->type != TREE_TEXT) {
			told_at(compile, item, "write \"off\" or \"16=eco\"", "\"enum\" is a list of texts");
			return;
		}
		bool is_numbered = numbered(item->text, &number, &word);
		if (n == 0)
			first_numbered = is_numbered;
		mixed |= is_numbered != first_numbered;
		if (is_numbered != first_numbered)
			told_at(compile, item, "write all of them as \"number=word\"",
				"\"enum\" has words with and without a number");
		else if (word[0] == '\0')
			told_at(compile, item, NULL, "\"enum\" has an empty word");
		else if (!in_type(type, number))
			faults_add(compile->faults, FAULT_ERROR, &item->at, NULL,
				"a value of type \"%s\" is never %lld", bf_type_name(type), (long long)number);
		words[n] = (struct plan_word){number, arena_text(compile->keep, word)};
	}
	qsort(words, n, sizeof(*words), by_number);
	for (size_t i = 1; i < n && !mixed; i++)
		if (words[i].number == words[i - 1].number) {
			compile_fault(compile, at, "enum", NULL, "\"enum\" has two words for %lld",
				(long long)words[i].number);
			break;
		}
	metric->words = words;
	metric->n_words = (uint32_t)n;
}

/*
 * "0xFFFF", "-1", "18446744073709551615": what libconfig's numbers can't hold stands in a text, so it may have all 64
 * bits; beyond_int is for those that are negative as the node's number.  0; -EINVAL when it is no such text; -ERANGE.
 */
static int whole_of_text(const char *text, struct tree *ret_number, bool *ret_beyond_int)
{
	bool minus = text[0] == '-', hex = strncasecmp(text, "0x", 2) == 0;
	char *end;
	if (!isxdigit((unsigned char)text[minus ? 1 : hex ? 2 : 0]))
		return -EINVAL;
	errno = 0;
	int64_t number = minus ? strtoll(text, &end, 10) : (int64_t)strtoull(text, &end, hex ? 16 : 10);
	if (end == text || *end)
		return -EINVAL;
	if (errno)
		return -ERANGE;
	ret_number->type = TREE_INT;
	ret_number->hex = hex;
	ret_number->i = number;
	*ret_beyond_int = !minus && !hex && number < 0;
	return 0;
}

/* One sentinel as raw bits.  NULL when all is well, else what is wrong. */
static const char *sentinel(
	struct compile *compile, const struct tree *at, const struct bf_shape *shape, uint64_t *ret_raw)
{
	const char *too_wide = arena_format(
		&compile->scratch, "\"invalid\" does not fit into the type \"%s\"", bf_type_name(shape->type));
	unsigned width = plan_type_bits(shape->type);
	uint64_t mask = width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;
	struct tree number = *at;
	bool beyond_int = false;
	if (at->type == TREE_TEXT) {
		int error = whole_of_text(at->text, &number, &beyond_int);
		if (error)
			return error == -ERANGE ? too_wide : "\"invalid\" is a text, but the metric is a number";
	} else if (at->type != TREE_INT && at->type != TREE_NUMBER) {
		return "\"invalid\" must be numbers or texts";
	}
	bool whole = compile_is_whole(shape->type);
	if (number.type == TREE_NUMBER && whole)
		return "\"invalid\" is compared with the raw value, which is a whole number";
	if (number.hex || whole) {
		uint64_t raw = (uint64_t)number.i;
		bool negative = !number.hex && !beyond_int && number.i < 0;
		bool fits = negative ? width == 64 || number.i >= -(INT64_C(1) << (width - 1)) : (raw & ~mask) == 0;
		if (!fits)
			return too_wide;
		*ret_raw = raw & mask;
		return NULL;
	}
	if (beyond_int)
		return too_wide;
	uint8_t bytes[8];
	struct bf_value value = {.kind = BF_FLOAT64, .f64 = tree_number(&number)};
	int n = bf_encode(shape, &value, bytes, sizeof(bytes));
	if (n < 0)
		return too_wide;
	*ret_raw = bf_decode_raw(shape, bytes, (size_t)n);
	return NULL;
}

void compile_invalid(
	struct compile *compile, const struct tree *at, const struct tree *invalid, struct plan_metric *metric)
{
	if (metric->shape.type == BF_TYPE_BOOL) {
		compile_fault(compile, at, "invalid", NULL, "\"invalid\" has no meaning for true and false");
		return;
	}
	bool text = metric->shape.type == BF_TYPE_STRING;
	size_t n = invalid->type == TREE_LIST ? invalid->n : 1, given = 0;
	const char **texts = arena_array(compile->keep, text && n ? n : 1, sizeof(*texts));
	uint64_t *raws = arena_array(compile->keep, !text && n ? n : 1, sizeof(*raws));
	const struct tree *item = invalid->type == TREE_LIST ? invalid->first : invalid;
	for (size_t i = 0; i < n; i++, item = item->next) {
		if (text && item->type == TREE_TEXT) {
			texts[given++] = arena_text(compile->keep, item->text);
			continue;
		}
		const char *wrong = text ? "\"invalid\" of a string must be a text"
					 : sentinel(compile, item, &metric->shape, &raws[given]);
		if (wrong)
			told_at(compile, item, NULL, wrong);
		else
			given++;
	}
	if (text) {
		struct bf_texts *list = arena_alloc(compile->keep, sizeof(*list));
		*list = (struct bf_texts){texts, given};
		metric->invalid_texts = list;
	} else {
		metric->invalid = raws;
		metric->n_invalid = (uint32_t)given;
	}
}

/* "8-10" */
static bool bit_range(const char *text, unsigned *ret_low, unsigned *ret_high)
{
	char *end;
	if (!isdigit((unsigned char)*text))
		return false;
	unsigned long low = strtoul(text, &end, 10);
	if (*end != '-' || !isdigit((unsigned char)end[1]))
		return false;
	unsigned long high = strtoul(end + 1, &end, 10);
	if (*end || high < low || high > UINT8_MAX)
		return false;
	*ret_low = (unsigned)low;
	*ret_high = (unsigned)high;
	return true;
}

bool compile_bit(struct compile *compile, const struct tree *bit, struct plan_metric *metric)
{
	unsigned width = plan_type_bits(metric->shape.type), low, high;
	if (bit->type == TREE_INT && bit->i >= 0 && bit->i < 64) {
		low = high = (unsigned)bit->i;
	} else if (bit->type != TREE_TEXT || !bit_range(bit->text, &low, &high)) {
		faults_add(compile->faults, FAULT_ERROR, &bit->at, "write 3 for bit 3, \"8-10\" for a range",
			"\"%s\" is neither a bit nor a range of bits", bit->name);
		return false;
	}
	if (high >= width) {
		faults_add(compile->faults, FAULT_ERROR, &bit->at, NULL, "a \"%s\" has only the bits 0 to %u",
			bf_type_name(metric->shape.type), width - 1);
		return false;
	}
	metric->bit = (uint8_t)low;
	metric->n_bits = (uint8_t)(high - low + 1);
	return true;
}

void compile_deadband(
	struct compile *compile, const struct tree *at, const struct map_metric *map, struct plan_metric *metric)
{
	const struct bf_scalar *given = &map->deadband;
	metric->deadband = NAN;
	if (given->kind == BF_SCALAR_NONE) {
		if (tree_get(at, "heartbeat") && !tree_get(at, "deadband"))
			compile_warning(compile, at, "heartbeat", "write deadband: 0 to tell every change",
				"\"heartbeat\" has no effect without a \"deadband\": every poll is told");
		return;
	}
	double band = given->number;
	if (given->kind == BF_SCALAR_TEXT) {
		char *end;
		band = strtod(given->text, &end);
		metric->deadband_percent = *end == '%' && end[1] == '\0';
		if (end == given->text || !metric->deadband_percent) {
			compile_fault(compile, at, "deadband", "write 0.2 or \"2%\"",
				"\"deadband\" is \"%s\", it must be a number or a percentage", given->text);
			return;
		}
	}
	enum bf_type type = metric->shape.type;
	if (!(band >= 0) || !isfinite(band))
		compile_fault(compile, at, "deadband", NULL, "\"deadband\" cannot be less than 0");
	else if (band != 0 && (type == BF_TYPE_STRING || type == BF_TYPE_BOOL || map->words_of || map->bits))
		compile_fault(compile, at, "deadband", "write deadband: 0 to tell every change",
			"the only \"deadband\" of %s is 0",
			type == BF_TYPE_STRING ? "a text"
			: type == BF_TYPE_BOOL ? "true and false"
			: map->bits            ? "bits"
					       : "an enum");
	metric->deadband = band;
	metric->heartbeat_us = map->heartbeat_us > 0 ? map->heartbeat_us : 0;
}

/*
 * Datatypes and values of Sparkplug.  See sparkplug_type.h.
 *
 * Why by the plan and not by what is read: a birth says the type before the first reading may have come, and a host
 * holds on to it.
 *
 * Why never Int8, Int16 and UInt32: programs do not agree on how these are encoded, whether a negative Int16 is
 * extended to 32 bits, and whether a UInt32 stands in int_value, as in the specification, or in long_value, as in
 * Eclipse Tahu and what was made after it (eclipse-tahu/tahu #76, #131, #397; eclipse-sparkplug/sparkplug #102).  Int32
 * and Int64 hold the same values, and all agree on them.
 */
#include "ship/sparkplug_type.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum sparkplug_type type_of_bits(unsigned n)
{
	return n == 1    ? SPARKPLUG_BOOLEAN
	       : n <= 8  ? SPARKPLUG_UINT8
	       : n <= 16 ? SPARKPLUG_UINT16
	       : n <= 32 ? SPARKPLUG_INT64
			 : SPARKPLUG_UINT64;
}

enum sparkplug_type sparkplug_type_of(const struct plan_metric *metric)
{
	static const uint8_t types[BF_N_TYPES] = {
		[BF_TYPE_U16] = SPARKPLUG_UINT16,
		[BF_TYPE_U8] = SPARKPLUG_UINT8,
		[BF_TYPE_S8] = SPARKPLUG_INT32,
		[BF_TYPE_S16] = SPARKPLUG_INT32,
		[BF_TYPE_U24] = SPARKPLUG_INT64,
		[BF_TYPE_U32] = SPARKPLUG_INT64,
		[BF_TYPE_S32] = SPARKPLUG_INT32,
		[BF_TYPE_U64] = SPARKPLUG_UINT64,
		[BF_TYPE_S64] = SPARKPLUG_INT64,
		[BF_TYPE_F16] = SPARKPLUG_FLOAT,
		[BF_TYPE_F32] = SPARKPLUG_FLOAT,
		[BF_TYPE_F64] = SPARKPLUG_DOUBLE,
		[BF_TYPE_BCD16] = SPARKPLUG_UINT16,
		[BF_TYPE_BCD32] = SPARKPLUG_INT64,
		[BF_TYPE_STRING] = SPARKPLUG_STRING,
		[BF_TYPE_BOOL] = SPARKPLUG_BOOLEAN,
	};
	enum sparkplug_type type = types[metric->shape.type];
	bool coil = metric->place.count &&
		    (metric->place.space == BF_SPACE_COIL || metric->place.space == BF_SPACE_DISCRETE);
	if (metric->n_words)
		return SPARKPLUG_STRING;
	if (type == SPARKPLUG_STRING)
		return type;
	if (metric->n_bits)
		return type_of_bits(metric->n_bits);
	if (type == SPARKPLUG_BOOLEAN || coil)
		return SPARKPLUG_BOOLEAN;
	if (metric->scaled || metric->scale_from)
		return SPARKPLUG_DOUBLE;
	/* The mean of integers has a fraction; whether a sensor's numbers have one, its driver alone knows. */
	bool whole = type != SPARKPLUG_FLOAT && type != SPARKPLUG_DOUBLE;
	return whole && (metric->reduce == REDUCE_MEAN || metric->keys) ? SPARKPLUG_DOUBLE : type;
}

static bool fit_word(const struct plan_metric *metric, struct bf_value *value, char text[static BF_STRING_MAX + 1])
{
	int64_t number = value->kind == BF_SIGNED ? value->i : (int64_t)value->u;
	const char *word = NULL;
	if (value->kind != BF_SIGNED && value->kind != BF_UNSIGNED)
		return false;
	for (uint32_t i = 0; i < metric->n_words && !word; i++)
		if (metric->words[i].number == number)
			word = metric->words[i].word;
	if (!word && bf_value_print(value, -1, text) < 0)
		return false;
	*value = (struct bf_value){.kind = BF_TEXT};
	value->text.at = word ? word : text;
	value->text.n = strlen(value->text.at);
	return true;
}

static bool fit_text(struct bf_value *value, char text[static BF_STRING_MAX + 1])
{
	if (value->kind != BF_TEXT || value->text.n > BF_STRING_MAX)
		return false;
	if (value->text.at != text)
		memcpy(text, value->text.at, value->text.n);
	text[value->text.n] = '\0';
	value->text.at = text;
	return true;
}

static bool fit_signed(struct bf_value *value, int64_t least, int64_t most)
{
	if (value->kind == BF_UNSIGNED && value->u <= INT64_MAX)
		*value = (struct bf_value){.kind = BF_SIGNED, .i = (int64_t)value->u};
	return value->kind == BF_SIGNED && value->i >= least && value->i <= most;
}

static bool fit_unsigned(struct bf_value *value, uint64_t most)
{
	if (value->kind == BF_SIGNED && value->i >= 0)
		*value = (struct bf_value){.kind = BF_UNSIGNED, .u = (uint64_t)value->i};
	return value->kind == BF_UNSIGNED && value->u <= most;
}

/* As it is printed elsewhere: 21.5 is told and not 21.500000000000004. */
static bool fit_fraction(const struct plan_metric *metric, bool narrow, struct bf_value *value)
{
	char digits[BF_NUMBER_SIZE];
	double number = bf_value_number(value);
	if (value->kind < BF_SIGNED || value->kind > BF_FLOAT64 || !isfinite(number))
		return false;
	bool fraction = value->kind >= BF_FLOAT16;
	if (fraction && metric->decimals >= 0 && bf_value_print(value, metric->decimals, digits) > 0)
		number = strtod(digits, NULL);
	*value = narrow ? (struct bf_value){.kind = BF_FLOAT32, .f32 = (float)number}
			: (struct bf_value){.kind = BF_FLOAT64, .f64 = number};
	return true;
}

bool sparkplug_type_fit(const struct plan_metric *metric, struct bf_value *value, char text[static BF_STRING_MAX + 1])
{
	enum sparkplug_type type = sparkplug_type_of(metric);
	switch (type) {
	case SPARKPLUG_STRING:
		return metric->n_words ? fit_word(metric, value, text) : fit_text(value, text);
	case SPARKPLUG_BOOLEAN:
		return value->kind == BF_BOOLEAN;
	case SPARKPLUG_FLOAT:
	case SPARKPLUG_DOUBLE:
		return fit_fraction(metric, type == SPARKPLUG_FLOAT, value);
	case SPARKPLUG_INT32:
		return fit_signed(value, INT32_MIN, INT32_MAX);
	case SPARKPLUG_INT64:
		return fit_signed(value, INT64_MIN, INT64_MAX);
	case SPARKPLUG_UINT8:
		return fit_unsigned(value, UINT8_MAX);
	case SPARKPLUG_UINT16:
		return fit_unsigned(value, UINT16_MAX);
	case SPARKPLUG_UINT64:
		return fit_unsigned(value, UINT64_MAX);
	default:
		return false;
	}
}

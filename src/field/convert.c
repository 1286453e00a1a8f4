/*
 * Decode, sentinel, bits, scale: see convert.h.
 */
#include "field/convert.h"

#include <math.h>
#include <string.h>

static bool is_bits(enum bf_space space)
{
	return space == BF_SPACE_COIL || space == BF_SPACE_DISCRETE;
}

struct bf_place convert_place(const struct plan_metric *metric)
{
	struct bf_place place = metric->place;
	if (metric->scale_from) {
		uint32_t end = (uint32_t)place.at + place.count;
		uint32_t scale_end = (uint32_t)metric->scale_place.at + metric->scale_place.count;
		if (metric->scale_place.at < place.at)
			place.at = metric->scale_place.at;
		place.count = (uint16_t)((end > scale_end ? end : scale_end) - place.at);
	}
	return place;
}

/* raw: NULL = no bits that a sentinel could be. */
static bool is_sentinel(const struct plan_metric *metric, const uint64_t *raw, const struct bf_value *value)
{
	for (size_t i = 0; raw && i < metric->n_invalid; i++)
		if (metric->invalid[i] == *raw)
			return true;
	if (value->kind == BF_TEXT)
		for (size_t i = 0; metric->invalid_texts && i < metric->invalid_texts->n; i++)
			if (strlen(metric->invalid_texts->at[i]) == value->text.n &&
				memcmp(metric->invalid_texts->at[i], value->text.at, value->text.n) == 0)
				return true;
	return false;
}

static struct bf_value take_bits(const struct plan_metric *metric, const struct bf_value *whole)
{
	uint64_t bits = (whole->kind == BF_SIGNED ? (uint64_t)whole->i : whole->u) >> metric->bit;
	if (metric->n_bits == 1)
		return (struct bf_value){.kind = BF_BOOLEAN, .yes = bits & 1};
	uint64_t mask = metric->n_bits >= 64 ? UINT64_MAX : (UINT64_C(1) << metric->n_bits) - 1;
	return (struct bf_value){.kind = BF_UNSIGNED, .u = bits & mask};
}

#define EXPONENT_MAX 10 /* SunSpec: -10..10; what is beyond is out of all reason */

static const double power_of_ten[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10};
_Static_assert(sizeof(power_of_ten) / sizeof(power_of_ten[0]) == EXPONENT_MAX + 1, "one for each");

/* The decimals that scale and exponent imply: 3 × 10^-1 × 0.1 is 0.03, and nothing behind it. */
static double implied(const struct plan_metric *metric, int exponent, double number)
{
	int decimals = bf_decimals_of(metric->scale) - exponent, by_offset = bf_decimals_of(metric->offset);
	if (decimals < by_offset)
		decimals = by_offset;
	if (decimals < 0 || decimals > 2 * EXPONENT_MAX)
		return number;
	double power = power_of_ten[decimals / 2] * power_of_ten[decimals - decimals / 2];
	double digits = number * power;
	return fabs(digits) < 0x1p53 ? nearbyint(digits) / power : number;
}

/* value × scale × 10^exponent + offset; integers stay integers where nothing is scaled. */
static enum quality scale_value(const struct plan_metric *metric, int exponent, struct bf_value *value)
{
	if (!metric->scaled && exponent == 0)
		return QUALITY_GOOD;
	if (value->kind == BF_TEXT || value->kind == BF_BOOLEAN || metric->n_words)
		return QUALITY_GOOD;
	double number = bf_value_number(value) * metric->scale;
	if (exponent < 0)
		number /= power_of_ten[-exponent];
	else
		number *= power_of_ten[exponent];
	number += metric->offset;
	if (!isfinite(number))
		return QUALITY_INVALID;
	bool whole = value->kind == BF_SIGNED || value->kind == BF_UNSIGNED;
	if (metric->scale_from && metric->decimals < 0 && whole)
		number = implied(metric, exponent, number);
	*value = (struct bf_value){.kind = BF_FLOAT64, .f64 = number};
	return QUALITY_GOOD;
}

enum quality convert_metric(const struct plan_metric *metric, const struct bf_place *asked, const uint8_t *bytes,
	char text[static BF_STRING_MAX + 1], struct bf_value *ret_value)
{
	*ret_value = (struct bf_value){.kind = BF_NONE};
	size_t at = (size_t)(metric->place.at - asked->at);
	if (is_bits(metric->place.space)) {
		*ret_value = (struct bf_value){.kind = BF_BOOLEAN, .yes = bytes[at / 8] >> (at % 8) & 1};
		return QUALITY_GOOD;
	}
	const uint8_t *own = bytes + 2 * at;
	size_t n = (size_t)metric->place.count * 2;
	struct bf_value value;
	if (bf_decode(&metric->shape, own, n, text, &value) < 0)
		return QUALITY_INVALID;
	uint64_t raw = metric->n_invalid ? bf_decode_raw(&metric->shape, own, n) : 0;
	if (is_sentinel(metric, &raw, &value))
		return QUALITY_INVALID;
	if (metric->n_bits)
		value = take_bits(metric, &value);
	int exponent = 0;
	if (metric->scale_from) {
		const uint8_t *from = bytes + (size_t)(metric->scale_place.at - asked->at) * 2;
		exponent = (int16_t)(uint16_t)(from[0] << 8 | from[1]);
		if (exponent < -EXPONENT_MAX || exponent > EXPONENT_MAX)
			return QUALITY_INVALID;
	}
	enum quality quality = scale_value(metric, exponent, &value);
	if (quality == QUALITY_GOOD)
		*ret_value = value;
	return quality;
}

/* The bits of a number in the width of its metric's type, as sentinels are kept.  False when the type can't hold it. */
static bool raw_of(const struct plan_metric *metric, const struct bf_value *value, uint64_t *ret_raw)
{
	static const uint64_t masks[BF_N_TYPES] = {[BF_TYPE_U8] = UINT8_MAX,
		[BF_TYPE_S8] = UINT8_MAX,
		[BF_TYPE_U16] = UINT16_MAX,
		[BF_TYPE_S16] = UINT16_MAX,
		[BF_TYPE_U24] = 0xFFFFFF,
		[BF_TYPE_U32] = UINT32_MAX,
		[BF_TYPE_S32] = UINT32_MAX,
		[BF_TYPE_U64] = UINT64_MAX,
		[BF_TYPE_S64] = UINT64_MAX};
	double number = bf_value_number(value);
	uint64_t mask = masks[metric->shape.type];
	if (metric->shape.type == BF_TYPE_F32) {
		float narrow = (float)number;
		uint32_t bits;
		memcpy(&bits, &narrow, sizeof(bits));
		*ret_raw = bits;
	} else if (metric->shape.type == BF_TYPE_F64) {
		memcpy(ret_raw, &number, sizeof(*ret_raw));
	} else if (value->kind == BF_SIGNED) {
		*ret_raw = (uint64_t)value->i & mask;
	} else if (value->kind == BF_UNSIGNED) {
		*ret_raw = value->u & mask;
	} else if (fabs(number) < 0x1p63) {
		*ret_raw = (uint64_t)(int64_t)number & mask;
	} else {
		return false;
	}
	return true;
}

static bool is_whole(const struct bf_value *value)
{
	return value->kind == BF_SIGNED || value->kind == BF_UNSIGNED;
}

enum quality convert_value(const struct plan_metric *metric, const struct bf_value *raw, struct bf_value *ret_value)
{
	struct bf_value value = *raw;
	*ret_value = (struct bf_value){.kind = BF_NONE};
	bool number = value.kind >= BF_SIGNED && value.kind <= BF_FLOAT64;
	if (value.kind == BF_NONE || (number && !isfinite(bf_value_number(&value))))
		return QUALITY_INVALID;
	uint64_t bits;
	bool has_bits = number && metric->n_invalid && raw_of(metric, &value, &bits);
	if (is_sentinel(metric, has_bits ? &bits : NULL, &value))
		return QUALITY_INVALID;
	if ((metric->n_bits || metric->n_words) && !is_whole(&value))
		return QUALITY_INVALID;
	if (metric->n_bits)
		value = take_bits(metric, &value);
	enum quality quality = scale_value(metric, 0, &value);
	if (quality == QUALITY_GOOD)
		*ret_value = value;
	return quality;
}

enum quality convert_judge(const struct plan_metric *metric, enum quality quality, const struct bf_value *value)
{
	bool numeric = value->kind >= BF_SIGNED && value->kind <= BF_FLOAT64;
	double number = bf_value_number(value);
	bool beyond = number < metric->min || number > metric->max; /* false for NaN */
	return quality == QUALITY_GOOD && numeric && beyond ? QUALITY_RANGE : quality;
}

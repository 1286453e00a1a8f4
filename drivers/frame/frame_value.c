/*
 * A metric of a sound frame: where it lies, and what it is.
 *
 * A frame is checked, but not all of a kind are of one length and not all have every value, so each place is looked at
 * before it is read: what lies beyond the end is said by nobody (-ENOENT).  Numbers are put into registers and go
 * through the sdk's decoder, so that a float or a sentinel is here what it is on a Modbus line.
 * Pure; any thread.
 */
#include "frame.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* In the order of FRAME_TYPES. */
static const struct frame_type types[] = {
	{FRAME_NUMBER, BF_TYPE_U8, 1, false},
	{FRAME_NUMBER, BF_TYPE_S8, 1, false},
	{FRAME_NUMBER, BF_TYPE_U16, 2, false},
	{FRAME_NUMBER, BF_TYPE_U16, 2, true},
	{FRAME_NUMBER, BF_TYPE_S16, 2, false},
	{FRAME_NUMBER, BF_TYPE_S16, 2, true},
	{FRAME_MAGNITUDE, BF_TYPE_S16, 2, false},
	{FRAME_MAGNITUDE, BF_TYPE_S16, 2, true},
	{FRAME_NUMBER, BF_TYPE_U24, 3, false},
	{FRAME_NUMBER, BF_TYPE_U24, 3, true},
	{FRAME_NUMBER, BF_TYPE_U32, 4, false},
	{FRAME_NUMBER, BF_TYPE_U32, 4, true},
	{FRAME_NUMBER, BF_TYPE_S32, 4, false},
	{FRAME_NUMBER, BF_TYPE_S32, 4, true},
	{FRAME_NUMBER, BF_TYPE_U64, 8, false},
	{FRAME_NUMBER, BF_TYPE_U64, 8, true},
	{FRAME_NUMBER, BF_TYPE_S64, 8, false},
	{FRAME_NUMBER, BF_TYPE_S64, 8, true},
	{FRAME_NUMBER, BF_TYPE_F32, 4, false},
	{FRAME_NUMBER, BF_TYPE_F32, 4, true},
	{FRAME_NUMBER, BF_TYPE_F64, 8, false},
	{FRAME_NUMBER, BF_TYPE_F64, 8, true},
	{FRAME_DIGITS, BF_TYPE_U64, 0, false},
	{FRAME_BCD, BF_TYPE_U64, 0, false},
	{FRAME_TEXT, BF_TYPE_STRING, 0, false},
};

const struct frame_type *frame_type(int type)
{
	return &types[type];
}

unsigned frame_metric_size(const struct frame_metric *metric)
{
	return types[metric->type].size ? types[metric->type].size : (unsigned)metric->length;
}

/* Bytes of a frame, or of one of its records. */
struct part {
	const uint8_t *at;
	size_t n;
};

static int digit_of(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -EINVAL;
}

int frame_tag(const char *name)
{
	if (name[0] != 't' || strlen(name) != 3 || digit_of(name[1]) < 0 || digit_of(name[2]) < 0)
		return -EINVAL;
	return digit_of(name[1]) << 4 | digit_of(name[2]);
}

static int size_of_tag(const struct frame_message *keys, int tag, int *ret_size)
{
	for (size_t i = 0; i < keys->tagged_sizes.n; i++)
		if (frame_tag(keys->tagged_sizes.names[i]) == tag) {
			*ret_size = keys->tagged_sizes.numbers[i];
			return 0;
		}
	return -ENOENT;
}

/* The value of the record with that tag.  0; -ENOENT without one; -EDOM when the records before it make no sense. */
static int record(const struct frame_message *keys, int tag, struct part whole, struct part *ret_part)
{
	if (whole.n < (size_t)-keys->tagged_to)
		return -ENOENT;
	size_t to = whole.n - (size_t)-keys->tagged_to;
	for (size_t at = (size_t)keys->tagged_from; at < to;) {
		int is = whole.at[at++], size = 0;
		if (size_of_tag(keys, is, &size) < 0)
			return -EDOM;
		if (size < 0) {
			if (at == to)
				return -EDOM;
			size = whole.at[at++];
		}
		if ((size_t)size > to - at)
			return -EDOM;
		if (is == tag) {
			*ret_part = (struct part){whole.at + at, (size_t)size};
			return 0;
		}
		at += (size_t)size;
	}
	return -ENOENT;
}

/* The whole frame, or the record with the tag where one is given. */
static int part_of(const struct frame_message *keys, int tag, const struct bf_message *message, struct part *ret_part)
{
	struct part whole = {message->bytes, message->n};
	if (tag != BF_UNSET)
		return record(keys, tag, whole, ret_part);
	*ret_part = whole;
	return 0;
}

static int digits(enum frame_form form, const uint8_t *bytes, unsigned n, struct bf_value *ret_value)
{
	uint64_t number = 0;
	for (unsigned i = 0; i < n; i++) {
		if (form == FRAME_BCD) {
			unsigned high = bytes[i] >> 4, low = bytes[i] & 15;
			if (high > 9 || low > 9)
				return -EDOM;
			number = number * 100 + (uint64_t)high * 10 + low;
		} else {
			int digit = digit_of((char)(bytes[i] >= 'a' ? bytes[i] - 0x20 : bytes[i]));
			if (digit < 0)
				return -EDOM;
			number = number << 4 | (unsigned)digit;
		}
	}
	*ret_value = (struct bf_value){.kind = BF_UNSIGNED, .u = number};
	return 0;
}

static int text_of(const uint8_t *bytes, unsigned n, char text[static BF_STRING_MAX + 1], struct bf_value *ret_value)
{
	uint8_t registers[BF_STRING_MAX + 2] = {0};
	struct bf_shape shape = {.type = BF_TYPE_STRING, .length = (uint16_t)n};
	memcpy(registers, bytes, n);
	return bf_decode(&shape, registers, 2 * (size_t)bf_shape_registers(&shape), text, ret_value) < 0 ? -EDOM : 0;
}

static int number_of(const struct frame_type *type, const uint8_t *bytes, struct bf_value *ret_value)
{
	bool magnitude = type->form == FRAME_MAGNITUDE;
	struct bf_shape shape = {.type = magnitude ? BF_TYPE_U16 : type->type};
	uint8_t registers[8] = {0};
	char none[BF_STRING_MAX + 1];
	size_t n = 2 * (size_t)bf_shape_registers(&shape);
	for (unsigned i = 0; i < type->size; i++)
		registers[n - type->size + i] = bytes[type->little ? type->size - 1 - i : i];
	int err = bf_decode(&shape, registers, n, none, ret_value);
	if (err == 0 && magnitude) {
		int64_t size = (int64_t)(ret_value->u & 0x7FFF);
		*ret_value = (struct bf_value){.kind = BF_SIGNED, .i = ret_value->u & 0x8000 ? size : -size};
	}
	return err;
}

/* A value of that type and size at that place of a part.  0; -ENOENT beyond its end; -EDOM for what is no value. */
static int read_at(int type, unsigned size, struct part part, size_t at, char text[static BF_STRING_MAX + 1],
	struct bf_value *ret_value)
{
	if (at > part.n || size > part.n - at)
		return -ENOENT;
	const uint8_t *bytes = part.at + at;
	switch (types[type].form) {
	case FRAME_TEXT:
		return text_of(bytes, size, text, ret_value);
	case FRAME_DIGITS:
	case FRAME_BCD:
		return digits(types[type].form, bytes, size, ret_value);
	case FRAME_NUMBER:
	case FRAME_MAGNITUDE:
		break;
	}
	return number_of(&types[type], bytes, ret_value);
}

/* Does the frame say that the value is there?  1 yes, 0 no; -ENOENT, -EDOM. */
static int is_there(
	const struct frame_message *keys, const struct frame_metric *metric, const struct bf_message *message)
{
	struct part part;
	if (metric->when_at == BF_UNSET && metric->when_tag == BF_UNSET)
		return 1;
	int err = part_of(keys, metric->when_tag, message, &part);
	if (err < 0)
		return err;
	size_t at = metric->when_at == BF_UNSET ? 0 : (size_t)metric->when_at;
	if (at >= part.n)
		return -ENOENT;
	int bits = part.at[at] & metric->when_mask;
	return metric->when_is == BF_UNSET ? bits != 0 : bits == metric->when_is;
}

/* What is told instead, of the kind that the metric has. */
static int otherwise(const struct frame_metric *metric, struct bf_value *ret_value)
{
	struct bf_value value = {.kind = BF_FLOAT64, .f64 = metric->when_else};
	struct bf_shape shape = {.type = types[metric->type].type};
	uint8_t registers[8];
	char none[BF_STRING_MAX + 1];
	if (isnan(metric->when_else))
		return -ENOENT;
	if (metric->over_at == BF_UNSET) {
		int n = bf_encode(&shape, &value, registers, sizeof(registers));
		if (n < 0 || bf_decode(&shape, registers, (size_t)n, none, &value) < 0)
			return -EDOM;
	}
	*ret_value = value;
	return 0;
}

int frame_value(const struct bf_device *device, const void *metric, unsigned index, const struct bf_message *message,
	char text[static BF_STRING_MAX + 1], struct bf_value *ret_value)
{
	const struct frame_message *keys = device->messages[message->kind].keys;
	const struct frame_metric *of = metric;
	struct part part;
	if (keys->min_length != BF_UNSET && message->n < (size_t)keys->min_length)
		return -ENOENT;
	int there = is_there(keys, of, message);
	if (there <= 0)
		return there < 0 ? there : otherwise(of, ret_value);
	int err = part_of(keys, of->tag, message, &part);
	if (err < 0)
		return err;
	unsigned size = frame_metric_size(of);
	size_t ahead = index * (size_t)(of->step == BF_UNSET ? (int)size : of->step);
	size_t at = (of->at == BF_UNSET ? 0 : (size_t)of->at) + ahead;
	if (of->over_at == BF_UNSET)
		return read_at(of->type, size, part, at, text, ret_value);
	struct bf_value above, below;
	err = read_at(of->type, size, part, at, text, &above);
	if (err == 0)
		err = read_at(
			of->over_type, types[of->over_type].size, part, (size_t)of->over_at + ahead, text, &below);
	if (err < 0)
		return err;
	double quotient = bf_value_number(&above) / bf_value_number(&below);
	if (!isfinite(quotient))
		return -EDOM;
	*ret_value = (struct bf_value){.kind = BF_FLOAT64, .f64 = quotient};
	return 0;
}

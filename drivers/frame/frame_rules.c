/*
 * Do the keys of a frame make sense together?  Told before anything is read, with the key at fault.
 *
 * Whatever passes here can be searched for and read without looking at the keys again: places lie in the order start,
 * checked bytes, check, end, and within the frame where its length is known.  What lies beyond a frame whose length
 * varies is found out with each frame.  Pure; any thread.
 */
#include "frame.h"

#include <math.h>

static int check_flag(const struct frame *frame, struct bf_complaint *complaint)
{
	if (frame->flag.n == 0)
		return frame->escape_byte == BF_UNSET
			       ? 0
			       : bf_refuse(complaint, "frame.escape", NULL, "goes with \"frame.flag\"");
	if (frame->flag.n > 1)
		return bf_refuse(complaint, "frame.flag", NULL, "is one byte");
	if (frame->start.n || frame->end.n)
		return bf_refuse(complaint, frame->start.n ? "frame.start" : "frame.end", NULL,
			"is given beside \"frame.flag\": a frame stands between flags or begins with a start");
	if (frame->check_kind != BF_UNSET && frame->check_coding == FRAME_HEX)
		return bf_refuse(complaint, "frame.check.coding", NULL, "can't be \"hex\" in a frame with flags");
	if (frame->escape_byte == frame->flag.at[0])
		return bf_refuse(complaint, "frame.escape.byte", NULL, "is the flag itself");
	return 0;
}

static int check_start(const struct frame *frame, struct bf_complaint *complaint)
{
	if (frame->flag.n)
		return 0;
	if (frame->start.n == 0)
		return bf_refuse(complaint, "frame", "write start: \"42 4D\" with the bytes that it begins with",
			"has neither \"start\" nor \"flag\"");
	if (frame->start_or.n && frame->start_or.n != frame->start.n)
		return bf_refuse(complaint, "frame.start_or", NULL, "is not as long as \"start\"");
	if (frame->length == BF_UNSET && frame->length_at == BF_UNSET)
		return bf_refuse(complaint, "frame", "write length: 9, or length: { at: 2  type: \"u16be\"  plus: 4 }",
			"has no \"length\"");
	return 0;
}

static int check_check(const struct frame *frame, struct bf_complaint *complaint)
{
	if (frame->check_kind == BF_UNSET)
		return 0;
	int size = (int)frame_check_size(frame);
	if (frame->check_at > 0 && frame->check_at <= frame->check_from)
		return bf_refuse(complaint, "frame.check.at", NULL, "is %d, but what is checked begins at %d",
			frame->check_at, frame->check_from);
	if (frame->check_at < 0 && -frame->check_at < size + (int)frame->end.n)
		return bf_refuse(
			complaint, "frame.check.at", NULL, "leaves no room for the check's %d bytes and the end", size);
	return 0;
}

static int check_length(const struct frame *frame, struct bf_complaint *complaint)
{
	size_t least = frame_shortest(frame);
	if (frame->length != BF_UNSET && (size_t)frame->length < least)
		return bf_refuse(complaint, "frame.length", NULL,
			"is %d, but start, check and end alone take %zu bytes", frame->length, least);
	if (frame->length_at != BF_UNSET && (size_t)frame->length_max < least)
		return bf_refuse(complaint, "frame.length.max", NULL,
			"is %d, but start, check and end alone take %zu bytes", frame->length_max, least);
	return 0;
}

/* Does a byte lie within every frame that there can be? */
static int beyond(const struct frame *frame, long end, const char *key, struct bf_complaint *complaint)
{
	if (end > (long)frame_longest(frame))
		return bf_refuse(
			complaint, key, NULL, "lies beyond the frame: byte %ld of %zu", end, frame_longest(frame));
	return 0;
}

static int check_tagged(const struct frame *frame, const struct frame_message *keys, struct bf_complaint *complaint)
{
	if (keys->tagged_from == BF_UNSET)
		return 0;
	for (size_t i = 0; i < keys->tagged_sizes.n; i++)
		if (frame_tag(keys->tagged_sizes.names[i]) < 0)
			return bf_refuse(complaint, "tagged.sizes",
				"write t and the byte in two hexadecimal digits: t8A: 2",
				"has \"%.32s\", which names no byte", keys->tagged_sizes.names[i]);
	return beyond(frame, keys->tagged_from + 1, "tagged.from", complaint);
}

static int check_message(const struct bf_device *device, size_t i, struct bf_complaint *complaint)
{
	const struct frame *frame = device->keys;
	const struct bf_message_told *message = &device->messages[i];
	const struct frame_message *keys = message->keys;
	complaint->message = message->name;
	if (device->n_messages > 1 && keys->match_at == BF_UNSET)
		return bf_refuse(complaint, NULL, "write match: { at: 2  is: 0x90 }",
			"has no \"match\", by which it could be told from the others");
	for (size_t k = 0; k < i; k++) {
		const struct frame_message *other = device->messages[k].keys;
		if (keys->match_at == other->match_at && keys->match_is == other->match_is)
			return bf_refuse(
				complaint, "match.is", NULL, "is that of message \"%s\" too", device->messages[k].name);
	}
	int err = keys->match_at == BF_UNSET ? 0 : beyond(frame, keys->match_at + 1, "match.at", complaint);
	if (err == 0 && keys->min_length != BF_UNSET)
		err = beyond(frame, keys->min_length, "min_length", complaint);
	return err < 0 ? err : check_tagged(frame, keys, complaint);
}

int frame_check(const struct bf_device *device, struct bf_complaint *ret_complaint)
{
	static int (*const checks[])(const struct frame *, struct bf_complaint *) = {
		check_flag, check_start, check_check, check_length};
	int err = 0;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && err == 0; i++)
		err = checks[i](device->keys, ret_complaint);
	for (size_t i = 0; i < device->n_messages && err == 0; i++)
		err = check_message(device, i, ret_complaint);
	return err;
}

/* Is the tag one of the message's records?  *ret_size: of its value, -1 = it varies. */
static int check_tag(
	const struct frame_message *keys, int tag, const char *key, int *ret_size, struct bf_complaint *complaint)
{
	if (keys->tagged_from == BF_UNSET)
		return bf_refuse(complaint, key, NULL, "needs a message with \"tagged\" records");
	for (size_t i = 0; i < keys->tagged_sizes.n; i++)
		if (frame_tag(keys->tagged_sizes.names[i]) == tag) {
			*ret_size = keys->tagged_sizes.numbers[i];
			return 0;
		}
	return bf_refuse(complaint, key, NULL, "is 0x%02X, which is not among the \"tagged.sizes\"", (unsigned)tag);
}

/* A place of so many bytes, in the frame or in a record of it. */
static int check_place(const struct frame *frame, const struct frame_message *keys, int tag, long end, const char *key,
	struct bf_complaint *complaint)
{
	int size = 0;
	if (tag == BF_UNSET)
		return beyond(frame, end, key, complaint);
	int err = check_tag(keys, tag, "tag", &size, complaint);
	if (err == 0 && size >= 0 && end > size)
		return bf_refuse(complaint, key, NULL, "lies beyond the value of tag 0x%02X: byte %ld of %d",
			(unsigned)tag, end, size);
	return err;
}

static int check_size(const struct frame_metric *metric, struct bf_complaint *complaint)
{
	const struct frame_type *type = frame_type(metric->type);
	if (type->size)
		return metric->length == BF_UNSET
			       ? 0
			       : bf_refuse(complaint, "length", NULL, "goes with the types hex, bcd and ascii");
	if (metric->length == BF_UNSET)
		return bf_refuse(complaint, "type", NULL, "needs a \"length\"");
	int most = type->form == FRAME_BCD ? 9 : type->form == FRAME_DIGITS ? 16 : BF_STRING_MAX;
	if (metric->length > most)
		return bf_refuse(complaint, "length", NULL, "is %d, a value of this type has at most %d bytes",
			metric->length, most);
	return 0;
}

static int check_over(const struct frame *frame, const struct frame_message *keys, const struct frame_metric *metric,
	struct bf_complaint *complaint)
{
	if (metric->over_at == BF_UNSET)
		return 0;
	unsigned size = frame_type(metric->over_type)->size;
	if (size == 0)
		return bf_refuse(complaint, "over.type", NULL, "must be a number of known size");
	if (frame_type(metric->type)->form == FRAME_TEXT)
		return bf_refuse(complaint, "over", NULL, "divides a number, no text");
	return check_place(frame, keys, metric->tag, metric->over_at + (long)size, "over.at", complaint);
}

static int check_when(const struct frame *frame, const struct frame_message *keys, const struct frame_metric *metric,
	struct bf_complaint *complaint)
{
	if (metric->when_at == BF_UNSET && metric->when_tag == BF_UNSET)
		return metric->when_is == BF_UNSET && isnan(metric->when_else)
			       ? 0
			       : bf_refuse(complaint, "when", NULL, "has neither \"at\" nor \"tag\"");
	if (metric->when_is != BF_UNSET && (metric->when_is & ~metric->when_mask))
		return bf_refuse(complaint, "when.is", NULL, "has bits that \"when.mask\" leaves out");
	int size = 0, err = 0;
	if (metric->when_tag != BF_UNSET)
		err = check_tag(keys, metric->when_tag, "when.tag", &size, complaint);
	else
		err = beyond(frame, metric->when_at + 1, "when.at", complaint);
	if (err < 0 || isnan(metric->when_else) || metric->over_at != BF_UNSET)
		return err;
	struct bf_shape shape = {.type = frame_type(metric->type)->type};
	struct bf_value value = {.kind = BF_FLOAT64, .f64 = metric->when_else};
	uint8_t registers[8];
	if (bf_encode(&shape, &value, registers, sizeof(registers)) < 0)
		return bf_refuse(complaint, "when.else", NULL, "does not fit the type of the metric");
	return 0;
}

int frame_shape(const struct bf_device *device, unsigned kind, const void *metric, struct bf_shape *ret_shape,
	struct bf_complaint *ret_complaint)
{
	const struct frame *frame = device->keys;
	const struct frame_message *keys = device->messages[kind].keys;
	const struct frame_metric *of = metric;
	if (of->at == BF_UNSET && of->tag == BF_UNSET)
		return bf_refuse(
			ret_complaint, NULL, "write at: 4, counted from 0", "has no place: neither \"at\" nor \"tag\"");
	int err = check_size(of, ret_complaint);
	if (err == 0) {
		long end = (of->at == BF_UNSET ? 0 : of->at) + (long)frame_metric_size(of);
		err = check_place(frame, keys, of->tag, end, of->at == BF_UNSET ? "type" : "at", ret_complaint);
	}
	if (err == 0)
		err = check_over(frame, keys, of, ret_complaint);
	if (err == 0)
		err = check_when(frame, keys, of, ret_complaint);
	if (err < 0)
		return err;
	const struct frame_type *type = frame_type(of->type);
	*ret_shape = (struct bf_shape){.type = of->over_at == BF_UNSET ? type->type : BF_TYPE_F64,
		.length = (uint16_t)(type->form == FRAME_TEXT ? of->length : 0)};
	return 0;
}

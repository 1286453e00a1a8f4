/*
 * The frame driver: binary sensors that a table can describe.  This file has the table.
 *
 * A frame begins with known bytes, or stands between two flags; it is of one length, or says how long it is; mostly
 * something is added up over it.  That, and where the values lie, is all there is to say of nearly every binary sensor
 * on a UART, so a sensor of this kind is a profile and no code.  What can't be said here needs a driver of its own: a
 * conversation, values whose place depends on other values (but for tagged records), encryption.
 *
 *   frame_find.c   what stands at the beginning of the input
 *   frame_value.c  a metric of a sound frame
 *   frame_rules.c  whether the keys make sense together, told before anything is read
 */
#include "frame.h"

#define DEVICE(field_) offsetof(struct frame, field_)

static const struct bf_key device_keys[] = {
	{"frame.start", BF_KEY_BYTES, DEVICE(start), 0, 0, NULL, NULL, 0, "The bytes with which each frame begins"},
	{"frame.start_or", BF_KEY_BYTES, DEVICE(start_or), 0, 0, NULL, NULL, 0,
		"Another start, as long as the first, for a sensor that has two"},
	{"frame.end", BF_KEY_BYTES, DEVICE(end), 0, 0, NULL, NULL, 0, "The bytes with which each frame ends"},
	{"frame.length", BF_KEY_INT, DEVICE(length), 1, 4096, NULL, NULL, 0,
		"How many bytes a frame has from start to end, or a group of the keys below where the frame tells it"},
	{"frame.length.at", BF_KEY_INT, DEVICE(length_at), 0, 255, NULL, NULL, BF_KEY_REQUIRED,
		"Where the length stands, counted from the first byte of the frame"},
	{"frame.length.type", BF_KEY_CHOICE, DEVICE(length_type), 0, 0, "u8", FRAME_LENGTH_TYPES, 0,
		"How the length is written"},
	{"frame.length.plus", BF_KEY_INT, DEVICE(length_plus), -64, 255, "0", NULL, 0,
		"What to add to it to have the bytes from start to end"},
	{"frame.length.max", BF_KEY_INT, DEVICE(length_max), 1, 4096, "1024", NULL, 0,
		"The longest frame that the sensor sends; what claims to be longer is none"},
	{"frame.flag", BF_KEY_BYTES, DEVICE(flag), 0, 0, NULL, NULL, 0,
		"The byte before and after each frame, instead of start and end (HDLC, SHDLC); offsets count behind "
		"it"},
	{"frame.escape.byte", BF_KEY_INT, DEVICE(escape_byte), 0, 255, NULL, NULL, BF_KEY_REQUIRED,
		"The byte that stands before one that was changed because it would be a flag"},
	{"frame.escape.xor", BF_KEY_INT, DEVICE(escape_xor), 1, 255, "32", NULL, 0,
		"By which bits the byte behind it was changed"},
	{"frame.check.kind", BF_KEY_CHOICE, DEVICE(check_kind), 0, 0, NULL, FRAME_CHECKS, BF_KEY_REQUIRED,
		"Sum of the bytes, its two's complement (neg), its inverse (inv), exclusive or, or a CRC: crc8 is "
		"CRC-8/SMBUS (polynomial 0x07, from 0); those of 16 bit have their low byte first"},
	{"frame.check.from", BF_KEY_INT, DEVICE(check_from), 0, 255, "0", NULL, 0,
		"The first byte that is checked; the last is the one before the check"},
	{"frame.check.at", BF_KEY_INT, DEVICE(check_at), -255, 4095, "0", NULL, 0,
		"Where the check stands, below 0 counted from the end; else it is the last before end"},
	{"frame.check.coding", BF_KEY_CHOICE, DEVICE(check_coding), 0, 0, "bin", "bin|hex", 0,
		"With hex, what is checked and the check stand as pairs of hexadecimal digits"},
	{0},
};

#define MESSAGE(field_) offsetof(struct frame_message, field_)

static const struct bf_key message_keys[] = {
	{"match.at", BF_KEY_INT, MESSAGE(match_at), 0, 4095, NULL, NULL, BF_KEY_REQUIRED,
		"Where the byte stands by which this message is known"},
	{"match.is", BF_KEY_INT, MESSAGE(match_is), 0, 255, NULL, NULL, BF_KEY_REQUIRED, "What that byte is"},
	{"min_length", BF_KEY_INT, MESSAGE(min_length), 1, 4096, NULL, NULL, 0,
		"With fewer bytes the sensor has nothing to say yet"},
	{"tagged.from", BF_KEY_INT, MESSAGE(tagged_from), 0, 4095, NULL, NULL, BF_KEY_REQUIRED,
		"Where records begin that are a byte, the tag, and a value of known size"},
	{"tagged.to", BF_KEY_INT, MESSAGE(tagged_to), -255, 0, "0", NULL, 0,
		"Where they end, counted from the end of the frame"},
	{"tagged.sizes", BF_KEY_PAIRS, MESSAGE(tagged_sizes), -1, 255, NULL, NULL, BF_KEY_REQUIRED,
		"How many bytes the value has behind each tag, as { t8A: 2 }; -1 where a byte before it says so"},
	{0},
};

#define METRIC(field_) offsetof(struct frame_metric, field_)

static const struct bf_key metric_keys[] = {
	{"at", BF_KEY_INT, METRIC(at), 0, 4095, NULL, NULL, 0,
		"Where the value stands, counted from the first byte of the frame, or of the tag's value"},
	{"type", BF_KEY_CHOICE, METRIC(type), 0, 0, NULL, FRAME_TYPES, BF_KEY_REQUIRED,
		"As in registers, with the order of bytes; m: a bit that is 1 for plus, then the size; hex: a number "
		"in hexadecimal digits; bcd; ascii: a text"},
	{"length", BF_KEY_INT, METRIC(length), 1, BF_STRING_MAX, NULL, NULL, 0, "Bytes of a hex, bcd or ascii value"},
	{"tag", BF_KEY_INT, METRIC(tag), 0, 255, NULL, NULL, 0, "The tag of the record that the value is in"},
	{"repeat.step", BF_KEY_INT, METRIC(step), 1, 4095, NULL, NULL, 0,
		"How many bytes lie from one value to the next; by default they follow one another"},
	{"over.at", BF_KEY_INT, METRIC(over_at), 0, 4095, NULL, NULL, BF_KEY_REQUIRED,
		"The value is divided by the number that stands there"},
	{"over.type", BF_KEY_CHOICE, METRIC(over_type), 0, 0, NULL, FRAME_TYPES, BF_KEY_REQUIRED,
		"The type of that number"},
	{"when.at", BF_KEY_INT, METRIC(when_at), 0, 4095, NULL, NULL, 0,
		"The value is there only if the byte at this place says so"},
	{"when.tag", BF_KEY_INT, METRIC(when_tag), 0, 255, NULL, NULL, 0, "The tag of the record that it is in"},
	{"when.mask", BF_KEY_INT, METRIC(when_mask), 1, 255, "255", NULL, 0, "Which of its bits are looked at"},
	{"when.is", BF_KEY_INT, METRIC(when_is), 0, 255, NULL, NULL, 0, "What they must be; without it, any of them 1"},
	{"when.else", BF_KEY_NUMBER, METRIC(when_else), 0, 0, NULL, NULL, 0,
		"What the value is otherwise, before scale; without it, nothing is told"},
	{0},
};

/* Stuffed, each byte may take two; around it are the flags, and one of the frame before. */
static size_t longest(const struct bf_device *device)
{
	const struct frame *frame = device->keys;
	size_t most = frame_longest(frame);
	return frame->flag.n ? 2 * most + 3 : most;
}

BF_DRIVER(frame) = {
	.abi = BF_DRIVER_ABI,
	.name = "frame",
	.summary = "binary sensors on a UART: frames with a start or flags, a length and a checksum",
	.way = BF_WAY_STREAM,
	.device_keys = device_keys,
	.message_keys = message_keys,
	.metric_keys = metric_keys,
	.device_size = sizeof(struct frame),
	.message_size = sizeof(struct frame_message),
	.metric_size = sizeof(struct frame_metric),
	.check = frame_check,
	.shape = frame_shape,
	.longest = longest,
	.find = frame_find,
	.value = frame_value,
};

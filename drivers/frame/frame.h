/*
 * What a profile says of a binary frame: the structs that the driver's tables fill, and what its four files share.
 *
 * Offsets count from the first byte of a frame; of a stuffed one, from the byte behind its flag, as if nothing had been
 * stuffed.  An offset below 0 counts from the end.  All of it is pure; any thread.
 */
#ifndef FRAME_H
#define FRAME_H

#include "sdk/driver.h"

/* Keys of a device. */
struct frame {
	struct bf_bytes start, start_or, end; /* start_or is as long as start, or not there */
	int length;                           /* fixed; or told by the frame: */
	int length_at, length_type, length_plus, length_max;
	struct bf_bytes flag;
	int escape_byte, escape_xor;
	int check_kind, check_from, check_at, check_coding; /* check_at 0: the last bytes before `end` */
};

/* Keys of a message. */
struct frame_message {
	int match_at, match_is;
	int min_length;
	int tagged_from, tagged_to; /* tagged_to 0: the end of the frame */
	struct bf_pairs tagged_sizes;
};

/* Keys of a metric. */
struct frame_metric {
	int at, type, length, tag;
	int step;
	int over_at, over_type;
	int when_at, when_tag, when_mask, when_is;
	double when_else;
};

enum frame_coding { FRAME_BINARY, FRAME_HEX };

/* Types of a length field: u8, u16be, u16le. */
#define FRAME_LENGTH_TYPES "u8|u16be|u16le"
unsigned frame_length_size(const struct frame *frame);

/* Kinds of checks, in the order of their choices. */
#define FRAME_CHECKS "sum8|neg8|inv8|xor8|sum16be|sum16le|neg16be|crc8|crc16-modbus|crc16-arc|crc16-x25|crc16-kermit"

/* Types of a metric, in the order of their choices. */
#define FRAME_TYPES                                                                                                    \
	"u8|s8|u16be|u16le|s16be|s16le|m16be|m16le|u24be|u24le|u32be|u32le|s32be|s32le|u64be|u64le|s64be|s64le|"       \
	"f32be|f32le|f64be|f64le|hex|bcd|ascii"
enum frame_form { FRAME_NUMBER, FRAME_MAGNITUDE, FRAME_DIGITS, FRAME_BCD, FRAME_TEXT };
struct frame_type {
	enum frame_form form;
	enum bf_type type; /* what the core takes it for */
	unsigned size;     /* in bytes; 0 = by `length` */
	bool little;
};
const struct frame_type *frame_type(int type);

/* How many bytes the metric takes. */
unsigned frame_metric_size(const struct frame_metric *metric);

/* The bytes of a frame that the check takes, without those that it is of; 0 without a check. */
size_t frame_check_size(const struct frame *frame);

/* The least and the most bytes of a frame, without flags and stuffing. */
size_t frame_shortest(const struct frame *frame);
size_t frame_longest(const struct frame *frame);

/* The byte that "t8A" among the sizes stands for; -EINVAL when it is no such name. */
int frame_tag(const char *name);

/* What the core wants: see sdk/driver.h. */
int frame_check(const struct bf_device *device, struct bf_complaint *ret_complaint);
int frame_shape(const struct bf_device *device, unsigned kind, const void *metric, struct bf_shape *ret_shape,
	struct bf_complaint *ret_complaint);
enum bf_find frame_find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found);
int frame_value(const struct bf_device *device, const void *metric, unsigned index, const struct bf_message *message,
	char text[static BF_STRING_MAX + 1], struct bf_value *ret_value);

#endif

/*
 * What stands at the beginning of the input: the search for frames.
 *
 * Nothing but a frame's own check says that it is one: start bytes occur within data, lengths are damaged, frames are
 * cut off and the next one follows at once.  So what fails costs one byte only, and the search goes on behind it;
 * bytes are passed over in one go only where no frame can begin.  What is no frame by its shape (an end that is not
 * there, a length that none has) is passed over in silence, what is one and fails its check is counted as damaged.
 *
 * Of a stuffed frame the flag behind it is left in the input: one flag may end a frame and begin the next.
 *
 * Invariant: a sound frame is passed over only if it begins within another sound one.  Pure; any thread.
 */
#include "frame.h"
#include "sdk/check.h"

#include <errno.h>
#include <string.h>

static uint16_t sum8(const uint8_t *bytes, size_t n)
{
	return bf_sum8(bytes, n);
}

static uint16_t neg8(const uint8_t *bytes, size_t n)
{
	return (uint8_t)(0u - bf_sum8(bytes, n));
}

static uint16_t inv8(const uint8_t *bytes, size_t n)
{
	return (uint8_t)~bf_sum8(bytes, n);
}

static uint16_t xor8(const uint8_t *bytes, size_t n)
{
	return bf_xor8(bytes, n);
}

static uint16_t crc8(const uint8_t *bytes, size_t n)
{
	return bf_crc8(bytes, n);
}

static uint16_t neg16(const uint8_t *bytes, size_t n)
{
	return (uint16_t)(0u - bf_sum16(bytes, n));
}

/* In the order of FRAME_CHECKS. */
static const struct check {
	uint16_t (*of)(const uint8_t *bytes, size_t n);
	size_t size;
	bool little;
} checks[] = {
	{sum8, 1, false},
	{neg8, 1, false},
	{inv8, 1, false},
	{xor8, 1, false},
	{bf_sum16, 2, false},
	{bf_sum16, 2, true},
	{neg16, 2, false},
	{crc8, 1, false},
	{bf_crc16_modbus, 2, true},
	{bf_crc16_arc, 2, true},
	{bf_crc16_x25, 2, true},
	{bf_crc16_kermit, 2, true},
};

size_t frame_check_size(const struct frame *frame)
{
	if (frame->check_kind == BF_UNSET)
		return 0;
	return checks[frame->check_kind].size * (frame->check_coding == FRAME_HEX ? 2 : 1);
}

unsigned frame_length_size(const struct frame *frame)
{
	return frame->length_type == 0 ? 1 : 2;
}

size_t frame_shortest(const struct frame *frame)
{
	size_t n = frame->start.n, check = frame_check_size(frame);
	if (frame->length_at != BF_UNSET && n < (size_t)frame->length_at + frame_length_size(frame))
		n = (size_t)frame->length_at + frame_length_size(frame);
	if (check && n < (size_t)frame->check_from)
		n = (size_t)frame->check_from;
	size_t tail = check + frame->end.n;
	if (check && frame->check_at < 0 && tail < (size_t)-frame->check_at)
		tail = (size_t)-frame->check_at;
	n += tail;
	if (check && frame->check_at > 0 && n < (size_t)frame->check_at + check + frame->end.n)
		n = (size_t)frame->check_at + check + frame->end.n;
	return n ? n : 1;
}

size_t frame_longest(const struct frame *frame)
{
	return (size_t)(frame->length != BF_UNSET ? frame->length : frame->length_max);
}

static int hex_of(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Pairs of digits to bytes.  False when they are something else. */
static bool unhex(const uint8_t *digits, size_t n, uint8_t *bytes)
{
	for (size_t i = 0; i + 1 < n; i += 2) {
		int high = hex_of(digits[i]), low = hex_of(digits[i + 1]);
		if (high < 0 || low < 0)
			return false;
		bytes[i / 2] = (uint8_t)(high << 4 | low);
	}
	return n % 2 == 0;
}

/* Does the check of a frame hold?  Scratch has room for as many bytes as the frame. */
static bool holds(const struct frame *frame, const uint8_t *bytes, size_t n, uint8_t *scratch)
{
	if (frame->check_kind == BF_UNSET)
		return true;
	const struct check *check = &checks[frame->check_kind];
	size_t size = frame_check_size(frame), from = (size_t)frame->check_from;
	size_t at = n - frame->end.n - size;
	if (frame->check_at > 0)
		at = (size_t)frame->check_at;
	else if (frame->check_at < 0)
		at = n - (size_t)-frame->check_at;
	const uint8_t *data = bytes + from, *stored = bytes + at;
	size_t n_data = at - from;
	if (frame->check_coding == FRAME_HEX) {
		if (!unhex(data, n_data, scratch) || !unhex(stored, size, scratch + n_data / 2))
			return false;
		data = scratch;
		stored = scratch + n_data / 2;
		n_data /= 2;
	}
	unsigned is = stored[0];
	if (check->size == 2)
		is = check->little ? is | (unsigned)stored[1] << 8 : is << 8 | stored[1];
	return check->of(data, n_data) == is;
}

/* What the bytes say of their length; there are enough of them.  May be any number. */
static long told_length(const struct frame *frame, const uint8_t *bytes)
{
	const uint8_t *at = bytes + frame->length_at;
	long length = at[0];
	if (frame->length_type == 1)
		length = length << 8 | at[1];
	else if (frame->length_type == 2)
		length |= (long)at[1] << 8;
	return length + frame->length_plus;
}

/* A sound frame: which message it is. */
static enum bf_find sound(
	const struct bf_device *device, const uint8_t *bytes, size_t n, size_t taken, struct bf_found *ret_found)
{
	*ret_found = (struct bf_found){.n = taken};
	for (unsigned kind = 0; kind < device->n_messages; kind++) {
		const struct frame_message *message = device->messages[kind].keys;
		if (message->match_at != BF_UNSET &&
			((size_t)message->match_at >= n || bytes[message->match_at] != message->match_is))
			continue;
		ret_found->message = (struct bf_message){kind, bytes, n};
		return BF_FIND_MESSAGE;
	}
	return BF_FIND_OTHER;
}

static bool begins(const struct bf_bytes *start, const uint8_t *bytes, size_t n)
{
	return start->n && memcmp(bytes, start->at, n < start->n ? n : start->n) == 0;
}

static enum bf_find skip(size_t n, struct bf_found *ret_found)
{
	*ret_found = (struct bf_found){.n = n};
	return BF_FIND_SKIP;
}

/* The first place, from `from` on, where a frame may begin; n if there is none. */
static size_t next_start(const struct frame *frame, const uint8_t *input, size_t n, size_t from)
{
	size_t i = from;
	while (i < n && !begins(&frame->start, input + i, n - i) && !begins(&frame->start_or, input + i, n - i))
		i++;
	return i;
}

static enum bf_find find_started(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	const struct frame *frame = device->keys;
	size_t start = next_start(frame, input, n, 0);
	if (start > 0)
		return skip(start, ret_found);
	long length = frame->length;
	if (length == BF_UNSET) {
		if (n < (size_t)frame->length_at + frame_length_size(frame))
			return BF_FIND_MORE;
		length = told_length(frame, input);
	}
	if (n < frame->start.n)
		return BF_FIND_MORE;
	if (length < (long)frame_shortest(frame) || length > (long)frame_longest(frame))
		return skip(next_start(frame, input, n, 1), ret_found);
	size_t size = (size_t)length;
	if (n < size)
		return BF_FIND_MORE;
	if (frame->end.n && memcmp(input + size - frame->end.n, frame->end.at, frame->end.n) != 0)
		return skip(next_start(frame, input, n, 1), ret_found);
	if (!holds(frame, input, size, body)) {
		*ret_found = (struct bf_found){.n = size};
		return BF_FIND_DAMAGED;
	}
	return sound(device, input, size, size, ret_found);
}

/*
 * Takes the stuffing out.  The number of bytes; -EBADMSG when they are more than `size`, or when an escape has nothing
 * behind it or another escape: the byte that was there is lost, and a sum need not show it.
 */
static long unstuff(const struct frame *frame, const uint8_t *stuffed, size_t n, uint8_t *body, size_t size)
{
	size_t at = 0;
	for (size_t i = 0; i < n; i++) {
		uint8_t byte = stuffed[i];
		if (byte == frame->escape_byte) {
			if (++i == n || stuffed[i] == frame->escape_byte)
				return -EBADMSG;
			byte = stuffed[i] ^ (uint8_t)frame->escape_xor;
		}
		if (at == size)
			return -EBADMSG;
		body[at++] = byte;
	}
	return (long)at;
}

static enum bf_find find_flagged(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	const struct frame *frame = device->keys;
	uint8_t flag = frame->flag.at[0];
	const uint8_t *first = memchr(input, flag, n);
	if (first != input)
		return skip(first ? (size_t)(first - input) : n, ret_found);
	size_t from = 1;
	while (from < n && input[from] == flag)
		from++;
	if (from > 2)
		return skip(from - 1, ret_found);
	const uint8_t *last = from < n ? memchr(input + from, flag, n - from) : NULL;
	size_t n_stuffed = (last ? (size_t)(last - input) : n) - from;
	if (!last)
		return n_stuffed > 2 * frame_longest(frame) ? skip(n, ret_found) : BF_FIND_MORE;
	long size = unstuff(frame, input + from, n_stuffed, body, frame_longest(frame));
	if (size < (long)frame_shortest(frame))
		return skip(from + n_stuffed, ret_found);
	if (!holds(frame, body, (size_t)size, body)) {
		*ret_found = (struct bf_found){.n = from + n_stuffed};
		return BF_FIND_DAMAGED;
	}
	if ((frame->length != BF_UNSET && size != frame->length) ||
		(frame->length_at != BF_UNSET && size != told_length(frame, body)))
		return skip(from + n_stuffed, ret_found);
	return sound(device, body, (size_t)size, from + n_stuffed, ret_found);
}

enum bf_find frame_find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	const struct frame *frame = device->keys;
	return frame->flag.n ? find_flagged(device, input, n, body, ret_found)
			     : find_started(device, input, n, body, ret_found);
}

/*
 * The Vane, a weather mast that doesn't exist: an example of a driver for a device that no table can describe.
 *
 * It sends a frame each second, 9600 8N1, of as many records as it has instruments:
 *   A9  count  count × { tag, value s16 low byte first }  sum, sum of sums
 * Its check is Fletcher's, the sums modulo 255 over all bytes before.  An instrument that is
 * missing sends 8000.
 */
#include "sdk/driver.h"

#include <errno.h>
#include <string.h>

#define START       0xA9
#define RECORDS_MAX 16
#define HEAD        2
#define RECORD      3
#define CHECK       2

struct vane_device {
	int records;
};

struct vane_metric {
	const char *tag;
};

static const struct bf_key device_keys[] = {
	{"records", BF_KEY_INT, offsetof(struct vane_device, records), 1, RECORDS_MAX, "16", NULL, 0,
		"The most instruments that the mast can have"},
	{0},
};

static const struct bf_key metric_keys[] = {
	{"tag", BF_KEY_TEXT, offsetof(struct vane_metric, tag), 0, 0, NULL, NULL, BF_KEY_REQUIRED,
		"The letter of the instrument: W wind, D direction, R rain, T temperature"},
	{0},
};

static int shape(const struct bf_device *device, unsigned kind, const void *metric, struct bf_shape *ret_shape,
	struct bf_complaint *ret_complaint)
{
	(void)device;
	(void)kind;
	const struct vane_metric *keys = metric;
	if (strlen(keys->tag) != 1)
		return bf_refuse(ret_complaint, "tag", NULL, "must be one letter");
	*ret_shape = (struct bf_shape){.type = BF_TYPE_S16};
	return 0;
}

static size_t longest(const struct bf_device *device)
{
	const struct vane_device *keys = device->keys;
	return HEAD + RECORD * (size_t)keys->records + CHECK;
}

static bool sound(const uint8_t *frame, size_t n)
{
	unsigned sum = 0, sum_of_sums = 0;
	for (size_t i = 0; i < n - CHECK; i++) {
		sum = (sum + frame[i]) % 255;
		sum_of_sums = (sum_of_sums + sum) % 255;
	}
	return frame[n - 2] == sum && frame[n - 1] == sum_of_sums;
}

static enum bf_find find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	(void)body;
	const struct vane_device *keys = device->keys;
	const uint8_t *start = memchr(input, START, n);
	if (start != input) {
		ret_found->n = start ? (size_t)(start - input) : n;
		return BF_FIND_SKIP;
	}
	if (n < HEAD)
		return BF_FIND_MORE;
	size_t count = input[1], size = HEAD + RECORD * count + CHECK;
	ret_found->n = 1;
	if (count == 0 || count > (size_t)keys->records)
		return BF_FIND_SKIP;
	if (n < size)
		return BF_FIND_MORE;
	if (!sound(input, size))
		return BF_FIND_DAMAGED;
	*ret_found = (struct bf_found){.n = size, .message = {.kind = 0, .bytes = input, .n = size}};
	return BF_FIND_MESSAGE;
}

static int value(const struct bf_device *device, const void *metric, unsigned index, const struct bf_message *message,
	char text[static BF_STRING_MAX + 1], struct bf_value *ret_value)
{
	(void)device;
	(void)index;
	(void)text;
	const struct vane_metric *keys = metric;
	for (size_t at = HEAD; at + RECORD + CHECK <= message->n; at += RECORD) {
		const uint8_t *record = message->bytes + at;
		if (record[0] != (uint8_t)keys->tag[0])
			continue;
		int16_t number = (int16_t)(record[1] | record[2] << 8);
		if (number == INT16_MIN)
			return -EDOM;
		*ret_value = (struct bf_value){.kind = BF_SIGNED, .i = number};
		return 0;
	}
	return -ENOENT;
}

BF_DRIVER(vane) = {
	.abi = BF_DRIVER_ABI,
	.name = "vane",
	.summary = "The Vane, a weather mast that is an example",
	.way = BF_WAY_STREAM,
	.device_keys = device_keys,
	.metric_keys = metric_keys,
	.device_size = sizeof(struct vane_device),
	.metric_size = sizeof(struct vane_metric),
	.shape = shape,
	.longest = longest,
	.find = find,
	.value = value,
};

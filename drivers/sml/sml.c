/*
 * The SML driver: electricity meters that push the Smart Message Language (version 1.04) through an optical port or a
 * wire, as German ones do every one to four seconds.
 *
 * A table can't describe it: lists lie within lists, each element says its own length, and a value's place follows from
 * all that stands before it.  This file knows the one path to the list of values (file, message, GetListResponse, list,
 * entry) and steps over the rest whatever it is, as makers fill the optional parts in different ways.  Nothing is kept:
 * a metric walks the message again, which takes some microseconds a second.
 *
 * On the line a file stands between escape sequences, with a CRC-16 over all of it, that of X.25.  Early Holley meters
 * are said to send Kermit's; it is a key and not tried as well, as it would pass twice as much of what is wrong.  The
 * CRCs of the single messages within add nothing and are not looked at, so it does not matter that some makers have
 * them wrong.
 *
 * Pure; any thread.
 */
#include "sdk/check.h"
#include "sdk/driver.h"
#include "sml_walk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST    4096 /* the most talkative meters at hand send some 1200 */
#define MARK       4    /* bytes of an escape sequence */
#define BEGIN      8    /* escape, version 1 */
#define END        8    /* escape, end, how many bytes fill up, CRC */
#define GET_LIST   0x0701u
#define OBIS       6
#define POWER_MOST 30 /* of ten, either way: more is no scaler */

/* What a metric is read as; the order of the key's choices. */
enum sml_as { AS_NUMBER, AS_UNSIGNED, AS_INTEGER, AS_STATUS, AS_TEXT, AS_HEX, AS_ID };

static const enum bf_type types[] = {
	BF_TYPE_F64, BF_TYPE_F64, BF_TYPE_S64, BF_TYPE_U64, BF_TYPE_STRING, BF_TYPE_STRING, BF_TYPE_STRING};

/* The elements of an entry of the list of values, and how many others have. */
enum { ENTRY_NAME, ENTRY_STATUS, ENTRY_TIME, ENTRY_UNIT, ENTRY_SCALER, ENTRY_VALUE, ENTRY_SIGNATURE, N_ENTRY };
enum { CRC_X25, CRC_KERMIT };
enum { MESSAGE_BODY = 3, N_MESSAGE = 6, LIST_VALUES = 4, N_GET_LIST = 7 };

struct sml_device {
	int crc;
};

struct sml_metric {
	const char *obis;
	int as;
};

static const struct bf_key device_keys[] = {
	{"crc", BF_KEY_CHOICE, offsetof(struct sml_device, crc), 0, 0, "x25", "x25|kermit", 0,
		"The CRC-16 of the meter, kermit for some early ones of Holley"},
	{0},
};

static const struct bf_key metric_keys[] = {
	{"obis", BF_KEY_TEXT, offsetof(struct sml_metric, obis), 0, 0, NULL, NULL, BF_KEY_REQUIRED,
		"Which value, such as \"1-0:1.8.0\"; what follows a * is 255 unless it is given"},
	{"type", BF_KEY_CHOICE, offsetof(struct sml_metric, as), 0, 0, "number",
		"number|unsigned|integer|status|text|hex|id", 0,
		"A number as the meter scales it (unsigned: for meters that call a positive one signed), a whole "
		"number, "
		"the status beside the value, a text, bytes as hex digits, or an id as it is printed on the meter"},
	{0},
};

/* ---- The line ---- */

static const uint8_t begin[BEGIN] = {0x1B, 0x1B, 0x1B, 0x1B, 1, 1, 1, 1};

static bool crc_fits(const struct sml_device *keys, const uint8_t *bytes, size_t n)
{
	const uint8_t *told = bytes + n - 2;
	if (keys->crc == CRC_KERMIT)
		return (told[0] << 8 | told[1]) == bf_crc16_kermit(bytes, n - 2);
	return (told[0] | told[1] << 8) == bf_crc16_x25(bytes, n - 2);
}

/* How many of the bytes belong to no file that begins among them. */
static size_t before_begin(const uint8_t *input, size_t n)
{
	size_t at = 0;
	while (at < n && memcmp(input + at, begin, n - at < BEGIN ? n - at : BEGIN) != 0)
		at++;
	return at;
}

static size_t longest(const struct bf_device *device)
{
	(void)device;
	return LONGEST;
}

static enum bf_find find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	*ret_found = (struct bf_found){.n = before_begin(input, n)};
	if (ret_found->n > 0)
		return BF_FIND_SKIP;
	size_t at = BEGIN, length = 0;
	while (at + MARK <= n && at + END <= LONGEST) {
		if (memcmp(input + at, begin, MARK) != 0) {
			body[length++] = input[at++];
			continue;
		}
		if (at + END > n)
			return BF_FIND_MORE;
		const uint8_t *after = input + at + MARK;
		if (memcmp(after, begin, MARK) == 0) { /* the sequence itself, as data */
			memcpy(body + length, after, MARK);
			length += MARK;
			at += END;
			continue;
		}
		ret_found->n = at + END;
		if (after[0] != 0x1A || after[1] >= MARK || after[1] > length ||
			!crc_fits(device->keys, input, at + END))
			return BF_FIND_DAMAGED;
		ret_found->message = (struct bf_message){0, body, length - after[1]};
		return BF_FIND_MESSAGE;
	}
	ret_found->n = 1;
	return at + END > LONGEST ? BF_FIND_SKIP : BF_FIND_MORE;
}

/* ---- The list of values ---- */

/*
 * The list of values of the message that is next, past which the file's walk is set.
 * 0; -ENOENT the message is another one; -EBADMSG there is none.
 */
static int values_of(struct sml_walk *file, struct sml_walk *ret_list, size_t *ret_entries)
{
	struct sml_walk in = *file;
	struct sml_element tag, list;
	uint64_t choice;
	if (sml_walk_pass(file, 1) < 0)
		return -EBADMSG;
	if (sml_walk_enter(&in, N_MESSAGE) < 0 || sml_walk_pass(&in, MESSAGE_BODY) < 0 || sml_walk_enter(&in, 2) < 0 ||
		sml_walk_next(&in, &tag) < 0 || sml_walk_number(&tag, false, &choice) < 0 || choice != GET_LIST)
		return -ENOENT;
	if (sml_walk_enter(&in, N_GET_LIST) < 0 || sml_walk_pass(&in, LIST_VALUES) < 0 ||
		sml_walk_next(&in, &list) < 0 || list.type != SML_LIST)
		return -ENOENT;
	*ret_list = in;
	*ret_entries = list.count;
	return 0;
}

/* The entry of that name; elements of it that are lists are told without what they hold. */
static int entry_of(const struct bf_message *message, const uint8_t obis[OBIS], struct sml_element entry[N_ENTRY])
{
	struct sml_walk file = {message->bytes, message->n}, list;
	size_t n;
	for (int err; (err = values_of(&file, &list, &n)) != -EBADMSG;) {
		for (; err == 0 && n > 0 && sml_walk_enter(&list, N_ENTRY) == 0; n--) {
			for (int i = 0; i < N_ENTRY; i++) {
				struct sml_walk inner = list;
				if (sml_walk_next(&inner, &entry[i]) < 0 || sml_walk_pass(&list, 1) < 0)
					return -ENOENT;
			}
			const struct sml_element *name = &entry[ENTRY_NAME];
			if (name->type == SML_OCTETS && name->count == OBIS && memcmp(name->at, obis, OBIS) == 0)
				return 0;
		}
	}
	return -ENOENT;
}

/* "1-0:1.8.0" or "1-0:1.8.0*255" */
static int obis_parse(const char *text, uint8_t obis[OBIS])
{
	static const char between[OBIS] = {'-', ':', '.', '.', '*', '\0'};
	for (int i = 0; i < OBIS; i++) {
		unsigned number = 0;
		const char *start = text;
		while (*text >= '0' && *text <= '9' && text - start < 3)
			number = number * 10 + (unsigned)(*text++ - '0');
		if (text == start || number > 255)
			return -EINVAL;
		obis[i] = (uint8_t)number;
		if (i == OBIS - 2 && *text == '\0') {
			obis[OBIS - 1] = 255;
			return 0;
		}
		if (*text++ != between[i])
			return -EINVAL;
	}
	return 0;
}

static int check(const struct bf_device *device, struct bf_complaint *ret_complaint)
{
	if (device->n_messages <= 1)
		return 0;
	ret_complaint->message = device->messages[1].name;
	return bf_refuse(ret_complaint, NULL, NULL, "is one too many: SML has one kind of message");
}

static int shape(const struct bf_device *device, unsigned kind, const void *metric, struct bf_shape *ret_shape,
	struct bf_complaint *ret_complaint)
{
	(void)device;
	(void)kind;
	const struct sml_metric *keys = metric;
	uint8_t obis[OBIS];
	if (obis_parse(keys->obis, obis) < 0)
		return bf_refuse(ret_complaint, "obis", "write all of it, such as \"1-0:1.8.0\" or \"1-0:96.50.1*1\"",
			"is no OBIS code of six numbers");
	*ret_shape = (struct bf_shape){.type = types[keys->as]};
	if (ret_shape->type == BF_TYPE_STRING)
		ret_shape->length = BF_STRING_MAX;
	return 0;
}

/* ---- A value ---- */

/* A whole number times a power of ten, as the double that its decimal text reads as. */
static double scaled(uint64_t number, bool is_signed, int power)
{
	char text[32];
	int64_t as_signed;
	memcpy(&as_signed, &number, sizeof(as_signed));
	if (is_signed)
		snprintf(text, sizeof(text), "%llde%d", (long long)as_signed, power);
	else
		snprintf(text, sizeof(text), "%llue%d", (unsigned long long)number, power);
	return strtod(text, NULL);
}

static int number_of(const struct sml_element entry[N_ENTRY], enum sml_as as, struct bf_value *ret_value)
{
	const struct sml_element *value = &entry[as == AS_STATUS ? ENTRY_STATUS : ENTRY_VALUE];
	const struct sml_element *scaler = &entry[ENTRY_SCALER];
	bool is_signed = value->type == SML_SIGNED && as != AS_UNSIGNED;
	uint64_t number, power = 0;
	if (sml_walk_number(value, is_signed, &number) < 0)
		return -EDOM;
	if (as == AS_STATUS) {
		*ret_value = (struct bf_value){.kind = BF_UNSIGNED, .u = number};
		return 0;
	}
	if (as == AS_INTEGER) {
		if (!is_signed && number > INT64_MAX)
			return -EDOM;
		*ret_value = (struct bf_value){.kind = BF_SIGNED};
		memcpy(&ret_value->i, &number, sizeof(ret_value->i));
		return 0;
	}
	if (scaler->count > 0 && (scaler->count > 1 || sml_walk_number(scaler, false, &power) < 0))
		return -EDOM;
	int exponent = (power & 0x80) ? (int)(power & 0x7F) - 128 : (int)power; /* one byte, two's complement */
	if (exponent > POWER_MOST || exponent < -POWER_MOST)
		return -EDOM;
	*ret_value = (struct bf_value){.kind = BF_FLOAT64, .f64 = scaled(number, is_signed, exponent)};
	return 0;
}

/* 0A 01 "ISK" 00 04 7A 55 44 → 1ISK0075126084: the number of DIN 43863-5, as it is printed on the meter. */
static int id_of(const struct sml_element *value, char text[static BF_STRING_MAX + 1])
{
	const uint8_t *at = value->at;
	if (value->count != 10 || at[0] < 9 || at[0] > 10)
		return -EDOM;
	for (int i = 2; i < 5; i++)
		if (at[i] < 'A' || at[i] > 'Z')
			return -EDOM;
	unsigned number = (unsigned)at[6] << 24 | (unsigned)at[7] << 16 | (unsigned)at[8] << 8 | at[9];
	return snprintf(text, BF_STRING_MAX + 1, "%X%.3s%02X%08u", at[1], (const char *)at + 2, at[5], number);
}

/* The length of the text; -EDOM. */
static int text_of(const struct sml_element *value, enum sml_as as, char text[static BF_STRING_MAX + 1])
{
	int n = 0;
	if (value->type != SML_OCTETS || value->count == 0)
		return -EDOM;
	if (as == AS_ID)
		return id_of(value, text);
	if (value->count > (as == AS_HEX ? BF_STRING_MAX / 2 : BF_STRING_MAX))
		return -EDOM;
	for (size_t i = 0; i < value->count; i++) {
		if (as == AS_HEX)
			n += snprintf(text + n, 3, "%02x", value->at[i]);
		else if (value->at[i] < 0x20 || value->at[i] > 0x7E)
			return -EDOM;
		else
			text[n++] = (char)value->at[i];
	}
	return n;
}

static int value(const struct bf_device *device, const void *metric, unsigned index, const struct bf_message *message,
	char text[static BF_STRING_MAX + 1], struct bf_value *ret_value)
{
	(void)device;
	(void)index;
	const struct sml_metric *keys = metric;
	struct sml_element entry[N_ENTRY];
	uint8_t obis[OBIS];
	if (obis_parse(keys->obis, obis) < 0 || entry_of(message, obis, entry) < 0)
		return -ENOENT;
	if (types[keys->as] != BF_TYPE_STRING)
		return number_of(entry, (enum sml_as)keys->as, ret_value);
	int n = text_of(&entry[ENTRY_VALUE], (enum sml_as)keys->as, text);
	if (n < 0)
		return n;
	*ret_value = (struct bf_value){.kind = BF_TEXT, .text = {text, (size_t)n}};
	return 0;
}

BF_DRIVER(sml) = {
	.abi = BF_DRIVER_ABI,
	.name = "sml",
	.summary = "Smart Message Language 1.04, as German electricity meters push it",
	.way = BF_WAY_STREAM,
	.device_keys = device_keys,
	.metric_keys = metric_keys,
	.device_size = sizeof(struct sml_device),
	.metric_size = sizeof(struct sml_metric),
	.check = check,
	.shape = shape,
	.longest = longest,
	.find = find,
	.value = value,
};

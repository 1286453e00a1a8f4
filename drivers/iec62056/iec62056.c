/*
 * The driver of IEC 62056-21: meters with an optical port (or a current loop) that are asked for a readout.
 *
 * It needs C for the handshake.  All begins at 300 Bd with 7E1: "/?!" asks, the meter says who it is and how fast it
 * can be, and then, by the fifth character of that,
 *   a digit            mode C: it waits for our choice of speed, and both change to it
 *   a letter A to I    mode B: it changes its speed by itself
 *   anything else      mode A: it goes on at 300 Bd
 * The readout stands between STX and "!" CR LF ETX, with a checksum behind it that is an exclusive or of seven bits.
 * That is little, so what must stand there is looked at too.  Meters that push a readout unasked (mode D) are the text
 * driver's; passwords and programming are nobody's here.
 *
 * Meters on a battery sleep and are woken by a run of zero bytes.
 *
 * Pure; any thread.
 */
#include "iec62056_set.h"
#include "sdk/check.h"
#include "sdk/driver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST     8192
#define STX         0x02
#define ETX         0x03
#define ACK         0x06
#define METER_MAX   32     /* characters of a meter's address */
#define IDENT_MAX   64     /* characters of an identification, with its end */
#define IDENT_MIN   7      /* '/', three letters, the speed, CR LF */
#define WAKE_MAX    200    /* zero bytes */
#define NUMBER_MAX  40     /* characters */
#define REACTION_US 250000 /* silence before we answer: the standard wants 200 ms to 1.5 s */
#define SLOWEST     300
#define ANSWER_US   (1500000 + INT64_C(10000000) * IDENT_MAX / SLOWEST)

/* What a metric is read as; the order of the key's choices. */
enum iec62056_as { AS_NUMBER, AS_HEX, AS_TEXT };

struct iec62056_device {
	const char *meter;
	int fastest, wake;
	int64_t wake_pause_us;
};

struct iec62056_metric {
	const char *obis, *meter_unit;
	int as, bracket;
};

static const struct bf_key device_keys[] = {
	{"meter", BF_KEY_TEXT, offsetof(struct iec62056_device, meter), 0, 0, NULL, NULL, 0,
		"Address of one of several meters on a line, often its number"},
	{"fastest", BF_KEY_INT, offsetof(struct iec62056_device, fastest), SLOWEST, 19200, "19200", NULL, 0,
		"The most bits a second that are asked for (mode C), for optical heads that can't do what the meter "
		"can"},
	{"wake", BF_KEY_INT, offsetof(struct iec62056_device, wake), 0, WAKE_MAX, "0", NULL, 0,
		"How many zero bytes wake the meter up"},
	{"wake_pause", BF_KEY_DURATION, offsetof(struct iec62056_device, wake_pause_us), 0, 10, "1.6s", NULL, 0,
		"Silence after them; 0s sends them with the request"},
	{0},
};

static const struct bf_key metric_keys[] = {
	{"obis", BF_KEY_TEXT, offsetof(struct iec62056_metric, obis), 0, 0, NULL, NULL, BF_KEY_REQUIRED,
		"Which value: \"1.8.0\", or with what the meter says more than that, \"1-0:1.8.0*255\""},
	{"type", BF_KEY_CHOICE, offsetof(struct iec62056_metric, as), 0, 0, "number", "number|hex|text", 0,
		"A number, which may have a unit behind it; a whole one in hexadecimal digits; or all that is there"},
	{"meter_unit", BF_KEY_TEXT, offsetof(struct iec62056_metric, meter_unit), 0, 0, NULL, NULL, 0,
		"Only a number with that unit behind it, \"MWh\", where another meter of the kind counts in another "
		"one"},
	{"bracket", BF_KEY_INT, offsetof(struct iec62056_metric, bracket), 1, 16, "1", NULL, 0,
		"Which pair of brackets behind the code"},
	{0},
};

static int check(const struct bf_device *device, struct bf_complaint *ret_complaint)
{
	const struct iec62056_device *keys = device->keys;
	if (device->n_messages > 1) {
		ret_complaint->message = device->messages[1].name;
		return bf_refuse(ret_complaint, NULL, NULL, "is one too many: IEC 62056-21 has one kind of readout");
	}
	if (!keys->meter)
		return 0;
	size_t n = strlen(keys->meter);
	if (n > METER_MAX)
		return bf_refuse(ret_complaint, "meter", NULL, "is longer than the 32 characters of a meter's address");
	for (size_t i = 0; i < n; i++)
		if (keys->meter[i] < 0x20 || keys->meter[i] > 0x7E || strchr("/!", keys->meter[i]))
			return bf_refuse(ret_complaint, "meter", "write digits, letters and blanks",
				"has a character that no meter's address has");
	return 0;
}

static int shape(const struct bf_device *device, unsigned kind, const void *metric, struct bf_shape *ret_shape,
	struct bf_complaint *ret_complaint)
{
	(void)device;
	(void)kind;
	static const enum bf_type types[] = {BF_TYPE_F64, BF_TYPE_U64, BF_TYPE_STRING};
	const struct iec62056_metric *keys = metric;
	struct iec62056_obis obis;
	if (iec62056_obis_parse(keys->obis, strlen(keys->obis), &obis) < 0)
		return bf_refuse(ret_complaint, "obis",
			"write it as the meter does, such as \"1.8.0\", \"1-0:1.8.0*255\" or \"C.1.0\"",
			"is no OBIS code");
	if (keys->meter_unit && keys->as != AS_NUMBER)
		return bf_refuse(ret_complaint, "meter_unit", "leave it out", "is given for what is no number");
	*ret_shape = (struct bf_shape){.type = types[keys->as]};
	if (ret_shape->type == BF_TYPE_STRING)
		ret_shape->length = BF_STRING_MAX;
	return 0;
}

/* ---- The line ---- */

static size_t longest(const struct bf_device *device)
{
	(void)device;
	return LONGEST;
}

/* "/LGZ4ZMF100AC.M26": three letters and the speed, then no brackets, as a unit such as kg/h in a readout has. */
static enum bf_find find_name(const uint8_t *input, size_t n, struct bf_found *ret_found)
{
	size_t at = 1;
	ret_found->n = 1;
	for (; at < n && input[at] != '\n'; at++) {
		uint8_t c = input[at], small = c | 0x20;
		bool fits = c == '\r' || (c >= 0x20 && c <= 0x7E && !strchr("()!/", c));
		if (at <= 3)
			fits = small >= 'a' && small <= 'z';
		if (!fits || at >= IDENT_MAX)
			return BF_FIND_SKIP; /* "/?" is an echo of ours */
	}
	if (at == n)
		return BF_FIND_MORE;
	ret_found->n = at + 1;
	if (at + 1 < IDENT_MIN || input[at - 1] != '\r')
		return BF_FIND_SKIP;
	ret_found->message = (struct bf_message){0, input, at + 1};
	return BF_FIND_MESSAGE;
}

static enum bf_find find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	(void)device;
	(void)body;
	*ret_found = (struct bf_found){.n = 0};
	if (input[0] == '/')
		return find_name(input, n, ret_found);
	while (ret_found->n < n && input[ret_found->n] != STX && input[ret_found->n] != '/')
		ret_found->n++;
	if (ret_found->n > 0)
		return BF_FIND_SKIP;
	size_t end = 1;
	while (end < n && input[end] != ETX && input[end] != STX)
		end++;
	if (end + 1 >= n)
		return BF_FIND_MORE;
	ret_found->n = end;
	if (input[end] == STX) /* it begins anew */
		return BF_FIND_DAMAGED;
	ret_found->n = end + 2;
	if (end < 4 || memcmp(input + end - 3, "!\r\n", 3) != 0 || bf_xor8(input + 1, end) != input[end + 1])
		return BF_FIND_DAMAGED;
	ret_found->message = (struct bf_message){0, input, ret_found->n};
	return BF_FIND_MESSAGE;
}

/* What the fifth character of an identification offers: the speed, 0 = none; *ret_waits = it wants our choice. */
static uint32_t offered(char c, bool *ret_waits)
{
	*ret_waits = c >= '0' && c <= '6';
	if (*ret_waits)
		return (uint32_t)SLOWEST << (c - '0');
	return c >= 'A' && c <= 'F' ? (uint32_t)SLOWEST << (c - 'A' + 1) : 0;
}

static void put(struct bf_ask *ask, const char *text)
{
	size_t n = strlen(text);
	memcpy(ask->bytes + ask->n, text, n);
	ask->n += n;
}

static int64_t readout_us(uint32_t baud)
{
	return 1500000 + INT64_C(10000000) * LONGEST / (baud ? baud : SLOWEST);
}

/* Behind the identification: our choice of speed, or only the change of it. */
static int acknowledge(const struct iec62056_device *keys, const struct bf_message *name, struct bf_ask *ret_ask)
{
	bool waits;
	if (name->n < IDENT_MIN || name->bytes[0] != '/')
		return -EBADMSG;
	uint32_t baud = offered((char)name->bytes[4], &waits);
	if (waits) {
		char text[] = {ACK, '0', (char)name->bytes[4], '0', '\r', '\n', '\0'};
		for (; baud > (uint32_t)keys->fastest; baud /= 2)
			text[2]--;
		put(ret_ask, text);
		ret_ask->pause_us = REACTION_US;
	}
	ret_ask->baud = baud;
	ret_ask->timeout_us = readout_us(baud);
	return 1;
}

static int ask(const struct bf_device *device, unsigned step, const struct bf_message *answer, struct bf_ask *ret_ask)
{
	const struct iec62056_device *keys = device->keys;
	bool wakes_alone = keys->wake > 0 && keys->wake_pause_us > 0;
	*ret_ask = (struct bf_ask){0};
	if (step == 0) {
		ret_ask->n = (size_t)keys->wake; /* zeros already */
		ret_ask->unanswered = wakes_alone;
		if (wakes_alone)
			return 1;
	}
	if (step == wakes_alone) {
		ret_ask->pause_us = wakes_alone ? keys->wake_pause_us : 0;
		ret_ask->timeout_us = ANSWER_US;
		put(ret_ask, "/?");
		put(ret_ask, keys->meter ? keys->meter : "");
		put(ret_ask, "!\r\n");
		return 1;
	}
	if (answer->bytes[0] == STX) /* also one that came without having waited for us */
		return 0;
	if (step > 1u + wakes_alone)
		return -EBADMSG;
	return acknowledge(keys, answer, ret_ask);
}

/* ---- A value ---- */

/* Without blanks at both ends. */
static void trim(const char **value, size_t *n)
{
	while (*n > 0 && **value == ' ') {
		(*value)++;
		(*n)--;
	}
	while (*n > 0 && (*value)[*n - 1] == ' ')
		(*n)--;
}

/* A decimal number, and its unit behind a "*". */
static int number_of(const char *value, size_t n, const char *meter_unit, struct bf_value *ret_value)
{
	char text[NUMBER_MAX + 8];
	size_t length = 0, n_digits = 0, n_behind = 0, n_unit = 0;
	bool point = false;
	const char *unit = n > 0 ? memchr(value, '*', n) : NULL;
	if (unit) {
		n_unit = n - (size_t)(unit + 1 - value);
		n = (size_t)(unit - value);
	}
	if (meter_unit && (!unit || n_unit != strlen(meter_unit) || memcmp(unit + 1, meter_unit, n_unit) != 0))
		return -ENOENT;
	trim(&value, &n);
	for (size_t i = 0; i < n; i++) {
		bool sign = i == 0 && (value[i] == '-' || value[i] == '+'), digit = value[i] >= '0' && value[i] <= '9';
		if (n > NUMBER_MAX || (!sign && !digit && (value[i] != '.' || point)))
			return -EDOM;
		point = point || value[i] == '.';
		n_digits += digit;
		n_behind += digit && point;
		if (value[i] != '.')
			text[length++] = value[i];
	}
	if (n_digits == 0)
		return -EDOM;
	snprintf(text + length, sizeof(text) - length, "e-%zu", n_behind); /* without a point: no locale's matters */
	*ret_value = (struct bf_value){.kind = BF_FLOAT64, .f64 = strtod(text, NULL)};
	return 0;
}

static int hex_of(const char *value, size_t n, struct bf_value *ret_value)
{
	char text[17] = "";
	if (n < 1 || n > 16)
		return -EDOM;
	memcpy(text, value, n);
	if (strspn(text, "0123456789abcdefABCDEF") != n)
		return -EDOM;
	*ret_value = (struct bf_value){.kind = BF_UNSIGNED, .u = strtoull(text, NULL, 16)};
	return 0;
}

static int text_of(const char *value, size_t n, struct bf_value *ret_value)
{
	trim(&value, &n);
	if (n == 0 || n > BF_STRING_MAX)
		return -EDOM;
	for (size_t i = 0; i < n; i++)
		if (value[i] < 0x20 || value[i] > 0x7E)
			return -EDOM;
	*ret_value = (struct bf_value){.kind = BF_TEXT, .text = {value, n}};
	return 0;
}

static int value(const struct bf_device *device, const void *metric, unsigned index, const struct bf_message *message,
	char text[static BF_STRING_MAX + 1], struct bf_value *ret_value)
{
	(void)device;
	(void)index;
	(void)text;
	const struct iec62056_metric *keys = metric;
	struct iec62056_obis obis;
	struct iec62056_set set = {0};
	size_t at = 1;
	if (message->bytes[0] != STX || iec62056_obis_parse(keys->obis, strlen(keys->obis), &obis) < 0)
		return -ENOENT;
	const char *readout = (const char *)message->bytes;
	while (iec62056_set_next(readout, message->n, &at, &set) > 0) {
		if (set.bracket != (unsigned)keys->bracket || !iec62056_set_is(&set, &obis))
			continue;
		if (keys->as == AS_TEXT)
			return text_of(set.value, set.n_value, ret_value);
		return keys->as == AS_HEX ? hex_of(set.value, set.n_value, ret_value)
					  : number_of(set.value, set.n_value, keys->meter_unit, ret_value);
	}
	return -ENOENT;
}

BF_DRIVER(iec62056) = {
	.abi = BF_DRIVER_ABI,
	.name = "iec62056",
	.summary = "IEC 62056-21, modes A, B and C: meters with an optical port, asked for a readout",
	.way = BF_WAY_STREAM,
	.device_keys = device_keys,
	.metric_keys = metric_keys,
	.device_size = sizeof(struct iec62056_device),
	.metric_size = sizeof(struct iec62056_metric),
	.check = check,
	.shape = shape,
	.longest = longest,
	.find = find,
	.value = value,
	.ask = ask,
};

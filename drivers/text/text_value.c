/*
 * The value of a metric in a sound message: found by its column, key or pattern, and read by its type.
 *
 * What is empty or is not wholly of the type is no value (-EDOM), never a zero or the part of it that could be read.
 * Pure but for the patterns; the wire's thread.
 */
#include "text.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static int find(const struct text_device *keys, const struct text_metric *metric, unsigned index,
	struct text_span content, struct text_span *ret_span)
{
	if (metric->pattern)
		return text_pattern_find(metric->pattern, content, ret_span);
	size_t column = metric->column == BF_UNSET ? 1 : (size_t)metric->column;
	switch (keys->keys) {
	case TEXT_PAIRS:
		return text_place_pair(keys, content, metric->key, column, ret_span);
	case TEXT_OBIS:
		return text_obis_find(content, metric->key, metric->bracket, ret_span);
	case TEXT_JSON:
		return text_json_find(content, metric->key, ret_span);
	default:
		return text_place_column(keys, content, column + (size_t)index * (size_t)metric->step, ret_span);
	}
}

/* The letter in another column: a hemisphere or a unit. */
static char letter_at(const struct text_device *keys, struct text_span content, int column)
{
	struct text_span span;
	if (column == BF_UNSET || text_place_column(keys, content, (size_t)column, &span) < 0)
		return '\0';
	span = text_trim(span);
	return span.n == 1 ? *span.at : '\0';
}

/* "4807.038" with "N": degrees, then two digits of minutes and their fraction (NMEA 0183). */
static int angle_of(struct text_span span, char letter, double *ret_degrees)
{
	int64_t degrees;
	double minutes;
	size_t whole = 0;
	while (whole < span.n && span.at[whole] >= '0' && span.at[whole] <= '9')
		whole++;
	if (whole < 3 || text_number_int((struct text_span){span.at, whole - 2}, &degrees) < 0 ||
		text_number_dec((struct text_span){span.at + whole - 2, span.n - whole + 2}, '.', &minutes) < 0)
		return -EDOM;
	double number = (double)degrees + minutes / 60;
	bool latitude = letter == 'N' || letter == 'S';
	if (!letter || !strchr("NSEW", letter) || minutes < 0 || minutes >= 60 || number > (latitude ? 90 : 180))
		return -EDOM;
	*ret_degrees = letter == 'S' || letter == 'W' ? -number : number;
	return 0;
}

/* In m/s, from the letter that NMEA 0183 gives the unit of a speed. */
static int speed_of(double number, char letter, double *ret_speed)
{
	switch (letter) {
	case 'M':
		*ret_speed = number;
		return 0;
	case 'N':
		*ret_speed = number * 1852 / 3600;
		return 0;
	case 'K':
		*ret_speed = number / 3.6;
		return 0;
	case 'S':
		*ret_speed = number * 0.44704;
		return 0;
	default:
		return -EDOM;
	}
}

static int bool_of(struct text_span span, bool *ret_yes)
{
	static const char *const words[][2] = {{"0", "1"}, {"false", "true"}, {"off", "on"}, {"no", "yes"}};
	for (size_t i = 0; i < 2 * sizeof(words) / sizeof(words[0]); i++) {
		const char *word = words[i / 2][i % 2];
		if (span.n == strlen(word) && strncasecmp(span.at, word, span.n) == 0) {
			*ret_yes = i % 2;
			return 0;
		}
	}
	return -EDOM;
}

/* The core's way with a text: UTF-8, cut at a NUL, no blanks at its ends. */
static int text_of(struct text_span span, char text[static BF_STRING_MAX + 1], struct bf_value *ret_value)
{
	uint8_t bytes[BF_STRING_MAX + 2] = {0};
	if (span.n == 0 || span.n > BF_STRING_MAX)
		return -EDOM;
	memcpy(bytes, span.at, span.n);
	struct bf_shape shape = {.type = BF_TYPE_STRING, .length = (uint16_t)span.n};
	struct bf_value value;
	if (bf_decode(&shape, bytes, (span.n + 1) / 2 * 2, text, &value) < 0 || value.text.n == 0)
		return -EDOM;
	*ret_value = value;
	return 0;
}

/* "4B384547": a text whose characters are written as two digits each. */
static int hex_text_of(struct text_span span, char text[static BF_STRING_MAX + 1], struct bf_value *ret_value)
{
	char plain[BF_STRING_MAX];
	if (span.n % 2 != 0 || span.n / 2 > sizeof(plain))
		return -EDOM;
	for (size_t i = 0; i < span.n; i += 2) {
		int high = text_nibble((uint8_t)span.at[i]), low = text_nibble((uint8_t)span.at[i + 1]);
		if (high < 0 || low < 0)
			return -EDOM;
		plain[i / 2] = (char)(high << 4 | low);
	}
	return text_of((struct text_span){plain, span.n / 2}, text, ret_value);
}

static int read_as(const struct text_device *keys, const struct text_metric *metric, struct text_span content,
	struct text_span span, char text[static BF_STRING_MAX + 1], struct bf_value *ret_value)
{
	struct bf_value value = {.kind = BF_FLOAT64};
	double number = 0;
	int err;
	switch ((enum text_type)metric->type) {
	case TEXT_INT:
		value.kind = BF_SIGNED;
		err = text_number_int(span, &value.i);
		break;
	case TEXT_HEX_NUMBER:
		value.kind = BF_UNSIGNED;
		err = text_number_hex(span, &value.u);
		break;
	case TEXT_TEXT:
		return text_of(span, text, ret_value);
	case TEXT_HEX_TEXT:
		return hex_text_of(span, text, ret_value);
	case TEXT_BOOL:
		value.kind = BF_BOOLEAN;
		err = bool_of(span, &value.yes);
		break;
	case TEXT_NMEA_ANGLE:
		err = angle_of(span, letter_at(keys, content, metric->sign), &value.f64);
		break;
	case TEXT_NMEA_SPEED:
		err = text_number_dec(span, '.', &number);
		if (err == 0)
			err = speed_of(number, letter_at(keys, content, metric->letter), &value.f64);
		break;
	default:
		err = text_number_dec(span, keys->decimal == TEXT_COMMA ? ',' : '.', &value.f64);
	}
	if (err == 0)
		*ret_value = value;
	return err;
}

int text_value(const struct bf_device *device, const void *metric, unsigned index, const struct bf_message *message,
	char text[static BF_STRING_MAX + 1], struct bf_value *ret_value)
{
	const struct text_device *keys = device->keys;
	const struct text_metric *of = metric;
	struct text_span content = {(const char *)message->bytes, message->n}, span;
	int err = find(keys, of, index, content, &span);
	if (err < 0)
		return err == -ENOENT ? -ENOENT : -EDOM;
	if (keys->keys == TEXT_JSON && !of->pattern) {
		if (*span.at == '"' ? text_json_text(span, text, &span) < 0 : text_is("{[n", (uint8_t)*span.at))
			return -EDOM;
	}
	return read_as(keys, of, content, text_trim(span), text, ret_value);
}

/*
 * What a message says: our own payloads, and as much of others' as can be shown.  See watch.h.
 */
#include "base/json_find.h"
#include "base/utf8.h"
#include "cli/watch.h"

#include <stdlib.h>
#include <string.h>

#define METRIC_MAX 256
#define STRING_MAX 4096

static void keep(char *to, size_t size, const char *text, size_t n)
{
	n = n < size - 1 ? n : size - 1;
	for (size_t i = 0; i < n; i++)
		to[i] = text[i];
	to[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (to[i] == '\0')
			to[i] = '\x01'; /* shown as what it is: a control character */
}

/* A number as RFC 8259 has it, section 6. */
static bool is_number(const char *text, size_t n)
{
	size_t i = 0, digits;
	if (i < n && text[i] == '-')
		i++;
	digits = strspn(text + i, "0123456789");
	if (i + digits > n || digits == 0 || (digits > 1 && text[i] == '0'))
		return false;
	i += digits;
	if (i < n && text[i] == '.') {
		digits = strspn(text + i + 1, "0123456789");
		if (digits == 0)
			return false;
		i += 1 + digits;
	}
	if (i < n && (text[i] == 'e' || text[i] == 'E')) {
		i++;
		if (i < n && (text[i] == '+' || text[i] == '-'))
			i++;
		digits = strspn(text + i, "0123456789");
		if (digits == 0)
			return false;
		i += digits;
	}
	return i == n;
}

/* A word of the payload, NUL-terminated for the library's sake; numbers are never long. */
static bool number_of(const char *text, size_t n, double *ret_number)
{
	char copy[64];
	if (n == 0 || n >= sizeof(copy))
		return false;
	memcpy(copy, text, n);
	copy[n] = '\0';
	if (!is_number(copy, n))
		return false;
	*ret_number = strtod(copy, NULL);
	return true;
}

static bool is(const char *text, size_t n, const char *word)
{
	return n == strlen(word) && memcmp(text, word, n) == 0;
}

/* A value of JSON.  False when it is none that can be told alone. */
static bool take_json(const struct json_value *json, struct watch_value *value)
{
	static char text[STRING_MAX];
	value->kind = WATCH_READING;
	value->raw = json->text;
	value->raw_n = json->n;
	if (json_text_of(json, text, sizeof(text)) && utf8_valid(text, strlen(text))) {
		keep(value->text, sizeof(value->text), text, strlen(text));
		value->raw = NULL; /* written anew: what is escaped in it is the sender's */
		return true;
	}
	keep(value->text, sizeof(value->text), json->text, json->n);
	if (is(json->text, json->n, "true") || is(json->text, json->n, "false")) {
		value->has_number = true;
		value->number = json->text[0] == 't';
		return true;
	}
	if (is(json->text, json->n, "null"))
		return true;
	value->has_number = number_of(json->text, json->n, &value->number);
	return value->has_number;
}

static void take_device(const char *payload, size_t n, const struct json_value *values,
	void (*take)(void *user, const char *metric, const struct watch_value *value), void *user)
{
	struct json_value key, json, quality = {"", 0};
	int64_t time_ms = 0;
	json_find_int(payload, n, "time", &time_ms);
	json_find(payload, n, "quality", &quality);
	for (size_t at = 0; json_each(values->text, values->n, &at, &key, &json);) {
		struct watch_value value = {.time_ms = time_ms};
		char metric[METRIC_MAX];
		if (json_text_of(&key, metric, sizeof(metric)) && take_json(&json, &value))
			take(user, metric, &value);
	}
	for (size_t at = 0; json_each(quality.text, quality.n, &at, &key, &json);) {
		struct watch_value value = {.kind = WATCH_READING, .time_ms = time_ms, .text = "null"};
		char metric[METRIC_MAX];
		if (json_text_of(&key, metric, sizeof(metric)) &&
			json_text_of(&json, value.quality, sizeof(value.quality)))
			take(user, metric, &value);
	}
}

static bool ends(const char *topic, const char *tail)
{
	size_t n = strlen(topic), m = strlen(tail);
	return n >= m && strcmp(topic + n - m, tail) == 0;
}

void watch_values(const char *topic, const void *payload, size_t n,
	void (*take)(void *user, const char *metric, const struct watch_value *value), void *user)
{
	const char *text = payload ? payload : "";
	struct watch_value value = {.kind = WATCH_OTHER};
	struct json_value json;
	if (n == 0) {
		value.kind = WATCH_CLEARED;
	} else if ((is(text, n, "online") || is(text, n, "offline")) &&
		   (ends(topic, "/availability") || ends(topic, "/state"))) {
		value.kind = WATCH_STATE;
		keep(value.text, sizeof(value.text), text, n);
	} else if (json_find(text, n, "values", &json) && json.text[0] == '{') {
		take_device(text, n, &json, take, user);
		return;
	} else if (json_find(text, n, "value", &json) && take_json(&json, &value)) {
		json_find_text(text, n, "unit", value.unit, sizeof(value.unit));
		json_find_text(text, n, "quality", value.quality, sizeof(value.quality));
		json_find_int(text, n, "time", &value.time_ms);
	} else {
		keep(value.text, sizeof(value.text), text, n);
		value.raw = NULL;
		value.has_number = number_of(text, n, &value.number);
		if (is(text, n, "true") || is(text, n, "false")) {
			value.has_number = true;
			value.number = text[0] == 't';
		}
		value.kind = value.has_number ? WATCH_READING : WATCH_OTHER;
	}
	take(user, NULL, &value);
}

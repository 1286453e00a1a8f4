/*
 * A JSON writer over a fixed buffer.  RFC 8259; see json.h.
 */
#include "base/json.h"
#include "base/utf8.h"

#include <errno.h>
#include <string.h>

struct json json_into(char *text, size_t size)
{
	return (struct json){.text = text, .size = size};
}

static void json_put(struct json *json, const char *bytes, size_t n)
{
	if (json->size - json->n <= n) { /* one byte stays free for the NUL */
		json->overflow = true;
		return;
	}
	if (json->text)
		memcpy(json->text + json->n, bytes, n);
	json->n += n;
}

static void json_escape(struct json *json, const char *text, size_t n)
{
	json_put(json, "\"", 1);
	size_t plain = 0; /* start of the run that needs no escape */
	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)text[i];
		if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && c != 0x7f) {
			i++;
			continue;
		}
		size_t length = c >= 0x80 ? utf8_length(text + i, n - i) : 0;
		if (length) {
			i += length;
			continue;
		}
		json_put(json, text + plain, i - plain);
		if (c >= 0x80) {
			json_put(json, "\\ufffd", 6);
		} else if (c == '"' || c == '\\') {
			char pair[2] = {'\\', (char)c};
			json_put(json, pair, 2);
		} else if (c == '\n') {
			json_put(json, "\\n", 2);
		} else if (c == '\t') {
			json_put(json, "\\t", 2);
		} else if (c == '\r') {
			json_put(json, "\\r", 2);
		} else {
			char unit[6] = {'\\', 'u', '0', '0', "0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15]};
			json_put(json, unit, 6);
		}
		plain = ++i;
	}
	json_put(json, text + plain, n - plain);
	json_put(json, "\"", 1);
}

static void json_begin(struct json *json, const char *key)
{
	if (json->comma)
		json_put(json, ",", 1);
	json->comma = true;
	if (key) {
		json_escape(json, key, strlen(key));
		json_put(json, ":", 1);
	}
}

static void json_open(struct json *json, const char *key, const char *bracket)
{
	json_begin(json, key);
	json_put(json, bracket, 1);
	json->comma = false;
}

static void json_close(struct json *json, const char *bracket)
{
	json_put(json, bracket, 1);
	json->comma = true;
}

void json_object(struct json *json, const char *key)
{
	json_open(json, key, "{");
}

void json_object_end(struct json *json)
{
	json_close(json, "}");
}

void json_array(struct json *json, const char *key)
{
	json_open(json, key, "[");
}

void json_array_end(struct json *json)
{
	json_close(json, "]");
}

void json_text_n(struct json *json, const char *key, const char *text, size_t n)
{
	json_begin(json, key);
	json_escape(json, text, n);
}

void json_text(struct json *json, const char *key, const char *text)
{
	json_text_n(json, key, text, strlen(text));
}

void json_base64(struct json *json, const char *key, const void *bytes, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *byte = bytes;
	json_begin(json, key);
	json_put(json, "\"", 1);
	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i < 3 ? n - i : 3;
		uint32_t bits = (uint32_t)byte[i] << 16;
		if (left > 1)
			bits |= (uint32_t)byte[i + 1] << 8;
		if (left > 2)
			bits |= byte[i + 2];
		char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63], left > 1 ? digits[bits >> 6 & 63] : '=',
			left > 2 ? digits[bits & 63] : '='};
		json_put(json, four, sizeof(four));
	}
	json_put(json, "\"", 1);
}

void json_int(struct json *json, const char *key, int64_t number)
{
	char digits[24];
	size_t at = sizeof(digits);
	uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
	do {
		digits[--at] = (char)('0' + left % 10);
		left /= 10;
	} while (left);
	if (number < 0)
		digits[--at] = '-';
	json_raw(json, key, digits + at, sizeof(digits) - at);
}

void json_bool(struct json *json, const char *key, bool yes)
{
	json_raw(json, key, yes ? "true" : "false", yes ? 4 : 5);
}

void json_null(struct json *json, const char *key)
{
	json_raw(json, key, "null", 4);
}

void json_raw(struct json *json, const char *key, const char *raw, size_t n)
{
	json_begin(json, key);
	json_put(json, raw, n);
}

int json_end(struct json *json)
{
	if (json->overflow || json->size == 0)
		return -ENOSPC;
	json->text[json->n] = '\0';
	return (int)json->n;
}

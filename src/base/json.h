/*
 * Writes JSON into a buffer of the caller, without allocating: payloads, info, stats, --json.
 * A text that is not valid UTF-8 is written with U+FFFD in place of each bad byte, so the output always parses.
 * When the buffer is too small `overflow` is set and the text is useless; check it once, at the end.
 * With text NULL and size SIZE_MAX nothing is written, only counted in n; such a text is not ended.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	char *text;
	size_t size, n;
	bool overflow;
	bool comma; /* the next item needs one before it */
};

struct json json_into(char *text, size_t size);

/* Containers and items.  key is NULL inside arrays and for the outermost value. */
void json_object(struct json *json, const char *key);
void json_object_end(struct json *json);
void json_array(struct json *json, const char *key);
void json_array_end(struct json *json);
void json_text(struct json *json, const char *key, const char *text);
void json_text_n(struct json *json, const char *key, const char *text, size_t n);
/* Any bytes, as base64 (RFC 4648, section 4, with padding). */
void json_base64(struct json *json, const char *key, const void *bytes, size_t n);
void json_int(struct json *json, const char *key, int64_t number);
void json_bool(struct json *json, const char *key, bool yes);
void json_null(struct json *json, const char *key);
/* A number (or anything else that is JSON already) as it stands. */
void json_raw(struct json *json, const char *key, const char *raw, size_t n);

/* NUL-terminates and returns the length, or -ENOSPC. */
int json_end(struct json *json);

#endif

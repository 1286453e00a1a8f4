/*
 * Reads single members out of a JSON text, without a tree and without allocating: for answers whose keys are known.
 * Texts are not unescaped but where it is said.  Pure; any thread.
 */
#ifndef BASE_JSON_FIND_H
#define BASE_JSON_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value where it stands in the text: an object with its braces, a text with its quotes. */
struct json_value {
	const char *text;
	size_t n;
};

/* The first member of the object with that key, which holds nothing to escape. False when the text is no object, is cut
 * off before the member's end, or has no such key. */
bool json_find(const char *text, size_t n, const char *key, struct json_value *ret_value);

/*
 * The members of an object, one after the other: *at is 0 at first and then left alone.  The key has its quotes.  False
 * behind the last one, and where the text is no object or is cut off.
 */
bool json_each(const char *text, size_t n, size_t *at, struct json_value *ret_key, struct json_value *ret_value);

/* A text value unescaped into `to` and NUL-terminated.  False when it is no text, does not fit, or holds a NUL. */
bool json_text_of(const struct json_value *value, char *to, size_t size);

/* The same, and the value has to be a whole number that fits, or true or false. */
bool json_find_int(const char *text, size_t n, const char *key, int64_t *ret_number);
bool json_find_bool(const char *text, size_t n, const char *key, bool *ret_yes);

/* The same for a text, as json_text_of. */
bool json_find_text(const char *text, size_t n, const char *key, char *to, size_t size);

#endif

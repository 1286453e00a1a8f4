/*
 * Is it UTF-8?  Unicode 15.0, table 3-7 "Well-Formed UTF-8 Byte Sequences": no overlong forms, no surrogates, nothing
 * above U+10FFFF.  Pure; any thread.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the well-formed character at the start of text, 1..4; 0 when there is none. */
size_t utf8_length(const char *text, size_t n);

/* Is that character, of length bytes, a control character, which a terminal could obey: U+0000 to U+001F, U+007F to
 * U+009F? */
bool utf8_is_control(const char *character, size_t length);

bool utf8_valid(const char *text, size_t n);

/* Characters in a well-formed text, as a terminal counts columns of Latin script. */
size_t utf8_columns(const char *text, size_t n);

#endif

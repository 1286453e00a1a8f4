/*
 * A text that grows in a buffer of the caller: the hot path of payloads.  When the buffer is too small `overflow` is
 * set and the text is useless; it is checked once, at the end.
 */
#ifndef SHIP_PEN_H
#define SHIP_PEN_H

#include "sdk/value.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct pen {
	char *text;
	size_t size, n;
	bool overflow;
};

static inline void pen_put(struct pen *pen, const char *text, size_t n)
{
	if (pen->size - pen->n < n) {
		pen->overflow = true;
		return;
	}
	if (n)
		memcpy(pen->text + pen->n, text, n);
	pen->n += n;
}

static inline void pen_text(struct pen *pen, const char *text)
{
	pen_put(pen, text, strlen(text));
}

static inline void pen_int(struct pen *pen, int64_t number)
{
	char digits[BF_NUMBER_SIZE];
	struct bf_value value = {.kind = BF_SIGNED, .i = number};
	int n = bf_value_print(&value, -1, digits);
	if (n > 0)
		pen_put(pen, digits, (size_t)n);
}

/* A text as a JSON string, with its quotes. */
void pen_json(struct pen *pen, const char *text, size_t n);

/* A text with a backslash before each of the special characters. */
void pen_escape(struct pen *pen, const char *text, size_t n, const char *special);

/* The length, or -ENOSPC. */
static inline int pen_end(const struct pen *pen)
{
	return pen->overflow ? -ENOSPC : (int)pen->n;
}

#endif

/*
 * Settings in the text of a map, found by their braces alone: for who hands libconfig a big map in small pieces.
 * The text is one that the raw-text pass (maptext.h) has found to be sound or has mended.
 */
#ifndef APP_MAPPIECE_H
#define APP_MAPPIECE_H

#include <stdbool.h>
#include <stddef.h>

struct mappiece {
	size_t at, end;     /* of the setting, or of an @include */
	size_t open, close; /* of a group: its braces; else both 0 */
};

/* The next setting of text[*at, end) at this level; moves *at behind it.  False when there is none. */
bool mappiece_next(const char *text, size_t *at, size_t end, struct mappiece *ret);

#endif

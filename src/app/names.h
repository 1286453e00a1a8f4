/*
 * A dictionary from texts to numbers: topics, ports, keys of a group.  So that looking for two of the same costs the
 * same for ten metrics and for ten thousand.  Lives in an arena; one owner thread.
 */
#ifndef APP_NAMES_H
#define APP_NAMES_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct names_slot;

struct names {
	struct arena *arena;
	struct names_slot *slots; /* open addressing; NULL while empty */
	size_t n, size;
};

/*
 * Notes the n bytes at text under the number, within a scope of the caller's (names of different scopes never meet).
 * The text is not copied.  True; false when it is there already, and then *ret_number is its number.
 */
bool names_put(struct names *names, uint32_t scope, const char *text, size_t n, size_t number, size_t *ret_number);

#endif

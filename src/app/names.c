/*
 * A dictionary with open addressing and FNV-1a.  See names.h.
 *
 * Invariant: at most half of the slots are taken, so every search ends at a free one.
 */
#include "app/names.h"
#include "base/hash.h"

#include <string.h>

struct names_slot {
	const char *text; /* NULL = free */
	size_t n;
	size_t number;
	uint32_t scope;
	uint32_t hash;
};

static uint32_t hash_of(uint32_t scope, const char *text, size_t n)
{
	return hash_fold(hash_bytes(HASH_BEGIN ^ scope * UINT64_C(0x9e3779b97f4a7c15), text, n));
}

static struct names_slot *find(const struct names *names, const struct names_slot *like)
{
	for (size_t i = like->hash & (names->size - 1);; i = (i + 1) & (names->size - 1)) {
		struct names_slot *slot = &names->slots[i];
		if (!slot->text)
			return slot;
		if (slot->hash == like->hash && slot->scope == like->scope && slot->n == like->n &&
			memcmp(slot->text, like->text, like->n) == 0)
			return slot;
	}
}

static void grow(struct names *names)
{
	struct names old = *names;
	names->size = old.size ? old.size * 2 : 64;
	names->slots = arena_array(names->arena, names->size, sizeof(*names->slots));
	for (size_t i = 0; i < old.size; i++)
		if (old.slots[i].text)
			*find(names, &old.slots[i]) = old.slots[i];
}

bool names_put(struct names *names, uint32_t scope, const char *text, size_t n, size_t number, size_t *ret_number)
{
	if (names->n * 2 >= names->size)
		grow(names);
	struct names_slot slot = {text, n, number, scope, hash_of(scope, text, n)};
	struct names_slot *at = find(names, &slot);
	if (at->text) {
		*ret_number = at->number;
		return false;
	}
	*at = slot;
	names->n++;
	return true;
}

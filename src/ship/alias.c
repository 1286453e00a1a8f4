/*
 * Topic -> alias by open addressing.  See alias.h.
 *
 * Invariant: at most half of the slots are taken, so every probe ends.
 */
#include "ship/alias.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

void aliases_begin(struct aliases *aliases, uint16_t most)
{
	for (unsigned i = 0; i < aliases->n; i++)
		free(aliases->topics[i]);
	memset(aliases->slots, 0, sizeof(aliases->slots));
	aliases->n = 0;
	aliases->most = most < ALIAS_MOST ? most : ALIAS_MOST;
}

uint16_t alias_of(struct aliases *aliases, const char *topic, bool *ret_known)
{
	*ret_known = false;
	if (aliases->most == 0)
		return 0;
	unsigned slot = hash_fold(hash_text(topic)) % ALIAS_SLOTS;
	for (; aliases->slots[slot]; slot = (slot + 1) % ALIAS_SLOTS) {
		uint16_t alias = aliases->slots[slot];
		if (strcmp(aliases->topics[alias - 1], topic) == 0) {
			*ret_known = true;
			return alias;
		}
	}
	char *copy = aliases->n < aliases->most ? strdup(topic) : NULL;
	if (!copy)
		return 0;
	aliases->topics[aliases->n++] = copy;
	aliases->slots[slot] = aliases->n;
	aliases->newest = (uint16_t)slot;
	return aliases->n;
}

void alias_take_back(struct aliases *aliases)
{
	free(aliases->topics[--aliases->n]);
	aliases->slots[aliases->newest] = 0;
}

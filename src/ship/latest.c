/*
 * Topic -> waiting record, by open addressing with linear probing.
 *
 * Why the topic is not copied: the record holds it, and is taken out of here before its memory is given back.
 *
 * Invariant: the table is at most half full, so every probe ends; no tombstones.  Thread: any, under the outbox's
 * mutex.
 */
#include "ship/latest.h"
#include "base/hash.h"
#include "ship/lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LATEST_FIRST_SLOTS 64

static size_t latest_slot(const struct latest *latest, const char *topic)
{
	return hash_fold(hash_text(topic)) & (latest->n_slots - 1);
}

void latest_destroy(struct latest *latest)
{
	free(latest->slots);
	*latest = (struct latest){0};
}

struct record *latest_find(const struct latest *latest, const char *topic)
{
	if (!latest->n)
		return NULL;
	size_t slot = latest_slot(latest, topic);
	while (latest->slots[slot] && strcmp(latest->slots[slot]->bytes, topic) != 0)
		slot = (slot + 1) & (latest->n_slots - 1);
	return latest->slots[slot];
}

void latest_add(struct latest *latest, struct record *record)
{
	size_t slot = latest_slot(latest, record->bytes);
	while (latest->slots[slot])
		slot = (slot + 1) & (latest->n_slots - 1);
	latest->slots[slot] = record;
	latest->n++;
}

int latest_grow(struct latest *latest)
{
	if ((latest->n + 1) * 2 <= latest->n_slots)
		return 0;
	size_t n_slots = latest->n_slots ? latest->n_slots * 2 : LATEST_FIRST_SLOTS;
	struct latest grown = {.slots = calloc(n_slots, sizeof(struct record *)), .n_slots = n_slots};
	if (!grown.slots)
		return -ENOMEM;
	for (size_t i = 0; i < latest->n_slots; i++)
		if (latest->slots[i])
			latest_add(&grown, latest->slots[i]);
	free(latest->slots);
	*latest = grown;
	return 0;
}

void latest_remove(struct latest *latest, const struct record *record)
{
	if (!latest->n)
		return;
	size_t mask = latest->n_slots - 1, gap = latest_slot(latest, record->bytes);
	while (latest->slots[gap] != record) {
		if (!latest->slots[gap])
			return;
		gap = (gap + 1) & mask;
	}
	for (size_t slot = (gap + 1) & mask; latest->slots[slot]; slot = (slot + 1) & mask) {
		size_t home = latest_slot(latest, latest->slots[slot]->bytes);
		if (((slot - home) & mask) < ((slot - gap) & mask))
			continue; /* it would be moved before its home */
		latest->slots[gap] = latest->slots[slot];
		gap = slot;
	}
	latest->slots[gap] = NULL;
	latest->n--;
}

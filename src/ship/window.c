/*
 * The in-flight window.  See window.h.
 *
 * A list in hand-over order over a fixed array, searched from its oldest end: acknowledgements come nearly in order, so
 * the first look nearly always finds.  A table indexed by message id would be 65536 entries for a hundred messages.
 *
 * Invariant: n and bytes are the sums over the list; ids in the list are distinct.
 */
#include "ship/window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT16_MAX

int window_init(struct window *window, unsigned size)
{
	*window = (struct window){.size = size, .oldest = NONE, .newest = NONE, .unused = NONE};
	window->entries = calloc(size, sizeof(*window->entries));
	if (!window->entries)
		return -ENOMEM;
	for (unsigned i = size; i-- > 0;) {
		window->entries[i].newer = window->unused;
		window->unused = (uint16_t)i;
	}
	return 0;
}

void window_destroy(struct window *window)
{
	free(window->entries);
	*window = (struct window){0};
}

static uint16_t window_find(const struct window *window, int message_id)
{
	uint16_t at = window->oldest;
	while (at != NONE && window->entries[at].message_id != message_id)
		at = window->entries[at].newer;
	return at;
}

struct window_entry *window_add(struct window *window, int message_id, uint8_t qos, uint32_t bytes, const char *topic)
{
	/* Ids ascend; only when they have gone round can one be there already, and only then is it looked for. */
	uint16_t at = window->unused;
	bool round = window->newest != NONE && message_id <= window->entries[window->newest].message_id;
	if (at == NONE || (round && window_find(window, message_id) != NONE))
		return NULL;
	struct window_entry *entry = &window->entries[at];
	window->unused = entry->newer;
	size_t n = strnlen(topic, WINDOW_TOPIC_MAX - 1);
	memcpy(entry->topic, topic, n);
	entry->topic[n] = '\0';
	entry->message_id = message_id;
	entry->qos = qos;
	entry->bytes = bytes;
	entry->orphan = false;
	entry->older = window->newest;
	entry->newer = NONE;
	if (window->newest == NONE)
		window->oldest = at;
	else
		window->entries[window->newest].newer = at;
	window->newest = at;
	window->n[qos]++;
	window->bytes[qos] += bytes;
	return entry;
}

bool window_take(struct window *window, int message_id, struct window_entry *ret_entry)
{
	uint16_t at = window_find(window, message_id);
	if (at == NONE)
		return false;
	struct window_entry *entry = &window->entries[at];
	*ret_entry = *entry;
	if (entry->older == NONE)
		window->oldest = entry->newer;
	else
		window->entries[entry->older].newer = entry->newer;
	if (entry->newer == NONE)
		window->newest = entry->older;
	else
		window->entries[entry->newer].older = entry->older;
	window->n[entry->qos]--;
	window->bytes[entry->qos] -= entry->bytes;
	entry->newer = window->unused;
	window->unused = at;
	return true;
}

const struct window_entry *window_oldest(const struct window *window)
{
	return window->oldest == NONE ? NULL : &window->entries[window->oldest];
}

struct window_entry *window_first(struct window *window)
{
	return window->oldest == NONE ? NULL : &window->entries[window->oldest];
}

struct window_entry *window_after(struct window *window, const struct window_entry *entry)
{
	return entry->newer == NONE ? NULL : &window->entries[entry->newer];
}

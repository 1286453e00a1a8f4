/*
 * What was learnt of devices and outlives a restart: the gaps they refuse.  A small text file, one line a gap, keyed by
 * where the device is and all that is read of it, so that nothing is taken for another device or another map.
 */
#ifndef FIELD_LEARNT_H
#define FIELD_LEARNT_H

#include "field/round.h"

#include <stddef.h>

struct learnt_gap {
	uint64_t key;
	struct planner_refusal refusal;
};

struct learnt {
	struct learnt_gap *list;
	size_t n;
};

#define LEARNT_FILE_MAX  ((size_t)256 * 1024) /* what is behind is not read */
#define LEARNT_LINE_SIZE 64
#define LEARNT_HEAD      "busferry learnt 1\n"

/* What makes a device the one of which something was learnt. */
uint64_t learnt_key(const struct plan *plan, const struct plan_device *told);

/* Takes what is sound in a text of any bytes.  Memory from the arena. */
void learnt_parse(const char *text, size_t n, struct learnt *ret_learnt, struct arena *arena);

/* The same for a file.  0; -errno when it can't be read, with *ret_learnt empty. */
int learnt_load(const char *path, struct learnt *ret_learnt, struct arena *arena);

/* What is known of a device.  Into zeroed refusals. */
void learnt_recall(const struct learnt *learnt, const struct plan *plan, const struct plan_device *told,
	struct refusals *refusals);

/* Appends the lines of a device to a text with room for REFUSALS_MAX × LEARNT_LINE_SIZE more.  Returns how long they
 * are.  Any thread. */
size_t learnt_print(
	const struct plan *plan, const struct plan_device *told, const struct refusals *refusals, char *text);

#endif

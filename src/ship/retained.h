/*
 * Which topics of readings have retained messages by the plan: for the sweep, which clears what is not among them, and
 * for readings that come back from disk, which an older map may have retained and this one does not.
 *
 * Constant after init; any thread.
 */
#ifndef SHIP_RETAINED_H
#define SHIP_RETAINED_H

#include "base/arena.h"
#include "model/plan.h"

#include <stddef.h>

struct retained {
	const char **topics; /* sorted; texts are the plan's */
	size_t n;
	struct arena arena;
};

/* The plan outlives it. */
void retained_init(struct retained *retained, const struct plan *plan);
void retained_destroy(struct retained *retained);

/* Which of them it is, or -1. */
ptrdiff_t retained_find(const struct retained *retained, const char *topic);

#endif

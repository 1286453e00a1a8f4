/*
 * bdSeq: the number that a birth and the will before it have in common; one more for each CONNECT, 0 to 255 and again,
 * also over restarts.  Kept in a small file.
 *
 * Source: Sparkplug 3.0.0, 6.4.19 (NBIRTH) and 6.4.26 (NDEATH).  One owner thread.
 */
#ifndef SHIP_SPARKPLUG_COUNT_H
#define SHIP_SPARKPLUG_COUNT_H

#include "base/clock.h"
#include "base/log.h"

#include <stdint.h>

struct sparkplug_count {
	const char *path; /* NULL = in memory only */
	uint8_t number;   /* of the last CONNECT */
	struct complaint unsaved;
};

/* Reads the file; without one that is sound it begins with what the clock says, so that it is hardly the number of a
 * will that is still on its way. */
void sparkplug_count_init(struct sparkplug_count *count, const char *path, const struct clock *clock);

/* The number of the next CONNECT; on disk when this returns, but for what is told once.  Waits for the disk. */
uint8_t sparkplug_count_next(struct sparkplug_count *count, int64_t now_us);

#endif

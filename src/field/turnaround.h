/*
 * How long a device takes to begin its answers: what a request costs besides its characters, and so how wide a gap is
 * worth reading over.  Follows slowly, and says when plans made with an earlier figure are worth making anew.
 * Pure; one owner thread.
 */
#ifndef FIELD_TURNAROUND_H
#define FIELD_TURNAROUND_H

#include <stdbool.h>
#include <stdint.h>

struct turnaround {
	int64_t planned_us; /* what the plans count on */
	int64_t usual_us;
	unsigned n; /* answers since the plans were made */
};

void turnaround_init(struct turnaround *turnaround, int64_t planned_us);

/* An answer took so long to begin.  True: planned_us has changed. */
bool turnaround_note(struct turnaround *turnaround, int64_t took_us);

#endif

/*
 * The turnaround of a device, see turnaround.h.
 *
 * Why the median, found by equal steps up and down, and not the mean: where a third of the answers are held up on a
 * busy machine, that is no reason to read more registers than need be.  Why plans are kept while the figure is near:
 * what they cost changes little.
 *
 * Invariant: between two changes lie TURNAROUND_ANSWERS answers, and a change is one of more than a quarter.
 */
#include "field/turnaround.h"

#define TURNAROUND_ANSWERS 16
#define STEP_PART          32 /* of the figure */
#define STEP_LEAST_US      50
#define NEAR_US            500

void turnaround_init(struct turnaround *turnaround, int64_t planned_us)
{
	*turnaround = (struct turnaround){.planned_us = planned_us, .usual_us = planned_us};
}

bool turnaround_note(struct turnaround *turnaround, int64_t took_us)
{
	int64_t way_us = took_us - turnaround->usual_us;
	int64_t step_us = turnaround->usual_us / STEP_PART + STEP_LEAST_US;
	turnaround->usual_us += way_us > step_us ? step_us : way_us < -step_us ? -step_us : way_us;
	if (++turnaround->n < TURNAROUND_ANSWERS)
		return false;
	int64_t off_us = turnaround->usual_us - turnaround->planned_us;
	if ((off_us < 0 ? -off_us : off_us) <= turnaround->planned_us / 4 + NEAR_US)
		return false;
	turnaround->planned_us = turnaround->usual_us;
	turnaround->n = 0;
	return true;
}

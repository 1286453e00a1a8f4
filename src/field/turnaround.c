/*
 * The turnaround of a device, see turnaround.h.
 *
 * Why a value that moves by bounded steps and not the mean: an answer that came half a second late says nothing of the
 * next thousand.  Why plans are kept while the figure is near: what they cost changes little, and readings of one plan
 * stay together.
 *
 * Invariant: between two changes lie TURNAROUND_ANSWERS answers, and a change is one of more than a quarter.
 */
#include "field/turnaround.h"

#define TURNAROUND_ANSWERS 16
#define SLOWNESS           8   /* a step is so small a part of the way … */
#define STEP_LEAST_US      250 /* … of a way no longer than the figure itself and this */
#define NEAR_US            500

void turnaround_init(struct turnaround *turnaround, int64_t planned_us)
{
	*turnaround = (struct turnaround){.planned_us = planned_us, .usual_us = planned_us};
}

bool turnaround_note(struct turnaround *turnaround, int64_t took_us)
{
	int64_t way_us = took_us - turnaround->usual_us, most_us = turnaround->usual_us + SLOWNESS * STEP_LEAST_US;
	turnaround->usual_us += (way_us < most_us ? way_us : most_us) / SLOWNESS;
	if (++turnaround->n < TURNAROUND_ANSWERS)
		return false;
	int64_t off_us = turnaround->usual_us - turnaround->planned_us;
	if ((off_us < 0 ? -off_us : off_us) <= turnaround->planned_us / 4 + NEAR_US)
		return false;
	turnaround->planned_us = turnaround->usual_us;
	turnaround->n = 0;
	return true;
}

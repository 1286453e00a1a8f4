/*
 * What keeps a bus from taking one answer for another: it asks canaries where answers can't be told apart, does not
 * speak while others do, and counts what is heard besides answers.  A part of the bus; one owner thread, counters by
 * any.
 */
#ifndef FIELD_CAUTION_H
#define FIELD_CAUTION_H

#include "base/log.h"
#include "field/canary.h"
#include "field/device.h"
#include "field/line.h"
#include "field/turns.h"

#include <stdatomic.h>

struct caution_counts {
	_Atomic uint64_t late, foreign, echoes, noise, canaries;
};

struct caution {
	struct line_watch watch;
	struct line *line;
	const struct plan_bus *told;
	struct device *devices; /* told->n_devices */
	struct turns *turns;
	struct patience_bus *patience;
	bool asks_canary; /* the question under way is one */
	struct canary canary;
	uint8_t unit;       /* that was chosen last */
	int64_t held_since; /* the line is not free; 0 = it is */
	struct complaint babble;
	struct caution_counts counts;
};

/* Watches the line from now on; what is late teaches patience and ends a pause. */
void caution_init(struct caution *caution, struct line *line, const struct plan_bus *told, struct device *devices,
	struct turns *turns, struct patience_bus *patience);

/* What may be asked now instead of *question, which may be changed.  False: ask that unit nothing until *ret_until. */
bool caution_choose(struct caution *caution, struct line_question *question, int64_t now_us, int64_t *ret_until);

/* What came back was rc (as from line_ops.answer).  True if it was a canary's and the question proper is next. */
bool caution_answered(struct caution *caution, int rc, uint8_t exception);

/* The line could not be asked at now_us.  True when that has lasted so long that the question is given up. */
bool caution_held(struct caution *caution, int64_t now_us);

/* The line could be asked. */
void caution_free(struct caution *caution, int64_t now_us);

#endif

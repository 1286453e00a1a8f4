/*
 * How long a device is waited for, and how much of a bus's time silent devices may take.
 *
 * The time-out of a device is learnt from its answers, between bounds.  A device that does not answer is asked again
 * after a doubling wait, and only as far as two budgets go: PATIENCE_DEVICE of any ten seconds for one device,
 * PATIENCE_BUS for all of one bus (which leaves a fifth of the promised share to those that go silent meanwhile).
 *
 *  - The first question to a device that answered before, or was never asked, waits for no budget, since nobody knows
 *    yet that it is silent; what it costs is counted, so the others wait the longer.  It is given some more time than
 *    was learnt, and up to a tenth of a second when nobody else is due.
 *  - One more, half a second later, waits for the bus's budget only, so that a frame lost by chance costs no ten
 *    seconds.  It is earned again by PATIENCE_EARNED answers in a row.
 *  - Where one wait alone is more than the budget, questions are as far apart as the share demands.
 *  - A silent device may just have become slow, and one never heard may be slower than all others: rarely one of them
 * is given the whole time-out of the map.  That is outside the budgets: when nobody else is due meanwhile (or nobody on
 *    the bus has ever answered), and else once in PATIENCE_WHOLE_US.
 *  - On a bus with one device there is nobody to spare.
 *
 * Pure; one owner thread.
 */
#ifndef FIELD_PATIENCE_H
#define FIELD_PATIENCE_H

#include "base/backoff.h"
#include "field/times.h"

#include <stdbool.h>
#include <stdint.h>

#define PATIENCE_WINDOW_US 10000000
#define PATIENCE_DEVICE_US 100000 /* 1 % of the window */
#define PATIENCE_BUS_US    400000 /* 4 % */
#define PATIENCE_WHOLE_US  120000000
#define PATIENCE_EARNED    16

#define SPENDING_MARKS 32

/* What was spent lately. */
struct spending {
	struct spent {
		int64_t until_us, us; /* it ended, it took */
	} marks[SPENDING_MARKS];
	unsigned first, n;
};

struct patience_bus {
	struct spending spent;
	bool alone;         /* one device only */
	bool heard;         /* any of them, ever */
	int64_t bound_us;   /* the longest time-out learnt here; 0 = none */
	int64_t whole_at;   /* the last question with the whole time-out */
	int64_t started_at; /* 0 = not yet */
};

struct patience {
	struct times took; /* to the beginning of the answer */
	int64_t cap_us;    /* the map's time-out */
	int64_t learnt_us; /* 0 = never heard */
	unsigned missed;   /* questions in a row without an answer */
	unsigned answered; /* in a row */
	bool one_more;     /* earned */
	bool whole;        /* the question under way has the whole time-out */
	struct backoff backoff;
	struct spending spent;
};

/* Notes what ended now and took so long. */
void spending_add(struct spending *spending, int64_t now_us, int64_t us);

/* The first instant from now on at which cost_us may begin so that no ten seconds hold more than limit_us. */
int64_t spending_room_at(const struct spending *spending, int64_t cost_us, int64_t limit_us, int64_t now_us);

void patience_bus_init(struct patience_bus *bus, bool alone);
void patience_init(struct patience *patience, int64_t cap_us);

/*
 * Before a question.  wire_us: what it takes besides waiting (the request, silences).  free_until: by when somebody
 * else will want the bus.  Returns the wait for the answer to begin, in µs, and when the question may be asked at the
 * soonest, *ret_at, now or later.
 */
int64_t patience_ask(struct patience *patience, struct patience_bus *bus, int64_t wire_us, int64_t free_until,
	int64_t now_us, int64_t *ret_at);

/* An answer, or a sign of life, began took_us after the end of the request. */
void patience_answered(struct patience *patience, struct patience_bus *bus, int64_t took_us);

/* No answer came; the question took spent_us of the bus.  Returns for how long to leave the device alone, from when it
 * was asked. */
int64_t patience_missed(struct patience *patience, struct patience_bus *bus, int64_t spent_us, int64_t now_us);

/* Bus time that was spent for a silent device besides its questions: silence kept for late answers. */
void patience_spent(struct patience *patience, struct patience_bus *bus, int64_t spent_us, int64_t now_us);

#endif

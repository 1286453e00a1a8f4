/*
 * A generation: one reading of the map, with all that was made for the buses that began with it.
 *
 * A bus that is the same after the map was read again goes on as it is: with its thread, its plan, its report and its
 * roster, so nothing of it has to be moved, translated, or stopped for a moment.  Its generation lives as long as one
 * such bus does.  The newest one is the present one, whatever of it runs.
 *
 * Lifecycle on the main thread: init, poll, start, destroy; the threads in it are asked, joined and counted one by one.
 */
#ifndef APP_GENERATION_H
#define APP_GENERATION_H

#include "app/orders.h"
#include "base/clock.h"
#include "field/poller.h"
#include "model/message.h"
#include "model/plan.h"
#include "ship/board.h"
#include "ship/command.h"
#include "ship/payload.h"
#include "ship/report.h"
#include "ship/roster.h"
#include "ship/sparkplug_place.h"

#include <stdbool.h>
#include <stddef.h>

/* Where a bus of a plan runs: as which bus of which generation, on which wire. */
struct home {
	struct generation *generation;
	size_t bus;
	struct poller *poller;
	size_t wire;
};

struct generation {
	struct generation *older;
	struct plan plan;
	struct roster *roster;
	struct report *report;
	struct poller **pollers; /* those that have not ended */
	size_t n_pollers;
	struct home *homes;       /* of each bus of the plan, as long as this is the present generation */
	struct standing standing; /* likewise */
	struct orders *orders;    /* and of the commands that the broker sends by this plan; NULL = it allows none */
	struct command *command;

	struct board *board; /* NULL: nothing of the map looks at it */

	/* Of Sparkplug; NULL = the map has it not. */
	struct sparkplug_intake *intake;
	struct sparkplug_place *places; /* of each device */
	struct orders *edge_orders;     /* NULL = nothing may be written */
	struct arena arena;
};

/* The plan becomes the generation's, in any case.  What is given outlives it; occasions: see report_tell_anew.  0 and
 * *ret_generation, or -errno. */
int generation_init(struct plan *plan, const struct clock *clock, struct message_sink *messages,
	struct payload_ids *ids, const _Atomic unsigned *occasions, struct generation **ret_generation);

/*
 * Makes the pollers of the buses that have no home yet, which then have one, and what stands.  sink: the report's, or
 * one before it.  0 or -errno.
 */
int generation_poll(struct generation *generation, const struct learnt *learnt, struct reading_sink *sink,
	const struct clock *clock, bool once);

/* Commands by this plan, if it allows them; after generation_poll.  0 or -ENOMEM. */
int generation_command(struct generation *generation, const struct clock *clock, struct message_sink *messages);

/*
 * What Sparkplug looks at: after generation_init its readings, which go to records; after generation_poll where those
 * of each device are, and orders of its own, if the map has it.  0 or -ENOMEM.
 */
int generation_intake(struct generation *generation, struct message_sink *records, int news_fd);
/* The board, if Sparkplug or a page looks at it; before generation_poll.  0 or -ENOMEM. */
int generation_board(struct generation *generation);
int generation_places(struct generation *generation, const struct clock *clock);

/* Drops those of its pollers that have no wire left and are joined. */
void generation_trim(struct generation *generation);

/* Its threads have ended, or were never started.  NULL is fine. */
void generation_destroy(struct generation *generation);

#endif

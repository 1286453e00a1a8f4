/*
 * One bus: a line, its devices, and whose turn it is.  A state machine driven by bus_step; it never blocks and never
 * sleeps, so one thread may drive many (TCP hosts) as well as one (a serial port).  One owner thread; counters by any.
 */
#ifndef FIELD_BUS_H
#define FIELD_BUS_H

#include "field/caution.h"
#include "field/courier.h"
#include "field/device.h"
#include "field/counts.h"
#include "field/line.h"
#include "field/outage.h"
#include "field/patience.h"
#include "field/turns.h"

#define BUS_BUSY_US 100000 /* a device that says it is busy is asked again after so long */

enum bus_state { BUS_CLOSED, BUS_OPENING, BUS_IDLE, BUS_ASKED };

struct bus {
	const struct plan *plan;
	const struct plan_bus *told;
	const struct clock *clock;
	struct line *line;
	struct device *devices;
	struct planner_cost cost;
	struct turns turns;
	struct patience_bus patience;
	enum bus_state state;
	int64_t free_at; /* IDLE: when the silence is over */
	int64_t gap_us;
	int current;     /* the device being asked, or to be asked next; -1 = none */
	bool reopened;   /* a TCP connection was closed and opened again, and nothing was answered since */
	int64_t wait_us; /* for the answer of `current` to begin */
	struct bf_place asked;
	int64_t asked_at, deadline;
	int64_t began_at; /* when the answer began, 0 = not yet */
	struct outage outage;
	bool once; /* each round once, then never again */
	struct caution caution;
	struct courier courier;
	struct bus_counts counts;
};

/* The line becomes the bus's.  learnt: what is known of its devices, for the time of the call; NULL = nothing.  Memory
 * from the arena. */
void bus_init(struct bus *bus, const struct plan *plan, size_t index, struct line *line, const struct learnt *learnt,
	struct reading_sink *sink, const struct clock *clock, bool once, struct arena *arena);

/* Sets the first due times; `first` of `n_all` devices of the same thread come before this bus's; they are
 * multiples of tick_us. */
void bus_schedule(struct bus *bus, size_t first, size_t n_all, int64_t tick_us, int64_t now_us);

/* Closes and frees the line. */
void bus_destroy(struct bus *bus);

/*
 * Does what is due.  ready: the line's fd has what it was polled for.  Returns the instant at which it wants to run
 * again if the fd stays silent; poll bus->line->fd for bus_events() meanwhile.
 */
int64_t bus_step(struct bus *bus, bool ready, int64_t now_us);

/* For the courier: its question about a place is on the line, and its answer must have begun after wait_us. */
void bus_asked(struct bus *bus, const struct bf_place *place, int64_t wait_us, int64_t now_us);

/* What to poll the line's fd for; 0 = nothing. */
short bus_events(const struct bus *bus);

/* `once`: every round has been served or given up. */
bool bus_finished(const struct bus *bus);

#endif

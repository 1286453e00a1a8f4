/*
 * A wire thread: drives one serial port, or many TCP hosts, none of which can hold up the others.
 *
 * Lifecycle: init start stop join destroy.  poller_step is what the thread loops around; tests call it themselves.
 */
#ifndef FIELD_POLLER_H
#define FIELD_POLLER_H

#include "field/wire.h"

#include <stdbool.h>

struct poller;

/* How many threads a plan's buses need: one a serial port, few for all TCP hosts.  wanted: which of its buses; NULL =
 * all of them. */
size_t poller_count(const struct plan *plan, const bool *wanted);

/* The n-th of poller_count pollers.  learnt: what is known of devices, for the time of the call; NULL = nothing.  once:
 * every round is polled once.  0 and *ret_poller, or -errno. */
int poller_init(const struct plan *plan, const bool *wanted, size_t nth, const struct learnt *learnt,
	struct reading_sink *sink, const struct clock *clock, bool once, struct poller **ret_poller);

/* One turn over all its buses.  Returns the instant at which it wants to run next. */
int64_t poller_step(struct poller *poller, int64_t now_us);

int poller_start(struct poller *poller);
void poller_stop(struct poller *poller); /* asks only */
/* 0, or -ETIMEDOUT when the thread hangs: then it must not be destroyed. */
int poller_join(struct poller *poller, int64_t timeout_us);
void poller_destroy(struct poller *poller);

/*
 * Asks something of one of its buses besides what is due; see errand.h.  Any thread; done() runs on the wire's.  What
 * errand_put returns; -ENODEV: the bus is not among its wires; -EOPNOTSUPP: it is a stream, which can only be polled;
 * -EINVAL: no such unit.
 */
int poller_errand(struct poller *poller, const struct errand *errand);

/* Asks that one of its wires is closed, by its thread; its number is that in poller_wires.  A poller without wires
 * ends, and can be joined.  Any thread. */
void poller_release(struct poller *poller, size_t nth_wire);

/* `once`: everything was served or given up.  Any thread. */
bool poller_finished(const struct poller *poller);

/* By when the next step must have happened, for the watchdog.  Any thread. */
int64_t poller_alive_until(const struct poller *poller);

/* By when its first step must have happened; before the start.  Until then it says 0 unless this is called. */
void poller_alive_by(struct poller *poller, int64_t until_us);

/* When it was started, monotonic µs; on the thread that did. */
int64_t poller_started_at(const struct poller *poller);

/* Its wires, for their counters; those that have left are among them (wire_stays).  Any thread. */
const struct wire *poller_wires(const struct poller *poller, size_t *ret_n);

/* A walk over the wires of several pollers, but for those that leave or have left.  Zeroed it begins. */
struct wire_walk {
	size_t poller, wire; /* where it goes on */
};

/* The next one, NULL after the last; it is one of the poller that the walk stands at.  Any thread. */
const struct wire *poller_next_wire(struct poller *const *pollers, size_t n_pollers, struct wire_walk *walk);

#endif

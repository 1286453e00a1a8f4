/*
 * Which devices answer: the state of each device of one plan, told as it changes.
 *
 * When the map is read again, a bus that goes on keeps the plan and the roster that it began with; which roster has the
 * state of a device of the present plan is what a standing says.
 *
 * Threads: the listener is called on the thread of the device's bus; roster_tell on the publisher's.
 */
#ifndef SHIP_ROSTER_H
#define SHIP_ROSTER_H

#include "base/clock.h"
#include "model/message.h"
#include "model/plan.h"
#include "ship/report.h"

#include <stdint.h>

struct roster;

/* Nothing is known of any device yet.  0 and *ret_roster, or -ENOMEM.  plan, clock and messages outlive it. */
int roster_init(
	const struct plan *plan, const struct clock *clock, struct message_sink *messages, struct roster **ret_roster);
void roster_destroy(struct roster *roster);

/* For report_init: changes of availability. */
struct report_listener *roster_listener(struct roster *roster);

/* What was known of the device in an older roster holds for it; nothing is told.  While no thread tells of either. */
void roster_carry(struct roster *roster, uint32_t device, const struct roster *from, uint32_t from_device);

/* Puts what is known of the device, and again what it turns into meanwhile: the last word is the true one. */
void roster_tell(struct roster *roster, uint32_t device);

/* Does it answer?  1 yes; 0 no; -1 nobody knows yet.  Any thread. */
int roster_look(const struct roster *roster, uint32_t device);

/* Where the state of a device is. */
struct roster_place {
	struct roster *roster;
	uint32_t device; /* its index in the roster's plan */
};

/* What stands: the present plan, and where the state of each of its devices is.  Constant. */
struct standing {
	const struct plan *plan;
	const struct roster_place *devices; /* plan->n_devices */
};

#endif

/*
 * Tells Home Assistant of the plan's devices: a listener of the publisher beside the announcements.
 *
 * After each connect, and after a reading of the map, every discovery message is put, retained, a few at a time as
 * those before are acknowledged; and again, a chance few seconds after Home Assistant has said that it has started
 * (PREFIX/status: online), so that a hundred gateways do not answer at once.
 *
 * The first time at a broker what it has of these messages is read back before: components that are no more are taken
 * away once, for Home Assistant would keep them.  Whole devices that are no more are the sweep's (sweep.h).
 *
 *   IDLE ──connected──► ASKING ──quiet──► TELLING ──all told──► IDLE       ASKING and TELLING in portions
 *
 * Idle, and without its buffer, while the plan says nothing of Home Assistant.  On the publisher's thread, but for what
 * says otherwise.
 */
#ifndef SHIP_DISCOVERER_H
#define SHIP_DISCOVERER_H

#include "base/clock.h"
#include "model/message.h"
#include "model/plan.h"
#include "ship/publisher.h"

#include <stdbool.h>

#define DISCOVERER_ANSWER_US     (10 * (int64_t)1000000) /* for the broker's next word on a subscription */
#define DISCOVERER_QUIET_US      ((int64_t)1000000)      /* for what it has, after that */
#define DISCOVERER_AGAIN_MIN_US  ((int64_t)1000000)
#define DISCOVERER_AGAIN_SPAN_US (4 * (int64_t)1000000)

struct discoverer;

/*
 * 0 and *ret_discoverer, or -ENOMEM.  What is given outlives it, the plan until another one is taken.  occasions is
 * counted up at each connect, and when a map that tells is taken: Home Assistant takes no reading of an outage for the
 * present one, so it wants to hear all that are (report_tell_anew).
 */
int discoverer_init(const struct plan *plan, const struct clock *clock, struct message_sink *messages,
	_Atomic unsigned *occasions, struct discoverer **ret_discoverer);
/* NULL is fine. */
void discoverer_destroy(struct discoverer *discoverer);

struct publisher_listener *discoverer_listener(struct discoverer *discoverer);

/*
 * The map was read again, with the same brokers: this plan holds from the next turn on (publisher_turn).  Until
 * discoverer_changes says false the one before must stay.  Any one thread.
 */
void discoverer_change(struct discoverer *discoverer, const struct plan *next);
bool discoverer_changes(const struct discoverer *discoverer);

#endif

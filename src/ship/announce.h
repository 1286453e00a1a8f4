/*
 * What stands: that the gateway is there, what it consists of, which devices answer.  Told anew on each connect, since
 * a broker may have forgotten or never known it; the last will takes the word back when the gateway falls silent.
 *
 * Before info is told for the first time after the start, the retained messages of an older map are cleared (sweep.h).
 *
 * Topics (contract, section 2): GATEWAY/state and GATEWAY/info, DEVICE/availability, all retained at QoS 1;
 * GATEWAY/stats at QoS 0, not retained.
 *
 * Threads: the publisher's listener is called on the publisher's thread, the rest on one thread of its caller.
 */
#ifndef SHIP_ANNOUNCE_H
#define SHIP_ANNOUNCE_H

#include "base/clock.h"
#include "model/message.h"
#include "model/plan.h"
#include "ship/publisher.h"
#include "ship/roster.h"

#include <stdbool.h>
#include <stddef.h>

struct announce;

/* 0 and *ret_announce, or -ENOMEM.  standing, clock and messages outlive it; its start time is now. */
int announce_init(const struct standing *standing, const struct clock *clock, struct message_sink *messages,
	struct announce **ret_announce);
void announce_destroy(struct announce *announce);

/* For who comes and goes beside the gateway itself: the state is not told, and there is no will.  Before the start. */
void announce_stateless(struct announce *announce);

/* For publisher_init: `online`, info (after the sweep) and all known availabilities after each CONNACK, `offline`
 * before leaving. */
struct publisher_listener *announce_publisher_listener(struct announce *announce);

/*
 * The map was read again: this stands from now on, with the same site, gateway and brokers.  The publisher's thread
 * takes it at its next turn (publisher_turn); until then announce_changes says true, and both must stay.  Then what was
 * retained and is no longer is cleared, and the new info told.  One change at a time; on the thread of the caller.
 */
void announce_change(struct announce *announce, const struct standing *next);
bool announce_changes(const struct announce *announce);

/* Before its start, and after the end of another one of this process, whose place it takes: what that may have retained
 * or had still to clear is cleared, and the start was that one's. */
void announce_succeed(struct announce *announce, struct announce *before);

/* GATEWAY/state, for the will; NULL when it is stateless. */
const char *announce_will_topic(const struct announce *announce);

/* Puts a json text of n bytes as GATEWAY/stats.  What the sink's put returns. */
int announce_stats(struct announce *announce, const char *json, size_t n);

#endif

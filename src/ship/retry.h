/*
 * When the next attempt to connect is due and to which endpoint, and what is told of an outage.
 *
 * A connection that stood for 10 s and was closed is first tried again where it was; a failed attempt, a broker that
 * fell silent or one that takes connections and drops them goes on to the next endpoint at once, and only after a whole
 * round the wait grows: at most 1 s at first, doubling to 15 s, the upper half of it by chance. Where people have to
 * act (password, client id, ...) it grows to between 15 and 30 s.  Waits start anew after a connection has stood for 10
 * s.  On the publisher's thread only.
 */
#ifndef SHIP_RETRY_H
#define SHIP_RETRY_H

#include "base/backoff.h"
#include "base/log.h"
#include "model/plan.h"
#include "ship/uplink.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct retry {
	const struct plan_broker *broker;
	const char *who; /* before what is told: "" = the publisher, "sparkplug: " */
	size_t endpoint; /* in use, or to be tried next */
	size_t n_failed; /* endpoints of the present round */
	int64_t next_at_us;
	int64_t connected_at_us;
	bool troubled; /* since then there was no connection that was stable */
	int64_t troubled_since_us;
	struct backoff quick, slow;
	struct complaint outage;
	bool was_connected; /* the outage began with a loss */
	bool ever_connected;
	bool looks;           /* the last connection was left by retry_next */
	uint64_t told;        /* bits of the faults that were told in this outage, by a hash of their words */
	unsigned short_lives; /* connections in a row that the broker closed soon without a reason */
};

void retry_init(struct retry *retry, const struct plan_broker *broker, const char *who, uint64_t seed);

static inline const struct plan_endpoint *retry_endpoint(const struct retry *retry)
{
	return &retry->broker->endpoints[retry->endpoint];
}

/* A connection stands; the end of the outage is told. */
void retry_connected(struct retry *retry, int64_t now_us);

/* The connection was left for the first endpoint, which is tried at once. */
void retry_moved(struct retry *retry, int64_t now_us);

/* The connection was left for the next endpoint, which is tried soon; once all were, after a wait.  That it is there is
 * not told: somebody looks for something else, and for how long nobody knows. */
void retry_next(struct retry *retry, int64_t now_us);

/* What comes next is no outage: the next attempt is due soon. */
void retry_hurry(struct retry *retry);

/* An attempt failed, or (connected) a connection ended: decides on endpoint and next_at_us, and tells it. */
void retry_failed(struct retry *retry, enum uplink_fault fault, const char *what, bool connected, int64_t now_us);

#endif

/*
 * Several listeners of one publisher, in their order.  The publisher's thread, but for what says otherwise.
 */
#ifndef SHIP_AUDIENCE_H
#define SHIP_AUDIENCE_H

#include "ship/publisher.h"

#include <stdatomic.h>
#include <stdbool.h>

#define AUDIENCE_MAX 4

struct audience {
	struct publisher_listener listener; /* for publisher_init */
	struct publisher_listener *members[AUDIENCE_MAX];
	size_t n;
	const char *broker_url; /* of the connection that stands */
	struct uplink *uplink;  /* NULL = none does */

	struct publisher_listener *out, *in; /* of a change that is asked for; NULL = nobody */
	_Atomic bool changes;
};

void audience_init(struct audience *audience);

/* Before the start; at most AUDIENCE_MAX, who outlive it. */
void audience_add(struct audience *audience, struct publisher_listener *member);

/*
 * While the publisher runs: one member goes, another comes, at the next turn after publisher_turn.  Either may be NULL.
 * Until it is done audience_changes says true, and both must stay.  One change at a time; any one thread.
 */
void audience_change(struct audience *audience, struct publisher_listener *out, struct publisher_listener *in);
bool audience_changes(const struct audience *audience);

#endif

/*
 * Several listeners of one publisher, in their order.  The publisher's thread.
 */
#ifndef SHIP_AUDIENCE_H
#define SHIP_AUDIENCE_H

#include "ship/publisher.h"

#define AUDIENCE_MAX 4

struct audience {
	struct publisher_listener listener; /* for publisher_init */
	struct publisher_listener *members[AUDIENCE_MAX];
	size_t n;
};

void audience_init(struct audience *audience);

/* Before the start; at most AUDIENCE_MAX, who outlive it. */
void audience_add(struct audience *audience, struct publisher_listener *member);

#endif

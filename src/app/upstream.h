/*
 * The way to the broker, as one thing that can be made anew: what is announced there, the uplink and its publisher.
 * On the main thread.
 */
#ifndef APP_UPSTREAM_H
#define APP_UPSTREAM_H

#include "model/plan.h"
#include "ship/announce.h"
#include "ship/audience.h"
#include "ship/command.h"
#include "ship/discoverer.h"
#include "ship/outbox.h"
#include "ship/publisher.h"
#include "ship/uplink.h"

struct upstream {
	struct announce *announce;
	struct discoverer *discoverer; /* NULL with `once` and when printing */
	struct audience audience;      /* who hears what the broker says */
	struct uplink *uplink;
	struct uplink *lookout;      /* looks for the first broker while another serves; NULL = the map does not ask */
	struct publisher *publisher; /* NULL when printing */
	struct plan_broker broker;   /* the plan's, but for who we are with `once`; outlives the plan */
	struct arena arena;
};

/* What is given outlives it; command may be NULL.  occasions: see discoverer_init.  once: beside a gateway that may run
 * with the same map.  outbox NULL: messages are printed, there is no publisher.  0 and *ret_upstream, or -errno with
 * nothing changed. */
int upstream_init(const struct standing *standing, struct message_sink *messages, struct command *command,
	_Atomic unsigned *occasions, bool once, struct outbox *outbox, struct upstream **ret_upstream);

/* NULL is fine; its publisher has ended, or was never started. */
void upstream_destroy(struct upstream *upstream);

#endif

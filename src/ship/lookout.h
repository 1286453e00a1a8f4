/*
 * Looks whether the first broker of the list is back while another one serves, without touching the connection that
 * works: with an uplink of its own, a client id of its own ("-look" behind ours), a clean session and no will.  It goes
 * as far as CONNACK, so that a broker which is there but would not have us (password, certificate) is not gone back to.
 *
 * On the publisher's thread only.  A name look-up may block in lookout_step.
 */
#ifndef SHIP_LOOKOUT_H
#define SHIP_LOOKOUT_H

#include "base/backoff.h"
#include "base/log.h"
#include "model/plan.h"
#include "ship/uplink.h"

#include <stdbool.h>
#include <stdint.h>

struct lookout {
	struct uplink *uplink; /* NULL = there is nothing to look for */
	struct plan_broker broker;
	char *client_id;
	struct backoff pause; /* of one length, part of it by chance: a fleet does not come back in step */
	bool looking;
	int64_t next_at_us; /* when it wants a step; CLOCK_NEVER */
	int64_t deadline_us;
	struct complaint refusal;

	/* What the uplink told, until it has returned. */
	struct {
		bool connected, lost;
		enum uplink_fault fault;
		char what[200];
	} noted;
};

/* The broker's list has two endpoints or more, and a prefer_first_us.  The uplink is the lookout's alone and outlives
 * it. 0 or -ENOMEM. */
int lookout_init(struct lookout *lookout, const struct plan_broker *broker, struct uplink *uplink, uint64_t seed);
void lookout_destroy(struct lookout *lookout);

/* A connection to another than the first stands from now on. */
void lookout_begin(struct lookout *lookout, int64_t now_us);

/* There is none any more. */
void lookout_rest(struct lookout *lookout);

/* True once when the first broker has let us in; the next look comes after a whole pause. */
bool lookout_step(struct lookout *lookout, int64_t now_us);

#endif

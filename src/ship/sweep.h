/*
 * Clears what this gateway has left retained at the broker and no longer has: at the first connection after the start
 * it asks for its own old info, and publishes an empty retained message for every topic which that names, the plan does
 * not retain, and no info of another gateway of the site names.  Only then may the new info be told, for it overwrites
 * the old one.
 *
 *   IDLE ──begin──► ASKING ──quiet──► CLEARING ──all acknowledged──► IDLE
 *
 * When the map is read again while the gateway runs, what the plan before has retained is known from that as well, and
 * is cleared even if no info has ever named it.
 *
 * A connection that breaks ends it; it is begun anew with the next, the old info is still there.  Readings go on beside
 * it.  On the publisher's thread only.
 */
#ifndef SHIP_SWEEP_H
#define SHIP_SWEEP_H

#include "base/arena.h"
#include "model/message.h"
#include "model/plan.h"
#include "ship/uplink.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SWEEP_ANSWER_US (10 * (int64_t)1000000) /* for the broker's word on the subscription */
#define SWEEP_QUIET_US  (1 * (int64_t)1000000)  /* for infos after that */

enum sweep_state { SWEEP_IDLE, SWEEP_ASKING, SWEEP_CLEARING };

struct info_past;

struct sweep {
	const struct plan *plan;
	const char *own;   /* topic of info */
	const char *every; /* filter: that of every gateway of the site */
	struct message_sink *messages;

	enum sweep_state state;
	struct uplink *uplink;
	int subscription, others; /* message ids of those to `own` and to `every`; 0 = answered */
	int64_t now_us, until_us;
	struct info_past *past; /* the old info; NULL as long as none came */
	const char **kept;      /* topics that are not to be cleared; sorted while CLEARING */
	size_t n_kept, kept_size, kept_bytes;
	struct arena texts;     /* of them */
	const char **also;      /* what this process has retained by earlier plans: sorted, to be cleared as well … */
	size_t n_also, also_at; /* … from here on */
	struct arena also_texts;
	const char *unput; /* a topic for which there was no room */
	unsigned n_cleared;
	struct arena arena; /* of own and every */
};

/* plan and messages outlive the sweep. */
void sweep_init(struct sweep *sweep, const struct plan *plan, struct message_sink *messages);
void sweep_destroy(struct sweep *sweep);

/*
 * The map was read again: next is the plan from now on, past one of which topics may be retained, which is not needed
 * afterwards.  What was under way ends; it is to be begun anew.
 */
void sweep_replan(struct sweep *sweep, const struct plan *next, const struct plan *past);

/* Takes the place of another one of this process, which is over: what that has not cleared yet is cleared here. */
void sweep_succeed(struct sweep *sweep, struct sweep *before);

/* A connection stands: asks; uplink NULL = the broker can't be asked, what is known without it is cleared. */
void sweep_begin(struct sweep *sweep, struct uplink *uplink, int64_t now_us);
/* It is gone.  True when the broker had been asked and owed a word: on the second, perhaps, after one on the first. */
bool sweep_lost(struct sweep *sweep);

/* What the uplink tells.  True: that was the last word that the broker owed. */
bool sweep_subscribed(struct sweep *sweep, int message_id, int reason);
void sweep_message(struct sweep *sweep, const struct uplink_message *message);

/*
 * settled: everything standing that was put is acknowledged.  Returns the instant by which it wants to be called again,
 * CLOCK_NEVER when it is over (IDLE).
 */
int64_t sweep_step(struct sweep *sweep, bool settled, int64_t now_us);

#endif

/*
 * Sparkplug B 3.0: the gateway as an edge node, its devices as devices, on a connection of its own.
 *
 *   reports ─► intakes ─► outbox ─► node ─► uplink        boards ─► births
 *
 * One thread (sparkplug_start) around sparkplug_step; tests call the step with a clock and an uplink of their own.
 */
#ifndef SHIP_SPARKPLUG_H
#define SHIP_SPARKPLUG_H

#include "base/clock.h"
#include "model/order.h"
#include "model/plan.h"
#include "ship/outbox.h"
#include "ship/sparkplug_count.h"
#include "ship/sparkplug_place.h"
#include "ship/uplink.h"

#include <stdbool.h>
#include <stdint.h>

struct sparkplug;

/* What it is made of; all of it outlives it. */
struct sparkplug_parts {
	const struct plan *plan;
	const struct plan_broker *broker;     /* with a client id of its own */
	const struct sparkplug_place *places; /* of each device */
	struct outbox *outbox;                /* of the intakes' records */
	struct uplink *uplink;
	struct sparkplug_count *count;
	struct order_taker *taker; /* NULL = nothing may be written */
	const struct clock *clock;
	int news_fd; /* the intakes'; nobody else reads it */
};

/* The client id of this connection, made from the publisher's: no longer than 23 bytes if that one is not (MQTT 3.1.1,
 * 3.1.3.1).  In the arena. */
const char *sparkplug_client_id(const char *client_id, struct arena *arena);

/* 0 and *ret_sparkplug, or -errno.  sparkplug_payload_load was called. */
int sparkplug_init(const struct sparkplug_parts *parts, struct sparkplug **ret_sparkplug);

/* One turn.  Returns the instant at which it wants to run next; CLOCK_NEVER when it has ended. */
int64_t sparkplug_step(struct sparkplug *sparkplug, int64_t now_us);

int sparkplug_start(struct sparkplug *sparkplug);
/* Asks: send for at most 2 s what the broker takes, tell the death, disconnect. */
void sparkplug_stop(struct sparkplug *sparkplug);
/* Waits at most timeout_us.  0, or -ETIMEDOUT when the thread hangs (a name look-up). */
int sparkplug_join(struct sparkplug *sparkplug, int64_t timeout_us);
/* When no order of its taker is under way.  NULL is fine. */
void sparkplug_destroy(struct sparkplug *sparkplug);

struct sparkplug_status {
	const char *state;      /* "offline", "waiting" for the host, "birth", "online" */
	const char *broker_url; /* in use, or tried last; lives as long as the parts */
	uint8_t bd_seq;
	uint64_t births; /* of the node */
	uint64_t told;   /* readings that brokers have read */
};

/* Any thread. */
void sparkplug_status(const struct sparkplug *sparkplug, struct sparkplug_status *ret_status);

/* As publisher_alive_until and publisher_alive_by. */
int64_t sparkplug_alive_until(const struct sparkplug *sparkplug);
void sparkplug_alive_by(struct sparkplug *sparkplug, int64_t until_us);

#endif

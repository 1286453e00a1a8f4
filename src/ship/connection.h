/*
 * The connection to the broker: which step of it stands, and what a loss means for the messages in flight.
 *
 *   DOWN ──► (PURGING) ──► CONNECTING ──► ACTIVE ──► DOWN ...
 *
 * When the first broker is back while another serves (lookout), the latter is left in order: nothing new is handed over
 * until what is in flight is acknowledged, then it is told the last words, then it is disconnected from.
 *
 * The publisher's own: one thread, that of publisher_step.
 */
#ifndef SHIP_CONNECTION_H
#define SHIP_CONNECTION_H

#include "base/clock.h"
#include "ship/lookout.h"
#include "ship/publisher.h"
#include "ship/retry.h"
#include "ship/sender.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define CONNECTION_GRACE_US (10 * (int64_t)1000000) /* of a step, for the watchdog */

/* What of the will an endpoint has refused: the next CONNECT to it goes without. */
#define CONNECTION_WILL_RETAIN 1
#define CONNECTION_WILL_QOS    2

enum connection_state {
	CONNECTION_DOWN,
	CONNECTION_PURGING,
	CONNECTION_CONNECTING,
	CONNECTION_ACTIVE,
	CONNECTION_ENDED
};

enum connection_leave { LEAVE_NO, LEAVE_DRAINING, LEAVE_LAST_WORDS };

struct connection {
	const struct plan_broker *broker;
	bool uses_qos2;
	const char *will_topic;
	struct outbox *outbox;
	struct uplink *uplink;
	struct publisher_listener *listener;
	const struct clock *clock;

	struct sender sender;
	struct retry retry;
	enum connection_state state;
	uint8_t *max_qos;           /* by endpoint */
	uint8_t *will_refused;      /* likewise: CONNECTION_WILL_ */
	unsigned n_protocol_faults; /* in a row, with QoS 2 outstanding */
	size_t opened;              /* endpoint of the last object; n_endpoints = none yet */
	bool purge_due;             /* the broker may remember packet ids of an object that is gone */
	bool held;                  /* the object is kept for reopen: it has QoS 2 outstanding */
	int64_t deadline_us;
	struct lookout lookout;
	enum connection_leave leave; /* while ACTIVE */
	int64_t leave_by_us;
	int64_t listener_at_us; /* by when the listener wants a turn; CLOCK_NEVER */
	int64_t now_us;

	/* What the uplink told, until it has returned. */
	struct {
		bool connected, session_present, lost;
		struct uplink_limits limits;
		enum uplink_fault fault;
		char what[200];
	} noted;

	_Atomic bool is_connected;
	_Atomic(const char *) url;
	_Atomic int64_t since_us; /* see publisher_status */
	_Atomic int fault;
	_Atomic uint64_t n_connects;
	_Atomic int64_t alive_until_us;
};

/* See publisher_look_with. */
int connection_look_with(struct connection *connection, struct uplink *uplink);

/* Fills in everything but what is given by the caller (broker to clock).  0 or -errno. */
int connection_init(struct connection *connection);
void connection_destroy(struct connection *connection);

/* Connects when it is due, else serves the uplink; acts on what it told and on deadlines. */
void connection_step(struct connection *connection, bool readable, bool writable, bool may_connect);

/*
 * Goes on with leaving for the first broker, after messages were handed over; idle: none waits.  True when the last
 * words were said and are to be handed over.
 */
bool connection_leave(struct connection *connection, bool idle);

/* Stays for now. */
void connection_stay(struct connection *connection);

/* The listener's turn, while ACTIVE. */
void connection_listen(struct connection *connection);

/* The listener has news, in whatever state; a turn of it follows while ACTIVE. */
void connection_turn(struct connection *connection);

/* Writes what was handed over. */
void connection_write(struct connection *connection);

/* Disconnects for good; what is in flight goes back to the outbox. */
void connection_end(struct connection *connection);

static inline void connection_alive(struct connection *connection, int64_t until_us)
{
	atomic_store_explicit(&connection->alive_until_us, until_us, memory_order_relaxed);
}

#endif

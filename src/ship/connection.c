/*
 * The state machine of the broker connection.  See connection.h.
 *
 * Why a purge: a broker that remembers the packet ids of an earlier session swallows new QoS 2 messages that happen to
 * have the same ids (EMQX, ejabberd, aedes).  So before a new object of the uplink speaks QoS 2, one connection with a
 * clean session clears what the broker remembers: at process start, when the endpoint changes, and when a session was
 * lost with QoS 2 outstanding.  Without QoS 2 every session is a clean one and nothing is purged.
 *
 * Why the object is kept (`held`) over a loss with QoS 2 outstanding: only it can go on with the handshakes, which
 * makes the delivery exactly once.  If the broker then says that it has no session, the object is forgotten before it
 * writes anything: libmosquitto would send PUBREL for messages that the broker no longer has, and call them delivered.
 *
 * Invariants: the window is empty unless there is an object; the uplink's `connected` and `lost` are only noted when
 * they come, and acted on when the uplink has returned.
 */
#include "ship/connection.h"
#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_US  (10 * (int64_t)1000000) /* TCP, TLS and CONNACK; never more than the keepalive */
#define LOOKUP_US   (30 * (int64_t)1000000) /* what a name look-up may block */
#define DRAIN_US    (30 * (int64_t)1000000) /* for what is in flight; a broker that takes longer is not left now */
#define WORDS_US    (2 * (int64_t)1000000)
#define KEEP_LOSSES 6 /* in a row; then messages have to go one by one, also out of a held object */

static void note_connected(void *user, bool session_present, const struct uplink_limits *limits)
{
	struct connection *connection = user;
	connection->noted.connected = true;
	connection->noted.session_present = session_present;
	connection->noted.limits = *limits;
}

static void note_lost(void *user, enum uplink_fault fault, const char *what)
{
	struct connection *connection = user;
	if (connection->noted.lost)
		return;
	connection->noted.lost = true;
	connection->noted.fault = fault;
	snprintf(connection->noted.what, sizeof(connection->noted.what), "%s", what);
}

static void on_acknowledged(void *user, int message_id, int reason)
{
	struct connection *connection = user;
	sender_acknowledged(&connection->sender, message_id, reason, connection->now_us);
}

/* What the listener was told may be a reason for a turn of its own. */
static void connection_told(struct connection *connection)
{
	if (connection->listener->step)
		connection->listener_at_us = connection->now_us;
}

static void on_subscribed(void *user, int message_id, int reason)
{
	struct connection *connection = user;
	if (connection->state != CONNECTION_ACTIVE || !connection->listener || !connection->listener->subscribed)
		return;
	connection->listener->subscribed(connection->listener, message_id, reason);
	connection_told(connection);
}

static void on_message(void *user, const struct uplink_message *message)
{
	struct connection *connection = user;
	if (connection->state != CONNECTION_ACTIVE || !connection->listener || !connection->listener->message)
		return;
	connection->listener->message(connection->listener, message);
	connection_told(connection);
}

static bool connection_speaks_qos2(const struct connection *connection)
{
	return connection->uses_qos2 && connection->max_qos[connection->retry.endpoint] == 2;
}

/* The connection is no longer ACTIVE. */
static void connection_unlisten(struct connection *connection)
{
	connection->listener_at_us = CLOCK_NEVER;
	if (connection->state == CONNECTION_ACTIVE && connection->listener && connection->listener->lost)
		connection->listener->lost(connection->listener);
}

static int64_t connection_patience_us(const struct connection *connection)
{
	int64_t keepalive_us = connection->broker->keepalive_s * (int64_t)1000000;
	return keepalive_us < CONNECT_US ? keepalive_us : CONNECT_US;
}

/* Forgets the uplink's object with all that it holds. */
static void connection_forget(struct connection *connection)
{
	if (connection->held || connection->sender.window.n[2])
		connection->purge_due = true;
	sender_lost(&connection->sender, false);
	connection->uplink->ops->forget(connection->uplink);
	connection->held = false;
}

static void connection_open(struct connection *connection)
{
	const struct plan_endpoint *endpoint = retry_endpoint(&connection->retry);
	bool qos2 = connection_speaks_qos2(connection), moved = connection->opened != connection->retry.endpoint;
	if (connection->held && (moved || !qos2))
		connection_forget(connection);
	connection->purge_due = qos2 && (connection->purge_due || moved);
	connection->opened = connection->retry.endpoint;
	atomic_store_explicit(&connection->url, endpoint->url, memory_order_relaxed);

	connection_alive(connection, clock_now(connection->clock) + LOOKUP_US + CONNECTION_GRACE_US);
	int error;
	if (connection->held) {
		connection->state = CONNECTION_CONNECTING;
		error = connection->uplink->ops->reopen(connection->uplink);
	} else {
		connection->state = connection->purge_due ? CONNECTION_PURGING : CONNECTION_CONNECTING;
		struct uplink_target target = {
			.broker = connection->broker,
			.endpoint = endpoint,
			.clean_session = connection->purge_due || !qos2,
			.will_topic = connection->purge_due ? NULL : connection->will_topic,
			.will = "offline",
			.will_n = strlen("offline"),
			.will_qos = connection->will_refused[connection->opened] & CONNECTION_WILL_QOS ? 0 : 1,
			.will_retain = !(connection->will_refused[connection->opened] & CONNECTION_WILL_RETAIN),
		};
		error = connection->uplink->ops->open(connection->uplink, &target);
	}
	if (error < 0 && !connection->noted.lost)
		note_lost(connection, UPLINK_REFUSED, strerror(-error));
	connection->now_us = clock_now(connection->clock); /* a look-up takes its time */
	connection->deadline_us = connection->now_us + connection_patience_us(connection);
	connection_alive(connection, connection->now_us + CONNECTION_GRACE_US);
}

static void connection_connected(struct connection *connection)
{
	struct uplink *uplink = connection->uplink;
	if (connection->state == CONNECTION_PURGING) {
		uplink->ops->close(uplink, true);
		uplink->ops->forget(uplink);
		connection->purge_due = false;
		connection_open(connection);
		return;
	}
	if (connection->held && !connection->noted.session_present) {
		log_about(LOG_LEVEL_NOTICE, &(struct log_about){.broker = retry_endpoint(&connection->retry)->url},
			"broker %s: has lost the session, %u messages are sent again",
			retry_endpoint(&connection->retry)->url, window_kept(&connection->sender.window));
		connection_forget(connection);
		connection_open(connection);
		return;
	}
	bool resumed = connection->held;
	connection->held = false;
	connection->state = CONNECTION_ACTIVE;
	retry_connected(&connection->retry, connection->now_us);
	const char *url = retry_endpoint(&connection->retry)->url;
	sender_connected(&connection->sender, &connection->noted.limits, &connection->max_qos[connection->opened], url,
		resumed, connection->now_us);
	atomic_store_explicit(&connection->is_connected, true, memory_order_relaxed);
	atomic_store_explicit(&connection->since_us, connection->now_us, memory_order_relaxed);
	atomic_fetch_add_explicit(&connection->n_connects, 1, memory_order_relaxed);
	outbox_connected(connection->outbox);
	if (connection->opened != 0)
		lookout_begin(&connection->lookout, connection->now_us);
	if (!connection->listener)
		return;
	connection->listener->connected(
		connection->listener, url, connection->uplink, connection->noted.session_present);
	connection_told(connection);
}

/* A broker that can't do QoS 2 (RabbitMQ answers PUBACK) breaks the protocol at each and has never completed one. */
static bool connection_caps_qos(struct connection *connection, enum uplink_fault fault)
{
	if (connection->sender.qos2_works)
		connection->n_protocol_faults = 0;
	if (fault != UPLINK_PROTOCOL || connection->sender.window.n[2] == 0 || connection->sender.qos2_works)
		return false;
	if (++connection->n_protocol_faults >= 2) {
		connection->n_protocol_faults = 0;
		connection->max_qos[connection->opened] = 1;
		log_about(LOG_LEVEL_WARNING, &(struct log_about){.broker = retry_endpoint(&connection->retry)->url},
			"broker %s: can't do QoS 2, QoS 1 is used instead", retry_endpoint(&connection->retry)->url);
	}
	return true;
}

/* What was in flight has been given back or is kept by the object. */
static void connection_down(struct connection *connection, enum connection_state state)
{
	outbox_lost(connection->outbox);
	connection_unlisten(connection);
	connection->state = state;
	connection->leave = LEAVE_NO;
	lookout_rest(&connection->lookout);
	if (atomic_exchange_explicit(&connection->is_connected, false, memory_order_relaxed))
		atomic_store_explicit(&connection->since_us, connection->now_us, memory_order_relaxed);
}

static void connection_lost(struct connection *connection, enum uplink_fault fault, const char *what)
{
	bool active = connection->state == CONNECTION_ACTIVE;
	atomic_store_explicit(&connection->fault, (int)fault, memory_order_relaxed);
	if (fault == UPLINK_NO_RETAIN)
		connection->will_refused[connection->opened] |= CONNECTION_WILL_RETAIN;
	if (fault == UPLINK_NO_QOS)
		connection->will_refused[connection->opened] |= CONNECTION_WILL_QOS;
	struct sender *sender = &connection->sender;
	if (active && !connection_caps_qos(connection, fault) && (fault == UPLINK_CLOSED || fault == UPLINK_PROTOCOL) &&
		poison_lost(&sender->poison, &sender->window, connection->now_us)) {
		connection->purge_due |= sender->window.n[2] > 0;
		sender_refuse_suspect(sender, what, connection->now_us);
	}
	connection->held = connection_speaks_qos2(connection) && connection->state != CONNECTION_PURGING &&
			   sender->window.n[2] > 0 && sender->poison.losses < KEEP_LOSSES;
	if (connection->held)
		sender_lost(sender, true);
	else
		connection_forget(connection);
	connection_down(connection, CONNECTION_DOWN);
	if (active && poison_hurries(&sender->poison))
		retry_hurry(&connection->retry);
	retry_failed(&connection->retry, fault, what, active, connection->now_us);
}

/* Acts on what was noted, until an attempt is under way, stands, or has failed. */
static void connection_digest(struct connection *connection)
{
	while (connection->noted.connected || connection->noted.lost) {
		if (connection->noted.connected) {
			connection->noted.connected = false;
			bool lost_too = connection->noted.lost;
			if (!lost_too || connection->state == CONNECTION_CONNECTING) {
				connection->noted.lost = false;
				connection_connected(connection);
				/* The loss is that of the connection just told, unless another was opened since. */
				if (lost_too && connection->state == CONNECTION_ACTIVE)
					connection->noted.lost = true;
				continue;
			}
		}
		if (connection->noted.lost) {
			connection->noted.lost = false;
			connection_lost(connection, connection->noted.fault, connection->noted.what);
		}
	}
}

/* Is the first broker back, while another serves? */
static void connection_look(struct connection *connection)
{
	struct lookout *lookout = &connection->lookout;
	if (connection->leave != LEAVE_NO || connection->now_us < lookout->next_at_us)
		return;
	if (!lookout->looking)
		connection_alive(connection, connection->now_us + LOOKUP_US + CONNECTION_GRACE_US);
	bool back = lookout_step(lookout, connection->now_us);
	connection->now_us = clock_now(connection->clock);
	connection_alive(connection, connection->now_us + CONNECTION_GRACE_US);
	if (!back)
		return;
	log_about(LOG_LEVEL_NOTICE, &(struct log_about){.broker = retry_endpoint(&connection->retry)->url},
		"broker %s is back: %s is left for it", connection->broker->endpoints[0].url,
		retry_endpoint(&connection->retry)->url);
	connection->leave = LEAVE_DRAINING;
	connection->leave_by_us = connection->now_us + DRAIN_US;
}

static void connection_give_up(struct connection *connection, const char *what)
{
	connection->uplink->ops->close(connection->uplink, false);
	connection_lost(connection, UPLINK_REFUSED, what);
}

/* Of the client id, which no two gateways share, and the clock: a fleet does not come back in step. */
static uint64_t connection_seed(const struct connection *connection)
{
	const char *id = connection->broker->client_id ? connection->broker->client_id : "";
	return hash_bytes((uint64_t)clock_now(connection->clock), id, strlen(id));
}

int connection_look_with(struct connection *connection, struct uplink *uplink)
{
	return lookout_init(&connection->lookout, connection->broker, uplink, ~connection_seed(connection));
}

int connection_init(struct connection *connection)
{
	const struct plan_broker *broker = connection->broker;
	connection->opened = broker->n_endpoints;
	connection->listener_at_us = CLOCK_NEVER;
	connection->max_qos = malloc(broker->n_endpoints);
	connection->will_refused = calloc(broker->n_endpoints, 1);
	if (!connection->max_qos || !connection->will_refused)
		return -ENOMEM;
	memset(connection->max_qos, broker->max_qos, broker->n_endpoints);
	int error = sender_init(&connection->sender, broker, connection->outbox, connection->uplink);
	if (error < 0)
		return error;
	connection->lookout.next_at_us = CLOCK_NEVER;
	retry_init(&connection->retry, broker, "", connection_seed(connection));
	atomic_store_explicit(&connection->url, broker->endpoints[0].url, memory_order_relaxed);
	atomic_store_explicit(&connection->fault, -1, memory_order_relaxed);
	connection_alive(connection, CLOCK_NEVER);
	connection->uplink->events = (struct uplink_events){.user = connection,
		.connected = note_connected,
		.lost = note_lost,
		.acknowledged = on_acknowledged,
		.subscribed = on_subscribed,
		.message = on_message};
	return 0;
}

void connection_destroy(struct connection *connection)
{
	lookout_destroy(&connection->lookout);
	sender_destroy(&connection->sender);
	free(connection->max_qos);
	free(connection->will_refused);
	connection->max_qos = connection->will_refused = NULL;
}

void connection_step(struct connection *connection, bool readable, bool writable, bool may_connect)
{
	if (connection->state != CONNECTION_DOWN)
		connection->uplink->ops->step(connection->uplink, readable, writable);
	else if (may_connect && connection->now_us >= connection->retry.next_at_us)
		connection_open(connection);
	connection_digest(connection);
	bool opening = connection->state == CONNECTION_PURGING || connection->state == CONNECTION_CONNECTING;
	if (opening && connection->now_us >= connection->deadline_us) {
		char what[64], length[LOG_LENGTH_SIZE];
		snprintf(what, sizeof(what), "no answer within %s",
			log_length(connection_patience_us(connection), length));
		connection_give_up(connection, what);
	}
	if (connection->state == CONNECTION_ACTIVE && sender_stalled(&connection->sender, connection->now_us))
		connection_give_up(connection, "nothing acknowledged for 90 s");
	if (connection->state == CONNECTION_ACTIVE)
		connection_look(connection);
}

static void connection_move(struct connection *connection)
{
	connection->uplink->ops->close(connection->uplink, true);
	connection_forget(connection);
	connection_down(connection, CONNECTION_DOWN);
	retry_moved(&connection->retry, connection->now_us);
}

bool connection_leave(struct connection *connection, bool idle)
{
	if (connection->state != CONNECTION_ACTIVE || connection->leave == LEAVE_NO)
		return false;
	bool done = !sender_in_flight(&connection->sender) && window_kept(&connection->sender.window) == 0;
	bool late = connection->now_us >= connection->leave_by_us;
	if (connection->leave == LEAVE_LAST_WORDS) {
		if ((done && idle) || late)
			connection_move(connection);
		return false;
	}
	if (!done) {
		if (late)
			connection->leave = LEAVE_NO;
		return false;
	}
	connection->leave = LEAVE_LAST_WORDS;
	connection->leave_by_us = connection->now_us + WORDS_US;
	if (connection->listener && connection->listener->leaving)
		connection->listener->leaving(connection->listener);
	return true;
}

void connection_stay(struct connection *connection)
{
	connection->leave = LEAVE_NO;
	lookout_rest(&connection->lookout);
}

void connection_listen(struct connection *connection)
{
	if (connection->state == CONNECTION_ACTIVE && connection->listener_at_us != CLOCK_NEVER)
		connection->listener_at_us = connection->listener->step(
			connection->listener, outbox_settled(connection->outbox), connection->now_us);
}

void connection_turn(struct connection *connection)
{
	bool active = connection->state == CONNECTION_ACTIVE;
	if (!connection->listener || !connection->listener->turned)
		return;
	connection->listener->turned(connection->listener, active ? connection->uplink : NULL);
	if (active)
		connection_told(connection);
}

void connection_write(struct connection *connection)
{
	connection->uplink->ops->step(connection->uplink, false, true);
	connection_digest(connection);
}

void connection_end(struct connection *connection)
{
	connection->uplink->ops->close(connection->uplink, connection->state == CONNECTION_ACTIVE);
	connection_forget(connection);
	connection_down(connection, CONNECTION_ENDED);
}

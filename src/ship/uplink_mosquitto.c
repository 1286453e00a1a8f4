/*
 * The uplink on libmosquitto (facts: of 2.0.11, measured).
 *
 * Why an own loop (loop_read, loop_write, loop_misc) and never mosquitto_loop_start: the library's thread ends without
 * a word on ordinary faults, and puts publishes on the wire before CONNECT while it reconnects.  The callbacks are the
 * v5 ones also for MQTT 3.1.1: the older ones take a refused publish for a good one.
 *
 * Callbacks only take notes: `connected` and `lost` are told after the library has returned, so that the object may be
 * destroyed in them, and `lost` once, however often the library says it (on_disconnect may come twice, and not at all
 * for a failed TLS handshake).
 *
 * Invariant: while note.silent is set nothing of the library's is touched but to destroy it or to begin anew.
 * Thread: the publisher's; init before all threads, for it sets the environment.
 */
#include "ship/uplink_mosquitto_inner.h"
#include "base/clock.h"
#include "ship/socket.h"

#include <errno.h>
#include <mqtt_protocol.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CLOSE_MS 250                     /* for DISCONNECT to leave */
#define UNUSED   __attribute__((unused)) /* a callback's */

static struct uplink_mosquitto *self_of(struct uplink *uplink)
{
	return (struct uplink_mosquitto *)(void *)uplink;
}

void uplink_mosquitto_failed(struct uplink_mosquitto *self, int rc, int error)
{
	struct uplink_note *note = &self->note;
	self->aliases_refused |= rc == 0x94;
	if (rc >= 0x80) {
		uplink_note_reason(note, rc);
		return;
	}
	bool tls_failed = rc == MOSQ_ERR_TLS || rc == MOSQ_ERR_TLS_HANDSHAKE || rc == MOSQ_ERR_OCSP;
	if (tls_failed || (self->target.endpoint->tls && note->tls[0] && !note->active)) {
		uplink_note_tls(note, &self->target);
		return;
	}
	switch (rc) {
	case MOSQ_ERR_EAI:
	case MOSQ_ERR_LOOKUP:
		uplink_note_lookup(note, self->target.endpoint->host, error);
		break;
	case MOSQ_ERR_ERRNO:
	case MOSQ_ERR_NOMEM:
		uplink_note_errno(note, rc == MOSQ_ERR_NOMEM ? ENOMEM : error);
		break;
	case MOSQ_ERR_KEEPALIVE:
		uplink_note_lost(note, UPLINK_REFUSED, "the broker no longer answers");
		break;
	case MOSQ_ERR_PROTOCOL:
	case MOSQ_ERR_MALFORMED_PACKET:
	case MOSQ_ERR_DUPLICATE_PROPERTY:
		uplink_note_lost(note, UPLINK_PROTOCOL, "the broker broke the protocol");
		break;
	case MOSQ_ERR_INVAL:
	case MOSQ_ERR_NOT_SUPPORTED:
		uplink_note_lost(note, UPLINK_SETUP, "these settings can't be used");
		break;
	default: /* MOSQ_ERR_SUCCESS: a DISCONNECT without a reason */
		uplink_note_closed(note);
		break;
	}
}

static void on_connect(struct mosquitto *mosq, void *user, int rc, int flags, const mosquitto_property *properties)
{
	struct uplink_mosquitto *self = user;
	if (self->note.silent)
		return;
	if (rc) {
		uplink_note_reason(&self->note, rc);
		return;
	}
	uint16_t receive_maximum = 0, aliases = 0;
	uint32_t maximum_packet = 0;
	uint8_t maximum_qos = 2, retain_available = 1;
	mosquitto_property_read_int16(properties, MQTT_PROP_RECEIVE_MAXIMUM, &receive_maximum, false);
	mosquitto_property_read_int32(properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, &maximum_packet, false);
	mosquitto_property_read_byte(properties, MQTT_PROP_MAXIMUM_QOS, &maximum_qos, false);
	mosquitto_property_read_byte(properties, MQTT_PROP_RETAIN_AVAILABLE, &retain_available, false);
	mosquitto_property_read_int16(properties, MQTT_PROP_TOPIC_ALIAS_MAXIMUM, &aliases, false);
	aliases_begin(&self->aliases, self->aliases_refused ? 0 : aliases);
	struct uplink_limits limits = {receive_maximum, maximum_packet, maximum_qos, retain_available};
	uplink_note_connected(&self->note, flags & 1, &limits);
	mosquitto_log_callback_set(mosq, NULL); /* it would format a line for each publish */
	unsigned keepalive_s = self->target.broker->keepalive_s;
	pulse_begin(&self->pulse, keepalive_s, clock_now(&clock_system));
	socket_unacknowledged_ms(mosquitto_socket(mosq), keepalive_s * 2000 / 3); /* sooner than the ping would tell */
}

static void on_disconnect(
	struct mosquitto *mosq UNUSED, void *user, int rc, const mosquitto_property *properties UNUSED)
{
	int error = errno;
	struct uplink_mosquitto *self = user;
	/* Of a failed attempt step() knows more than the library tells here. */
	if (self->note.active || self->note.connected || rc >= 0x80)
		uplink_mosquitto_failed(self, rc, error);
}

static void on_publish(
	struct mosquitto *mosq UNUSED, void *user, int id, int reason, const mosquitto_property *properties UNUSED)
{
	struct uplink_mosquitto *self = user;
	if (!self->note.silent)
		self->uplink.events.acknowledged(self->uplink.events.user, id, reason);
}

static void on_subscribe(struct mosquitto *mosq UNUSED, void *user, int id, int n_granted, const int *granted,
	const mosquitto_property *properties UNUSED)
{
	struct uplink_mosquitto *self = user;
	if (self->note.active)
		self->uplink.events.subscribed(self->uplink.events.user, id, n_granted > 0 ? granted[0] : 0x80);
}

static void on_message(struct mosquitto *mosq UNUSED, void *user, const struct mosquitto_message *message,
	const mosquitto_property *properties UNUSED)
{
	struct uplink_mosquitto *self = user;
	if (!self->note.active) /* of a session that is resumed: nobody has asked yet */
		return;
	struct uplink_message told = {.topic = message->topic,
		.payload = message->payload,
		.payload_n = (size_t)message->payloadlen,
		.qos = message->qos,
		.retained = message->retain};
	self->uplink.events.message(self->uplink.events.user, &told);
}

/* The library says why TLS failed only here, and only here its SSL object is there for sure. */
static void on_log(struct mosquitto *mosq, void *user, int level, const char *text)
{
	struct uplink_mosquitto *self = user;
	if (level & (MOSQ_LOG_ERR | MOSQ_LOG_WARNING))
		uplink_note_tls_text(&self->note, mosquitto_ssl_get(mosq), text);
}

static void uplink_listen(struct mosquitto *mosq)
{
	mosquitto_connect_v5_callback_set(mosq, on_connect);
	mosquitto_disconnect_v5_callback_set(mosq, on_disconnect);
	mosquitto_publish_v5_callback_set(mosq, on_publish);
	mosquitto_subscribe_v5_callback_set(mosq, on_subscribe);
	mosquitto_message_v5_callback_set(mosq, on_message);
}

/* The library tries the first address of a name only, when it does not block: binding makes it take an IPv4 one. */
static void uplink_dial(struct uplink_mosquitto *self, bool again)
{
	struct mosquitto *mosq = self->mosq;
	const struct plan_endpoint *endpoint = self->target.endpoint;
	if (self->ipv4_only)
		mosquitto_string_option(mosq, MOSQ_OPT_BIND_ADDRESS, "0.0.0.0");
	self->ipv6_attempt = false;
	mosquitto_log_callback_set(mosq, endpoint->tls ? on_log : NULL);
	errno = 0;
	int rc = again ? mosquitto_reconnect_async(mosq)
		       : mosquitto_connect_async(mosq, endpoint->host, endpoint->port,
				 (int)pulse_ask_s(self->target.broker->keepalive_s));
	if (rc > 0)
		uplink_mosquitto_failed(self, rc, errno);
	else
		self->ipv6_attempt = socket_is_ipv6(mosquitto_socket(mosq)) && socket_host_is_name(endpoint->host);
}

/* What open and reopen return. */
static int uplink_begun(struct uplink_mosquitto *self)
{
	if (!self->note.lost)
		return 0;
	self->ipv4_only = false;
	uplink_note_tell(&self->note, &self->uplink.events);
	return -ECONNREFUSED;
}

static void mosquitto_uplink_forget(struct uplink *uplink)
{
	struct uplink_mosquitto *self = self_of(uplink);
	uplink_note_silence(&self->note);
	aliases_begin(&self->aliases, 0);
	mosquitto_destroy(self->mosq); /* or NULL */
	self->mosq = NULL;
}

static int mosquitto_uplink_open(struct uplink *uplink, const struct uplink_target *target)
{
	struct uplink_mosquitto *self = self_of(uplink);
	mosquitto_uplink_forget(uplink);
	if (self->target.endpoint != target->endpoint)
		self->ipv4_only = self->aliases_refused = false;
	self->target = *target;
	uplink_note_begin(&self->note, &self->target);
	if (uplink_mosquitto_object(self)) {
		uplink_listen(self->mosq);
		uplink_dial(self, false);
	}
	return uplink_begun(self);
}

static int mosquitto_uplink_reopen(struct uplink *uplink)
{
	struct uplink_mosquitto *self = self_of(uplink);
	uplink_note_begin(&self->note, &self->target);
	if (!self->mosq)
		uplink_note_lost(&self->note, UPLINK_REFUSED, "nothing to open again");
	else if (uplink_mosquitto_user(self))
		uplink_dial(self, true);
	return uplink_begun(self);
}

/* A MOSQ_ERR_ of a request as the errno that uplink.h promises. */
static int refusal(int rc)
{
	if (rc == MOSQ_ERR_PAYLOAD_SIZE || rc == MOSQ_ERR_OVERSIZE_PACKET)
		return -EMSGSIZE;
	if (rc == MOSQ_ERR_QOS_NOT_SUPPORTED)
		return -EPROTONOSUPPORT;
	if (rc == MOSQ_ERR_INVAL || rc == MOSQ_ERR_MALFORMED_UTF8)
		return -EINVAL;
	return rc == MOSQ_ERR_SUCCESS ? 0 : -EAGAIN;
}

/*
 * The library sends what waits for its acknowledgement again on the next connection as it was, with an alias of which
 * the server knows nothing.  So only what never is sent again has one: QoS 0, and all of an object with a clean
 * session, which is forgotten with its connection.
 */
static uint16_t uplink_alias(struct uplink_mosquitto *self, const struct uplink_publish *publish, bool *ret_known)
{
	*ret_known = false;
	if (!publish->recurs || !(self->target.clean_session || publish->message->qos == 0))
		return 0;
	return alias_of(&self->aliases, publish->message->topic, ret_known);
}

static int mosquitto_uplink_publish(struct uplink *uplink, const struct uplink_publish *publish, int *ret_message_id)
{
	struct uplink_mosquitto *self = self_of(uplink);
	/* Without a connection the library would refuse a QoS 1 publish, and keep it all the same. */
	if (!self->note.active || mosquitto_socket(self->mosq) < 0)
		return -EAGAIN;
	mosquitto_property *properties = NULL;
	bool known = false;
	uint16_t alias = 0;
	if (self->target.broker->protocol == 5) {
		alias = uplink_alias(self, publish, &known);
		if (alias)
			mosquitto_property_add_int16(&properties, MQTT_PROP_TOPIC_ALIAS, alias);
		if (publish->content_type)
			mosquitto_property_add_string(&properties, MQTT_PROP_CONTENT_TYPE, publish->content_type);
		if (publish->expire_s)
			mosquitto_property_add_int32(&properties, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, publish->expire_s);
		if (publish->replayed)
			mosquitto_property_add_string_pair(&properties, MQTT_PROP_USER_PROPERTY, "replayed", "true");
		if (publish->again)
			mosquitto_property_add_string_pair(&properties, MQTT_PROP_USER_PROPERTY, "again", "true");
	}
	const struct message *message = publish->message;
	int id = 0, rc = mosquitto_publish_v5(self->mosq, &id, known ? NULL : message->topic, (int)publish->payload_n,
			    publish->payload, message->qos, message->retain, properties);
	mosquitto_property_free_all(&properties);
	if (rc == MOSQ_ERR_SUCCESS)
		*ret_message_id = id;
	else if (alias && !known)
		alias_take_back(&self->aliases);
	return refusal(rc);
}

static int mosquitto_uplink_subscribe(struct uplink *uplink, const char *filter, int qos, int *ret_message_id)
{
	struct uplink_mosquitto *self = self_of(uplink);
	int id = 0;
	int rc = self->note.active ? mosquitto_subscribe_v5(self->mosq, &id, filter, qos, 0, NULL) : MOSQ_ERR_NO_CONN;
	if (rc == MOSQ_ERR_SUCCESS)
		*ret_message_id = id;
	return refusal(rc);
}

static int mosquitto_uplink_unsubscribe(struct uplink *uplink, const char *filter)
{
	struct uplink_mosquitto *self = self_of(uplink);
	return refusal(self->note.active ? mosquitto_unsubscribe(self->mosq, NULL, filter) : MOSQ_ERR_NO_CONN);
}

static bool mosquitto_uplink_wants_write(const struct uplink *uplink)
{
	const struct uplink_mosquitto *self = (const struct uplink_mosquitto *)(const void *)uplink;
	return self->mosq && !self->note.silent && mosquitto_want_write(self->mosq);
}

static int mosquitto_uplink_fd(const struct uplink *uplink)
{
	const struct uplink_mosquitto *self = (const struct uplink_mosquitto *)(const void *)uplink;
	return self->mosq && !self->note.silent ? mosquitto_socket(self->mosq) : -1;
}

/* True when the attempt to an IPv6 address has failed and one to an IPv4 address is under way. */
static bool uplink_tries_ipv4(struct uplink_mosquitto *self, int rc, int error)
{
	if (rc != MOSQ_ERR_ERRNO || !self->ipv6_attempt || self->note.active || self->note.connected || self->note.lost)
		return false;
	self->ipv6_attempt = false;
	self->ipv4_only = true;
	uplink_dial(self, true);
	if (!self->note.lost)
		return true;
	self->note.lost = false; /* there is none: the first failure is the one that says something */
	uplink_mosquitto_failed(self, rc, error);
	return false;
}

/* After each call of the library: notes what it returned, tells.  True when the turn is over. */
static bool uplink_returned(struct uplink_mosquitto *self, int rc, int error)
{
	if (uplink_tries_ipv4(self, rc, error))
		return true;
	if (rc > 0)
		uplink_mosquitto_failed(self, rc, error);
	else if (mosquitto_socket(self->mosq) < 0)
		uplink_mosquitto_failed(self, MOSQ_ERR_CONN_LOST, 0);
	if (self->note.lost && !self->note.active)
		self->ipv4_only = false;
	return uplink_note_tell(&self->note, &self->uplink.events);
}

/* An attempt that has failed while the library would go on with its TLS handshake for ever: the errno, or 0. */
static int uplink_hopeless(const struct uplink_mosquitto *self)
{
	int fd = mosquitto_socket(self->mosq);
	return self->note.active || fd < 0 ? 0 : socket_failure(fd);
}

static void mosquitto_uplink_step(struct uplink *uplink, bool readable, bool writable)
{
	struct uplink_mosquitto *self = self_of(uplink);
	if (!self->mosq || self->note.silent)
		return;
	int rc, failure = uplink_hopeless(self);
	int64_t now_us = clock_now(&clock_system);
	if (failure) {
		uplink_returned(self, MOSQ_ERR_ERRNO, failure);
		return;
	}
	if (readable) {
		if (socket_has_bytes(mosquitto_socket(self->mosq)))
			pulse_heard(&self->pulse, now_us);
		errno = 0; /* the library takes an old EAGAIN for its own */
		rc = mosquitto_loop_read(self->mosq, 1);
		if (uplink_returned(self, rc, errno))
			return;
	}
	if (writable && mosquitto_want_write(self->mosq)) {
		socket_hold(&self->held, mosquitto_socket(self->mosq)); /* the library writes each packet by itself */
		errno = 0;
		rc = mosquitto_loop_write(self->mosq, 1);
		if (uplink_returned(self, rc, errno))
			return;
	}
	errno = 0;
	rc = mosquitto_loop_misc(self->mosq);
	if (rc == MOSQ_ERR_SUCCESS && self->note.active && pulse_stopped(&self->pulse, now_us)) {
		shutdown(mosquitto_socket(self->mosq), SHUT_RDWR);
		rc = MOSQ_ERR_KEEPALIVE;
	}
	uplink_returned(self, rc, errno);
}

static int64_t mosquitto_uplink_due_at(const struct uplink *uplink)
{
	const struct uplink_mosquitto *self = (const struct uplink_mosquitto *)(const void *)uplink;
	return self->note.active ? pulse_due_at(&self->pulse) : CLOCK_NEVER;
}

static void mosquitto_uplink_let_go(struct uplink *uplink)
{
	struct uplink_mosquitto *self = self_of(uplink);
	socket_let_go(&self->held, self->mosq ? mosquitto_socket(self->mosq) : -1);
}

static void mosquitto_uplink_close(struct uplink *uplink, bool orderly)
{
	struct uplink_mosquitto *self = self_of(uplink);
	bool active = self->note.active;
	if (!self->mosq || self->note.silent)
		return;
	uplink_note_silence(&self->note);
	int fd = mosquitto_socket(self->mosq);
	int reason = self->target.dies && self->target.broker->protocol == 5 ? MQTT_RC_DISCONNECT_WITH_WILL_MSG : 0;
	if (orderly && active && fd >= 0 && mosquitto_disconnect_v5(self->mosq, reason, NULL) == MOSQ_ERR_SUCCESS) {
		int64_t until_us = clock_now(&clock_system) + CLOSE_MS * (int64_t)1000;
		while (mosquitto_socket(self->mosq) >= 0 && clock_now(&clock_system) < until_us) {
			struct pollfd out = {.fd = fd, .events = POLLOUT};
			if (poll(&out, 1, CLOSE_MS) <= 0 || mosquitto_loop_write(self->mosq, 1) != MOSQ_ERR_SUCCESS)
				break;
		}
	} else if (fd >= 0) {
		/* The library can't drop a socket; it closes this one with the next attempt. */
		shutdown(fd, SHUT_RDWR);
		if (!active)
			self->ipv4_only = self->ipv6_attempt;
	}
}

static const struct uplink_ops mosquitto_ops = {
	.open = mosquitto_uplink_open,
	.reopen = mosquitto_uplink_reopen,
	.publish = mosquitto_uplink_publish,
	.subscribe = mosquitto_uplink_subscribe,
	.unsubscribe = mosquitto_uplink_unsubscribe,
	.wants_write = mosquitto_uplink_wants_write,
	.due_at = mosquitto_uplink_due_at,
	.fd = mosquitto_uplink_fd,
	.step = mosquitto_uplink_step,
	.let_go = mosquitto_uplink_let_go,
	.close = mosquitto_uplink_close,
	.forget = mosquitto_uplink_forget,
};

int uplink_mosquitto_init(struct uplink **ret_uplink)
{
	struct uplink_mosquitto *self = calloc(1, sizeof(*self));
	if (!self)
		return -ENOMEM;
	self->uplink.ops = &mosquitto_ops;
	self->held = -1;
	uplink_note_silence(&self->note);
	signal(SIGPIPE, SIG_IGN);                         /* the library writes without MSG_NOSIGNAL */
	setenv("RES_OPTIONS", "timeout:2 attempts:1", 0); /* a dead name server holds the thread no longer than that */
	if (mosquitto_lib_init() != MOSQ_ERR_SUCCESS) {
		free(self);
		return -ENOMEM;
	}
	*ret_uplink = &self->uplink;
	return 0;
}

void uplink_mosquitto_destroy(struct uplink *uplink)
{
	if (!uplink)
		return;
	mosquitto_uplink_forget(uplink);
	mosquitto_lib_cleanup();
	free(self_of(uplink));
}

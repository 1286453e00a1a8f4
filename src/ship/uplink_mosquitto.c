/*
 * The uplink on libmosquitto, the only file that knows it.
 *
 * Why an own loop (loop_read, loop_write, loop_misc) and never mosquitto_loop_start: the library's thread ends without a
 * word on ordinary faults, and puts publishes on the wire before CONNECT while it reconnects.  threaded_set(true), so
 * that a publish only queues and nothing is written but in step().  The callbacks are the v5 ones also for MQTT 3.1.1:
 * the older ones take a refused publish for a good one.
 *
 * Callbacks only take notes: `connected` and `lost` are told after the library has returned, so that the object may be
 * destroyed in them, and `lost` once, however often the library says it (on_disconnect may come twice, and not at all
 * for a failed TLS handshake).
 *
 * Invariant: with `silent` set no event is told: there is no attempt, or its end was told.
 *
 * Thread: the publisher's; init before all threads, for it sets the environment.
 * Facts about the library: 2.0.11, measured.
 */
#include "ship/uplink.h"
#include "base/clock.h"
#include "base/log.h"
#include "ship/reason.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PASSWORD_MAX	  1024
#define KEEPALIVE_MIN_S	  5   /* the library takes no less */
#define CLOSE_MS	  250 /* for DISCONNECT to leave */
#define SESSION_EXPIRY_S  (24 * 3600)
#define SYSTEM_CA_PATH	  "/etc/ssl/certs"

struct uplink_mosquitto {
	struct uplink uplink; /* first: the ops get a pointer to it */
	struct mosquitto *mosq;
	struct uplink_target target;
	bool silent, active;
	bool ipv4_only;	   /* a name's IPv6 address did not answer */
	bool ipv6_attempt; /* the attempt under way goes to one */

	/* Notes of the callbacks. */
	bool connected, session_present, lost;
	struct uplink_limits limits;
	enum uplink_fault fault;
	char what[200];
	char tls_note[120];
};

static struct uplink_mosquitto *self_of(struct uplink *uplink)
{
	return (struct uplink_mosquitto *)(void *)uplink;
}

static unsigned keepalive_s(const struct uplink_mosquitto *self)
{
	unsigned s = self->target.broker->keepalive_s;
	return s < KEEPALIVE_MIN_S ? KEEPALIVE_MIN_S : s > UINT16_MAX ? UINT16_MAX : s;
}

/* ---- notes ---- */

__attribute__((format(printf, 3, 4))) static void note_lost(
	struct uplink_mosquitto *self, enum uplink_fault fault, const char *format, ...)
{
	if (self->silent || self->lost)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(self->what, sizeof(self->what), format, args);
	va_end(args);
	self->fault = fault;
	self->lost = true;
}

static void note_tls(struct uplink_mosquitto *self)
{
	const char *why = self->tls_note[0] ? self->tls_note : "the handshake failed";
	const char *hint = "";
	if (strstr(why, "certificate verify failed") && !clock_plausible(clock_system.wall_ms(&clock_system)))
		hint = " (this machine's clock is not set yet)";
	note_lost(self, UPLINK_TLS, "TLS: %s%s", why, hint);
}

/* A MOSQ_ERR_ or, of a DISCONNECT, a reason code; error is errno. */
static void note_failure(struct uplink_mosquitto *self, int rc, int error)
{
	if (rc >= 0x80) {
		note_lost(self, reason_fault(rc), "%s", reason_words(rc));
		return;
	}
	if (self->target.endpoint->tls && self->tls_note[0] && !self->active) {
		note_tls(self);
		return;
	}
	switch (rc) {
	case MOSQ_ERR_EAI:
	case MOSQ_ERR_LOOKUP:
		note_lost(self, UPLINK_NAME, "can't find the host %s: %s", self->target.endpoint->host,
			error == EAI_SYSTEM ? "system error" : gai_strerror(error));
		break;
	case MOSQ_ERR_TLS:
	case MOSQ_ERR_TLS_HANDSHAKE:
	case MOSQ_ERR_OCSP:
		note_tls(self);
		break;
	case MOSQ_ERR_ERRNO:
		if (error == EPIPE || error == ECONNRESET)
			note_lost(self, UPLINK_CLOSED, "closed by the broker");
		else
			note_lost(self, UPLINK_REFUSED, "%s", error ? strerror(error) : "no connection");
		break;
	case MOSQ_ERR_KEEPALIVE:
		note_lost(self, UPLINK_REFUSED, "the broker no longer answers");
		break;
	case MOSQ_ERR_PROTOCOL:
	case MOSQ_ERR_MALFORMED_PACKET:
	case MOSQ_ERR_DUPLICATE_PROPERTY:
		note_lost(self, UPLINK_PROTOCOL, "the broker broke the protocol");
		break;
	case MOSQ_ERR_INVAL:
	case MOSQ_ERR_NOT_SUPPORTED:
		note_lost(self, UPLINK_SETUP, "these settings can't be used");
		break;
	case MOSQ_ERR_NOMEM:
		note_lost(self, UPLINK_REFUSED, "out of memory");
		break;
	default: /* MOSQ_ERR_SUCCESS: a DISCONNECT without a reason */
		note_lost(self, UPLINK_CLOSED, self->active ? "closed by the broker" : "closed by the broker without an answer");
		break;
	}
}

/* ---- callbacks ---- */

static void on_connect(struct mosquitto *mosq, void *user, int rc, int flags, const mosquitto_property *properties)
{
	struct uplink_mosquitto *self = user;
	if (self->silent)
		return;
	if (rc) {
		note_lost(self, reason_fault(rc), "%s", reason_words(rc));
		return;
	}
	uint16_t receive_maximum = 0;
	uint32_t maximum_packet = 0;
	uint8_t maximum_qos = 2, retain_available = 1;
	mosquitto_property_read_int16(properties, MQTT_PROP_RECEIVE_MAXIMUM, &receive_maximum, false);
	mosquitto_property_read_int32(properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, &maximum_packet, false);
	mosquitto_property_read_byte(properties, MQTT_PROP_MAXIMUM_QOS, &maximum_qos, false);
	mosquitto_property_read_byte(properties, MQTT_PROP_RETAIN_AVAILABLE, &retain_available, false);
	self->limits = (struct uplink_limits){.receive_maximum = receive_maximum,
		.maximum_packet = maximum_packet,
		.maximum_qos = maximum_qos,
		.retain_available = retain_available};
	self->session_present = flags & 1;
	self->connected = true;
	mosquitto_log_callback_set(mosq, NULL); /* it would format a line for each publish */
	/* Unacknowledged bytes for two thirds of the keepalive are a dead link; the ping alone would take twice as long. */
	int timeout_ms = (int)keepalive_s(self) * 2000 / 3;
	setsockopt(mosquitto_socket(mosq), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}

static void on_disconnect(struct mosquitto *mosq, void *user, int rc, const mosquitto_property *properties)
{
	(void)mosq;
	(void)properties;
	int error = errno;
	struct uplink_mosquitto *self = user;
	/* Of a failed attempt step() knows more than the library tells here. */
	if (self->active || self->connected || rc >= 0x80)
		note_failure(self, rc, error);
}

static void on_publish(struct mosquitto *mosq, void *user, int id, int reason, const mosquitto_property *properties)
{
	(void)mosq;
	(void)properties;
	struct uplink_mosquitto *self = user;
	if (!self->silent)
		self->uplink.events.acknowledged(self->uplink.events.user, id, reason);
}

/* The library says why TLS failed only here: "OpenSSL Error[0]: error:0A000086:SSL routines::certificate verify failed". */
static void on_log(struct mosquitto *mosq, void *user, int level, const char *text)
{
	(void)mosq;
	struct uplink_mosquitto *self = user;
	if (!(level & (MOSQ_LOG_ERR | MOSQ_LOG_WARNING)) || self->tls_note[0])
		return;
	const char *last = strrchr(text, ':');
	last = last ? last + 1 : text;
	last += strspn(last, " ");
	snprintf(self->tls_note, sizeof(self->tls_note), "%.*s", (int)strcspn(last, ".\n"), last);
}

/* Keys with a passphrase are not supported: without this OpenSSL would ask for it on the terminal. */
static int on_passphrase(char *buffer, int size, int writing, void *user)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)user;
	return 0;
}

/* Tells what was noted.  True when something was: the object may be gone now. */
static bool uplink_tell(struct uplink_mosquitto *self)
{
	struct uplink_events *events = &self->uplink.events;
	bool told = false;
	if (self->connected) {
		self->connected = false;
		self->active = true;
		told = true;
		events->connected(events->user, self->session_present, &self->limits);
	}
	if (self->lost) {
		char what[sizeof(self->what)];
		memcpy(what, self->what, sizeof(what));
		self->lost = false;
		self->silent = true;
		self->active = false;
		told = true;
		events->lost(events->user, self->fault, what);
	}
	return told;
}

/* ---- opening ---- */

static void password_wipe(char *password)
{
	explicit_bzero(password, PASSWORD_MAX);
}

/* Reads the first line's worth of the file.  0 or -errno. */
static int password_read(const char *path, char *password)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, password, PASSWORD_MAX - 1);
	int error = n < 0 ? -errno : 0;
	close(fd);
	if (error < 0)
		return error;
	if (n > 0 && password[n - 1] == '\n')
		n--;
	if (n > 0 && password[n - 1] == '\r')
		n--;
	password[n] = '\0';
	return 0;
}

static bool setup_user(struct uplink_mosquitto *self)
{
	const struct plan_broker *broker = self->target.broker;
	if (!broker->user)
		return true;
	char password[PASSWORD_MAX];
	int error = broker->password_file ? password_read(broker->password_file, password) : 0;
	if (error < 0) {
		note_lost(self, UPLINK_SETUP, "can't read the password file %s: %s", broker->password_file, strerror(-error));
		return false;
	}
	int rc = mosquitto_username_pw_set(self->mosq, broker->user, broker->password_file ? password : NULL);
	password_wipe(password);
	if (rc)
		note_failure(self, rc, 0);
	return rc == 0;
}

static bool setup_file(struct uplink_mosquitto *self, const char *what, const char *path)
{
	if (!path || access(path, R_OK) == 0)
		return true;
	note_lost(self, UPLINK_SETUP, "can't read the %s file %s: %s", what, path, strerror(errno));
	return false;
}

static bool setup_tls(struct uplink_mosquitto *self)
{
	const struct plan_broker *broker = self->target.broker;
	if (!setup_file(self, "CA", broker->ca_file) || !setup_file(self, "certificate", broker->cert_file) ||
		!setup_file(self, "key", broker->key_file))
		return false;
	/* A refusal here must end the attempt: the library would go on without TLS. */
	if (mosquitto_tls_opts_set(self->mosq, 1 /* SSL_VERIFY_PEER */, "tlsv1.2", NULL) ||
		mosquitto_tls_set(self->mosq, broker->ca_file, broker->ca_file ? NULL : SYSTEM_CA_PATH, broker->cert_file,
			broker->key_file, on_passphrase)) {
		note_lost(self, UPLINK_SETUP, "TLS can't be set up with these files");
		return false;
	}
	return true;
}

static bool setup_object(struct uplink_mosquitto *self)
{
	const struct uplink_target *target = &self->target;
	struct mosquitto *mosq = self->mosq = mosquitto_new(target->broker->client_id, target->clean_session, self);
	if (!mosq) {
		note_lost(self, UPLINK_SETUP, "the client id can't be used: %s", strerror(errno));
		return false;
	}
	mosquitto_threaded_set(mosq, true);
	mosquitto_connect_v5_callback_set(mosq, on_connect);
	mosquitto_disconnect_v5_callback_set(mosq, on_disconnect);
	mosquitto_publish_v5_callback_set(mosq, on_publish);
	mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION,
		target->broker->protocol == 5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
	mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1);
	mosquitto_int_option(mosq, MOSQ_OPT_SEND_MAXIMUM, UINT16_MAX); /* the window is the publisher's */
	if (target->will_topic) {
		int rc = mosquitto_will_set_v5(mosq, target->will_topic, 7, "offline", 1, true, NULL);
		if (rc) {
			note_lost(self, UPLINK_SETUP, "the will can't be set: %s", mosquitto_strerror(rc));
			return false;
		}
	}
	return !target->endpoint->tls || setup_tls(self);
}

/*
 * With MQTT 5 a session ends with its connection unless CONNECT says otherwise.  The library takes CONNECT properties in
 * its blocking connect only; that one stores them before it refuses the impossible keepalive, and the non-blocking
 * connect sends what is stored.  Should another version not do so, the broker will say that it has no session, which
 * costs duplicates and no messages.
 */
static void setup_session(struct uplink_mosquitto *self)
{
	if (self->target.broker->protocol != 5 || self->target.clean_session)
		return;
	mosquitto_property *properties = NULL;
	mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, SESSION_EXPIRY_S);
	mosquitto_connect_bind_v5(self->mosq, self->target.endpoint->host, self->target.endpoint->port, 1, NULL, properties);
	mosquitto_property_free_all(&properties);
}

static bool host_is_name(const char *host)
{
	struct in6_addr address;
	return inet_pton(AF_INET, host, &address) != 1 && inet_pton(AF_INET6, host, &address) != 1;
}

/* The library tries the first address of a name only, when it does not block: binding makes it take an IPv4 one. */
static void uplink_dial(struct uplink_mosquitto *self, bool again)
{
	struct mosquitto *mosq = self->mosq;
	const struct plan_endpoint *endpoint = self->target.endpoint;
	if (self->ipv4_only)
		mosquitto_string_option(mosq, MOSQ_OPT_BIND_ADDRESS, "0.0.0.0");
	errno = 0;
	int rc = again ? mosquitto_reconnect_async(mosq)
		       : mosquitto_connect_async(mosq, endpoint->host, endpoint->port, (int)keepalive_s(self));
	int error = errno;
	if (rc > 0) {
		note_failure(self, rc, error);
		return;
	}
	struct sockaddr_storage own = {0};
	socklen_t n = sizeof(own);
	getsockname(mosquitto_socket(mosq), (struct sockaddr *)&own, &n);
	self->ipv6_attempt = own.ss_family == AF_INET6 && host_is_name(endpoint->host);
}

static int uplink_begun(struct uplink_mosquitto *self)
{
	if (!self->lost)
		return 0;
	self->ipv4_only = false;
	uplink_tell(self);
	return -ECONNREFUSED;
}

static void uplink_begin(struct uplink_mosquitto *self)
{
	self->silent = false;
	self->active = self->connected = self->lost = self->ipv6_attempt = false;
	self->tls_note[0] = '\0';
}

static void mosquitto_uplink_forget(struct uplink *uplink)
{
	struct uplink_mosquitto *self = self_of(uplink);
	self->silent = true;
	self->active = self->connected = self->lost = false;
	if (self->mosq)
		mosquitto_destroy(self->mosq);
	self->mosq = NULL;
}

static int mosquitto_uplink_open(struct uplink *uplink, const struct uplink_target *target)
{
	struct uplink_mosquitto *self = self_of(uplink);
	mosquitto_uplink_forget(uplink);
	if (self->target.endpoint != target->endpoint)
		self->ipv4_only = false;
	self->target = *target;
	uplink_begin(self);
	if (setup_object(self) && setup_user(self)) {
		if (target->endpoint->tls)
			mosquitto_log_callback_set(self->mosq, on_log);
		setup_session(self);
		uplink_dial(self, false);
	}
	return uplink_begun(self);
}

static int mosquitto_uplink_reopen(struct uplink *uplink)
{
	struct uplink_mosquitto *self = self_of(uplink);
	uplink_begin(self);
	if (!self->mosq) {
		note_lost(self, UPLINK_REFUSED, "nothing to open again");
	} else if (setup_user(self)) {
		if (self->target.endpoint->tls)
			mosquitto_log_callback_set(self->mosq, on_log);
		uplink_dial(self, true);
	}
	return uplink_begun(self);
}

/* ---- in between ---- */

static int mosquitto_uplink_publish(struct uplink *uplink, const struct uplink_publish *publish, int *ret_message_id)
{
	struct uplink_mosquitto *self = self_of(uplink);
	/* Without a connection the library would refuse a QoS 1 publish, and keep it all the same. */
	if (!self->active || mosquitto_socket(self->mosq) < 0)
		return -EAGAIN;
	mosquitto_property *properties = NULL;
	if (self->target.broker->protocol == 5) {
		if (publish->expire_s)
			mosquitto_property_add_int32(&properties, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, publish->expire_s);
		if (publish->replayed)
			mosquitto_property_add_string_pair(&properties, MQTT_PROP_USER_PROPERTY, "replayed", "true");
		if (publish->again)
			mosquitto_property_add_string_pair(&properties, MQTT_PROP_USER_PROPERTY, "again", "true");
	}
	const struct message *message = publish->message;
	int id = 0;
	int rc = mosquitto_publish_v5(self->mosq, &id, message->topic, (int)publish->payload_n, publish->payload,
		message->qos, message->retain, properties);
	mosquitto_property_free_all(&properties);
	switch (rc) {
	case MOSQ_ERR_SUCCESS:
		*ret_message_id = id;
		return 0;
	case MOSQ_ERR_PAYLOAD_SIZE:
	case MOSQ_ERR_OVERSIZE_PACKET:
		return -EMSGSIZE;
	case MOSQ_ERR_QOS_NOT_SUPPORTED:
		return -EPROTONOSUPPORT;
	case MOSQ_ERR_INVAL:
	case MOSQ_ERR_MALFORMED_UTF8:
		return -EINVAL;
	default:
		return -EAGAIN;
	}
}

static bool mosquitto_uplink_wants_write(const struct uplink *uplink)
{
	const struct uplink_mosquitto *self = (const struct uplink_mosquitto *)(const void *)uplink;
	return self->mosq && !self->silent && mosquitto_want_write(self->mosq);
}

static int mosquitto_uplink_fd(const struct uplink *uplink)
{
	const struct uplink_mosquitto *self = (const struct uplink_mosquitto *)(const void *)uplink;
	return self->mosq && !self->silent ? mosquitto_socket(self->mosq) : -1;
}

/* After each call of the library: notes what it returned, tells.  True when the turn is over. */
static bool uplink_returned(struct uplink_mosquitto *self, int rc, int error)
{
	if (rc > 0 && !self->lost && !self->active && !self->connected && self->ipv6_attempt && rc == MOSQ_ERR_ERRNO) {
		self->ipv6_attempt = false;
		self->ipv4_only = true;
		self->silent = true;
		int was = error;
		self->silent = false;
		uplink_dial(self, true);
		if (self->lost) { /* no IPv4 address either: the first answer is the one that says something */
			self->lost = false;
			note_failure(self, MOSQ_ERR_ERRNO, was);
		} else {
			return true;
		}
	}
	if (rc > 0)
		note_failure(self, rc, error);
	else if (mosquitto_socket(self->mosq) < 0)
		note_failure(self, MOSQ_ERR_CONN_LOST, 0);
	if (self->lost && !self->active)
		self->ipv4_only = false;
	return uplink_tell(self);
}

static void mosquitto_uplink_step(struct uplink *uplink, bool readable, bool writable)
{
	struct uplink_mosquitto *self = self_of(uplink);
	if (!self->mosq || self->silent)
		return;
	int rc;
	if (readable) {
		errno = 0; /* the library takes an old EAGAIN for its own */
		rc = mosquitto_loop_read(self->mosq, 1);
		if (uplink_returned(self, rc, errno))
			return;
	}
	if (writable && mosquitto_want_write(self->mosq)) {
		errno = 0;
		rc = mosquitto_loop_write(self->mosq, 1);
		if (uplink_returned(self, rc, errno))
			return;
	}
	errno = 0;
	rc = mosquitto_loop_misc(self->mosq);
	uplink_returned(self, rc, errno);
}

static void mosquitto_uplink_close(struct uplink *uplink, bool orderly)
{
	struct uplink_mosquitto *self = self_of(uplink);
	bool silent = self->silent;
	self->silent = true;
	if (!self->mosq || silent)
		return;
	int fd = mosquitto_socket(self->mosq);
	if (orderly && self->active && fd >= 0 && mosquitto_disconnect_v5(self->mosq, 0, NULL) == MOSQ_ERR_SUCCESS) {
		int64_t until_us = clock_now(&clock_system) + CLOSE_MS * 1000;
		while (mosquitto_socket(self->mosq) >= 0 && clock_now(&clock_system) < until_us) {
			struct pollfd out = {.fd = fd, .events = POLLOUT};
			if (poll(&out, 1, CLOSE_MS) <= 0 || mosquitto_loop_write(self->mosq, 1) != MOSQ_ERR_SUCCESS)
				break;
		}
	} else if (fd >= 0) {
		/* The library can't drop a socket; it closes this one with the next attempt. */
		shutdown(fd, SHUT_RDWR);
		if (!self->active)
			self->ipv4_only = self->ipv6_attempt;
	}
	self->active = self->connected = self->lost = false;
}

static const struct uplink_ops mosquitto_ops = {
	.open = mosquitto_uplink_open,
	.reopen = mosquitto_uplink_reopen,
	.publish = mosquitto_uplink_publish,
	.wants_write = mosquitto_uplink_wants_write,
	.fd = mosquitto_uplink_fd,
	.step = mosquitto_uplink_step,
	.close = mosquitto_uplink_close,
	.forget = mosquitto_uplink_forget,
};

int uplink_mosquitto_init(struct uplink **ret_uplink)
{
	struct uplink_mosquitto *self = calloc(1, sizeof(*self));
	if (!self)
		return -ENOMEM;
	self->uplink.ops = &mosquitto_ops;
	self->silent = true;
	signal(SIGPIPE, SIG_IGN);			  /* the library writes without MSG_NOSIGNAL */
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

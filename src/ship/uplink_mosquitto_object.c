/*
 * libmosquitto's object, made ready for an attempt.  See uplink_mosquitto_inner.h.
 *
 * threaded_set(true), so that a publish only queues and nothing is written but in step().  What can't be set up ends
 * the attempt: the library would go on without TLS, or without a will.
 */
#include "ship/uplink_mosquitto_inner.h"
#include "ship/uplink_files.h"

#include <errno.h>
#include <mqtt_protocol.h>
#include <stdint.h>
#include <string.h>

#define SESSION_EXPIRY_S (24 * 3600)

bool uplink_mosquitto_user(struct uplink_mosquitto *self)
{
	const struct plan_broker *broker = self->target.broker;
	if (!broker->user)
		return true;
	char password[SECRET_MAX];
	bool given;
	if (!uplink_files_password(broker, password, &given, &self->note))
		return false;
	int rc = mosquitto_username_pw_set(self->mosq, broker->user, given ? password : NULL);
	secret_wipe(password);
	if (rc)
		uplink_mosquitto_failed(self, rc, 0);
	return rc == 0;
}

static bool setup_tls(struct uplink_mosquitto *self)
{
	const struct plan_broker *broker = self->target.broker;
	if (!uplink_files_tls(broker, &self->note))
		return false;
	/* A refusal here must end the attempt: the library would go on without TLS. */
	if (mosquitto_tls_opts_set(self->mosq, 1 /* SSL_VERIFY_PEER */, "tlsv1.2", NULL) ||
		mosquitto_tls_set(self->mosq, broker->ca_file, broker->ca_file ? NULL : "/etc/ssl/certs",
			broker->cert_file, broker->key_file, uplink_files_passphrase)) {
		uplink_note_lost(&self->note, UPLINK_SETUP, "TLS can't be set up with these files");
		return false;
	}
	return true;
}

static bool setup_settings(struct uplink_mosquitto *self)
{
	const struct uplink_target *target = &self->target;
	struct mosquitto *mosq = self->mosq = mosquitto_new(target->broker->client_id, target->clean_session, self);
	if (!mosq) {
		uplink_note_lost(&self->note, UPLINK_SETUP, "the client id can't be used: %s", strerror(errno));
		return false;
	}
	mosquitto_threaded_set(mosq, true);
	mosquitto_int_option(
		mosq, MOSQ_OPT_PROTOCOL_VERSION, target->broker->protocol == 5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
	mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1);
	mosquitto_int_option(mosq, MOSQ_OPT_SEND_MAXIMUM, UINT16_MAX); /* the window is the publisher's */
	if (target->will_topic && mosquitto_will_set_v5(mosq, target->will_topic, (int)target->will_n, target->will,
					  target->will_qos, target->will_retain, NULL)) {
		uplink_note_lost(&self->note, UPLINK_SETUP, "the will can't be set on %s", target->will_topic);
		return false;
	}
	return !target->endpoint->tls || setup_tls(self);
}

/*
 * With MQTT 5 a session ends with its connection unless CONNECT says otherwise.  The library takes CONNECT properties
 * in its blocking connect only; that one stores them before it refuses the impossible keepalive, and the non-blocking
 * connect sends what is stored.  Should another version not do so, the broker will say that it has no session, which
 * costs duplicates and no messages.
 */
static void setup_session(struct uplink_mosquitto *self)
{
	if (self->target.broker->protocol != 5 || self->target.clean_session)
		return;
	mosquitto_property *properties = NULL;
	mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, SESSION_EXPIRY_S);
	mosquitto_connect_bind_v5(
		self->mosq, self->target.endpoint->host, self->target.endpoint->port, 1, NULL, properties);
	mosquitto_property_free_all(&properties);
}

bool uplink_mosquitto_object(struct uplink_mosquitto *self)
{
	if (!setup_settings(self) || !uplink_mosquitto_user(self))
		return false;
	setup_session(self);
	return true;
}

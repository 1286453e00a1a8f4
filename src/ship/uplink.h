/*
 * The seam to the broker: one connection at a time, driven by the publisher's own loop.  uplink_mosquitto is the real
 * one; tests script theirs.  Everything happens on the publisher's thread, inside a call of these functions.
 */
#ifndef SHIP_UPLINK_H
#define SHIP_UPLINK_H

#include "model/message.h"
#include "model/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a connection failed or ended, in classes that the publisher treats differently. */
enum uplink_fault {
	UPLINK_REFUSED,    /* nobody listens, unreachable, reset, time-out: try on */
	UPLINK_NAME,       /* the host name can't be resolved */
	UPLINK_AUTH,       /* bad user or password, not authorised */
	UPLINK_CLIENT_ID,  /* the broker refuses the client id */
	UPLINK_BUSY,       /* server unavailable or shutting down */
	UPLINK_TLS,        /* certificate or handshake */
	UPLINK_VERSION,    /* protocol version not spoken */
	UPLINK_PROTOCOL,   /* the broker broke the protocol (a QoS 2 publish answered by PUBACK) */
	UPLINK_TAKEN_OVER, /* another client came with the same client id */
	UPLINK_CLOSED,     /* closed by the broker without a reason */
	UPLINK_NO_RETAIN,  /* CONNECT refused because its will is to be retained */
	UPLINK_NO_QOS,     /* CONNECT refused because its will has a QoS */
	UPLINK_SETUP,      /* unusable local files: CA, certificate, password file */
};

struct uplink_limits {
	unsigned receive_maximum; /* 0 = not said */
	uint32_t maximum_packet;  /* 0 = not said */
	int maximum_qos;          /* 2 unless the broker says less */
	bool retain_available;
};

/* A message on a topic that was subscribed to; all of it is valid during the call. */
struct uplink_message {
	const char *topic;
	const void *payload; /* NULL when it is empty */
	size_t payload_n;
	int qos;
	bool retained; /* it was there before the subscription */
};

/* What the uplink tells; set by the publisher. */
struct uplink_events {
	void *user;
	void (*connected)(void *user, bool session_present, const struct uplink_limits *limits);
	/* Also for a failed attempt.  what is for people and never holds a secret; valid during the call. */
	void (*lost)(void *user, enum uplink_fault fault, const char *what);
	/* reason < 0x80 is good.  QoS 0: written to the socket. */
	void (*acknowledged)(void *user, int message_id, int reason);
	/* The broker's word on a subscription: below 0x80 the QoS that it grants, else a reason. */
	void (*subscribed)(void *user, int message_id, int reason);
	/* Only while a connection stands.  The uplink must not be closed or forgotten in the call. */
	void (*message)(void *user, const struct uplink_message *message);
};

struct uplink_target {
	const struct plan_broker *broker;
	const struct plan_endpoint *endpoint;
	bool clean_session;
	const char *will_topic; /* NULL = no will (a session purge) */
	const void *will;       /* will_n bytes, until the next open or forget */
	size_t will_n;
	int will_qos;
	bool will_retain;
	bool dies; /* an orderly end is for others what a loss is: the broker is asked to publish the will (MQTT 5) */
};

struct uplink_publish {
	const struct message *message; /* qos already capped */
	const void *payload;           /* with its marks */
	size_t payload_n;
	const char *content_type; /* MQTT 5 only, as what follows; NULL = none */
	uint32_t expire_s;
	bool replayed, again; /* marks that the payload can't carry: MQTT 5 user properties */
	bool recurs;          /* more will come on this topic: worth an alias */
};

struct uplink {
	const struct uplink_ops *ops;
	struct uplink_events events;
};

struct uplink_ops {
	/*
	 * Begins a connection with a new library object (forgetting all of an older one); the outcome comes as an
	 * event. May block in a name look-up only.  0, or -errno when it failed at once, after `lost` was told.
	 */
	int (*open)(struct uplink *uplink, const struct uplink_target *target);
	/* Begins anew with the object that is there, so that its QoS 2 handshakes go on.  As open. */
	int (*reopen)(struct uplink *uplink);
	/* 0 and the message id; -EMSGSIZE too large for the broker; -EPROTONOSUPPORT above its QoS; -EINVAL topic;
	 * -EAGAIN. */
	int (*publish)(struct uplink *uplink, const struct uplink_publish *publish, int *ret_message_id);
	/*
	 * Asks for the messages of a topic filter, first those that are retained.  A subscription ends with its
	 * connection: it is asked for anew after each `connected`.
	 * 0 and the id with which `subscribed` comes; -EAGAIN without a connection; -EINVAL filter.
	 */
	int (*subscribe)(struct uplink *uplink, const char *filter, int qos, int *ret_message_id);
	/* Asks for no more of them.  What is under way still comes.  0 or as subscribe. */
	int (*unsubscribe)(struct uplink *uplink, const char *filter);
	/* Bytes handed over at QoS 0 that have not reached the socket yet make this true. */
	bool (*wants_write)(const struct uplink *uplink);
	/* When it wants a step at the latest, to see whether the broker still answers; CLOCK_NEVER. */
	int64_t (*due_at)(const struct uplink *uplink);
	/* For poll(): -1 when there is no connection. */
	int (*fd)(const struct uplink *uplink);
	/* Reads, writes, keepalive; events come out of here.  What it writes may be held back until let_go.  After
	 * `connected` nothing more is written in the same step, so that the publisher can forget the object before it
	 * re-sends what the broker's session no longer knows. */
	void (*step)(struct uplink *uplink, bool readable, bool writable);
	/* What steps have written leaves, in as few packets as it fits. */
	void (*let_go)(struct uplink *uplink);
	/* orderly sends DISCONNECT first, and waits at most 250 ms for the socket.  No event follows. */
	void (*close)(struct uplink *uplink, bool orderly);
	/* Drops the object.  Allowed inside `connected` and `lost`. */
	void (*forget)(struct uplink *uplink);
};

/* The one on libmosquitto.  0 and *ret_uplink, or -ENOMEM. */
int uplink_mosquitto_init(struct uplink **ret_uplink);
void uplink_mosquitto_destroy(struct uplink *uplink);

#endif

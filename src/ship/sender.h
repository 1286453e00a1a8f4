/*
 * Hands messages from the outbox to the uplink, within bounds, and settles what the broker says to them.
 *
 * Bounds (brokers' own limits and libmosquitto's: it has none of its own, and gets slow with what it holds): at QoS 1
 * broker->inflight, at QoS 2 broker->inflight_qos2 (never more than 20: Mosquitto loses more silently), together the
 * broker's receive maximum and 1 MiB; at QoS 0 256 messages or 256 kB not yet written to the socket.  Message ids are a
 * counter that goes round without looking, so the newest is kept within 50 000 of the oldest that is outstanding.
 *
 * On the publisher's thread only, but for the counters.
 */
#ifndef SHIP_SENDER_H
#define SHIP_SENDER_H

#include "base/backoff.h"
#include "base/log.h"
#include "model/plan.h"
#include "ship/outbox.h"
#include "ship/poison.h"
#include "ship/uplink.h"
#include "ship/window.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SENDER_QOS2_MAX      20
#define SENDER_BYTES_MAX     ((size_t)1024 * 1024)
#define SENDER_QOS0_MAX      256
#define SENDER_QOS0_BYTES    ((size_t)256 * 1024)
#define SENDER_ID_DISTANCE   50000
#define SENDER_STALLED_US    (90 * (int64_t)1000000)
#define SENDER_REFUSAL_KINDS 6

/* Why sender_hand_over came back. */
enum sender_state {
	SENDER_IDLE,  /* nothing waits: the outbox's fd tells when */
	SENDER_FULL,  /* until something is acknowledged or written */
	SENDER_HELD,  /* until hold_until_us */
	SENDER_PACED, /* by `replay` until paced_until_us, or until the outbox's fd tells */
	SENDER_MORE,  /* enough for one turn */
};

struct sender {
	const struct plan_broker *broker;
	struct outbox *outbox;
	struct uplink *uplink;
	struct window window;
	struct poison poison;
	struct uplink_limits limits;
	uint8_t *max_qos; /* of the endpoint in use; lowered when the broker says so */
	const char *url;
	bool resumed;    /* the broker's session has outlived the connection before */
	bool qos2_works; /* the broker has completed one since the endpoint was chosen */
	int last_id;
	int64_t hold_until_us, paced_until_us;
	int64_t progress_us; /* last acknowledgement, or first hand-over after none was awaited */
	struct backoff later;
	struct complaint refusals[SENDER_REFUSAL_KINDS];
	int64_t put_off_at_us; /* the last time that a message was put off */
	char *buffer;
	_Atomic uint64_t n_acknowledged, n_refused;
	_Atomic unsigned n_in_flight;
};

/* 0 or -ENOMEM.  What is given outlives the sender. */
int sender_init(struct sender *sender, const struct plan_broker *broker, struct outbox *outbox, struct uplink *uplink);
void sender_destroy(struct sender *sender);

/* A connection stands.  resumed: the object and the broker's session are those of the connection before. */
void sender_connected(struct sender *sender, const struct uplink_limits *limits, uint8_t *max_qos, const char *url,
	bool resumed, int64_t now_us);

/* Hands over what there is room for; last_words: standing messages only, beyond the room if need be. */
enum sender_state sender_hand_over(struct sender *sender, bool last_words, int64_t now_us, unsigned *ret_n);

/* From the uplink. */
void sender_acknowledged(struct sender *sender, int message_id, int reason, int64_t now_us);

/*
 * The connection is gone.  What waits for an acknowledgement goes back to the outbox, unless keep: then the object will
 * be reopened and sends it again by itself.  QoS 0 that did not reach the socket is over.
 */
void sender_lost(struct sender *sender, bool keep);

/* The one message that awaits its acknowledgement drops connections: it is set aside. */
void sender_refuse_suspect(struct sender *sender, const char *what, int64_t now_us);

/* True when the broker has not acknowledged anything for SENDER_STALLED_US although it should. */
bool sender_stalled(const struct sender *sender, int64_t now_us);

/* True while a message of the outbox is not acknowledged (QoS 0: not written). */
bool sender_in_flight(const struct sender *sender);

#endif

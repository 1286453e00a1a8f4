/*
 * A publisher on a scripted broker, in a time of its own, with the real outbox.  One stage a test program.
 */
#ifndef TESTS_PUBLISHER_STAGE_H
#define TESTS_PUBLISHER_STAGE_H

#include "ship/outbox.h"
#include "ship/publisher.h"
#include "virtual_clock.h"

#define SECOND   (1000000 * (int64_t)1)
#define SENT_MAX 20000

struct sent {
	int id, qos;
	char topic[64], payload[128];
	bool settled;
};

struct scripted_broker {
	struct uplink uplink;
	/* script */
	bool answers; /* CONNACK comes with the next step */
	bool session; /* session present */
	bool full;    /* the socket takes nothing */
	bool acks;    /* good acknowledgements come with the next step */
	enum uplink_fault refusal;
	bool refuses;
	const char *refuses_host; /* that endpoint only, if it is given */
	struct uplink_limits limits;
	int reason;             /* of acknowledgements */
	const char *refuses_on; /* of this topic only, if it is given */
	const char *acks_only;  /* this topic, if it is given */
	const char *drops_at;   /* the connection drops when this topic was published */
	enum uplink_fault drop_fault;
	int publish_error;
	/* what happened */
	bool open, active, object;
	bool held; /* what was written has not left */
	struct uplink_target target;
	unsigned n_opens, n_reopens, n_forgets, n_orderly, n_abrupt, n_clean;
	int last_id;
	struct sent sent[SENT_MAX];
	unsigned n_sent;
	bool drop_due;
};

extern struct scripted_broker fake;
extern struct plan_endpoint endpoints[2]; /* mqtt://one and mqtt://two */
extern struct plan_broker broker;
extern struct outbox *outbox;
extern struct publisher *publisher;
extern struct publisher_listener stage_listener;

/* What the listener is to do. */
extern bool says_state; /* puts `state` when it is told of a connection */
extern int64_t wants_at_us;

/* What the listener heard. */
extern bool turned_connected;
extern unsigned n_connected, n_leaving, n_lost, n_messages, n_turns, n_settled, n_turned;
extern int subscription, heard_subscription;
extern int64_t last_turn_us;

/* A broker that answers, that many endpoints of the two, and a publisher that was not stepped. */
void begin(size_t n_endpoints, bool uses_qos2);
void begin_with(size_t n_endpoints, bool uses_qos2, struct plan_buffer limits);
void end(void);

/* A reading for the outbox. */
void reading(const char *topic, uint8_t qos);

/* One step of the publisher; when it wants the next. */
int64_t step(void);
void steps(int n);

/* Lets time pass; the script has no socket that would wake the publisher, so a step comes at least every 50 ms. */
void run(int64_t us);

/* The connection is lost. */
void fake_drop(enum uplink_fault fault);

/* The message sent as that one is acknowledged. */
void fake_settle(unsigned i, int reason);

struct outbox_counts counts(void);
struct publisher_status status(void);
unsigned n_sent_on(const char *topic);

#endif

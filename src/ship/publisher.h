/*
 * The publisher: holds the broker connection and a bounded window of messages in flight, and forgets a message only
 * when the broker has acknowledged it.
 *
 * One thread (publisher_start) around publisher_step; tests call the step with a clock and an uplink of their own.
 */
#ifndef SHIP_PUBLISHER_H
#define SHIP_PUBLISHER_H

#include "base/clock.h"
#include "model/plan.h"
#include "ship/outbox.h"
#include "ship/uplink.h"

#include <stdbool.h>
#include <stdint.h>

struct publisher;

/* Whoever has something to say or hear at each connection.  Called on the publisher's thread; all but connected may be
 * NULL. */
struct publisher_listener {
	/* After each CONNACK, to put what stands (state, info, availability) anew, and to subscribe on the uplink,
	 * which may be done until it is lost.  resumed: the broker has kept the session, and with it subscriptions and
	 * what came on them meanwhile. */
	void (*connected)(
		struct publisher_listener *listener, const char *broker_url, struct uplink *uplink, bool resumed);
	void (*lost)(struct publisher_listener *listener);
	/* As the uplink's events of these names. */
	void (*subscribed)(struct publisher_listener *listener, int message_id, int reason);
	void (*message)(struct publisher_listener *listener, const struct uplink_message *message);
	/*
	 * While connected, in each turn of the publisher until it has returned CLOCK_NEVER, and again after each
	 * message and word on a subscription; a publisher that is asked to stop waits for that as it waits for
	 * readings.  settled: all standing messages that were put are acknowledged.  Returns the instant by which it
	 * wants the next turn.
	 */
	int64_t (*step)(struct publisher_listener *listener, bool settled, int64_t now_us);
	/* publisher_turn was called; uplink NULL without a connection.  A turn of step follows. */
	void (*turned)(struct publisher_listener *listener, struct uplink *uplink);
	/* Another one, or nobody (NULL), takes its place: what it has subscribed to and that one has not is given up.
	 * While connected; `lost` follows. */
	void (*replaced)(struct publisher_listener *listener, struct publisher_listener *next, struct uplink *uplink);
	/* Before an orderly disconnect, at the end or from a broker that is left for another: the last words
	 * ("offline"). */
	void (*leaving)(struct publisher_listener *listener);
};

struct publisher_status {
	bool connected;
	const char *broker_url; /* in use, or tried last; lives as long as the plan */
	uint64_t reconnects, acknowledged, refused;
	unsigned in_flight;
	int64_t since_us; /* monotonic: of being connected or not; 0 = never was */
	int fault;        /* enum uplink_fault, of the last attempt or connection that failed; -1 = none did */
};

/* 0 and *ret_publisher, or -errno.  The will is `offline` on will_topic, retained, QoS 1. */
int publisher_init(const struct plan_broker *broker, bool uses_qos2, const char *will_topic, struct outbox *outbox,
	struct uplink *uplink, struct publisher_listener *listener, const struct clock *clock,
	struct publisher **ret_publisher);

/*
 * Gives the publisher a second uplink, its alone, with which it looks every broker->prefer_first_us whether the first
 * of several brokers is back while another serves.  Before the start.  0 or -ENOMEM.
 */
int publisher_look_with(struct publisher *publisher, struct uplink *uplink);

/* One turn: connect, hand over, collect acknowledgements.  Returns the instant at which it wants to run next. */
int64_t publisher_step(struct publisher *publisher, int64_t now_us);

int publisher_start(struct publisher *publisher);
/* Asks: send for at most 2 s what the broker takes, say the last words, disconnect. */
void publisher_stop(struct publisher *publisher);
/* Waits at most timeout_us.  0, or -ETIMEDOUT when the thread hangs (a name look-up): then do not destroy, exit. */
int publisher_join(struct publisher *publisher, int64_t timeout_us);
void publisher_destroy(struct publisher *publisher);

/* The listener has news: it is told `turned` at the next turn, which comes at once.  Any thread. */
void publisher_turn(struct publisher *publisher);

void publisher_status(struct publisher *publisher, struct publisher_status *ret_status);

/* For the watchdog: monotonic µs by which the next step must have happened.  Any thread. */
int64_t publisher_alive_until(const struct publisher *publisher);

/* By when its first step must have happened; before the start.  Without this it may take for ever. */
void publisher_alive_by(struct publisher *publisher, int64_t until_us);

#endif

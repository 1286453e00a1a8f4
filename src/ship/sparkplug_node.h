/*
 * The session of a Sparkplug node: where it stands, and what comes next.
 *
 *   DOWN ──► CONNECTING ──► WAITING ──► BIRTH ◄──► ALIVE ──► DOWN … ENDED
 *
 * WAITING: for the broker's words on the subscriptions, and for the primary host.  BIRTH: the node, then all devices
 * that answer; nothing else is said meanwhile.  ALIVE: data, and births and deaths of devices as they come and go.
 *
 * The inside of sparkplug.c; its thread.
 */
#ifndef SHIP_SPARKPLUG_NODE_H
#define SHIP_SPARKPLUG_NODE_H

#include "ship/retry.h"
#include "ship/sparkplug.h"
#include "ship/sparkplug_command.h"
#include "ship/sparkplug_host.h"
#include "ship/sparkplug_id.h"
#include "ship/sparkplug_tell.h"
#include "ship/sparkplug_window.h"

#include <stdatomic.h>

enum sparkplug_state {
	SPARKPLUG_DOWN,
	SPARKPLUG_CONNECTING,
	SPARKPLUG_WAITING,
	SPARKPLUG_BIRTH,
	SPARKPLUG_ALIVE,
	SPARKPLUG_ENDED
};

struct sparkplug_node {
	struct sparkplug_parts parts;
	enum sparkplug_state state;
	struct retry retry;
	struct sparkplug_host host;
	int64_t *host_ms; /* the newest time of the host at each broker */
	struct sparkplug_command *command;
	struct sparkplug_tell tell;
	struct sparkplug_window window;
	void *record; /* OUTBOX_MESSAGE_BYTES */

	uint8_t bd_seq;
	uint8_t will[SPARKPLUG_DEATH_BYTES];
	char will_topic[SPARKPLUG_TOPIC_MAX];
	int64_t now_us, deadline_us; /* of CONNECTING, of WAITING's subscriptions */
	int64_t host_by_us;          /* of several brokers the next is tried when the host is not here by then */
	uint32_t maximum_packet;
	size_t next_subscription, n_subscribed, n_answered;
	uint32_t next_birth; /* 0 = the node, then the devices */
	bool rebirth;        /* asked for; what is being told is told to its end */
	int64_t rebirth_at;  /* not before */
	bool begun;
	bool news;    /* devices may have come or gone */
	bool starved; /* nothing waits in the outbox */
	bool more;    /* births or data wait, and the broker would take them */
	int64_t paced_until_us, command_at_us;
	int64_t stop_at_us; /* 0 = not asked to stop */
	struct complaint refused, absent;

	struct {
		bool connected, lost;
		uint32_t maximum_packet;
		enum uplink_fault fault;
		char what[200];
	} noted; /* what the uplink told, until it has returned */

	_Atomic int told_state;
	_Atomic unsigned told_bd_seq;
	_Atomic uint64_t n_births, n_done;
	_Atomic(const char *) url;
	_Atomic int64_t alive_until_us;
};

int sparkplug_node_init(struct sparkplug_node *node, const struct sparkplug_parts *parts);
void sparkplug_node_destroy(struct sparkplug_node *node);

/* One turn; readable and writable are of the uplink's socket. */
void sparkplug_node_step(struct sparkplug_node *node, bool readable, bool writable, bool stop, int64_t now_us);

/* When it wants the next one. */
int64_t sparkplug_node_wake(const struct sparkplug_node *node);

/* The connection is of no use: it ends, and another one is tried later.  what: for people. */
void sparkplug_node_give_up(struct sparkplug_node *node, const char *what);

/* Has the socket taken what was handed over?  The library queues without bound.  False when there is no connection. */
bool sparkplug_node_wrote(struct sparkplug_node *node);

/* sparkplug_data.c: what is said while ALIVE. */
void sparkplug_data_turn(struct sparkplug_node *node);

static inline void sparkplug_node_alive(struct sparkplug_node *node, int64_t until_us)
{
	atomic_store_explicit(&node->alive_until_us, until_us, memory_order_relaxed);
}

#endif

/*
 * The state machine of a Sparkplug session.  See sparkplug_node.h.
 *
 * Why a connection of its own: the will of this one is the node's death, its session is a clean one whatever the other
 * has in flight, and it has to leave a broker at which the primary host is not.
 *
 * What was put before the births of a session, by this process or an earlier one, is history: the outbox is told of the
 * connection when the births begin, so all that it then hands over of the time before is marked `replayed`.  Present
 * readings go beside it (its order is live_first).
 *
 * Invariants: one uplink, so never two brokers; the window is empty unless the session is ALIVE or told anew; what the
 * uplink tells of the connection is only noted, and acted on when it has returned.
 */
#include "ship/sparkplug_node.h"
#include "base/hash.h"
#include "base/log.h"
#include "ship/reason.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_US   (10 * (int64_t)1000000) /* TCP, TLS and CONNACK; never more than the keepalive */
#define LOOKUP_US    (60 * (int64_t)1000000) /* what a name look-up and a slow card may block */
#define GRACE_US     (10 * (int64_t)1000000)
#define ANSWER_US    (5 * (int64_t)1000000)  /* the broker's words on the subscriptions; births go without, then */
#define HOST_US      (15 * (int64_t)1000000) /* the primary host's first word, where there is another broker to try */
#define REBIRTH_US   (1 * (int64_t)1000000)  /* between two births that are asked for */
#define DRAIN_US     (2 * (int64_t)1000000)
#define TICK_US      (5 * (int64_t)1000000)
#define PORTION      50 /* subscriptions a turn */
#define BIRTHS_ROUND 64

static void set_state(struct sparkplug_node *node, enum sparkplug_state state)
{
	node->state = state;
	atomic_store_explicit(&node->told_state, (int)state, memory_order_relaxed);
}

/* ---- What the uplink tells ---- */

static void on_connected(void *user, bool session_present, const struct uplink_limits *limits)
{
	struct sparkplug_node *node = user;
	(void)session_present;
	node->noted.connected = true;
	node->noted.maximum_packet = limits->maximum_packet;
}

static void on_lost(void *user, enum uplink_fault fault, const char *what)
{
	struct sparkplug_node *node = user;
	if (node->noted.lost)
		return;
	node->noted.lost = true;
	node->noted.fault = fault;
	snprintf(node->noted.what, sizeof(node->noted.what), "%s", what);
}

static void on_acknowledged(void *user, int message_id, int reason)
{
	(void)user;
	(void)message_id;
	(void)reason; /* of QoS 0: it is in the socket, which says little; see sparkplug_window.h */
}

static void on_subscribed(void *user, int message_id, int reason)
{
	struct sparkplug_node *node = user;
	if (sparkplug_window_answered(&node->window, message_id)) {
		atomic_store_explicit(&node->n_done, node->window.n_done, memory_order_relaxed);
		return;
	}
	node->n_answered++;
	if (reason >= 0x80 && complaint_raise(&node->refused, node->now_us))
		log_about(LOG_LEVEL_WARNING, &(struct log_about){.broker = retry_endpoint(&node->retry)->url},
			"sparkplug: broker %s: refuses a subscription (%s): commands or the host's state can't be "
			"heard",
			retry_endpoint(&node->retry)->url, reason_words(reason));
}

/* The device of a DCMD topic; n_devices = none. */
static uint32_t device_of(const struct sparkplug_node *node, const char *topic)
{
	const struct plan *plan = node->parts.plan;
	const char *last = strrchr(topic, '/');
	uint32_t i = 0;
	while (last && i < plan->n_devices && strcmp(node->tell.devices[i].id, last + 1) != 0)
		i++;
	return last ? i : (uint32_t)plan->n_devices;
}

static void on_message(void *user, const struct uplink_message *message)
{
	struct sparkplug_node *node = user;
	const struct plan_sparkplug *told = &node->parts.plan->sparkplug;
	char topic[SPARKPLUG_TOPIC_MAX];
	int heard = sparkplug_host_heard(&node->host, message->topic, message->payload, message->payload_n);
	if (heard == -EBADMSG && complaint_raise(&node->refused, node->now_us))
		log_about(LOG_LEVEL_WARNING, &(struct log_about){.topic = message->topic},
			"sparkplug: %s: not understood, so ignored", message->topic);
	if (heard != -ENOENT)
		return;
	sparkplug_topic(topic, told->group, "NCMD", told->node, NULL);
	if (strcmp(topic, message->topic) == 0) {
		node->rebirth |= sparkplug_command_node(node->command, message, node->now_us);
		return;
	}
	uint32_t device = device_of(node, message->topic);
	if (device == node->parts.plan->n_devices)
		return;
	sparkplug_command_device(node->command, device, message, node->now_us);
	node->command_at_us = node->now_us;
}

/* ---- Connecting ---- */

static void open_uplink(struct sparkplug_node *node)
{
	const struct plan_endpoint *endpoint = retry_endpoint(&node->retry);
	const struct clock *clock = node->parts.clock;
	sparkplug_node_alive(node, clock_now(clock) + LOOKUP_US + GRACE_US);
	node->bd_seq = sparkplug_count_next(node->parts.count, node->now_us);
	atomic_store_explicit(&node->told_bd_seq, node->bd_seq, memory_order_relaxed);
	atomic_store_explicit(&node->url, endpoint->url, memory_order_relaxed);
	size_t n = sparkplug_tell_death_payload(&node->tell, node->bd_seq, node->will);
	const struct uplink_target target = {.broker = node->parts.broker,
		.endpoint = endpoint,
		.clean_session = true,
		.will_topic = node->will_topic,
		.will = node->will,
		.will_n = n,
		.will_qos = 1,
		.dies = true};
	set_state(node, SPARKPLUG_CONNECTING);
	int error = node->parts.uplink->ops->open(node->parts.uplink, &target);
	if (error < 0)
		on_lost(node, UPLINK_REFUSED, strerror(-error));
	node->now_us = clock_now(clock); /* a look-up takes its time */
	int64_t keepalive_us = node->parts.broker->keepalive_s * (int64_t)1000000;
	node->deadline_us = node->now_us + (keepalive_us < CONNECT_US ? keepalive_us : CONNECT_US);
	sparkplug_node_alive(node, node->now_us + GRACE_US);
}

static void connected(struct sparkplug_node *node)
{
	retry_connected(&node->retry, node->now_us);
	sparkplug_host_connected(&node->host, &node->host_ms[node->retry.endpoint]);
	node->maximum_packet = node->noted.maximum_packet;
	node->next_subscription = node->n_subscribed = node->n_answered = 0;
	node->deadline_us = node->now_us + ANSWER_US;
	node->host_by_us = node->now_us + HOST_US;
	node->rebirth = false;
	set_state(node, SPARKPLUG_WAITING);
}

/* What was in flight goes back. */
static void down(struct sparkplug_node *node, enum sparkplug_state state)
{
	node->parts.uplink->ops->forget(node->parts.uplink);
	sparkplug_window_lost(&node->window);
	outbox_lost(node->parts.outbox);
	sparkplug_command_lost(node->command);
	node->command_at_us = CLOCK_NEVER;
	set_state(node, state);
}

static void digest(struct sparkplug_node *node)
{
	if (node->noted.connected && node->state == SPARKPLUG_CONNECTING)
		connected(node);
	node->noted.connected = false;
	if (!node->noted.lost)
		return;
	bool stood = node->state >= SPARKPLUG_WAITING && node->state <= SPARKPLUG_ALIVE;
	node->noted.lost = false;
	if (node->state == SPARKPLUG_DOWN || node->state == SPARKPLUG_ENDED)
		return;
	down(node, SPARKPLUG_DOWN);
	retry_failed(&node->retry, node->noted.fault, node->noted.what, stood, node->now_us);
}

void sparkplug_node_give_up(struct sparkplug_node *node, const char *what)
{
	node->parts.uplink->ops->close(node->parts.uplink, false);
	on_lost(node, UPLINK_REFUSED, what);
	digest(node);
}

bool sparkplug_node_wrote(struct sparkplug_node *node)
{
	struct uplink *uplink = node->parts.uplink;
	if (uplink->ops->wants_write(uplink)) {
		uplink->ops->step(uplink, false, true);
		digest(node);
	}
	return node->state > SPARKPLUG_CONNECTING && node->state < SPARKPLUG_ENDED && !uplink->ops->wants_write(uplink);
}

/* In order: with MQTT 5 the broker is asked for the will (`dies`), before it the death is told. */
static void leave(struct sparkplug_node *node, enum sparkplug_state state)
{
	bool born = node->state == SPARKPLUG_BIRTH || node->state == SPARKPLUG_ALIVE;
	if (born && node->parts.broker->protocol != 5) {
		uint8_t bytes[SPARKPLUG_DEATH_BYTES];
		size_t n = sparkplug_tell_death_payload(&node->tell, node->bd_seq, bytes);
		sparkplug_tell_publish(&node->tell, "NDEATH", NULL, bytes, n);
	}
	node->parts.uplink->ops->close(node->parts.uplink, node->state >= SPARKPLUG_WAITING);
	down(node, state);
}

/* ---- Waiting ---- */

/* The nth subscription: NCMD, the host's, the DCMD of each device.  False when there is none. */
static bool subscription(const struct sparkplug_node *node, size_t nth, char topic[static SPARKPLUG_TOPIC_MAX])
{
	const struct plan_sparkplug *told = &node->parts.plan->sparkplug;
	size_t n_host = node->host.id ? SPARKPLUG_HOST_TOPICS : 0;
	topic[0] = '\0';
	if (nth == 0) {
		sparkplug_topic(topic, told->group, "NCMD", told->node, NULL);
	} else if (nth <= n_host) {
		sparkplug_host_topic(&node->host, (unsigned)nth - 1, topic, SPARKPLUG_TOPIC_MAX);
	} else {
		size_t device = nth - 1 - n_host;
		if (device >= node->parts.plan->n_devices)
			return false;
		if (sparkplug_command_writes(node->command, (uint32_t)device))
			sparkplug_topic(topic, told->group, "DCMD", told->node, node->tell.devices[device].id);
	}
	return true;
}

/* The next portion.  True when all were asked for. */
static bool subscribe(struct sparkplug_node *node)
{
	struct uplink *uplink = node->parts.uplink;
	char topic[SPARKPLUG_TOPIC_MAX];
	int id;
	for (size_t i = 0; i < PORTION; node->next_subscription++) {
		if (!subscription(node, node->next_subscription, topic))
			return true;
		if (!topic[0])
			continue;
		if (uplink->ops->subscribe(uplink, topic, 1, &id) == 0)
			node->n_subscribed++;
		i++;
	}
	return false;
}

static void begin_births(struct sparkplug_node *node)
{
	if (node->state == SPARKPLUG_WAITING)
		outbox_connected(node->parts.outbox);
	node->rebirth = false;
	node->next_birth = 0;
	set_state(node, SPARKPLUG_BIRTH);
}

static void host_is_away(struct sparkplug_node *node)
{
	if (complaint_raise(&node->absent, node->now_us))
		log_about(LOG_LEVEL_NOTICE, &(struct log_about){.broker = retry_endpoint(&node->retry)->url},
			"sparkplug: broker %s: the primary host %s is not there; readings wait",
			retry_endpoint(&node->retry)->url, node->host.id);
}

static void host_is_back(struct sparkplug_node *node)
{
	char length[LOG_LENGTH_SIZE];
	int64_t lasted_us;
	const char *url = retry_endpoint(&node->retry)->url;
	if (complaint_clear(&node->absent, node->now_us, &lasted_us, NULL))
		log_about(LOG_LEVEL_NOTICE, &(struct log_about){.broker = url},
			"sparkplug: broker %s: the primary host %s is there after %s", url, node->host.id,
			log_length(lasted_us, length));
}

static void wait_for_all(struct sparkplug_node *node)
{
	bool asked = sparkplug_node_wrote(node) && subscribe(node);
	if (node->state != SPARKPLUG_WAITING || !asked)
		return;
	bool answered = node->n_answered >= node->n_subscribed || node->now_us >= node->deadline_us;
	if (answered && (!node->host.id || node->host.online)) {
		host_is_back(node);
		begin_births(node);
		return;
	}
	if (!answered || node->now_us < node->deadline_us)
		return;
	host_is_away(node);
	if (node->parts.broker->n_endpoints > 1 && (node->host.heard || node->now_us >= node->host_by_us)) {
		leave(node, SPARKPLUG_DOWN);
		retry_next(&node->retry, node->now_us);
	}
}

/* ---- Births ---- */

static void births(struct sparkplug_node *node)
{
	const struct sparkplug_parts *parts = &node->parts;
	node->more = false;
	for (int i = 0; sparkplug_node_wrote(node) && node->state == SPARKPLUG_BIRTH;) {
		if (i == BIRTHS_ROUND) {
			node->more = true;
			return;
		}
		if (node->next_birth > parts->plan->n_devices) {
			atomic_fetch_add_explicit(&node->n_births, 1, memory_order_relaxed);
			node->rebirth_at = node->now_us + REBIRTH_US;
			node->news = true;
			set_state(node, SPARKPLUG_ALIVE);
			return;
		}
		int rc = 0;
		if (node->next_birth == 0) {
			rc = sparkplug_tell_node_birth(&node->tell, node->bd_seq, node->maximum_packet);
			if (rc < 0 && rc != -EAGAIN) {
				sparkplug_node_give_up(node, "it takes no message as long as the node's birth");
				return;
			}
		} else {
			const struct roster_place *place = &parts->places[node->next_birth - 1].roster;
			if (roster_look(place->roster, place->device) > 0)
				rc = sparkplug_tell_birth(&node->tell, node->next_birth - 1, false);
			else
				i--;
		}
		if (rc == -EAGAIN)
			return;
		node->next_birth++;
		i++;
	}
}

/* ---- The turn ---- */

static void stand(struct sparkplug_node *node)
{
	if (node->host.id && !node->host.online) {
		host_is_away(node);
		leave(node, SPARKPLUG_DOWN);
		retry_next(&node->retry, node->now_us);
		return;
	}
	if (node->rebirth && node->state == SPARKPLUG_ALIVE && node->now_us >= node->rebirth_at)
		begin_births(node);
	if (node->state == SPARKPLUG_BIRTH)
		births(node);
	if (node->state == SPARKPLUG_ALIVE && !node->rebirth) /* data stops at once when another birth is asked for */
		sparkplug_data_turn(node);
	if (node->state == SPARKPLUG_ALIVE && node->now_us >= node->command_at_us)
		node->command_at_us = sparkplug_command_step(node->command, node->now_us);
}

static void stopping(struct sparkplug_node *node)
{
	if (!node->stop_at_us)
		node->stop_at_us = node->now_us + DRAIN_US;
	bool born = node->state == SPARKPLUG_BIRTH || node->state == SPARKPLUG_ALIVE;
	bool done = node->state == SPARKPLUG_ALIVE && node->starved && node->window.n == 0;
	if (!born || done || node->now_us >= node->stop_at_us)
		leave(node, SPARKPLUG_ENDED);
}

void sparkplug_node_step(struct sparkplug_node *node, bool readable, bool writable, bool stop, int64_t now_us)
{
	struct uplink *uplink = node->parts.uplink;
	node->now_us = now_us;
	if (node->state == SPARKPLUG_ENDED)
		return;
	if (!node->begun)
		outbox_lost(node->parts.outbox); /* what is put before the first session is history, too */
	node->begun = true;
	if (node->state != SPARKPLUG_DOWN)
		uplink->ops->step(uplink, readable, writable);
	else if (!stop && now_us >= node->retry.next_at_us)
		open_uplink(node);
	digest(node);
	if (node->state == SPARKPLUG_CONNECTING && node->now_us >= node->deadline_us)
		sparkplug_node_give_up(node, "no answer in time");
	if (node->state == SPARKPLUG_WAITING)
		wait_for_all(node);
	if (node->state == SPARKPLUG_BIRTH || node->state == SPARKPLUG_ALIVE)
		stand(node);
	if (stop && node->state != SPARKPLUG_ENDED)
		stopping(node);
	if (node->state != SPARKPLUG_DOWN && node->state != SPARKPLUG_ENDED)
		sparkplug_node_wrote(node);
	uplink->ops->let_go(uplink);
}

/* By when a device that does not answer dies. */
static int64_t next_death(const struct sparkplug_node *node)
{
	int64_t at_us = CLOCK_NEVER;
	for (size_t i = 0; i < node->parts.plan->n_devices; i++)
		if (node->tell.devices[i].born)
			at_us = clock_earlier(at_us, node->tell.devices[i].dies_at);
	return at_us;
}

/* A birth that is asked for goes before data, and what the socket does not take has to wait for the socket. */
static int64_t wake_alive(const struct sparkplug_node *node)
{
	if (node->rebirth)
		return clock_earlier(node->rebirth_at, node->command_at_us);
	int64_t at_us = node->more ? node->now_us : CLOCK_NEVER;
	at_us = clock_earlier(at_us, node->paced_until_us);
	at_us = clock_earlier(at_us, node->command_at_us);
	if (node->window.n_sent && !node->window.n_asked)
		at_us = clock_earlier(at_us, node->window.asked_at_us + SPARKPLUG_CONFIRM_US);
	if (node->parts.uplink->ops->wants_write(node->parts.uplink))
		return at_us;
	return clock_earlier(at_us, next_death(node));
}

int64_t sparkplug_node_wake(const struct sparkplug_node *node)
{
	struct uplink *uplink = node->parts.uplink;
	int64_t at_us = node->now_us + TICK_US;
	bool stop = node->stop_at_us != 0;
	switch (node->state) {
	case SPARKPLUG_ENDED:
		return CLOCK_NEVER;
	case SPARKPLUG_DOWN:
		return node->retry.next_at_us;
	case SPARKPLUG_CONNECTING:
		at_us = clock_earlier(at_us, node->deadline_us);
		break;
	case SPARKPLUG_WAITING:
		at_us = clock_earlier(at_us, node->deadline_us > node->now_us ? node->deadline_us : node->host_by_us);
		if (at_us < node->now_us)
			at_us = node->now_us + TICK_US;
		break;
	case SPARKPLUG_BIRTH:
		if (node->more)
			at_us = node->now_us;
		break;
	case SPARKPLUG_ALIVE:
		at_us = clock_earlier(at_us, wake_alive(node));
		break;
	}
	at_us = clock_earlier(at_us, uplink->ops->due_at(uplink));
	return stop ? clock_earlier(at_us, node->stop_at_us) : at_us;
}

/* ---- Life ---- */

int sparkplug_node_init(struct sparkplug_node *node, const struct sparkplug_parts *parts)
{
	const struct plan_sparkplug *told = &parts->plan->sparkplug;
	const char *id = parts->broker->client_id ? parts->broker->client_id : "";
	*node = (struct sparkplug_node){.parts = *parts,
		.host = {.id = told->host},
		.window = {.outbox = parts->outbox},
		.command_at_us = CLOCK_NEVER,
		.paced_until_us = CLOCK_NEVER};
	retry_init(&node->retry, parts->broker,
		"sparkplug: ", hash_bytes((uint64_t)clock_now(parts->clock), id, strlen(id)));
	sparkplug_topic(node->will_topic, told->group, "NDEATH", told->node, NULL);
	atomic_store_explicit(&node->url, parts->broker->endpoints[0].url, memory_order_relaxed);
	atomic_store_explicit(&node->told_bd_seq, parts->count->number, memory_order_relaxed);
	sparkplug_node_alive(node, CLOCK_NEVER);
	parts->uplink->events = (struct uplink_events){.user = node,
		.connected = on_connected,
		.lost = on_lost,
		.acknowledged = on_acknowledged,
		.subscribed = on_subscribed,
		.message = on_message};
	node->record = malloc(OUTBOX_MESSAGE_BYTES);
	node->host_ms = calloc(parts->broker->n_endpoints, sizeof(*node->host_ms));
	int rc = node->record && node->host_ms
			 ? sparkplug_tell_init(&node->tell, parts->plan, parts->places, parts->clock, parts->uplink)
			 : -ENOMEM;
	return rc < 0 ? rc
		      : sparkplug_command_init(
				parts->plan, parts->places, parts->taker, parts->clock, parts->news_fd, &node->command);
}

void sparkplug_node_destroy(struct sparkplug_node *node)
{
	sparkplug_command_destroy(node->command);
	sparkplug_tell_destroy(&node->tell);
	free(node->record);
	free(node->host_ms);
	node->record = NULL;
	node->host_ms = NULL;
}

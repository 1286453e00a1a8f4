/*
 * Telling of discovery.  See discoverer.h.
 *
 * Why a few messages at a time, each portion acknowledged before the next: what stands passes all readings, and a
 * thousand devices are a megabyte.
 *
 * Why what is gone is taken away by a message that is not retained: the broker keeps the old one until the new one is
 * there, so a gateway that is killed in between finds it again.
 *
 * Why the retained `online` does not count: it says that Home Assistant has started some time, and each connect tells
 * everything anyway.
 *
 * Invariant: state is IDLE without a connection; the portion holds what is asked for or told now.  Thread: the
 * publisher's.
 */
#include "ship/discoverer.h"
#include "base/hash.h"
#include "base/log.h"
#include "ship/discovery.h"
#include "ship/unanswered.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTION       64 /* topics that are asked for at once */
#define TOLD_AT_ONCE  16 /* messages, … */
#define BYTES_AT_ONCE 65536

enum discoverer_state { DISCOVERER_IDLE, DISCOVERER_ASKING, DISCOVERER_TELLING };

/* One message of the plan, see discovery.h. */
struct place {
	size_t item;
	unsigned part;
	int subscription; /* while ASKING: its message id; 0 = answered */
};

struct discoverer {
	struct publisher_listener listener;
	const struct plan *plan;
	_Atomic(const struct plan *) next; /* NULL = no change */
	const struct clock *clock;
	struct message_sink *messages;
	_Atomic unsigned *occasions;
	char *text; /* DISCOVERY_MAX bytes; NULL as long as nothing is told */

	struct uplink *uplink; /* NULL = no connection */
	struct unanswered unanswered;
	const char *broker_url;
	bool *read; /* of each endpoint: what it has was read back */
	int status; /* message id of the subscription to PREFIX/status; 0 = answered, or not asked for */

	enum discoverer_state state;
	struct place at; /* what is told next */
	struct place portion[PORTION];
	size_t n_portion, n_open; /* open: not answered */
	bool reads_back;
	size_t end;        /* while TELLING: up to this item, … */
	unsigned end_part; /* … and this part of it */
	int64_t until_us;  /* of ASKING */
	int64_t again_at;  /* 0 = Home Assistant has not said a word */
};

static struct discoverer *discoverer_of(struct publisher_listener *listener)
{
	return (struct discoverer *)(void *)listener; /* its first member */
}

static bool is_on(const struct discoverer *discoverer)
{
	return discovery_is_on(discoverer->plan) && discoverer->text;
}

static void status_topic(const struct plan *plan, char topic[static MESSAGE_TOPIC_MAX])
{
	snprintf(topic, MESSAGE_TOPIC_MAX, "%s/status", plan->homeassistant.prefix);
}

/* ---- Asking ---- */

static void ask_for_status(struct discoverer *discoverer)
{
	char topic[MESSAGE_TOPIC_MAX];
	status_topic(discoverer->plan, topic);
	if (discoverer->uplink->ops->subscribe(discoverer->uplink, topic, 0, &discoverer->status) != 0)
		discoverer->status = 0;
}

/* Does the broker owe a word? */
static bool is_open(const struct discoverer *discoverer)
{
	return discoverer->status || discoverer->n_open;
}

/* The next portion, from `at` on; empty behind the last message. */
static void ask(struct discoverer *discoverer)
{
	struct place at = discoverer->at;
	discoverer->n_portion = discoverer->n_open = 0;
	for (; at.item < discovery_items(discoverer->plan); at = (struct place){.item = at.item + 1}) {
		unsigned n_parts = discovery_parts(discoverer->plan, at.item);
		for (; at.part < n_parts && discoverer->n_portion < PORTION; at.part++) {
			char topic[MESSAGE_TOPIC_MAX + 1];
			struct place *place = &discoverer->portion[discoverer->n_portion++];
			*place = at;
			discovery_topic_of(discoverer->plan, at.item, at.part, topic);
			if (discoverer->uplink->ops->subscribe(discoverer->uplink, topic, 0, &place->subscription) != 0)
				place->subscription = 0;
			discoverer->n_open += place->subscription != 0;
		}
		if (at.part < n_parts)
			break;
	}
	discoverer->end = at.item;
	discoverer->end_part = at.part;
	discoverer->until_us =
		clock_now(discoverer->clock) + (discoverer->n_open ? DISCOVERER_ANSWER_US : DISCOVERER_QUIET_US);
	discoverer->state = DISCOVERER_ASKING;
}

static void ask_no_more(struct discoverer *discoverer)
{
	for (size_t i = 0; i < discoverer->n_portion; i++) {
		char topic[MESSAGE_TOPIC_MAX + 1];
		discovery_topic_of(discoverer->plan, discoverer->portion[i].item, discoverer->portion[i].part, topic);
		discoverer->uplink->ops->unsubscribe(discoverer->uplink, topic);
	}
	discoverer->n_portion = discoverer->n_open = 0;
}

static void begin(struct discoverer *discoverer, bool reads_back)
{
	discoverer->at = (struct place){0};
	discoverer->reads_back = reads_back;
	discoverer->end = discovery_items(discoverer->plan);
	discoverer->end_part = 0;
	discoverer->state = DISCOVERER_TELLING;
	if (reads_back)
		ask(discoverer);
}

/* Of a connection, or a map. */
static void start(struct discoverer *discoverer, bool asks, bool reads_back)
{
	atomic_fetch_add_explicit(discoverer->occasions, 1, memory_order_relaxed);
	if (asks)
		ask_for_status(discoverer);
	begin(discoverer, asks && reads_back);
}

/* ---- Telling ---- */

static int put(struct discoverer *discoverer, const char *topic, int n, bool retain)
{
	struct message message = {.topic = topic,
		.payload = discoverer->text,
		.payload_n = (size_t)n,
		.qos = 1,
		.retain = retain,
		.kind = MESSAGE_STANDING};
	return discoverer->messages->put(discoverer->messages, &message);
}

/* The next message of the portion.  Its length; 0 when there is none; -errno when it was not put. */
static int tell(struct discoverer *discoverer)
{
	struct place *at = &discoverer->at;
	while (at->item < discoverer->end || (at->item == discoverer->end && at->part < discoverer->end_part)) {
		char topic[MESSAGE_TOPIC_MAX + 1];
		int n = discovery_print(discoverer->plan, at->item, at->part, discoverer->text, DISCOVERY_MAX);
		if (n < 0) { /* behind its last part */
			*at = (struct place){.item = at->item + 1};
			continue;
		}
		discovery_topic_of(discoverer->plan, at->item, at->part, topic);
		int error = put(discoverer, topic, n, true);
		if (error)
			return error;
		at->part++;
		return n;
	}
	return 0;
}

/* What the broker has of a message. */
static void take_back(struct discoverer *discoverer, const struct uplink_message *message)
{
	for (size_t i = 0; i < discoverer->n_portion; i++) {
		const struct place *place = &discoverer->portion[i];
		char topic[MESSAGE_TOPIC_MAX + 1];
		discovery_topic_of(discoverer->plan, place->item, place->part, topic);
		if (strcmp(topic, message->topic) != 0)
			continue;
		int n = discovery_print_gone(discoverer->plan, place->item, place->part, message->payload,
			message->payload_n, discoverer->text, DISCOVERY_MAX);
		if (n > 0)
			put(discoverer, topic, n, false);
		discoverer->messages->flush(discoverer->messages);
		return;
	}
}

/* ---- What the publisher tells ---- */

static void discoverer_connected(
	struct publisher_listener *listener, const char *broker_url, struct uplink *uplink, bool resumed)
{
	struct discoverer *discoverer = discoverer_of(listener);
	(void)resumed;
	unanswered_connected(&discoverer->unanswered, &discoverer->plan->broker, broker_url);
	discoverer->broker_url = broker_url;
	discoverer->uplink = uplink;
	discoverer->again_at = 0;
	if (!is_on(discoverer))
		return;
	start(discoverer, unanswered_asks(&discoverer->unanswered), !discoverer->read[discoverer->unanswered.endpoint]);
}

static void discoverer_lost(struct publisher_listener *listener)
{
	struct discoverer *discoverer = discoverer_of(listener);
	bool dropped = is_open(discoverer);
	discoverer->uplink = NULL;
	discoverer->state = DISCOVERER_IDLE;
	discoverer->status = 0;
	discoverer->n_portion = discoverer->n_open = 0;
	discoverer->again_at = 0;
	if (!dropped || !unanswered_lost(&discoverer->unanswered))
		return;
	log_about(LOG_LEVEL_WARNING, &(struct log_about){.broker = discoverer->broker_url},
		"broker %s: drops the connection when it is asked for Home Assistant's topics: its start is not "
		"noticed",
		discoverer->broker_url);
}

static void discoverer_subscribed(struct publisher_listener *listener, int message_id, int reason)
{
	struct discoverer *discoverer = discoverer_of(listener);
	bool ours = discoverer->status == message_id;
	(void)reason; /* who may not read hears nothing */
	if (ours)
		discoverer->status = 0;
	for (size_t i = 0; i < discoverer->n_portion && !ours; i++) {
		ours = discoverer->portion[i].subscription == message_id;
		if (!ours)
			continue;
		discoverer->portion[i].subscription = 0;
		discoverer->n_open--;
	}
	if (!ours)
		return;
	if (discoverer->state == DISCOVERER_ASKING)
		discoverer->until_us = clock_now(discoverer->clock) +
				       (discoverer->n_open ? DISCOVERER_ANSWER_US : DISCOVERER_QUIET_US);
	/* who may hear of its start, but not of the devices, is dropped after a word on the first */
	if (!is_open(discoverer))
		unanswered_heard(&discoverer->unanswered);
}

static void discoverer_message(struct publisher_listener *listener, const struct uplink_message *message)
{
	static const char online[] = "online";
	struct discoverer *discoverer = discoverer_of(listener);
	char topic[MESSAGE_TOPIC_MAX];
	if (!is_on(discoverer))
		return;
	if (message->retained && discoverer->state == DISCOVERER_ASKING && message->payload_n)
		take_back(discoverer, message);
	status_topic(discoverer->plan, topic);
	if (message->retained || discoverer->again_at || strcmp(message->topic, topic) != 0 ||
		message->payload_n != strlen(online) || memcmp(message->payload, online, strlen(online)) != 0)
		return;
	int64_t now_us = clock_now(discoverer->clock);
	uint64_t chance = hash_bytes(hash_text(discoverer->plan->gateway_topic), &now_us, sizeof(now_us));
	discoverer->again_at =
		now_us + DISCOVERER_AGAIN_MIN_US + (int64_t)(hash_fold(chance) % (uint64_t)DISCOVERER_AGAIN_SPAN_US);
}

/* Home Assistant has started, perhaps while all was being told. */
static int64_t step_idle(struct discoverer *discoverer, int64_t now_us)
{
	if (!discoverer->again_at)
		return CLOCK_NEVER;
	if (now_us < discoverer->again_at)
		return discoverer->again_at;
	discoverer->again_at = 0;
	begin(discoverer, false);
	return now_us;
}

static int64_t step_telling(struct discoverer *discoverer, bool settled, int64_t now_us)
{
	if (!settled)
		return now_us + DISCOVERER_QUIET_US; /* acknowledgements wake the publisher by themselves */
	int told = 1;
	size_t n_bytes = 0;
	for (int i = 0; i < TOLD_AT_ONCE && n_bytes < BYTES_AT_ONCE && told > 0; i++) {
		told = tell(discoverer);
		n_bytes += told > 0 ? (size_t)told : 0;
	}
	discoverer->messages->flush(discoverer->messages);
	if (told != 0 || n_bytes)
		return now_us + DISCOVERER_QUIET_US;
	if (discoverer->at.item < discovery_items(discoverer->plan)) {
		ask(discoverer);
		return discoverer->until_us;
	}
	if (discoverer->reads_back)
		discoverer->read[discoverer->unanswered.endpoint] = true;
	discoverer->state = DISCOVERER_IDLE;
	return step_idle(discoverer, now_us);
}

static int64_t discoverer_step(struct publisher_listener *listener, bool settled, int64_t now_us)
{
	struct discoverer *discoverer = discoverer_of(listener);
	if (!discoverer->uplink || !is_on(discoverer))
		return CLOCK_NEVER;
	if (discoverer->state == DISCOVERER_ASKING) {
		if (now_us < discoverer->until_us)
			return discoverer->until_us;
		ask_no_more(discoverer);
		discoverer->state = DISCOVERER_TELLING;
	}
	return discoverer->state == DISCOVERER_TELLING ? step_telling(discoverer, settled, now_us)
						       : step_idle(discoverer, now_us);
}

/* ---- Life ---- */

/* Without memory nothing is told. */
static void make_room(struct discoverer *discoverer)
{
	if (!discovery_is_on(discoverer->plan)) {
		free(discoverer->text);
		discoverer->text = NULL;
	} else if (!discoverer->text) {
		discoverer->text = malloc(DISCOVERY_MAX);
	}
}

static void discoverer_turned(struct publisher_listener *listener, struct uplink *uplink)
{
	struct discoverer *discoverer = discoverer_of(listener);
	const struct plan *next = atomic_load_explicit(&discoverer->next, memory_order_acquire);
	if (!next)
		return;
	if (uplink && is_on(discoverer)) {
		char topic[MESSAGE_TOPIC_MAX];
		ask_no_more(discoverer);
		status_topic(discoverer->plan, topic);
		uplink->ops->unsubscribe(uplink, topic);
		discoverer->status = 0;
	}
	discoverer->plan = next;
	discoverer->state = DISCOVERER_IDLE;
	discoverer->again_at = 0;
	make_room(discoverer);
	memset(discoverer->read, 0, next->broker.n_endpoints * sizeof(*discoverer->read));
	if (uplink && is_on(discoverer))
		start(discoverer, unanswered_asks(&discoverer->unanswered), true);
	atomic_store_explicit(&discoverer->next, NULL, memory_order_release);
}

int discoverer_init(const struct plan *plan, const struct clock *clock, struct message_sink *messages,
	_Atomic unsigned *occasions, struct discoverer **ret_discoverer)
{
	struct discoverer *discoverer = calloc(1, sizeof(*discoverer));
	if (!discoverer)
		return -ENOMEM;
	*discoverer = (struct discoverer){.listener = {.connected = discoverer_connected,
						  .lost = discoverer_lost,
						  .subscribed = discoverer_subscribed,
						  .message = discoverer_message,
						  .step = discoverer_step,
						  .turned = discoverer_turned},
		.plan = plan,
		.clock = clock,
		.messages = messages,
		.occasions = occasions,
		.read = calloc(plan->broker.n_endpoints + 1, sizeof(bool))};
	make_room(discoverer);
	if (unanswered_init(&discoverer->unanswered, &plan->broker) < 0 || !discoverer->read ||
		(discovery_is_on(plan) && !discoverer->text)) {
		discoverer_destroy(discoverer);
		return -ENOMEM;
	}
	*ret_discoverer = discoverer;
	return 0;
}

void discoverer_destroy(struct discoverer *discoverer)
{
	if (!discoverer)
		return;
	unanswered_destroy(&discoverer->unanswered);
	free(discoverer->read);
	free(discoverer->text);
	free(discoverer);
}

struct publisher_listener *discoverer_listener(struct discoverer *discoverer)
{
	return &discoverer->listener;
}

void discoverer_change(struct discoverer *discoverer, const struct plan *next)
{
	atomic_store_explicit(&discoverer->next, next, memory_order_release);
}

bool discoverer_changes(const struct discoverer *discoverer)
{
	return atomic_load_explicit(&discoverer->next, memory_order_acquire) != NULL;
}

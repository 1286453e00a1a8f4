/*
 * Announcements of what stands.
 *
 * Why info waits: what is retained at a broker from an earlier start is known from the old info only, so it must be
 * read there, and its topics cleared, before it is overwritten; once for each broker after the start.
 *
 * Why a change of what stands is handed over and not simply written: it is read on the publisher's thread.  It lies in
 * `next` until that has taken it.
 *
 * Threads: see announce.h.  The text of info is made and used on the publisher's thread only.
 */
#include "ship/announce.h"
#include "base/log.h"
#include "ship/info.h"
#include "ship/sweep.h"
#include "ship/unanswered.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct announce {
	struct publisher_listener publisher_listener;
	const struct standing *standing;
	_Atomic(const struct standing *) next; /* what is to stand; NULL = as it is */
	const struct clock *clock;
	struct message_sink *messages;
	int64_t started_ms, started_us;
	struct arena arena;      /* of the topics */
	const char *state_topic; /* NULL: nothing is told of the gateway's own state */
	const char *info_topic, *stats_topic;
	struct sweep sweep;
	bool *swept; /* of each endpoint: its old info was read, so it may be overwritten */
	struct unanswered unanswered;
	bool told_bare; /* that info can't hold all devices */
	bool info_due;  /* once the sweep is over */
	char *info;
	size_t info_size;
};

static int announce_put(
	struct announce *announce, const char *topic, const char *text, size_t n, uint8_t qos, bool retain)
{
	struct message message = {
		.topic = topic,
		.payload = text,
		.payload_n = n,
		.time_ms = announce->clock->wall_ms(announce->clock),
		.qos = qos,
		.retain = retain,
		.kind = MESSAGE_STANDING,
	};
	return announce->messages->put(announce->messages, &message);
}

static void announce_word(struct announce *announce, const char *topic, bool online)
{
	const char *word = online ? "online" : "offline";
	announce_put(announce, topic, word, strlen(word), 1, true);
}

/* Makes the buffer large enough for every broker of the list. */
static int info_init(struct announce *announce)
{
	const struct plan_broker *broker = &announce->standing->plan->broker;
	const char *longest = "";
	for (size_t i = 0; i < broker->n_endpoints; i++)
		if (strlen(broker->endpoints[i].url) > strlen(longest))
			longest = broker->endpoints[i].url;
	/* A url is escaped as it is printed, to no more than six bytes for one. */
	size_t slack = 6 * strlen(longest);
	for (size_t size = 1024;; size *= 2) {
		char *text = realloc(announce->info, size + slack);
		if (!text)
			return -ENOMEM;
		announce->info = text;
		announce->info_size = size + slack;
		if (size >= MESSAGE_PAYLOAD_MAX || info_print(announce->standing->plan, announce->started_ms, NULL,
							   INFO_WHOLE, text, size - 32) >= 0)
			return 0;
	}
}

/* The clock may have been set since. */
static int64_t announce_started_ms(const struct announce *announce)
{
	const struct clock *clock = announce->clock;
	if (clock_plausible(announce->started_ms))
		return announce->started_ms;
	return clock->wall_ms(clock) - (clock_now(clock) - announce->started_us) / 1000;
}

/* Of the connection, or of the last one. */
static const char *announce_broker_url(const struct announce *announce)
{
	return announce->standing->plan->broker.endpoints[announce->unanswered.endpoint].url;
}

static void announce_info(struct announce *announce)
{
	const char *broker_url = announce_broker_url(announce);
	int n = -ENOSPC;
	/* Thousands of devices: what is most wanted. */
	for (int detail = INFO_WHOLE; detail <= INFO_BARE && (n < 0 || n > (int)MESSAGE_PAYLOAD_MAX); detail++) {
		if (detail == INFO_BARE && !announce->told_bare)
			log_warning("%s: more devices than it can hold: what a later map leaves out will stay retained "
				    "at the broker",
				announce->info_topic);
		announce->told_bare = announce->told_bare || detail == INFO_BARE;
		n = info_print(announce->standing->plan, announce_started_ms(announce), broker_url,
			(enum info_detail)detail, announce->info, announce->info_size);
	}
	announce->info_due = false;
	if (n > 0)
		announce_put(announce, announce->info_topic, announce->info, (size_t)n, 1, true);
}

static struct announce *announce_of(struct publisher_listener *listener)
{
	return (struct announce *)(void *)((char *)listener - offsetof(struct announce, publisher_listener));
}

static void announce_sweep(struct announce *announce, struct uplink *uplink)
{
	bool asks = unanswered_asks(&announce->unanswered);
	sweep_begin(&announce->sweep, asks ? uplink : NULL, clock_now(announce->clock));
}

static void announce_connected(
	struct publisher_listener *listener, const char *broker_url, struct uplink *uplink, bool resumed)
{
	(void)resumed;
	struct announce *announce = announce_of(listener);
	unanswered_connected(&announce->unanswered, &announce->standing->plan->broker, broker_url);
	if (announce->state_topic)
		announce_word(announce, announce->state_topic, true);
	announce->info_due = true;
	if (announce->swept[announce->unanswered.endpoint])
		announce_info(announce);
	else
		announce_sweep(announce, uplink);
	for (size_t i = 0; i < announce->standing->plan->n_devices; i++)
		roster_tell(announce->standing->devices[i].roster, announce->standing->devices[i].device);
	announce->messages->flush(announce->messages);
}

static int64_t announce_step(struct publisher_listener *listener, bool settled, int64_t now_us)
{
	struct announce *announce = announce_of(listener);
	int64_t at_us = sweep_step(&announce->sweep, settled, now_us);
	if (at_us != CLOCK_NEVER || !announce->info_due)
		return at_us;
	announce->swept[announce->unanswered.endpoint] = true;
	announce_info(announce);
	announce->messages->flush(announce->messages);
	return CLOCK_NEVER;
}

static void announce_lost(struct publisher_listener *listener)
{
	struct announce *announce = announce_of(listener);
	if (!sweep_lost(&announce->sweep) || !unanswered_lost(&announce->unanswered))
		return;
	announce->swept[announce->unanswered.endpoint] = true;
	const char *broker_url = announce_broker_url(announce);
	log_about(LOG_LEVEL_WARNING, &(struct log_about){.broker = broker_url},
		"broker %s: drops the connection when it is asked for %s: what an earlier map retained stays there",
		broker_url, announce->info_topic);
}

static void announce_subscribed(struct publisher_listener *listener, int message_id, int reason)
{
	struct announce *announce = announce_of(listener);
	if (sweep_subscribed(&announce->sweep, message_id, reason))
		unanswered_heard(&announce->unanswered);
}

static void announce_message(struct publisher_listener *listener, const struct uplink_message *message)
{
	sweep_message(&announce_of(listener)->sweep, message);
}

static void announce_leaving(struct publisher_listener *listener)
{
	struct announce *announce = announce_of(listener);
	if (!announce->state_topic)
		return;
	announce_word(announce, announce->state_topic, false);
	announce->messages->flush(announce->messages);
}

/* What older plans have retained at each broker and this one does not is cleared as after a start. */
static void announce_turned(struct publisher_listener *listener, struct uplink *uplink)
{
	struct announce *announce = announce_of(listener);
	const struct standing *next = atomic_load_explicit(&announce->next, memory_order_acquire);
	if (!next)
		return;
	sweep_replan(&announce->sweep, next->plan, announce->standing->plan);
	announce->standing = next;
	info_init(announce); /* without memory less is told */
	memset(announce->swept, 0, next->plan->broker.n_endpoints * sizeof(*announce->swept));
	announce->info_due = true;
	if (uplink)
		announce_sweep(announce, uplink);
	atomic_store_explicit(&announce->next, NULL, memory_order_release);
}

int announce_init(const struct standing *standing, const struct clock *clock, struct message_sink *messages,
	struct announce **ret_announce)
{
	const struct plan *plan = standing->plan;
	struct announce *announce = calloc(1, sizeof(*announce));
	if (!announce)
		return -ENOMEM;
	*announce = (struct announce){
		.publisher_listener = {.connected = announce_connected,
			.lost = announce_lost,
			.subscribed = announce_subscribed,
			.message = announce_message,
			.step = announce_step,
			.turned = announce_turned,
			.leaving = announce_leaving},
		.standing = standing,
		.clock = clock,
		.messages = messages,
		.started_ms = clock->wall_ms(clock),
		.started_us = clock_now(clock),
	};
	announce->state_topic = arena_format(&announce->arena, "%s/state", plan->gateway_topic);
	announce->info_topic = arena_format(&announce->arena, "%s/info", plan->gateway_topic);
	announce->stats_topic = arena_format(&announce->arena, "%s/stats", plan->gateway_topic);
	announce->swept = arena_array(&announce->arena, plan->broker.n_endpoints + 1, sizeof(bool));
	sweep_init(&announce->sweep, plan, messages);
	if (unanswered_init(&announce->unanswered, &plan->broker) != 0 || info_init(announce) != 0) {
		announce_destroy(announce);
		return -ENOMEM;
	}
	*ret_announce = announce;
	return 0;
}

void announce_destroy(struct announce *announce)
{
	if (!announce)
		return;
	free(announce->info);
	unanswered_destroy(&announce->unanswered);
	sweep_destroy(&announce->sweep);
	arena_free(&announce->arena);
	free(announce);
}

void announce_stateless(struct announce *announce)
{
	announce->state_topic = NULL;
}

struct publisher_listener *announce_publisher_listener(struct announce *announce)
{
	return &announce->publisher_listener;
}

void announce_change(struct announce *announce, const struct standing *next)
{
	atomic_store_explicit(&announce->next, next, memory_order_release);
}

bool announce_changes(const struct announce *announce)
{
	return atomic_load_explicit(&announce->next, memory_order_acquire) != NULL;
}

void announce_succeed(struct announce *announce, struct announce *before)
{
	announce->started_ms = before->started_ms;
	announce->started_us = before->started_us;
	sweep_succeed(&announce->sweep, &before->sweep);
}

const char *announce_will_topic(const struct announce *announce)
{
	return announce->state_topic;
}

int announce_stats(struct announce *announce, const char *json, size_t n)
{
	int error = announce_put(announce, announce->stats_topic, json, n, 0, false);
	announce->messages->flush(announce->messages);
	return error;
}

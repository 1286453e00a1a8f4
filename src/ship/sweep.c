/*
 * The clearing of retained messages.  See sweep.h.
 *
 * Why from info and not by looking at the site's topics: several gateways may share a site, and a message does not say
 * who has published it.  Why the infos of the others too: a device may have moved to another gateway, and then its
 * topics are that one's.  Some brokers answer no wildcard with what is retained (RabbitMQ before 4), so the own info is
 * asked for by its name as well.
 *
 * Why at QoS 0: RabbitMQ keeps a subscription at QoS 1 in a durable queue, even for a clean session, and when the node
 * that has it dies every other node drops the connection of a client that asks for it again.  What is retained comes
 * at once, on the connection that asked: more is not needed.
 *
 * Why in portions, each acknowledged before the next: what stands passes all readings, so thousands of topics at once
 * would hold them up.
 *
 * What remains: a gateway that is killed between its first retained reading and its first info, within SWEEP_QUIET_US
 * of a connection, leaves topics that nobody knows of.
 *
 * Invariant: past is NULL unless ASKING or CLEARING.  Thread: the publisher's.
 */
#include "ship/sweep.h"
#include "base/clock.h"
#include "base/log.h"
#include "model/topic.h"
#include "ship/discovery.h"
#include "ship/info_past.h"
#include "ship/reason.h"
#include "ship/retained.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SWEEP_PORTION    100
#define SWEEP_KEPT_BYTES ((size_t)16 << 20) /* of topics in the infos of others */

void sweep_init(struct sweep *sweep, const struct plan *plan, struct message_sink *messages)
{
	*sweep = (struct sweep){.plan = plan, .messages = messages};
	sweep->own = arena_format(&sweep->arena, "%s/info", plan->gateway_topic);
	sweep->every = arena_format(&sweep->arena, "%s/gateway/+/info", plan->site);
}

static void sweep_end(struct sweep *sweep)
{
	info_past_destroy(sweep->past);
	sweep->past = NULL;
	free(sweep->kept);
	sweep->kept = NULL;
	sweep->n_kept = sweep->kept_size = sweep->kept_bytes = 0;
	arena_free(&sweep->texts);
	sweep->unput = NULL;
	sweep->n_cleared = 0;
	sweep->state = SWEEP_IDLE;
}

static void sweep_forget_also(struct sweep *sweep)
{
	free(sweep->also);
	sweep->also = NULL;
	sweep->n_also = sweep->also_at = 0;
	arena_free(&sweep->also_texts);
}

void sweep_destroy(struct sweep *sweep)
{
	sweep_end(sweep);
	sweep_forget_also(sweep);
	arena_free(&sweep->arena);
}

bool sweep_lost(struct sweep *sweep)
{
	bool unanswered = sweep->state == SWEEP_ASKING && (sweep->subscription || sweep->others);
	sweep_end(sweep);
	return unanswered;
}

/* 0 or -ENOMEM. */
static int sweep_keep(struct sweep *sweep, const char *topic)
{
	if (sweep->n_kept == sweep->kept_size) {
		size_t size = sweep->kept_size ? 2 * sweep->kept_size : 256;
		const char **grown = realloc(sweep->kept, size * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		sweep->kept = grown;
		sweep->kept_size = size;
	}
	sweep->kept[sweep->n_kept++] = topic;
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort(const char **topics, size_t n)
{
	if (n) /* there is no array before the first */
		qsort(topics, n, sizeof(*topics), by_text);
}

static bool has(const char *const *sorted, size_t n, const char *topic)
{
	return n && bsearch(&topic, sorted, n, sizeof(*sorted), by_text);
}

static int sweep_keep_discovery(struct sweep *sweep, const struct plan *plan)
{
	int error = 0;
	for (size_t i = 0; i < discovery_items(plan); i++)
		for (unsigned part = 0, n = discovery_parts(plan, i); part < n && !error; part++) {
			char topic[MESSAGE_TOPIC_MAX + 1];
			if (discovery_topic_of(plan, i, part, topic) > 0)
				error = sweep_keep(sweep, arena_text(&sweep->texts, topic));
		}
	return error;
}

/* What a plan retains. */
static int sweep_keep_plan(struct sweep *sweep, const struct plan *plan)
{
	struct retained retained;
	int error = 0;
	retained_init(&retained, plan);
	for (size_t i = 0; i < retained.n && !error; i++)
		error = sweep_keep(sweep, retained.topics[i]);
	retained_destroy(&retained);
	for (size_t i = 0; i < plan->n_devices && !error; i++)
		error = sweep_keep(sweep, arena_format(&sweep->texts, "%s/availability", plan->devices[i].topic));
	return error ? error : sweep_keep_discovery(sweep, plan);
}

/* Those of a list that are not kept, each once, in the order of their texts; they become `also`. */
static void sweep_also(struct sweep *sweep, const char **topics, size_t n)
{
	struct arena texts = {0};
	const char **also = calloc(n + 1, sizeof(*also));
	size_t n_also = 0;
	sort(topics, n);
	for (size_t i = 0; also && i < n; i++)
		if ((i == 0 || strcmp(topics[i], topics[i - 1]) != 0) && !has(sweep->kept, sweep->n_kept, topics[i]))
			also[n_also++] = arena_text(&texts, topics[i]);
	sweep_forget_also(sweep);
	sweep->also = also;
	sweep->n_also = n_also;
	sweep->also_texts = texts;
}

void sweep_replan(struct sweep *sweep, const struct plan *next, const struct plan *past)
{
	sweep_end(sweep);
	sweep->plan = next;
	int error = sweep_keep_plan(sweep, past);
	const char *state = arena_format(&sweep->texts, "%s/state", past->gateway_topic);
	const char *info = arena_format(&sweep->texts, "%s/info", past->gateway_topic);
	if (strcmp(past->gateway_topic, next->gateway_topic) != 0 && !error)
		error = sweep_keep(sweep, state) ? -ENOMEM : sweep_keep(sweep, info);
	for (size_t i = 0; i < sweep->n_also && !error; i++)
		error = sweep_keep(sweep, sweep->also[i]);
	const char **topics = sweep->kept;
	size_t n = sweep->n_kept;
	sweep->kept = NULL;
	sweep->n_kept = sweep->kept_size = 0;
	if (!error)
		error = sweep_keep_plan(sweep, next);
	sort(sweep->kept, sweep->n_kept);
	if (!error) /* else they stay until a later start, by the info */
		sweep_also(sweep, topics, n);
	free(topics);
	sweep_end(sweep);
}

void sweep_succeed(struct sweep *sweep, struct sweep *before)
{
	sweep_forget_also(sweep);
	sweep->also = before->also;
	sweep->n_also = before->n_also;
	sweep->also_texts = before->also_texts;
	before->also = NULL;
	before->n_also = 0;
	before->also_texts = (struct arena){0};
	sweep_replan(sweep, sweep->plan, before->plan);
}

static void sweep_clear(struct sweep *sweep)
{
	sort(sweep->kept, sweep->n_kept);
	sweep->state = SWEEP_CLEARING;
}

void sweep_begin(struct sweep *sweep, struct uplink *uplink, int64_t now_us)
{
	sweep_end(sweep);
	sweep->uplink = uplink;
	sweep->now_us = now_us;
	sweep->until_us = now_us + SWEEP_ANSWER_US;
	sweep->also_at = 0;
	if (sweep_keep_plan(sweep, sweep->plan) != 0) {
		sweep_end(sweep);
		return;
	}
	if (!uplink) {
		sweep_clear(sweep);
		return;
	}
	if (uplink->ops->subscribe(uplink, sweep->own, 0, &sweep->subscription) != 0) {
		sweep_end(sweep);
		return;
	}
	sweep->state = SWEEP_ASKING;
	if (uplink->ops->subscribe(uplink, sweep->every, 0, &sweep->others) != 0)
		sweep->others = 0;
}

bool sweep_subscribed(struct sweep *sweep, int message_id, int reason)
{
	if (sweep->state != SWEEP_ASKING || (message_id != sweep->subscription && message_id != sweep->others))
		return false;
	if (message_id == sweep->others) {
		sweep->others = 0;
		return !sweep->subscription;
	}
	sweep->subscription = 0;
	sweep->until_us = sweep->now_us + SWEEP_QUIET_US;
	if (reason < 0x80)
		return !sweep->others;
	log_warning("broker: does not let %s be read (%s): what an earlier map retained stays there", sweep->own,
		reason_words(reason));
	sweep->until_us = sweep->now_us;
	return !sweep->others;
}

/* Another gateway of the site: what it retains is not ours to clear. */
static void sweep_keep_others(struct sweep *sweep, struct info_past *past)
{
	const char *topic;
	while ((topic = info_past_next(past)) && sweep->kept_bytes < SWEEP_KEPT_BYTES) {
		sweep->kept_bytes += strlen(topic) + sizeof(topic);
		if (sweep_keep(sweep, arena_text(&sweep->texts, topic)) != 0)
			return;
	}
}

/* Whose info a topic of `every` is. */
static void gateway_of(const struct sweep *sweep, const char *topic, char gateway[static MESSAGE_TOPIC_MAX + 1])
{
	const char *id = topic + (strchr(sweep->every, '+') - sweep->every);
	snprintf(gateway, MESSAGE_TOPIC_MAX + 1, "%.*s", (int)strcspn(id, "/"), id);
}

void sweep_message(struct sweep *sweep, const struct uplink_message *message)
{
	if (sweep->state != SWEEP_ASKING || !message->retained || !topic_matches(sweep->every, message->topic))
		return;
	bool own = strcmp(message->topic, sweep->own) == 0;
	struct info_past *past;
	if (message->payload_n == 0 || (own && sweep->past))
		return;
	char gateway[MESSAGE_TOPIC_MAX + 1];
	gateway_of(sweep, message->topic, gateway);
	int error = info_past_read(sweep->plan->site, own ? sweep->plan->gateway_id : gateway, message->payload,
		message->payload_n, &past);
	if (error) {
		log_warning("broker: what is retained at %s is no info (%s): it is ignored", message->topic,
			error == -EINVAL ? "not a JSON object" : strerror(-error));
	} else if (own) {
		sweep->past = past;
	} else {
		sweep_keep_others(sweep, past);
		info_past_destroy(past);
	}
}

/* The next topic to clear, or NULL. */
static const char *sweep_next(struct sweep *sweep)
{
	const char *topic = sweep->unput;
	sweep->unput = NULL;
	while (!topic && sweep->past && (topic = info_past_next(sweep->past)) &&
		(has(sweep->kept, sweep->n_kept, topic) || has(sweep->also, sweep->n_also, topic)))
		topic = NULL;
	while (!topic && sweep->also_at < sweep->n_also) {
		topic = sweep->also[sweep->also_at++];
		if (has(sweep->kept, sweep->n_kept, topic)) /* of another gateway meanwhile */
			topic = NULL;
	}
	return topic;
}

/* Puts a portion.  True when anything was put. */
static bool sweep_put(struct sweep *sweep)
{
	unsigned n = 0;
	const char *topic;
	while (n < SWEEP_PORTION && (topic = sweep_next(sweep))) {
		struct message message = {.topic = topic, .qos = 1, .retain = true, .kind = MESSAGE_STANDING};
		if (sweep->messages->put(sweep->messages, &message) != 0) {
			sweep->unput = topic; /* it stays where it is until the next is asked for */
			break;
		}
		n++;
	}
	if (n)
		sweep->messages->flush(sweep->messages);
	sweep->n_cleared += n;
	return n > 0;
}

static void sweep_heard(struct sweep *sweep)
{
	struct uplink *uplink = sweep->uplink;
	uplink->ops->unsubscribe(uplink, sweep->own);
	uplink->ops->unsubscribe(uplink, sweep->every);
	if (sweep->past || sweep->n_also)
		sweep_clear(sweep);
	else
		sweep_end(sweep);
}

int64_t sweep_step(struct sweep *sweep, bool settled, int64_t now_us)
{
	sweep->now_us = now_us;
	if (sweep->state == SWEEP_ASKING) {
		if (now_us < sweep->until_us)
			return sweep->until_us;
		sweep_heard(sweep);
	}
	if (sweep->state == SWEEP_IDLE)
		return CLOCK_NEVER;
	/* acknowledgements wake the publisher by themselves; a full lane empties by them too */
	if (!settled || sweep_put(sweep) || sweep->unput)
		return now_us + SWEEP_QUIET_US;
	if (sweep->n_cleared)
		log_notice("broker: %u retained topics that the map no longer has are cleared", sweep->n_cleared);
	sweep_end(sweep);
	sweep_forget_also(sweep);
	return CLOCK_NEVER;
}

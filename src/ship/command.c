/*
 * Commands from the broker, see command.h.
 *
 * A metric that may be written is a target.  Its wanted value waits (publisher's thread) until it is handed to the
 * taker, then it is under way until the wire's thread tells what became of it:
 *
 *   waits ──write──► UNDER_WAY ──done──► IDLE      state; what waits is the publisher's alone
 *
 * Why a subscription must be answered before its messages count: the broker sends what it has queued for a session
 * that it kept before or with that word, and what is sent behind it is of now.  Of a session that was kept nothing
 * counts for AWAY_US more, as some brokers (EMQX) queue for subscriptions at QoS 0 too and are not quick about it.
 *
 * Why QoS 0: no broker must keep commands for us.  Why one filter for each metric: a wildcard would bring all readings
 * of the site back to us.
 *
 * Invariant: `under_way` of a target is written by the publisher's thread before the order is given and read by the
 * wire's until `state` is IDLE again.
 */
#include "ship/command.h"
#include "base/log.h"
#include "ship/reason.h"
#include "ship/result.h"
#include "ship/unanswered.h"
#include "ship/wanted.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AWAY_US      (2 * (int64_t)1000000)
#define WAIT_US      (5 * (int64_t)1000000) /* a value waits no longer for its turn */
#define AGAIN_US     100000                 /* until one that waits is tried again */
#define POLL_US      1000000                /* of a device, from one to the next */
#define PORTION      50                     /* subscriptions a turn */
#define REFUSALS_MAX 50                     /* results of refusals at once, … */
#define REFUSAL_US   ((int64_t)50000)       /* … and one more each */
#define DROPPED_US   (5 * (int64_t)1000000) /* a broker that drops us for it does so at once */

enum target_state { TARGET_IDLE, TARGET_UNDER_WAY };

struct target {
	uint32_t index;   /* of the metric, or of the device */
	int subscription; /* its message id; 0 = none */
	bool open;        /* the broker has answered it */
	bool waits;
	struct bf_value wanted; /* while it waits */
	int64_t until_us;       /* … and until when; of a device: when it was polled last */
	_Atomic int state;
	struct bf_value under_way;
};

struct command {
	struct publisher_listener listener;
	struct order_giver giver;
	const struct plan *plan;
	const struct clock *clock;
	struct result result;
	struct order_taker *taker;

	/* Metrics with `write` and all devices, each sorted by index; and the same sorted by topic. */
	struct target *metrics, *devices;
	struct target **metrics_by_topic, **devices_by_topic;
	size_t n_metrics, n_devices;

	struct uplink *uplink; /* NULL = no connection */
	const char *broker_url;
	bool resumed;
	struct unanswered unanswered;
	size_t n_subscribed; /* of metrics, then devices */
	size_t n_open;       /* subscriptions without an answer */
	int64_t now_us, away_until_us;
	int64_t asked_us; /* when this connection was first asked for a subscription */
	size_t n_waiting;
	int64_t refusals_us; /* how much of the room for refusals is used */
	int64_t refused_at;
	struct complaint refusals, unsubscribed;
};

static struct command *command_of(struct publisher_listener *listener)
{
	return (struct command *)(void *)listener; /* its first member */
}

static const char *topic_of(const struct command *command, const struct target *target, bool device)
{
	return device ? command->plan->devices[target->index].topic : command->plan->metrics[target->index].topic;
}

/* ---- Refusals ---- */

/* A flood of nonsense is answered as far as there is room: a bucket that leaks one each REFUSAL_US. */
static bool room_for_refusal(struct command *command)
{
	command->refusals_us -= command->now_us - command->refused_at;
	command->refused_at = command->now_us;
	if (command->refusals_us < 0)
		command->refusals_us = 0;
	if (command->refusals_us + REFUSAL_US > REFUSALS_MAX * REFUSAL_US)
		return false;
	command->refusals_us += REFUSAL_US;
	return true;
}

static void refused(struct command *command, const struct target *target, const char *why)
{
	const struct plan_metric *metric = &command->plan->metrics[target->index];
	const struct log_about about = {.device = command->plan->devices[metric->device].path, .topic = metric->topic};
	if (complaint_raise(&command->refusals, command->now_us))
		log_about(LOG_LEVEL_WARNING, &about, "%s/set: refused: %s", metric->topic, why);
	if (room_for_refusal(command))
		result_refused(&command->result, target->index, why);
}

/* ---- Outcomes ---- */

static int by_index(const void *a, const void *b)
{
	const struct target *x = a, *y = b;
	return x->index < y->index ? -1 : x->index > y->index;
}

static void command_done(struct order_giver *giver, uint32_t metric, const struct order_outcome *outcome)
{
	struct command *command = (struct command *)(void *)((char *)giver - offsetof(struct command, giver));
	struct target key = {.index = metric};
	struct target *target = bsearch(&key, command->metrics, command->n_metrics, sizeof(key), by_index);
	if (!target)
		return;
	struct bf_value wanted = target->under_way;
	atomic_store_explicit(&target->state, TARGET_IDLE, memory_order_release);
	result_told(&command->result, metric, &wanted, outcome); /* which wakes the publisher: another may wait */
}

/* ---- Writing ---- */

static void give(struct command *command, struct target *target)
{
	if (atomic_load_explicit(&target->state, memory_order_acquire) != TARGET_IDLE)
		return;
	target->under_way = target->wanted;
	atomic_store_explicit(&target->state, TARGET_UNDER_WAY, memory_order_relaxed);
	int rc = command->taker->write(command->taker, target->index, &target->wanted);
	if (rc < 0)
		atomic_store_explicit(&target->state, TARGET_IDLE, memory_order_relaxed);
	if (rc == -EBUSY)
		return;
	target->waits = false;
	command->n_waiting--;
	if (rc == 0)
		complaint_clear(&command->refusals, command->now_us, NULL, NULL);
	if (rc < 0) {
		char text[RESULT_WHY_SIZE];
		refused(command, target, result_failure(&(struct order_outcome){.rc = rc}, text));
	}
}

static void want(struct command *command, struct target *target, const struct bf_value *value)
{
	if (target->waits)
		refused(command, target, "superseded by a newer one before it was written");
	else
		command->n_waiting++;
	target->waits = true;
	target->wanted = *value;
	target->until_us = command->now_us + WAIT_US;
	give(command, target);
}

static void give_waiting(struct command *command)
{
	for (size_t i = 0; i < command->n_metrics && command->n_waiting > 0; i++) {
		struct target *target = &command->metrics[i];
		if (target->waits)
			give(command, target);
		if (!target->waits || command->now_us < target->until_us)
			continue;
		target->waits = false;
		command->n_waiting--;
		refused(command, target, "busy: the bus has no time for it");
	}
}

/* ---- Hearing ---- */

struct wanted_topic {
	const struct command *command;
	const char *text;
	size_t n;
	bool device;
};

static int by_wanted_topic(const void *key, const void *element)
{
	const struct wanted_topic *wanted = key;
	const char *topic = topic_of(wanted->command, *(struct target *const *)element, wanted->device);
	int order = strncmp(wanted->text, topic, wanted->n);
	return order ? order : -(topic[wanted->n] != '\0');
}

/* The target of a message on TOPIC/word; NULL. */
static struct target *addressed(struct command *command, const char *topic, const char *word, bool device)
{
	size_t n = strlen(topic), word_n = strlen(word), n_targets = device ? command->n_devices : command->n_metrics;
	if (n <= word_n || strcmp(topic + n - word_n, word) != 0 || n_targets == 0)
		return NULL;
	struct wanted_topic wanted = {command, topic, n - word_n, device};
	struct target **found = bsearch(&wanted, device ? command->devices_by_topic : command->metrics_by_topic,
		n_targets, sizeof(*found), by_wanted_topic);
	return found ? *found : NULL;
}

static bool is_of_the_past(const struct command *command, const struct target *target)
{
	return !target->open || (command->resumed && command->now_us < command->away_until_us);
}

static void poll_device(struct command *command, struct target *target, bool stale)
{
	const struct plan_device *device = &command->plan->devices[target->index];
	if (stale || (target->until_us && command->now_us - target->until_us < POLL_US))
		return;
	target->until_us = command->now_us;
	int rc = command->taker->poll(command->taker, target->index);
	if (rc < 0 && complaint_raise(&command->refusals, command->now_us))
		log_about(LOG_LEVEL_WARNING, &(struct log_about){.device = device->path}, "%s/get: refused: %s",
			device->topic,
			rc == -EOPNOTSUPP ? "the device can't be asked, it sends by itself" : strerror(-rc));
}

static void command_message(struct publisher_listener *listener, const struct uplink_message *message)
{
	struct command *command = command_of(listener);
	struct target *target = addressed(command, message->topic, "/set", false);
	struct bf_value value;
	char why[WANTED_WHY_SIZE];
	command->now_us = clock_now(command->clock);
	if (!target) {
		target = addressed(command, message->topic, "/get", true);
		if (target)
			poll_device(command, target, message->retained || is_of_the_past(command, target));
		return;
	}
	if (message->retained)
		refused(command, target, "it is retained, so nobody knows when it was meant; publish it without");
	else if (is_of_the_past(command, target))
		refused(command, target, "it was sent while the gateway was away");
	else if (wanted_parse(
			 &command->plan->metrics[target->index], message->payload, message->payload_n, &value, why) < 0)
		refused(command, target, why);
	else
		want(command, target, &value);
}

/* ---- Subscribing ---- */

static struct target *nth_target(struct command *command, size_t i, bool *ret_device)
{
	*ret_device = i >= command->n_metrics;
	return *ret_device ? &command->devices[i - command->n_metrics] : &command->metrics[i];
}

static void command_connected(
	struct publisher_listener *listener, const char *broker_url, struct uplink *uplink, bool resumed)
{
	struct command *command = command_of(listener);
	unanswered_connected(&command->unanswered, &command->plan->broker, broker_url);
	command->broker_url = broker_url;
	command->uplink = uplink;
	command->resumed = resumed;
	command->n_open = 0;
	command->now_us = clock_now(command->clock);
	command->away_until_us = command->now_us + AWAY_US;
	command->n_subscribed = 0;
	for (size_t i = 0; i < command->n_metrics + command->n_devices; i++) {
		bool device;
		struct target *target = nth_target(command, i, &device);
		target->subscription = 0;
		target->open = false;
	}
}

static void command_lost(struct publisher_listener *listener)
{
	struct command *command = command_of(listener);
	bool dropped = command->n_open > 0 && clock_now(command->clock) - command->asked_us < DROPPED_US;
	command->uplink = NULL;
	for (size_t i = 0; i < command->n_metrics; i++) /* nobody would hear of them */
		command->metrics[i].waits = false;
	command->n_waiting = 0;
	if (!dropped || !unanswered_lost(&command->unanswered))
		return;
	log_about(LOG_LEVEL_WARNING, &(struct log_about){.broker = command->broker_url},
		"broker %s: drops the connection when it is asked for commands: nothing can be set or polled",
		command->broker_url);
}

static void command_subscribed(struct publisher_listener *listener, int message_id, int reason)
{
	struct command *command = command_of(listener);
	for (size_t i = 0; i < command->n_subscribed; i++) {
		bool device;
		struct target *target = nth_target(command, i, &device);
		if (target->subscription != message_id)
			continue;
		target->subscription = 0;
		if (--command->n_open == 0 && command->n_subscribed == command->n_metrics + command->n_devices)
			unanswered_heard(&command->unanswered);
		target->open = reason < 0x80;
		command->now_us = clock_now(command->clock);
		command->away_until_us = command->now_us + AWAY_US;
		if (!target->open && complaint_raise(&command->unsubscribed, command->now_us))
			log_about(LOG_LEVEL_WARNING, &(struct log_about){.broker = command->broker_url},
				"broker %s: does not let %s/%s be heard (%s)", command->broker_url,
				topic_of(command, target, device), device ? "get" : "set", reason_words(reason));
		return;
	}
}

/* The next portion.  True when more are left. */
static bool subscribe(struct command *command)
{
	size_t n = command->n_metrics + command->n_devices;
	if (!unanswered_asks(&command->unanswered))
		return false;
	if (command->n_subscribed == 0)
		command->asked_us = command->now_us;
	for (size_t i = 0; i < PORTION && command->n_subscribed < n; i++) {
		char filter[MESSAGE_TOPIC_MAX + 16];
		bool device;
		struct target *target = nth_target(command, command->n_subscribed, &device);
		snprintf(filter, sizeof(filter), "%s/%s", topic_of(command, target, device), device ? "get" : "set");
		if (command->uplink->ops->subscribe(command->uplink, filter, 0, &target->subscription) != 0)
			target->subscription = 0;
		command->n_open += target->subscription != 0;
		command->n_subscribed++;
	}
	return command->n_subscribed < n;
}

static void command_replaced(
	struct publisher_listener *listener, struct publisher_listener *next, struct uplink *uplink)
{
	struct command *command = command_of(listener);
	if (next)
		unanswered_carry(&command_of(next)->unanswered, &command->unanswered);
	for (size_t i = 0; i < command->n_subscribed; i++) {
		char filter[MESSAGE_TOPIC_MAX + 16];
		bool device;
		const struct target *target = nth_target(command, i, &device);
		const char *word = device ? "/get" : "/set";
		snprintf(filter, sizeof(filter), "%s%s", topic_of(command, target, device), word);
		if (!next || !addressed(command_of(next), filter, word, device))
			uplink->ops->unsubscribe(uplink, filter);
	}
}

static int64_t command_step(struct publisher_listener *listener, bool settled, int64_t now_us)
{
	struct command *command = command_of(listener);
	(void)settled;
	command->now_us = now_us;
	if (!command->uplink)
		return CLOCK_NEVER;
	bool more = subscribe(command);
	give_waiting(command);
	return more ? now_us : command->n_waiting > 0 ? now_us + AGAIN_US : CLOCK_NEVER;
}

/* ---- Life ---- */

static const struct command *sorted; /* qsort has no argument for it; set and used by command_init only */

static int by_metric_topic(const void *a, const void *b)
{
	return strcmp(topic_of(sorted, *(struct target *const *)a, false),
		topic_of(sorted, *(struct target *const *)b, false));
}

static int by_device_topic(const void *a, const void *b)
{
	return strcmp(
		topic_of(sorted, *(struct target *const *)a, true), topic_of(sorted, *(struct target *const *)b, true));
}

static int init_targets(struct command *command)
{
	const struct plan *plan = command->plan;
	for (size_t i = 0; i < plan->n_metrics; i++)
		command->n_metrics += plan->metrics[i].write != NULL;
	command->n_devices = plan->n_devices;
	command->metrics = calloc(command->n_metrics + 1, sizeof(*command->metrics));
	command->devices = calloc(command->n_devices + 1, sizeof(*command->devices));
	command->metrics_by_topic = calloc(command->n_metrics + 1, sizeof(struct target *));
	command->devices_by_topic = calloc(command->n_devices + 1, sizeof(struct target *));
	if (!command->metrics || !command->devices || !command->metrics_by_topic || !command->devices_by_topic)
		return -ENOMEM;
	size_t n = 0;
	for (uint32_t i = 0; i < plan->n_metrics; i++) {
		if (!plan->metrics[i].write)
			continue;
		command->metrics[n].index = i;
		command->metrics_by_topic[n] = &command->metrics[n];
		n++;
	}
	for (uint32_t i = 0; i < plan->n_devices; i++) {
		command->devices[i].index = i;
		command->devices_by_topic[i] = &command->devices[i];
	}
	sorted = command;
	qsort(command->metrics_by_topic, command->n_metrics, sizeof(struct target *), by_metric_topic);
	qsort(command->devices_by_topic, command->n_devices, sizeof(struct target *), by_device_topic);
	sorted = NULL;
	return 0;
}

int command_init(const struct plan *plan, const struct clock *clock, struct message_sink *messages,
	struct order_taker *taker, struct command **ret_command)
{
	struct command *command = calloc(1, sizeof(*command));
	if (!command)
		return -ENOMEM;
	*command = (struct command){.listener = {.connected = command_connected,
					    .lost = command_lost,
					    .subscribed = command_subscribed,
					    .message = command_message,
					    .step = command_step,
					    .replaced = command_replaced},
		.giver = {.done = command_done},
		.plan = plan,
		.clock = clock,
		.result = {plan, clock, messages, "set"},
		.taker = taker};
	if (unanswered_init(&command->unanswered, &plan->broker) < 0 || init_targets(command) < 0) {
		command_destroy(command);
		return -ENOMEM;
	}
	taker->giver = &command->giver;
	*ret_command = command;
	return 0;
}

void command_destroy(struct command *command)
{
	if (!command)
		return;
	unanswered_destroy(&command->unanswered);
	free(command->metrics_by_topic);
	free(command->devices_by_topic);
	free(command->metrics);
	free(command->devices);
	free(command);
}

struct publisher_listener *command_listener(struct command *command)
{
	return &command->listener;
}

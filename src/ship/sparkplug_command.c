/*
 * Commands of hosts, see sparkplug_command.h.
 *
 * Why a number becomes text before it is checked: what may be written is decided in one place, by wanted_parse, for
 * texts; the shortest text of a number is the number, and 21.1 as a float is on the step that it was meant for.
 *
 * Invariant: `under_way` of a target is written by the node's thread before the order is given and read by the wire's
 * until `busy` is false again.
 */
#include "ship/sparkplug_command.h"
#include "base/log.h"
#include "base/wake.h"
#include "ship/payload.h"
#include "ship/result.h"
#include "ship/sparkplug_type.h"
#include "ship/wanted.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_MAX 16384                  /* bytes of a payload */
#define WAIT_US     (5 * (int64_t)1000000) /* a value waits no longer for its turn */
#define AGAIN_US    100000                 /* until one that waits is tried again */

struct target {
	uint32_t index; /* of the metric */
	bool waits;
	struct bf_value wanted; /* while it waits */
	int64_t until_us;       /* … and until when */
	_Atomic bool busy;
	struct bf_value under_way;
};

struct sparkplug_command {
	struct order_giver giver;
	const struct plan *plan;
	const struct sparkplug_place *places;
	struct order_taker *taker;
	struct result result;
	int news_fd;
	struct target *targets; /* metrics that may be written, by index */
	size_t n_targets, n_waiting;
	int64_t now_us;
	struct complaint refusals;

	/* While a payload is read. */
	uint32_t device;
	bool rebirth;
	unsigned n_strange;
};

static int by_index(const void *a, const void *b)
{
	const struct target *x = a, *y = b;
	return x->index < y->index ? -1 : x->index > y->index;
}

static struct target *target_of(struct sparkplug_command *command, uint32_t metric)
{
	struct target key = {.index = metric};
	return bsearch(&key, command->targets, command->n_targets, sizeof(key), by_index);
}

static void refused(struct sparkplug_command *command, uint32_t metric, const char *why)
{
	const struct plan_metric *told = &command->plan->metrics[metric];
	const struct log_about about = {.device = command->plan->devices[told->device].path, .topic = told->topic};
	if (complaint_raise(&command->refusals, command->now_us))
		log_about(LOG_LEVEL_WARNING, &about, "%s/DCMD: refused: %s", told->topic, why);
}

/* ---- Writing ---- */

/* While it is watched, the reading that the device shows is told even if it is the one that it showed before. */
static void watch(const struct sparkplug_command *command, uint32_t metric, bool on)
{
	uint32_t device = command->plan->metrics[metric].device;
	const struct sparkplug_place *place = &command->places[device];
	uint32_t nth = metric - command->plan->devices[device].first_metric;
	sparkplug_intake_watch(place->intake, place->first_metric + nth, on);
}

static void command_done(struct order_giver *giver, uint32_t metric, const struct order_outcome *outcome)
{
	struct sparkplug_command *command = (struct sparkplug_command *)(void *)giver; /* its first member */
	struct target *target = target_of(command, metric);
	if (!target)
		return;
	struct bf_value wanted = target->under_way;
	watch(command, metric, false);
	result_told(&command->result, metric, &wanted, outcome);
	int news_fd = command->news_fd;
	atomic_store_explicit(&target->busy, false, memory_order_release);
	wake_up(news_fd); /* another one may wait */
}

static void give(struct sparkplug_command *command, struct target *target)
{
	if (atomic_load_explicit(&target->busy, memory_order_acquire))
		return;
	target->under_way = target->wanted;
	atomic_store_explicit(&target->busy, true, memory_order_relaxed);
	watch(command, target->index, true);
	int rc = command->taker->write(command->taker, target->index, &target->wanted);
	if (rc < 0) {
		watch(command, target->index, false);
		atomic_store_explicit(&target->busy, false, memory_order_relaxed);
	}
	if (rc == -EBUSY)
		return;
	target->waits = false;
	command->n_waiting--;
	if (rc == 0) {
		complaint_clear(&command->refusals, command->now_us, NULL, NULL);
	} else {
		char text[RESULT_WHY_SIZE];
		refused(command, target->index, result_failure(&(struct order_outcome){.rc = rc}, text));
	}
}

int64_t sparkplug_command_step(struct sparkplug_command *command, int64_t now_us)
{
	command->now_us = now_us;
	for (size_t i = 0; i < command->n_targets && command->n_waiting > 0; i++) {
		struct target *target = &command->targets[i];
		if (target->waits)
			give(command, target);
		if (!target->waits || now_us < target->until_us)
			continue;
		target->waits = false;
		command->n_waiting--;
		refused(command, target->index, "busy: the bus has no time for it");
	}
	return command->n_waiting ? now_us + AGAIN_US : CLOCK_NEVER;
}

void sparkplug_command_lost(struct sparkplug_command *command)
{
	for (size_t i = 0; i < command->n_targets; i++)
		command->targets[i].waits = false;
	command->n_waiting = 0;
}

/* ---- Reading ---- */

/* The metric of the device that a command means, by its alias or its name; n_metrics = none. */
static size_t find_metric(const struct sparkplug_command *command, const char *name, uint64_t alias)
{
	const struct plan *plan = command->plan;
	const struct plan_device *device = &plan->devices[command->device];
	if (alias > device->first_metric && alias <= (uint64_t)device->first_metric + device->n_metrics)
		return (size_t)(alias - 1);
	for (size_t i = device->first_metric; name && !alias && i < device->first_metric + device->n_metrics; i++)
		if (strcmp(payload_label(plan, &plan->metrics[i]), name) == 0)
			return i;
	return plan->n_metrics;
}

static unsigned type_of(void *user, const char *name, uint64_t alias)
{
	const struct sparkplug_command *command = user;
	size_t at = find_metric(command, name, alias);
	return at < command->plan->n_metrics ? sparkplug_type_of(&command->plan->metrics[at]) : 0;
}

/* The value as the text that wanted_parse takes.  Bytes; -EINVAL it is none for such a metric. */
static int wanted_text(const struct plan_metric *metric, const struct bf_value *value, const char **at,
	char text[static BF_NUMBER_SIZE])
{
	bool is_text = sparkplug_type_of(metric) == SPARKPLUG_STRING;
	if (is_text != (value->kind == BF_TEXT))
		return -EINVAL;
	*at = is_text ? value->text.at : text;
	return is_text ? (int)value->text.n : bf_value_print(value, -1, text);
}

static void wants(void *user, const struct sparkplug_told *told)
{
	struct sparkplug_command *command = user;
	char text[BF_NUMBER_SIZE], why[WANTED_WHY_SIZE];
	const char *at = text;
	size_t index = find_metric(command, told->name, told->alias);
	struct target *target =
		index < command->plan->n_metrics && command->taker ? target_of(command, (uint32_t)index) : NULL;
	if (!target) {
		command->n_strange++;
		return;
	}
	const struct plan_metric *metric = &command->plan->metrics[index];
	struct bf_value value;
	int n = wanted_text(metric, &told->value, &at, text);
	if (n < 0) {
		refused(command, target->index, "no value, or one of another type than the metric's");
		return;
	}
	if (wanted_parse(metric, at, (size_t)n, &value, why) < 0) {
		refused(command, target->index, why);
		return;
	}
	command->n_waiting += !target->waits;
	target->waits = true;
	target->wanted = value;
	target->until_us = command->now_us + WAIT_US;
	give(command, target);
}

static void controls(void *user, const struct sparkplug_told *told)
{
	struct sparkplug_command *command = user;
	if (told->name && strcmp(told->name, SPARKPLUG_REBIRTH) == 0 && told->value.kind == BF_BOOLEAN)
		command->rebirth |= told->value.yes;
	else
		command->n_strange++;
}

static unsigned no_type(void *user, const char *name, uint64_t alias)
{
	(void)user;
	(void)name;
	(void)alias;
	return 0;
}

/* topic: as the broker gave it, so it is one of those that were subscribed to. */
static bool read_command(struct sparkplug_command *command, const struct uplink_message *message,
	const struct sparkplug_reader *reader, int64_t now_us)
{
	const char *why = NULL;
	command->now_us = now_us;
	command->n_strange = 0;
	if (message->retained)
		why = "it is retained, so nobody knows when it was meant";
	else if (message->payload_n > COMMAND_MAX)
		why = "it is longer than 16 kB";
	else if (sparkplug_payload_read(message->payload, message->payload_n, reader) < 0)
		why = "it is no payload of Sparkplug B";
	else if (command->n_strange)
		why = "it names what may not be written or is not there";
	if (why && complaint_raise(&command->refusals, now_us))
		log_about(LOG_LEVEL_WARNING, &(struct log_about){.topic = message->topic},
			"sparkplug: a command on %s is refused: %s", message->topic, why);
	return !why;
}

bool sparkplug_command_node(struct sparkplug_command *command, const struct uplink_message *message, int64_t now_us)
{
	const struct sparkplug_reader reader = {.user = command, .type_of = no_type, .each = controls};
	command->rebirth = false;
	read_command(command, message, &reader, now_us);
	return command->rebirth;
}

void sparkplug_command_device(
	struct sparkplug_command *command, uint32_t device, const struct uplink_message *message, int64_t now_us)
{
	const struct sparkplug_reader reader = {.user = command, .type_of = type_of, .each = wants};
	command->device = device;
	read_command(command, message, &reader, now_us);
}

/* ---- Life ---- */

bool sparkplug_command_writes(const struct sparkplug_command *command, uint32_t device)
{
	for (size_t i = 0; i < command->n_targets; i++)
		if (command->plan->metrics[command->targets[i].index].device == device)
			return true;
	return false;
}

int sparkplug_command_init(const struct plan *plan, const struct sparkplug_place *places, struct order_taker *taker,
	const struct clock *clock, int news_fd, struct sparkplug_command **ret_command)
{
	size_t n = 0;
	for (size_t i = 0; taker && i < plan->n_metrics; i++)
		n += plan->metrics[i].write != NULL;
	struct sparkplug_command *command = calloc(1, sizeof(*command));
	struct target *targets = calloc(n + 1, sizeof(*targets));
	if (!command || !targets) {
		free(command);
		free(targets);
		return -ENOMEM;
	}
	*command = (struct sparkplug_command){
		.giver = {.done = command_done},
		.plan = plan,
		.places = places,
		.taker = taker,
		.result = {plan, clock, NULL, "DCMD"},
		.news_fd = news_fd,
		.targets = targets,
	};
	for (uint32_t i = 0; taker && i < plan->n_metrics; i++)
		if (plan->metrics[i].write)
			targets[command->n_targets++].index = i;
	if (taker)
		taker->giver = &command->giver;
	*ret_command = command;
	return 0;
}

void sparkplug_command_destroy(struct sparkplug_command *command)
{
	if (!command)
		return;
	free(command->targets);
	free(command);
}

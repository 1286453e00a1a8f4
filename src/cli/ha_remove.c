/*
 * Taking discovery back.  See ha.h.
 *
 * It is a client of its own, like `busferry watch`, and reads what the broker has before it clears anything: a map that
 * has changed meanwhile says nothing of the devices that it had, and a message says itself whose it is.
 *
 *   CONNECTING ──connected──► LISTENING ──answered, quiet──► CLEARING ──all acknowledged──► done
 */
#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/ha.h"
#include "cli/screen.h"
#include "model/topic.h"
#include "ship/discovery.h"
#include "ship/uplink.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define ANSWER_US  (15 * (int64_t)1000000) /* for the connection, a word on the subscription, an acknowledgement */
#define QUIET_US   ((int64_t)1000000)
#define TOPICS_MAX 100000
#define WHAT_BYTES 240

enum remove_state { REMOVE_CONNECTING, REMOVE_LISTENING, REMOVE_CLEARING };

struct removal {
	const struct plan *plan;
	struct plan_broker broker;
	struct uplink *uplink;
	bool yes, as_json;
	enum remove_state state;
	bool answered; /* the subscription: what there is comes now */
	size_t endpoint;
	int64_t until_us;
	char filter[MESSAGE_TOPIC_MAX];
	const char **topics;
	size_t n_topics, size, n_sent;
	int waits_for; /* message id; 0 = none */
	struct arena arena;
	char what[WHAT_BYTES];
	int code; /* -1 = goes on */
};

static void wait_for(struct removal *removal, int64_t us)
{
	removal->until_us = clock_now(&clock_system) + us;
}

static void note_connected(void *user, bool session_present, const struct uplink_limits *limits)
{
	struct removal *removal = user;
	int id;
	(void)session_present;
	(void)limits;
	removal->state = REMOVE_LISTENING;
	wait_for(removal, ANSWER_US);
	if (removal->uplink->ops->subscribe(removal->uplink, removal->filter, 0, &id) < 0)
		removal->code = EX_UNAVAILABLE;
}

static void note_lost(void *user, enum uplink_fault fault, const char *what)
{
	struct removal *removal = user;
	snprintf(removal->what, sizeof(removal->what), "%s", what);
	removal->code = fault == UPLINK_AUTH ? EX_NOPERM : EX_UNAVAILABLE;
}

static void note_subscribed(void *user, int message_id, int reason)
{
	struct removal *removal = user;
	(void)message_id;
	removal->answered = true;
	wait_for(removal, QUIET_US);
	if (reason < 0x80)
		return;
	snprintf(removal->what, sizeof(removal->what), "the broker does not let this user read \"%.150s\"",
		removal->filter);
	removal->code = EX_NOPERM;
}

static void note_message(void *user, const struct uplink_message *message)
{
	struct removal *removal = user;
	if (removal->state != REMOVE_LISTENING || !message->retained || message->payload_n == 0 ||
		removal->n_topics == TOPICS_MAX || !topic_matches(removal->filter, message->topic) ||
		!discovery_is_ours(removal->plan, message->payload, message->payload_n))
		return;
	if (removal->answered)
		wait_for(removal, QUIET_US);
	if (removal->n_topics == removal->size) {
		size_t size = removal->size ? 2 * removal->size : 64;
		const char **grown = realloc(removal->topics, size * sizeof(*grown));
		if (!grown)
			return;
		removal->topics = grown;
		removal->size = size;
	}
	removal->topics[removal->n_topics++] = arena_text(&removal->arena, message->topic);
}

static void note_acknowledged(void *user, int message_id, int reason)
{
	struct removal *removal = user;
	if (message_id != removal->waits_for)
		return;
	removal->waits_for = 0;
	if (reason < 0x80)
		return;
	snprintf(removal->what, sizeof(removal->what), "the broker does not let this user clear \"%.100s\"",
		removal->topics[removal->n_sent - 1]);
	removal->code = EX_NOPERM;
}

static void print_topic(const struct removal *removal, const char *topic)
{
	char text[7 * MESSAGE_TOPIC_MAX];
	if (!removal->as_json) {
		screen_text(text, sizeof(text), topic, strlen(topic), 0);
		puts(text);
		return;
	}
	struct json json = json_into(text, sizeof(text));
	json_object(&json, NULL);
	json_text(&json, "topic", topic);
	json_object_end(&json);
	if (json_end(&json) > 0)
		puts(text);
}

/* One at a time: none that was told as cleared is not. */
static void clear_next(struct removal *removal)
{
	if (removal->n_sent)
		print_topic(removal, removal->topics[removal->n_sent - 1]);
	if (removal->n_sent == removal->n_topics) {
		removal->code = 0;
		return;
	}
	struct message message = {.topic = removal->topics[removal->n_sent++], .payload = "", .qos = 1, .retain = true};
	struct uplink_publish publish = {.message = &message, .payload = ""};
	wait_for(removal, ANSWER_US);
	if (removal->uplink->ops->publish(removal->uplink, &publish, &removal->waits_for) < 0)
		removal->code = EX_UNAVAILABLE;
}

static void heard_all(struct removal *removal)
{
	if (removal->yes) {
		removal->state = REMOVE_CLEARING;
		clear_next(removal);
		return;
	}
	for (size_t i = 0; i < removal->n_topics; i++)
		print_topic(removal, removal->topics[i]);
	removal->code = removal->n_topics ? EX_USAGE : 0;
	if (removal->n_topics)
		fprintf(stderr, "busferry: error: this would clear %zu messages; say --yes to do it\n",
			removal->n_topics);
}

static void late(struct removal *removal)
{
	if (removal->state == REMOVE_LISTENING && removal->answered) {
		heard_all(removal);
		return;
	}
	snprintf(removal->what, sizeof(removal->what), "the broker does not answer");
	removal->code = EX_UNAVAILABLE;
}

static void run(struct removal *removal, int stop_fd)
{
	struct uplink *uplink = removal->uplink;
	struct uplink_target target = {.broker = &removal->broker,
		.endpoint = &removal->broker.endpoints[removal->endpoint],
		.clean_session = true};
	removal->state = REMOVE_CONNECTING;
	removal->code = -1;
	removal->what[0] = '\0';
	wait_for(removal, ANSWER_US);
	uplink->ops->open(uplink, &target);
	while (removal->code < 0) {
		int64_t left_us = removal->until_us - clock_now(&clock_system);
		int64_t due_us = uplink->ops->due_at(uplink) - clock_now(&clock_system);
		int64_t wait_us = left_us < due_us ? left_us : due_us;
		struct pollfd fds[] = {
			{.fd = stop_fd, .events = POLLIN}, {.fd = uplink->ops->fd(uplink), .events = POLLIN}};
		fds[1].events |= uplink->ops->wants_write(uplink) ? POLLOUT : 0;
		poll(fds, 2, wait_us > 0 ? (int)(wait_us / 1000 + 1) : 0);
		if (fds[0].revents)
			removal->code = EXIT_INTERRUPTED;
		uplink->ops->step(uplink, true, fds[1].revents & POLLOUT);
		if (removal->code < 0 && removal->state == REMOVE_CLEARING && !removal->waits_for)
			clear_next(removal);
		uplink->ops->let_go(uplink);
		if (removal->code < 0 && clock_now(&clock_system) >= removal->until_us)
			late(removal);
	}
	uplink->ops->close(uplink, removal->state != REMOVE_CONNECTING);
	uplink->ops->forget(uplink);
}

int ha_remove(const struct plan *plan, bool yes, bool as_json)
{
	struct removal removal = {.plan = plan, .broker = plan->broker, .yes = yes, .as_json = as_json};
	char client_id[64];
	snprintf(client_id, sizeof(client_id), "busferry-ha-%lld", (long long)getpid());
	removal.broker.client_id = client_id;
	snprintf(removal.filter, sizeof(removal.filter), "%s/device/+/config", plan->homeassistant.prefix);
	if (uplink_mosquitto_init(&removal.uplink) < 0)
		return EX_OSERR;
	removal.uplink->events = (struct uplink_events){.user = &removal,
		.connected = note_connected,
		.lost = note_lost,
		.acknowledged = note_acknowledged,
		.subscribed = note_subscribed,
		.message = note_message};
	int stop_fd = cli_stop_fd();
	log_set_level(LOG_LEVEL_ERROR); /* what is to be said is said here */
	do
		run(&removal, stop_fd);
	while (removal.code == EX_UNAVAILABLE && removal.state == REMOVE_CONNECTING &&
		++removal.endpoint < removal.broker.n_endpoints);
	if (removal.what[0] && removal.code > 0)
		fprintf(stderr, "busferry: error: %s: %s\n",
			removal.broker.endpoints[removal.endpoint < removal.broker.n_endpoints ? removal.endpoint : 0]
				.url,
			removal.what);
	if (removal.code == 0)
		fprintf(stderr, "busferry: %zu messages %s\n", removal.n_topics, yes ? "cleared" : "to clear");
	uplink_mosquitto_destroy(removal.uplink);
	close(stop_fd);
	free(removal.topics);
	arena_free(&removal.arena);
	return removal.code;
}

/*
 * Announcements of what stands.
 *
 * Why a state for each device and a second look: a device may turn offline on its wire's thread while the publisher's
 * thread tells all of them after a connect.  Both write the state first and put afterwards; the publisher looks again
 * after its put and tells what it sees then.  So whichever put comes last says what is true, without a lock of our own
 * (the sink's orders the two).
 *
 * Invariant: a device is UNKNOWN until its first answer or until it is declared offline; nothing is told of it before.
 *
 * Threads: see announce.h.  The text of info is made and used on the publisher's thread only.
 */
#include "ship/announce.h"
#include "base/json.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum device_state { DEVICE_UNKNOWN, DEVICE_ONLINE, DEVICE_OFFLINE };

struct announce {
	struct publisher_listener publisher_listener;
	struct report_listener report_listener;
	const struct plan *plan;
	const struct clock *clock;
	struct message_sink *messages;
	int64_t started_ms;
	struct arena arena; /* of the topics */
	const char *state_topic, *info_topic, *stats_topic;
	const char **availability_topics; /* of each device */
	_Atomic unsigned char *states;
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

static void info_buses(struct json *json, const struct plan *plan)
{
	json_array(json, "buses");
	for (size_t i = 0; i < plan->n_buses; i++) {
		const struct plan_bus *bus = &plan->buses[i];
		json_object(json, NULL);
		json_text(json, "name", bus->name);
		if (bus->driver)
			json_text(json, "driver", bus->driver->name);
		if (bus->wire == WIRE_SERIAL) {
			json_text(json, "port", bus->port);
		} else {
			json_text(json, "host", bus->host);
			json_int(json, "tcp_port", bus->tcp_port);
		}
		json_int(json, "devices", bus->n_devices);
		json_object_end(json);
	}
	json_array_end(json);
}

static void info_devices(struct json *json, const struct plan *plan)
{
	json_array(json, "devices");
	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct plan_device *device = &plan->devices[i];
		json_object(json, NULL);
		json_text(json, "topic", device->topic);
		if (device->name)
			json_text(json, "name", device->name);
		json_text(json, "bus", plan->buses[device->bus].name);
		json_int(json, "address", device->address);
		json_int(json, "metrics", device->n_metrics);
		json_object_end(json);
	}
	json_array_end(json);
}

/* The length, or -ENOSPC.  broker_url may be NULL. */
static int info_print(const struct announce *announce, const char *broker_url, bool lists, char *text, size_t size)
{
	struct json json = json_into(text, size);
	json_object(&json, NULL);
	json_text(&json, "version", BUSFERRY_VERSION);
	json_int(&json, "started", announce->started_ms);
	if (broker_url)
		json_text(&json, "broker", broker_url);
	if (lists) {
		info_buses(&json, announce->plan);
		info_devices(&json, announce->plan);
	}
	json_object_end(&json);
	return json_end(&json);
}

/* Makes the buffer large enough for every broker of the list. */
static int info_init(struct announce *announce)
{
	const char *longest = "";
	for (size_t i = 0; i < announce->plan->broker.n_endpoints; i++)
		if (strlen(announce->plan->broker.endpoints[i].url) > strlen(longest))
			longest = announce->plan->broker.endpoints[i].url;
	/* A url is escaped as it is printed, to no more than six bytes for one. */
	size_t slack = 6 * strlen(longest);
	for (size_t size = 1024;; size *= 2) {
		char *text = realloc(announce->info, size + slack);
		if (!text)
			return -ENOMEM;
		announce->info = text;
		announce->info_size = size + slack;
		if (size >= MESSAGE_PAYLOAD_MAX || info_print(announce, NULL, true, text, size - 32) >= 0)
			return 0;
	}
}

static void announce_info(struct announce *announce, const char *broker_url)
{
	int n = info_print(announce, broker_url, true, announce->info, announce->info_size);
	if (n < 0 || n > (int)MESSAGE_PAYLOAD_MAX) /* thousands of devices: what is most wanted, without the lists */
		n = info_print(announce, broker_url, false, announce->info, announce->info_size);
	if (n > 0)
		announce_put(announce, announce->info_topic, announce->info, (size_t)n, 1, true);
}

static void announce_device(struct announce *announce, size_t device)
{
	unsigned char told = DEVICE_UNKNOWN;
	unsigned char state = atomic_load_explicit(&announce->states[device], memory_order_acquire);
	while (state != told) {
		announce_word(announce, announce->availability_topics[device], state == DEVICE_ONLINE);
		told = state;
		state = atomic_load_explicit(&announce->states[device], memory_order_acquire);
	}
}

static void announce_connected(struct publisher_listener *listener, const char *broker_url)
{
	struct announce *announce =
		(struct announce *)(void *)((char *)listener - offsetof(struct announce, publisher_listener));
	announce_word(announce, announce->state_topic, true);
	announce_info(announce, broker_url);
	for (size_t i = 0; i < announce->plan->n_devices; i++)
		announce_device(announce, i);
	announce->messages->flush(announce->messages);
}

static void announce_leaving(struct publisher_listener *listener)
{
	struct announce *announce =
		(struct announce *)(void *)((char *)listener - offsetof(struct announce, publisher_listener));
	announce_word(announce, announce->state_topic, false);
	announce->messages->flush(announce->messages);
}

static void announce_availability(struct report_listener *listener, uint32_t device, bool online)
{
	struct announce *announce =
		(struct announce *)(void *)((char *)listener - offsetof(struct announce, report_listener));
	atomic_store_explicit(&announce->states[device], online ? DEVICE_ONLINE : DEVICE_OFFLINE, memory_order_release);
	announce_word(announce, announce->availability_topics[device], online);
	announce->messages->flush(announce->messages);
}

int announce_init(const struct plan *plan, const struct clock *clock, struct message_sink *messages,
	struct announce **ret_announce)
{
	struct announce *announce = calloc(1, sizeof(*announce));
	if (!announce)
		return -ENOMEM;
	*announce = (struct announce){
		.publisher_listener = {.connected = announce_connected, .leaving = announce_leaving},
		.report_listener = {.availability = announce_availability},
		.plan = plan,
		.clock = clock,
		.messages = messages,
		.started_ms = clock->wall_ms(clock),
	};
	announce->state_topic = arena_format(&announce->arena, "%s/state", plan->gateway_topic);
	announce->info_topic = arena_format(&announce->arena, "%s/info", plan->gateway_topic);
	announce->stats_topic = arena_format(&announce->arena, "%s/stats", plan->gateway_topic);
	announce->availability_topics = arena_array(&announce->arena, plan->n_devices, sizeof(char *));
	for (size_t i = 0; i < plan->n_devices; i++)
		announce->availability_topics[i] =
			arena_format(&announce->arena, "%s/availability", plan->devices[i].topic);
	announce->states = arena_array(&announce->arena, plan->n_devices, sizeof(*announce->states));
	if (info_init(announce) != 0) {
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
	arena_free(&announce->arena);
	free(announce);
}

struct publisher_listener *announce_publisher_listener(struct announce *announce)
{
	return &announce->publisher_listener;
}

struct report_listener *announce_report_listener(struct announce *announce)
{
	return &announce->report_listener;
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

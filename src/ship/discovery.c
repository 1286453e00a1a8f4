/*
 * Printing of discovery messages.  See discovery.h.
 *
 * Why long key names: the short ones are newer, and an older Home Assistant takes no message with keys that it does not
 * know.
 *
 * Invariant: which part has a metric follows from the plan alone; no part is longer than DISCOVERY_MAX.
 */
#include "ship/discovery.h"
#include "base/json.h"
#include "base/json_find.h"
#include "ship/discovery_entity.h"
#include "ship/discovery_id.h"
#include "ship/payload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- A message ---- */

size_t discovery_items(const struct plan *plan)
{
	return discovery_is_on(plan) ? plan->n_devices + 1 : 0;
}

static const struct plan_device *device_of(const struct plan *plan, size_t item)
{
	return item ? &plan->devices[item - 1] : NULL;
}

static void print_state_topic(struct json *json, const char *key, const struct plan *plan)
{
	char topic[MESSAGE_TOPIC_MAX + 8];
	snprintf(topic, sizeof(topic), "%.*s/state", MESSAGE_TOPIC_MAX, plan->gateway_topic);
	json_text(json, key, topic);
}

static void print_device(struct json *json, const struct plan *plan, const struct plan_device *device)
{
	char id[DISCOVERY_ID_SIZE], text[DISCOVERY_NAME_SIZE];
	const char *slash = device ? strrchr(device->path, '/') : NULL;
	json_object(json, "device");
	json_array(json, "identifiers");
	discovery_id(plan->gateway_id, device ? device->path : NULL, NULL, id);
	json_text(json, NULL, id);
	json_array_end(json);
	if (device) {
		json_text(json, "name", discovery_spoken(device->name, strlen(device->name), text));
		if (device->maker)
			json_text(json, "manufacturer", device->maker);
		if (device->model)
			json_text(json, "model", device->model);
		discovery_id(plan->gateway_id, NULL, NULL, id);
		json_text(json, "via_device", id);
	} else {
		snprintf(text, sizeof(text), "Busferry %s", plan->gateway_id);
		json_text(json, "name", text);
		json_text(json, "sw_version", BUSFERRY_VERSION);
	}
	if (slash) {
		const char *area = slash;
		while (area > device->path && area[-1] != '/')
			area--;
		json_text(json, "suggested_area", discovery_spoken(area, (size_t)(slash - area), text));
	}
	json_object_end(json);
	json_object(json, "origin");
	json_text(json, "name", "Busferry");
	json_text(json, "sw_version", BUSFERRY_VERSION);
	json_object_end(json);
}

/* All before the components. */
static void print_head(struct json *json, const struct plan *plan, size_t item)
{
	const struct plan_device *device = device_of(plan, item);
	json_object(json, NULL);
	print_device(json, plan, device);
	if (device) {
		char topic[MESSAGE_TOPIC_MAX + 16];
		json_array(json, "availability");
		json_object(json, NULL);
		print_state_topic(json, "topic", plan);
		json_object_end(json);
		json_object(json, NULL);
		snprintf(topic, sizeof(topic), "%.*s/availability", MESSAGE_TOPIC_MAX, device->topic);
		json_text(json, "topic", topic);
		json_object_end(json);
		json_array_end(json);
		json_text(json, "availability_mode", "all");
	}
	json_int(json, "qos", 1);
	json_object(json, "components");
}

static int print_tail(struct json *json)
{
	json_object_end(json);
	json_object_end(json);
	return json_end(json);
}

static void print_gateway(struct json *json, const struct plan *plan)
{
	char id[DISCOVERY_ID_SIZE], text[DISCOVERY_ID_SIZE + 32];
	json_object(json, "state");
	json_text(json, "platform", "binary_sensor");
	discovery_id(plan->gateway_id, "state", NULL, id);
	json_text(json, "unique_id", id);
	discovery_slug(plan->gateway_id, "state", id);
	snprintf(text, sizeof(text), "binary_sensor.busferry_%s", id);
	json_text(json, "default_entity_id", text);
	json_text(json, "name", "State");
	print_state_topic(json, "state_topic", plan);
	json_text(json, "payload_on", "online");
	json_text(json, "payload_off", "offline");
	json_text(json, "device_class", "connectivity");
	json_text(json, "entity_category", "diagnostic");
	json_object_end(json);
}

/* Where the next part ends that begins with the metric `at`, or behind the last metric. */
static uint32_t part_end(const struct plan *plan, size_t item, uint32_t at)
{
	const struct plan_device *device = device_of(plan, item);
	struct json count = json_into(NULL, SIZE_MAX);
	print_head(&count, plan, item);
	size_t used = count.n + 8, own = 0;
	for (; at < device->first_metric + device->n_metrics; at++) {
		if (!discovery_tells(&plan->metrics[at]))
			continue;
		count = json_into(NULL, SIZE_MAX);
		discovery_entity_print(&count, plan, &plan->metrics[at]);
		used += count.n + 1;
		if (used > DISCOVERY_MAX && own > 0)
			break;
		own++;
	}
	return at;
}

/* The next part, from the metric *at on: up to *ret_end.  False when there is none. */
static bool next_part(const struct plan *plan, size_t item, uint32_t *at, uint32_t *ret_end)
{
	const struct plan_device *device = device_of(plan, item);
	uint32_t end = device->first_metric + device->n_metrics;
	while (*at < end && !discovery_tells(&plan->metrics[*at]))
		(*at)++;
	if (*at == end)
		return false;
	*ret_end = part_end(plan, item, *at);
	return true;
}

/* The metrics of a part, from *ret_at up to *ret_end.  False when there is no such part. */
static bool part_of(const struct plan *plan, size_t item, unsigned part, uint32_t *ret_at, uint32_t *ret_end)
{
	uint32_t at = device_of(plan, item)->first_metric, end;
	for (; next_part(plan, item, &at, &end); at = end)
		if (part-- == 0) {
			*ret_at = at;
			*ret_end = end;
			return true;
		}
	return false;
}

unsigned discovery_parts(const struct plan *plan, size_t item)
{
	unsigned n = 0;
	if (item == 0)
		return 1;
	uint32_t at = device_of(plan, item)->first_metric, end;
	for (; next_part(plan, item, &at, &end); at = end)
		n++;
	return n;
}

int discovery_topic_of(const struct plan *plan, size_t item, unsigned part, char topic[static MESSAGE_TOPIC_MAX + 1])
{
	return discovery_topic(plan->homeassistant.prefix, plan->gateway_id, item ? device_of(plan, item)->path : NULL,
		part, topic, MESSAGE_TOPIC_MAX + 1);
}

int discovery_print(const struct plan *plan, size_t item, unsigned part, char *text, size_t size)
{
	struct json json = json_into(text, size);
	uint32_t at = 0, end = 0;
	if (item ? !part_of(plan, item, part, &at, &end) : part > 0)
		return -ENOENT;
	print_head(&json, plan, item);
	if (!item)
		print_gateway(&json, plan);
	for (; at < end; at++)
		if (discovery_tells(&plan->metrics[at]))
			discovery_entity_print(&json, plan, &plan->metrics[at]);
	return print_tail(&json);
}

/* ---- What the broker had ---- */

/* Is a component of this id and platform in the part? */
static bool has_component(const struct plan *plan, uint32_t at, uint32_t end, const char *id, const char *platform)
{
	for (; at < end; at++) {
		char own[DISCOVERY_ID_SIZE];
		const struct plan_metric *metric = &plan->metrics[at];
		discovery_component(payload_label(plan, metric), own);
		if (strcmp(own, id) == 0)
			return discovery_tells(metric) && strcmp(discovery_platform(plan, metric), platform) == 0;
	}
	return false;
}

int discovery_print_gone(
	const struct plan *plan, size_t item, unsigned part, const char *was, size_t n, char *text, size_t size)
{
	struct json_value components, key, value;
	struct json json = json_into(text, size - 4); /* for the tail */
	size_t each = 0, n_gone = 0;
	uint32_t at, end;
	if (!item || n > MESSAGE_PAYLOAD_MAX || !json_find(was, n, "components", &components) ||
		!part_of(plan, item, part, &at, &end))
		return 0;
	print_head(&json, plan, item);
	while (json_each(components.text, components.n, &each, &key, &value)) {
		char id[DISCOVERY_ID_SIZE], platform[24];
		struct json before = json;
		if (!json_text_of(&key, id, sizeof(id)) ||
			!json_find_text(value.text, value.n, "platform", platform, sizeof(platform)) ||
			platform[strspn(platform, "abcdefghijklmnopqrstuvwxyz_")] ||
			has_component(plan, at, end, id, platform))
			continue;
		json_object(&json, id);
		json_text(&json, "platform", platform);
		json_object_end(&json);
		if (json.overflow) { /* the others go the next time that it is read back */
			json = before;
			break;
		}
		n_gone++;
	}
	json.size = size;
	return n_gone ? print_tail(&json) : 0;
}

bool discovery_is_ours(const struct plan *plan, const char *payload, size_t n)
{
	char name[16], state[6 * MESSAGE_TOPIC_MAX + 64];
	struct json_value origin;
	struct json json = json_into(state, sizeof(state));
	if (!json_find(payload, n, "origin", &origin) ||
		!json_find_text(origin.text, origin.n, "name", name, sizeof(name)) || strcmp(name, "Busferry") != 0)
		return false;
	print_state_topic(&json, "topic", plan);
	/* `"topic":"…"` of the availability, or the end of `"state_topic":"…"` */
	return json_end(&json) > 0 && memmem(payload, n, state + 1, json.n - 1) != NULL;
}

/*
 * Printing of discovery messages.  See discovery.h.
 *
 * Why long key names: the short ones are newer, and an older Home Assistant takes no message with keys that it does not
 * know.
 *
 * Why a template asks for `replayed`: Home Assistant stores a value with the instant at which it came, so what was read
 * during an outage would become its present and its history of now.  A number's template gives nothing then, which is
 * ignored (sensor.py, binary_sensor.py, number.py); a text sensor would take even that, so it and those with options are
 * given the state that they have.  When no state is known a replayed reading is better than none.
 *
 * Why ["values"] and not .values: that is a method of every dictionary in Jinja.
 *
 * Invariant: which part has a metric follows from the plan alone; no part is longer than DISCOVERY_MAX.
 */
#include "ship/discovery.h"
#include "base/json.h"
#include "base/json_find.h"
#include "model/unit.h"
#include "ship/discovery_id.h"
#include "ship/payload.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define OPTIONS_MAX       256   /* more words are shown as texts */
#define OPTIONS_BYTES     16384 /* likewise */
#define STEP_MIN          1e-3  /* number.py takes no smaller one */
#define SOON_US           ((int64_t)10 * 1000000) /* a metric with "0s" is read so often at least */
#define MISSED_POLLS      3
#define MARGIN_S          30
#define NAME_SIZE         (MESSAGE_TOPIC_MAX + 1)
#define TEMPLATE_SIZE     (6 * MESSAGE_TOPIC_MAX + 512)

enum entity { ENTITY_NUMBER_SENSOR, ENTITY_TEXT_SENSOR, ENTITY_ENUM_SENSOR, ENTITY_BINARY, ENTITY_SWITCH, ENTITY_SELECT, ENTITY_NUMBER };

static const char *platform_of(enum entity entity)
{
	switch (entity) {
	case ENTITY_BINARY:
		return "binary_sensor";
	case ENTITY_SWITCH:
		return "switch";
	case ENTITY_SELECT:
		return "select";
	case ENTITY_NUMBER:
		return "number";
	default:
		return "sensor";
	}
}

static bool is_boolean(const struct plan_metric *metric)
{
	return metric->shape.type == BF_TYPE_BOOL || metric->n_bits == 1;
}

/* The same word for two numbers is one option. */
static bool is_first_of_its_word(const struct plan_metric *metric, uint32_t i)
{
	for (uint32_t j = 0; j < i; j++)
		if (strcmp(metric->words[j].word, metric->words[i].word) == 0)
			return false;
	return true;
}

static bool options_fit(const struct plan_metric *metric)
{
	size_t n = 0;
	for (uint32_t i = 0; i < metric->n_words && metric->n_words <= OPTIONS_MAX; i++)
		n += 6 * strlen(metric->words[i].word);
	return metric->n_words <= OPTIONS_MAX && n <= OPTIONS_BYTES;
}

/* The limits of a number that may be written; false when Home Assistant would take none of them. */
static bool limits(const struct plan_metric *metric, double *ret_min, double *ret_max)
{
	double least, greatest;
	plan_type_range(metric->shape.type, &least, &greatest);
	double a = least * metric->scale + metric->offset, b = greatest * metric->scale + metric->offset;
	*ret_min = isnan(metric->write->min) ? fmin(a, b) : metric->write->min;
	*ret_max = isnan(metric->write->max) ? fmax(a, b) : metric->write->max;
	return isfinite(*ret_min) && isfinite(*ret_max) && *ret_min < *ret_max;
}

static enum entity entity_of(const struct plan *plan, const struct plan_metric *metric)
{
	double min, max;
	bool writable = plan->control && metric->write;
	if (metric->n_words && options_fit(metric))
		return writable ? ENTITY_SELECT : ENTITY_ENUM_SENSOR;
	if (metric->n_words || metric->shape.type == BF_TYPE_STRING)
		return ENTITY_TEXT_SENSOR;
	if (is_boolean(metric))
		return writable ? ENTITY_SWITCH : ENTITY_BINARY;
	return writable && limits(metric, &min, &max) ? ENTITY_NUMBER : ENTITY_NUMBER_SENSOR;
}

unsigned discovery_expires_s(const struct plan_metric *metric)
{
	int64_t every_us = metric->every_us == 0 ? SOON_US : metric->every_us;
	if (metric->every_us == PLAN_EVERY_START || metric->event ||
		(!isnan(metric->deadband) && metric->heartbeat_us <= 0))
		return 0;
	int64_t silence_us = every_us + (isnan(metric->deadband) ? 0 : metric->heartbeat_us);
	return (unsigned)((silence_us + MISSED_POLLS * every_us + 999999) / 1000000) + MARGIN_S;
}

/* ---- Texts ---- */

/* "flow_temp" for people: "Flow temp". */
static const char *spoken(const char *label, size_t n, char text[static NAME_SIZE])
{
	if (n > NAME_SIZE - 1)
		n = NAME_SIZE - 1;
	for (size_t i = 0; i < n; i++)
		text[i] = (char)(label[i] == '_' || label[i] == '/' ? ' ' : label[i]);
	if (n && text[0] >= 'a' && text[0] <= 'z')
		text[0] = (char)(text[0] - ('a' - 'A'));
	text[n] = '\0';
	return text;
}

/* A label as a text of Jinja, with its quotes. */
static void quoted(const char *label, char text[static 2 * MESSAGE_TOPIC_MAX + 3])
{
	size_t n = 0;
	text[n++] = '\'';
	for (; *label && n < (size_t)2 * MESSAGE_TOPIC_MAX; label++) {
		if (*label == '\'' || *label == '\\')
			text[n++] = '\\';
		text[n++] = *label;
	}
	text[n++] = '\'';
	text[n] = '\0';
}

#define KNOWN    "this.state not in ['unknown','unavailable']"
#define REPLAYED "value_json.replayed is defined and " KNOWN

/* Home Assistant reads what it gives; "None" is unknown. */
static void print_template(struct json *json, const char *label, const struct plan_metric *metric, enum entity entity)
{
	bool keeps = entity == ENTITY_TEXT_SENSOR || entity == ENTITY_ENUM_SENSOR || entity == ENTITY_SELECT;
	/* a number without a word is no option */
	const char *only = entity == ENTITY_ENUM_SENSOR || entity == ENTITY_SELECT ? " if v is string else None" : "";
	char text[TEMPLATE_SIZE], name[2 * MESSAGE_TOPIC_MAX + 3];
	int n;
	if (metric->delivery.per_device) {
		quoted(label, name);
		n = snprintf(text, sizeof(text),
			"{%% set v=value_json['values'][%s]|default(None) %%}{{ %s if " REPLAYED
			" or %s not in value_json['values'] and %s not in value_json.quality|default({}) else v%s }}",
			name, keeps ? "(this.state if " KNOWN " else None)" : "''", name, name, only);
	} else {
		n = snprintf(text, sizeof(text), "{%% set v=value_json.value %%}{{ %s if " REPLAYED " else v%s }}",
			keeps ? "this.state" : "''", only);
	}
	if (n > 0 && (size_t)n < sizeof(text))
		json_text_n(json, "value_template", text, (size_t)n);
}

static void json_number(struct json *json, const char *key, double number)
{
	char digits[BF_NUMBER_SIZE];
	struct bf_value value = {.kind = BF_FLOAT64, .f64 = number};
	int n = bf_value_print(&value, -1, digits);
	if (n > 0)
		json_raw(json, key, digits, (size_t)n);
}

/* ---- One metric ---- */

static void print_number_kind(struct json *json, const struct plan_metric *metric, bool is_sensor)
{
	/* the Greek mu is taken by newer versions only, the micro sign by all of them */
	static const char mu[] = "μ", micro[] = "µ";
	const char *unit = metric->unit;
	char text[NAME_SIZE];
	if (unit && strncmp(unit, mu, strlen(mu)) == 0 && strlen(unit) < sizeof(text)) {
		snprintf(text, sizeof(text), "%s%s", micro, unit + strlen(mu));
		unit = text;
	}
	enum unit_class class = unit_class_of(unit, metric->name);
	if (class != UNIT_NONE)
		json_text(json, "device_class", unit_class_word(class));
	if (unit)
		json_text(json, "unit_of_measurement", unit);
	if (!is_sensor)
		return;
	json_text(json, "state_class", unit_state_class(class, metric->name, metric->monotonic));
	if (metric->decimals >= 0)
		json_int(json, "suggested_display_precision", metric->decimals);
}

static void print_limits(struct json *json, const struct plan_metric *metric)
{
	double min, max, step = metric->write->step;
	limits(metric, &min, &max);
	if (isnan(step))
		step = metric->decimals > 0 ? pow(10, -metric->decimals) : STEP_MIN;
	json_number(json, "min", min);
	json_number(json, "max", max);
	json_number(json, "step", fmax(step, STEP_MIN));
}

static void print_options(struct json *json, const struct plan_metric *metric)
{
	json_array(json, "options");
	for (uint32_t i = 0; i < metric->n_words; i++)
		if (is_first_of_its_word(metric, i))
			json_text(json, NULL, metric->words[i].word);
	json_array_end(json);
}

static void print_topics(struct json *json, const struct plan *plan, const struct plan_metric *metric, bool is_set)
{
	const struct plan_device *device = &plan->devices[metric->device];
	json_text(json, "state_topic", metric->delivery.per_device ? device->topic : metric->topic);
	if (is_set) {
		char topic[MESSAGE_TOPIC_MAX + 8];
		snprintf(topic, sizeof(topic), "%.*s/set", MESSAGE_TOPIC_MAX, metric->topic);
		json_text(json, "command_topic", topic);
	}
}

/* By the template a boolean is Python's. */
static void print_on_off(struct json *json, bool plain)
{
	json_text(json, "payload_on", plain ? "true" : "True");
	json_text(json, "payload_off", plain ? "false" : "False");
}

static void print_component(struct json *json, const struct plan *plan, const struct plan_metric *metric)
{
	const struct plan_device *device = &plan->devices[metric->device];
	const char *label = payload_label(plan, metric);
	enum entity entity = entity_of(plan, metric);
	bool is_set = entity == ENTITY_SWITCH || entity == ENTITY_SELECT || entity == ENTITY_NUMBER;
	bool plain = metric->delivery.payload == PAYLOAD_PLAIN;
	char id[DISCOVERY_ID_SIZE], text[NAME_SIZE];
	discovery_component(label, id);
	json_object(json, id);
	json_text(json, "platform", platform_of(entity));
	discovery_id(plan->gateway_id, device->path, label, id);
	json_text(json, "unique_id", id);
	discovery_slug(device->path, label, id);
	snprintf(text, sizeof(text), "%s.%s", platform_of(entity), id);
	json_text(json, "default_entity_id", text);
	json_text(json, "name", spoken(label, strlen(label), text));
	print_topics(json, plan, metric, is_set);
	if (!plain)
		print_template(json, label, metric, entity);
	switch (entity) {
	case ENTITY_NUMBER_SENSOR:
	case ENTITY_NUMBER:
		print_number_kind(json, metric, entity == ENTITY_NUMBER_SENSOR);
		break;
	case ENTITY_ENUM_SENSOR:
		json_text(json, "device_class", "enum");
		break;
	case ENTITY_BINARY:
	case ENTITY_SWITCH:
		print_on_off(json, plain);
		break;
	case ENTITY_TEXT_SENSOR:
	case ENTITY_SELECT:
		break;
	}
	if (entity == ENTITY_NUMBER)
		print_limits(json, metric);
	if (entity == ENTITY_ENUM_SENSOR || entity == ENTITY_SELECT)
		print_options(json, metric);
	unsigned expires_s = is_set ? 0 : discovery_expires_s(metric);
	if (expires_s)
		json_int(json, "expire_after", expires_s);
	json_object_end(json);
}

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
	char id[DISCOVERY_ID_SIZE], text[NAME_SIZE];
	const char *slash = device ? strrchr(device->path, '/') : NULL;
	json_object(json, "device");
	json_array(json, "identifiers");
	discovery_id(plan->gateway_id, device ? device->path : NULL, NULL, id);
	json_text(json, NULL, id);
	json_array_end(json);
	if (device) {
		json_text(json, "name", spoken(device->name, strlen(device->name), text));
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
		json_text(json, "suggested_area", spoken(area, (size_t)(slash - area), text));
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
		print_component(&count, plan, &plan->metrics[at]);
		used += count.n + 1;
		if (used > DISCOVERY_MAX && own > 0)
			break;
		own++;
	}
	return at;
}

/* The metrics of a part, from *ret_at up to *ret_end.  False when there is no such part. */
static bool part_of(const struct plan *plan, size_t item, unsigned part, uint32_t *ret_at, uint32_t *ret_end)
{
	const struct plan_device *device = device_of(plan, item);
	uint32_t at = device->first_metric, end = device->first_metric + device->n_metrics;
	for (unsigned i = 0;; i++) {
		while (at < end && !discovery_tells(&plan->metrics[at]))
			at++;
		if (at == end)
			return false;
		*ret_at = at;
		*ret_end = at = part_end(plan, item, at);
		if (i == part)
			return true;
	}
}

unsigned discovery_parts(const struct plan *plan, size_t item)
{
	unsigned n = 0;
	uint32_t at, end;
	if (item == 0)
		return 1;
	while (part_of(plan, item, n, &at, &end))
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
	if (item && !part_of(plan, item, part, &at, &end))
		return -ENOENT;
	print_head(&json, plan, item);
	if (!item)
		print_gateway(&json, plan);
	for (; at < end; at++)
		if (discovery_tells(&plan->metrics[at]))
			print_component(&json, plan, &plan->metrics[at]);
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
			return discovery_tells(metric) && strcmp(platform_of(entity_of(plan, metric)), platform) == 0;
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
	if (!item || !json_find(was, n, "components", &components) || !part_of(plan, item, part, &at, &end))
		return 0;
	print_head(&json, plan, item);
	while (json_each(components.text, components.n, &each, &key, &value)) {
		char id[DISCOVERY_ID_SIZE], platform[24];
		struct json before = json;
		if (!json_text_of(&key, id, sizeof(id)) ||
			!json_find_text(value.text, value.n, "platform", platform, sizeof(platform)) ||
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

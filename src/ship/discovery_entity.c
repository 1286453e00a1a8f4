/*
 * One metric as an entity of Home Assistant.  See discovery_entity.h.
 *
 * Why a template asks for `replayed`: Home Assistant stores a value with the instant at which it came, so what was read
 * during an outage would become its present and its history of now.  A number's template gives nothing then, which is
 * ignored (sensor.py, binary_sensor.py, number.py); a text sensor would take even that, so it and those with options
 * are given the state that they have.  What is read once only is the present, whenever it comes.
 *
 * Why ["values"] and not .values: that is a method of every dictionary in Jinja.
 */
#include "ship/discovery_entity.h"
#include "model/message.h"
#include "model/unit.h"
#include "ship/discovery_id.h"
#include "ship/payload.h"
#include "ship/pen.h"
#include "ship/wanted.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define OPTIONS_MAX   256                     /* more words are shown as texts */
#define OPTIONS_BYTES 16384                   /* likewise */
#define STEP_MIN      1e-3                    /* number.py takes no smaller one */
#define SOON_US       ((int64_t)10 * 1000000) /* a metric with "0s" is read so often at least */
#define MISSED_POLLS  3
#define MARGIN_S      30
#define TEMPLATE_SIZE (8 * MESSAGE_TOPIC_MAX + 768) /* the name stands in it up to four times, escaped */

enum entity {
	ENTITY_NUMBER_SENSOR,
	ENTITY_TEXT_SENSOR,
	ENTITY_ENUM_SENSOR,
	ENTITY_BINARY,
	ENTITY_SWITCH,
	ENTITY_SELECT,
	ENTITY_NUMBER
};

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
	double from = metric->write->from, step = metric->write->step, steps = (*ret_min - from) / step;
	if (isnan(metric->write->min) && !isnan(step) && !wanted_is_whole(steps))
		*ret_min = from + floor(steps) * step; /* browsers count steps from the least on */
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

const char *discovery_spoken(const char *label, size_t n, char text[static DISCOVERY_NAME_SIZE])
{
	if (n > DISCOVERY_NAME_SIZE - 1)
		n = DISCOVERY_NAME_SIZE - 1;
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

#define OLD  "value_json.replayed is defined"
#define KEPT "(this.state if this.state not in ['unknown','unavailable'] else None)"

/* Home Assistant reads what it gives; "None" is unknown. */
static void print_template(struct json *json, const char *label, const struct plan_metric *metric, enum entity entity)
{
	bool has_options = entity == ENTITY_ENUM_SENSOR || entity == ENTITY_SELECT;
	const char *kept = has_options || entity == ENTITY_TEXT_SENSOR ? KEPT : "''";
	bool is_told_once = metric->every_us == PLAN_EVERY_START;
	char text[TEMPLATE_SIZE], name[2 * MESSAGE_TOPIC_MAX + 3], value[sizeof(name) + 48] = "value_json.value";
	char unless[2 * sizeof(name) + 128] = OLD;
	if (metric->delivery.per_device) {
		quoted(label, name);
		snprintf(value, sizeof(value), "value_json['values'][%s]|default(None)", name);
		snprintf(unless, sizeof(unless),
			"%s%s not in value_json['values'] and %s not in value_json.quality|default({})",
			is_told_once ? "" : OLD " or ", name, name);
	} else if (is_told_once) {
		unless[0] = '\0';
	}
	struct pen pen = {.text = text, .size = sizeof(text)};
	pen_text(&pen, "{{ ");
	if (unless[0]) {
		pen_text(&pen, kept);
		pen_text(&pen, " if ");
		pen_text(&pen, unless);
		pen_text(&pen, " else ");
	}
	pen_text(&pen, value);
	if (has_options) { /* a number without a word is none of them */
		pen_text(&pen, " if ");
		pen_text(&pen, value);
		pen_text(&pen, " is string else None");
	}
	pen_text(&pen, " }}");
	json_text_n(json, "value_template", text, pen.n);
}

/* What decimal fractions are off in binary is left out. */
static void json_number(struct json *json, const char *key, double number)
{
	char digits[BF_NUMBER_SIZE];
	int n = snprintf(digits, sizeof(digits), "%.12g", number);
	if (n > 0)
		json_raw(json, key, digits, (size_t)n);
}

/* ---- One metric ---- */

static void print_number_kind(struct json *json, const struct plan_metric *metric, bool is_sensor)
{
	/* the Greek mu is taken by newer versions only, the micro sign by all of them */
	static const char mu[] = "μ", micro[] = "µ";
	const char *unit = metric->unit;
	char text[DISCOVERY_NAME_SIZE];
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

const char *discovery_platform(const struct plan *plan, const struct plan_metric *metric)
{
	return platform_of(entity_of(plan, metric));
}

void discovery_entity_print(struct json *json, const struct plan *plan, const struct plan_metric *metric)
{
	const struct plan_device *device = &plan->devices[metric->device];
	const char *label = payload_label(plan, metric);
	enum entity entity = entity_of(plan, metric);
	bool is_set = entity == ENTITY_SWITCH || entity == ENTITY_SELECT || entity == ENTITY_NUMBER;
	bool plain = metric->delivery.payload == PAYLOAD_PLAIN;
	char id[DISCOVERY_ID_SIZE], text[DISCOVERY_NAME_SIZE];
	discovery_component(label, id);
	json_object(json, id);
	json_text(json, "platform", platform_of(entity));
	discovery_id(plan->gateway_id, device->path, label, id);
	json_text(json, "unique_id", id);
	discovery_slug(device->path, label, id);
	snprintf(text, sizeof(text), "%s.%s", platform_of(entity), id);
	json_text(json, "default_entity_id", text);
	json_text(json, "name", discovery_spoken(label, strlen(label), text));
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

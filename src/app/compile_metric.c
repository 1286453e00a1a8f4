/*
 * One metric of a device, from its group to the plan.  See compile.h.
 *
 * The core's keys and the driver's stand in one group; the driver says where the value lies, the core what it means.
 * A metric with `bits` is a register that is not told itself: each name becomes a metric of its own beside it.
 */
#include "app/compile.h"
#include "model/message.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SCALE_TINY 1e-9 /* smaller steps need more decimals than a rounded number is printed with */

static const char *const reserved[] = {"availability", "set", "get", "result", NULL};

static bool number_type(enum bf_type type)
{
	return type != BF_TYPE_STRING && type != BF_TYPE_BOOL;
}

/* The shape before the driver has seen it. */
static struct bf_shape shape_of(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const struct map_metric *map)
{
	struct bf_shape shape = {
		.type = map->type == BF_UNSET ? BF_TYPE_U16 : (enum bf_type)map->type,
		.words = (enum bf_order)(map->words == BF_UNSET ? device->map->words : map->words),
		.bytes = (enum bf_order)(map->bytes == BF_UNSET ? device->map->bytes : map->bytes),
	};
	if (shape.type == BF_TYPE_STRING) {
		if (map->length == BF_UNSET && !tree_get(at, "length"))
			compile_fault(compile, at, "type", "write length: 16 for 16 bytes in 8 registers",
				"a string needs a \"length\"");
		shape.length = (uint16_t)(map->length == BF_UNSET ? 2 : map->length);
	} else if (map->length != BF_UNSET) {
		compile_fault(compile, at, "length", "write type: \"string\"", "\"length\" is for strings only");
	}
	return shape;
}

/* Where it lies, by its driver.  False when a fault was told. */
static bool place_of(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const struct map_metric *map, const void *keys, bool sound, struct plan_metric *metric)
{
	struct bf_complaint complaint = {0};
	enum bf_type type = metric->shape.type;
	int err = device->driver->place(device->keys, keys, &metric->shape, &metric->place, &complaint);
	const char *hint = complaint.hint[0] ? complaint.hint : NULL;
	if (err < 0 && complaint.key)
		compile_fault(compile, at, complaint.key, hint, "\"%s\" %s", complaint.key, complaint.what);
	else if (err < 0 && sound) /* else the place is what has been told already */
		compile_fault(compile, at, NULL, hint, "metric \"%s\" %s", at->name, complaint.what);
	if (err < 0)
		return false;
	if (metric->shape.type != type && map->type != BF_UNSET)
		compile_fault(compile, at, "type", "leave it out", "a single bit is \"%s\", not \"%s\"",
			bf_type_name(metric->shape.type), bf_type_name(type));
	bool registers = metric->place.space == BF_SPACE_INPUT || metric->place.space == BF_SPACE_HOLDING;
	if (registers && metric->place.count > device->max_registers)
		compile_fault(compile, at, type == BF_TYPE_STRING ? "length" : "type", NULL,
			"a value of %u registers would be split: \"max_registers\" of the device is %u",
			metric->place.count, device->max_registers);
	return true;
}

static void scale(
	struct compile *compile, const struct tree *at, const struct map_metric *map, struct plan_metric *metric)
{
	static const char *const keys[] = {
		"scale", "offset", "decimals", "scale_from", "min", "max", "max_step", "monotonic"};
	bool numeric = number_type(metric->shape.type);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		bool bits_too = i < 4; /* what would change the bits */
		if (!tree_get(at, keys[i]) || (numeric && !(bits_too && (map->bits || map->words_of))))
			continue;
		compile_fault(compile, at, keys[i], NULL, "\"%s\" has no meaning for %s", keys[i],
			metric->shape.type == BF_TYPE_STRING ? "a text"
			: !numeric                           ? "true and false"
			: map->bits                          ? "bits"
							     : "an enum");
	}
	metric->scale = isnan(map->scale) ? 1 : map->scale;
	metric->offset = isnan(map->offset) ? 0 : map->offset;
	metric->scaled = metric->scale != 1 || metric->offset != 0;
	if (metric->scale == 0)
		compile_fault(compile, at, "scale", NULL, "a \"scale\" of 0 makes all values the same");
	int by_scale = bf_decimals_of(metric->scale), by_offset = bf_decimals_of(metric->offset);
	if (map->decimals != BF_UNSET)
		metric->decimals = map->decimals;
	else if (metric->scaled && map->scale_from.kind == BF_SCALAR_NONE)
		metric->decimals = by_scale > by_offset ? by_scale : by_offset;
	else
		metric->decimals = -1;
	/* Tiny steps: rounded to as many as there can be, 1e-13 would be 0. */
	if (map->decimals == BF_UNSET && metric->decimals == BF_DECIMALS_MAX && fabs(metric->scale) < SCALE_TINY)
		metric->decimals = -1;
	metric->min = map->min;
	metric->max = map->max;
	metric->max_step = map->max_step;
	metric->monotonic = map->monotonic == 1;
	if (map->min > map->max)
		compile_fault(compile, at, "min", NULL, "\"min\" is more than \"max\"");
}

/* The place that the key names, in the notation of the driver, as if the metric itself lay there. */
static bool place_of_key(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const char *key, const struct plan_metric *metric, struct bf_place *ret_place)
{
	const struct bf_key *row = device->driver->metric_keys;
	while (row->name && !tree_get(at, row->name))
		row++;
	if (!row->name)
		return false;
	struct tree *alone = tree_add(NULL, TREE_GROUP, NULL, &compile->scratch);
	struct tree *setting = tree_copy(alone, tree_get(at, key), &compile->scratch);
	setting->name = row->name;
	void *keys = arena_alloc(&compile->scratch, device->driver->metric_size);
	struct schema_part part = {device->driver->metric_keys, keys};
	struct bf_shape shape = {.type = metric->shape.type == BF_TYPE_BOOL ? BF_TYPE_BOOL : BF_TYPE_U16};
	struct bf_complaint complaint = {0};
	if (!schema_read(key, alone, &part, 1, &compile->scratch, compile->faults))
		return false;
	if (device->driver->place(device->keys, keys, &shape, ret_place, &complaint) == 0)
		return true;
	compile_fault(compile, at, key,
		arena_format(&compile->scratch, "it is in the same table as the metric, \"%s\"", row->name),
		"\"%s\" %s", key, complaint.what);
	return false;
}

static void scale_from(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const struct map_metric *map, struct plan_metric *metric)
{
	if (map->scale_from.kind == BF_SCALAR_NONE || metric->shape.type == BF_TYPE_BOOL) /* which was told */
		return;
	if (!place_of_key(compile, device, at, "scale_from", metric, &metric->scale_place))
		return;
	const struct bf_place *place = &metric->place;
	unsigned from = metric->scale_place.at, low = place->at, high = low + place->count;
	low = from < low ? from : low;
	high = from + 1 > high ? from + 1 : high;
	if (high - low > device->max_registers)
		compile_fault(compile, at, "scale_from", NULL,
			"\"scale_from\" is too far away: one read from it to the value takes %u registers, %u is the "
			"most",
			high - low, device->max_registers);
	metric->scale_from = true;
}

static void append(struct compile *compile, const struct tree *at, const struct plan_metric *metric)
{
	size_t n = compile->plan->n_metrics;
	if (strlen(metric->topic) + strlen("/result") > MESSAGE_TOPIC_MAX)
		compile_fault(compile, at, NULL, NULL, "the topic of metric \"%s\" is longer than %d bytes", at->name,
			MESSAGE_TOPIC_MAX);
	compile->metrics = compile_grow(compile->metrics, n, &compile->metrics_size, sizeof(*metric));
	compile->metric_at = compile_grow(compile->metric_at, n, &compile->metric_at_size, sizeof(at));
	compile->metrics[n] = *metric;
	compile->metric_at[n] = at;
	compile->plan->n_metrics++;
}

/* Its name and topic; what the rules say follows from them. */
static void name(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const struct map_metric *map, const char *topic, struct plan_metric *metric)
{
	const char *text = compile_topic_text(compile, at, topic);
	const char *word = text ? compile_reserved(text, reserved) : NULL;
	if (word)
		compile_fault(compile, at, topic ? "topic" : NULL, "write another key, or topic: \"…\"",
			"\"%s\" is a reserved word for metrics", word);
	metric->topic = arena_format(
		compile->keep, "%s/%s", compile->devices[device->index].topic, text ? text : COMPILE_NAMELESS);
	const char *slash = strrchr(metric->topic, '/');
	metric->name = slash + 1;
	compile_delivery(compile, at, map, metric->topic, metric->name, &metric->delivery);
}

static void bits(struct compile *compile, const struct compile_device *device, const struct map_metric *map,
	const struct tree *at, const struct plan_metric *whole)
{
	if (!compile_is_whole(whole->shape.type)) {
		compile_fault(compile, at, "bits", NULL, "\"bits\" need a whole number, not \"%s\"",
			bf_type_name(whole->shape.type));
		return;
	}
	if (map->bits->n == 0)
		compile_fault(compile, at, "bits", "write bits: { alarm: 0 }", "\"bits\" is empty");
	for (const struct tree *bit = map->bits->first; bit; bit = bit->next) {
		struct plan_metric metric = *whole;
		if (!compile_bit(compile, bit, &metric))
			continue;
		name(compile, device, bit, map, NULL, &metric);
		append(compile, bit, &metric);
	}
}

static void unit(
	struct compile *compile, const struct tree *at, const struct map_metric *map, struct plan_metric *metric)
{
	if (!map->unit || map->unit[0] == '\0')
		return;
	metric->unit = arena_text(compile->keep, map->unit);
	const char *better = compile_unit(map->unit);
	if (map->bits || map->words_of || !number_type(metric->shape.type))
		compile_warning(compile, at, "unit", "leave it out", "Home Assistant would reject a unit for %s",
			map->bits                              ? "bits"
			: map->words_of                        ? "an enum"
			: metric->shape.type == BF_TYPE_STRING ? "a text"
							       : "true and false");
	else if (better)
		compile_warning(compile, at, "unit", arena_format(&compile->scratch, "write \"%s\"", better),
			"Home Assistant would reject the unit \"%s\"", map->unit);
}

void compile_metric(struct compile *compile, const struct compile_device *device, const struct tree *at)
{
	if (at->type != TREE_GROUP) {
		faults_add(compile->faults, FAULT_ERROR, &at->at,
			arena_format(&compile->scratch, "write %s: { input: 0 }", at->name),
			"the metric \"%s\" is %s, it must be a group", at->name, tree_what(at));
		return;
	}
	/* what is needed for this one only is not kept for ten thousand */
	struct arena_mark before = arena_mark(&compile->scratch);
	char what[128];
	snprintf(what, sizeof(what), "metric \"%.100s\"", at->name);
	struct map_metric map;
	void *keys = arena_alloc(&compile->scratch, device->driver->metric_size);
	struct schema_part parts[] = {{schema_metric, &map}, {device->driver->metric_keys, keys}};
	bool sound = schema_read(what, at, parts, 2, &compile->scratch, compile->faults);

	struct plan_metric metric = {.device = device->index, .shape = shape_of(compile, device, at, &map)};
	bool placed = place_of(compile, device, at, &map, keys, sound, &metric);
	metric.every_us = map.every_us == BF_UNSET ? device->every_us : map.every_us;
	metric.reduce = (enum plan_reduce)map.reduce;
	scale(compile, at, &map, &metric);
	if (placed)
		scale_from(compile, device, at, &map, &metric);
	unit(compile, at, &map, &metric);
	if (map.words_of && !map.bits)
		compile_enum(compile, at, map.words_of, &metric);
	if (map.words_of && map.bits)
		compile_fault(compile, at, "enum", NULL, "\"enum\" is given beside \"bits\"");
	if (map.invalid)
		compile_invalid(compile, at, map.invalid, &metric);
	compile_deadband(compile, at, &map, &metric);
	if (map.bits) {
		bits(compile, device, &map, at, &metric);
	} else {
		name(compile, device, at, &map, map.topic, &metric);
		append(compile, at, &metric);
	}
	arena_release(&compile->scratch, before);
}

/*
 * One metric of a device, from its group to the plan.  See compile.h.
 *
 * The core's keys and the driver's stand in one group; the driver says where the value lies, the core what it means.
 * A metric with `bits` is a register that is not told itself: each name becomes a metric of its own beside it.
 */
#include "app/compile.h"
#include "model/message.h"
#include "model/unit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SCALE_TINY 1e-9 /* smaller steps need more decimals than a rounded number is printed with */

static const char *const reserved[] = {"availability", "set", "get", "result", NULL};

static bool number_type(enum bf_type type)
{
	return type != BF_TYPE_STRING && type != BF_TYPE_BOOL;
}

static void scale(struct compile *compile, const struct tree *at, const struct map_metric *map, bool from_elsewhere,
	struct plan_metric *metric)
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
	else if (metric->scaled && !from_elsewhere)
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
	const char *better = unit_better(map->unit);
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

/* All that the map says of a metric. */
struct metric_keys {
	struct map_metric map;
	struct map_register_metric registers;
	struct map_stream_metric stream;
	void *own; /* the driver's */
};

/* What the driver of a stream keeps lives as long as the plan. */
static bool read_keys(
	struct compile *compile, const struct compile_device *device, const struct tree *at, struct metric_keys *keys)
{
	char what[128];
	snprintf(what, sizeof(what), "metric \"%.100s\"", at->name);
	struct arena *arena = device->stream ? compile->keep : &compile->scratch;
	keys->own = arena_alloc(arena, device->driver->metric_size);
	struct schema_part parts[] = {{schema_metric, &keys->map}, {schema_register_metric, &keys->registers},
		{device->driver->metric_keys, keys->own}};
	if (device->stream)
		parts[1] = (struct schema_part){schema_stream_metric, &keys->stream};
	return schema_read(what, at, parts, 3, arena, compile->faults);
}

static bool place(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const struct metric_keys *keys, bool sound, struct plan_metric *metric)
{
	metric->shape = compile_register_shape(compile, device, at, &keys->registers);
	return compile_register(compile, device, at, &keys->registers, keys->own, sound, metric);
}

/* What its values mean. */
static void means(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const struct metric_keys *keys, struct plan_metric *metric)
{
	const struct map_metric *map = &keys->map;
	scale(compile, at, map, keys->registers.scale_from.kind != BF_SCALAR_NONE, metric);
	unit(compile, at, map, metric);
	if (map->words_of && !map->bits)
		compile_enum(compile, at, map->words_of, metric);
	if (map->words_of && map->bits)
		compile_fault(compile, at, "enum", NULL, "\"enum\" is given beside \"bits\"");
	if (map->invalid)
		compile_invalid(compile, at, map->invalid, metric);
	compile_deadband(compile, at, map, metric);
	if (map->write)
		compile_write(compile, device, at, map, metric);
}

/* One metric, or one for each of its bits, or one for each time that it stands in the message. */
static void told(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const struct metric_keys *keys, struct plan_metric *metric)
{
	const char *topic = keys->map.topic;
	int n = device->stream ? keys->stream.repeat : BF_UNSET;
	if (n != BF_UNSET && keys->map.bits) {
		compile_fault(compile, at, "bits", NULL, "\"bits\" is given beside \"repeat\"");
		return;
	}
	if (keys->map.bits) {
		bits(compile, device, &keys->map, at, metric);
		return;
	}
	for (int i = 0; i < (n == BF_UNSET ? 1 : n); i++) {
		metric->index = (uint16_t)i;
		const char *own = n == BF_UNSET
					  ? topic
					  : arena_format(&compile->scratch, "%s_%d", topic ? topic : at->name, i + 1);
		name(compile, device, at, &keys->map, own, metric);
		append(compile, at, metric);
	}
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
	struct metric_keys keys = {0};
	struct plan_metric metric = {.device = device->index};
	bool sound = read_keys(compile, device, at, &keys);
	bool placed = device->stream
			      ? compile_stream_metric(compile, device, at, &keys.stream, keys.own, sound, &metric)
			      : place(compile, device, at, &keys, sound, &metric);
	const struct map_metric *map = &keys.map;
	metric.every_us = map->every_us == BF_UNSET ? device->every_us : map->every_us;
	metric.reduce = (enum plan_reduce)map->reduce;
	if (device->stream && !tree_get(at, "reduce"))
		metric.reduce = (enum plan_reduce)device->stream->reduce;
	if (placed || !device->stream)
		means(compile, device, at, &keys, &metric);
	told(compile, device, at, &keys, &metric);
	arena_release(&compile->scratch, before);
}

/*
 * A metric that lies in registers: its shape by the core's keys, its place by its driver's.  See compile.h.
 */
#include "app/compile.h"
#include "model/chain.h"

#include <stdio.h>
#include <string.h>

struct bf_shape compile_register_shape(struct compile *compile, const struct compile_device *device,
	const struct tree *at, const struct map_register_metric *map)
{
	struct bf_shape shape = {
		.type = map->type == BF_UNSET ? BF_TYPE_U16 : (enum bf_type)map->type,
		.words = (enum bf_order)(map->words == BF_UNSET ? device->registers->words : map->words),
		.bytes = (enum bf_order)(map->bytes == BF_UNSET ? device->registers->bytes : map->bytes),
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
	const struct map_register_metric *map, const void *keys, bool sound, struct plan_metric *metric)
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
	if (registers && metric->place.count > (unsigned)device->registers->max_registers)
		compile_fault(compile, at, type == BF_TYPE_STRING ? "length" : "type", NULL,
			"a value of %u registers would be split: \"max_registers\" of the device is %u",
			metric->place.count, (unsigned)device->registers->max_registers);
	return true;
}

/* The key by which the driver was told where the metric lies; NULL when there is none. */
static const char *place_key(const struct compile_device *device, const struct tree *at)
{
	const struct bf_key *row = device->driver->metric_keys;
	while (row->name && !tree_get(at, row->name))
		row++;
	return row->name;
}

/* The place that the key names, in the notation of the driver, as if the metric itself lay there. */
static bool place_of_key(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const char *key, const struct plan_metric *metric, struct bf_place *ret_place)
{
	const char *own = place_key(device, at);
	if (!own)
		return false;
	struct tree *alone = tree_add(NULL, TREE_GROUP, NULL, &compile->scratch);
	struct tree *setting = tree_copy(alone, tree_get(at, key), &compile->scratch);
	setting->name = own;
	void *keys = arena_alloc(&compile->scratch, device->driver->metric_size);
	struct schema_part part = {device->driver->metric_keys, keys};
	struct bf_shape shape = {.type = metric->shape.type == BF_TYPE_BOOL ? BF_TYPE_BOOL : BF_TYPE_U16};
	struct bf_complaint complaint = {0};
	if (!schema_read(key, alone, &part, 1, &compile->scratch, compile->faults))
		return false;
	if (device->driver->place(device->keys, keys, &shape, ret_place, &complaint) == 0)
		return true;
	compile_fault(compile, at, key,
		arena_format(&compile->scratch, "it is in the same table as the metric, \"%s\"", own), "\"%s\" %s", key,
		complaint.what);
	return false;
}

static void scale_from(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const struct map_register_metric *map, struct plan_metric *metric)
{
	if (map->scale_from.kind == BF_SCALAR_NONE || metric->shape.type == BF_TYPE_BOOL) /* which was told */
		return;
	if (!place_of_key(compile, device, at, "scale_from", metric, &metric->scale_place))
		return;
	const struct bf_place *place = &metric->place;
	unsigned from = metric->scale_place.at, low = place->at, high = low + place->count;
	low = from < low ? from : low;
	high = from + 1 > high ? from + 1 : high;
	if (high - low > (unsigned)device->registers->max_registers)
		compile_fault(compile, at, "scale_from", NULL,
			"\"scale_from\" is too far away: one read from it to the value takes %u registers, %u is the "
			"most",
			high - low, (unsigned)device->registers->max_registers);
	metric->scale_from = true;
}

/* A manual's number is one of the whole device. */
static void counts_from_model(struct compile *compile, const struct compile_device *device, const struct tree *at)
{
	const char *const keys[] = {place_key(device, at), "scale_from"};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct tree *setting = keys[i] ? tree_get(at, keys[i]) : NULL;
		if (setting && setting->type == TREE_TEXT)
			compile_fault(compile, at, keys[i],
				"write a number: 0 is the id, 1 the length, 2 the first value",
				"\"%s\" counts from the model's id, in a model the manual's numbers mean nothing",
				keys[i]);
	}
}

/* The models in which it may lie. */
static void models(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const struct map_register_metric *map, struct plan_metric *metric)
{
	const struct tree *given = map->models;
	bool list = given->type == TREE_LIST;
	size_t n = list ? given->n : 1;
	uint16_t *ids = arena_array(compile->keep, n ? n : 1, sizeof(*ids));
	const struct tree *item = list ? given->first : given;
	if (n == 0)
		compile_fault(
			compile, at, "model", "write model: 103, or model: [101, 102, 103]", "\"model\" is empty");
	if (n > UINT8_MAX) { /* n_models is a byte */
		compile_fault(compile, at, "model", NULL, "\"model\" names %zu models, %d are the most", n, UINT8_MAX);
		n = UINT8_MAX;
	}
	for (size_t i = 0; i < n; i++, item = item->next) {
		if (item->type == TREE_INT && item->i >= 1 && item->i < CHAIN_END)
			ids[metric->n_models++] = (uint16_t)item->i;
		else
			faults_add(compile->faults, FAULT_ERROR, &item->at, NULL,
				"a model is a whole number from 1 to %d", CHAIN_END - 1);
	}
	metric->models = ids;
	if (metric->place.space != BF_SPACE_HOLDING)
		compile_fault(compile, at, "model", NULL,
			"\"model\" goes with \"holding\" only: models lie in holding registers");
	counts_from_model(compile, device, at);
}

bool compile_register(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const struct map_register_metric *map, const void *keys, bool sound, struct plan_metric *metric)
{
	if (!place_of(compile, device, at, map, keys, sound, metric))
		return false;
	scale_from(compile, device, at, map, metric);
	if (map->models)
		models(compile, device, at, map, metric);
	return true;
}

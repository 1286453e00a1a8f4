/*
 * The tree under `floors`: levels and devices.  See compile.h.
 *
 * A group is a device if it has what only a device has: a plain profile, address, bus, port or tcp, or a group of
 * metrics.  Everything else that is a group is a level, so that a level may have any name, "bus" too.
 *
 * Invariant: the metrics of a device stand together in the plan, because they are read before the next device is.
 */
#include "app/compile.h"
#include "app/flat.h"
#include "model/message.h"
#include "model/topic.h"

#include <stdio.h>
#include <string.h>

static bool plain(const struct tree *group, const char *key)
{
	const struct tree *setting = tree_get(group, key);
	return setting && setting->type != TREE_GROUP && setting->type != TREE_LIST;
}

static bool is_device(const struct tree *group)
{
	static const char *const keys[] = {"profile", "address", "bus", "port", "tcp"};
	for (size_t i = 0; i < 5; i++)
		if (plain(group, keys[i]))
			return true;
	const struct tree *metrics = tree_get(group, "metrics");
	return metrics && metrics->type == TREE_GROUP;
}

/* The path of what stands in this level, and that it is not a reserved word.  NULL when a fault was told. */
static const char *path_of(struct compile *compile, const struct compile_level *level, const struct tree *at,
	const char *topic, bool device)
{
	static const char *const reserved[] = {"gateway", NULL};
	const char *text = compile_topic_text(compile, at, topic);
	if (!text)
		return NULL;
	/* a device deeper down may be called so: only site/gateway/… is the gateway's own */
	if ((!device || level->depth == 0) && compile_reserved(text, reserved)) {
		compile_fault(compile, at, topic ? "topic" : NULL, "write another key, or topic: \"…\"",
			"\"gateway\" is a reserved word: the gateway's own topics are there");
		return NULL;
	}
	return arena_format(&compile->scratch, "%s%s%s", level->path, level->path[0] ? "/" : "", text);
}

static void check_address(struct compile *compile, const struct tree *at, const struct map_device *map,
	const struct plan_bus *bus, struct plan_device *device)
{
	bool serial = bus->wire != WIRE_TCP;
	if (device->driver->way == BF_WAY_STREAM) { /* what it means there is the driver's */
		device->address = map->address == BF_UNSET ? 0 : (uint8_t)map->address;
		return;
	}
	if (map->address == BF_UNSET) {
		if (serial && !tree_get(at, "address"))
			compile_fault(compile, at, NULL, "write address: 1 (1 to 247)",
				"the device \"%s\" on the serial bus \"%s\" has no address", at->name, bus->name);
		device->address = 1;
		return;
	}
	if (serial && (map->address < 1 || map->address > 247))
		compile_fault(compile, at, "address", NULL, "\"address\" is %d, on a serial bus it can be 1 to 247",
			map->address);
	device->address = (uint8_t)map->address;
}

/* All that the map says of a device. */
struct keys {
	struct map_device map;
	struct map_registers registers;
	struct map_stream stream;
	void *own; /* the driver's */
};

/* All of them; the number that came of it. */
static uint32_t metrics(struct compile *compile, const struct compile_device *into, const struct tree *at,
	const struct profile *profile)
{
	size_t before = compile->plan->n_metrics;
	const struct tree *own = into->map->metrics;
	if (profile)
		compile_profile_metrics(compile, into, at, profile);
	for (const struct tree *metric = own ? own->first : NULL; metric; metric = metric->next)
		compile_metric(compile, into, metric);
	size_t n = compile->plan->n_metrics - before;
	if (!own && !tree_get(at, "profile"))
		compile_fault(compile, at, NULL, "write profile: \"…\" or metrics: { NAME: { input: 0 } }",
			"the device \"%s\" has no metrics", at->name);
	else if (n == 0 && (profile || (own && own->n == 0)))
		compile_warning(compile, at, own ? "metrics" : NULL, NULL,
			"the device \"%s\" has no metrics: it is left out", at->name);
	return (uint32_t)n;
}

/* Reads the group by the tables of the core and of its driver. */
static bool read_keys(struct compile *compile, const struct tree *at, const struct bf_driver *driver, struct keys *keys)
{
	static const struct bf_key none[] = {{0}};
	bool stream = driver->way == BF_WAY_STREAM;
	struct arena *arena = stream ? compile->keep : &compile->scratch;
	char what[128];
	snprintf(what, sizeof(what), "device \"%.100s\"", at->name);
	keys->own = arena_alloc(compile->keep, driver->device_size ? driver->device_size : 1);
	struct schema_part parts[] = {{schema_device, &keys->map}, {schema_registers, &keys->registers},
		{driver->device_keys ? driver->device_keys : none, keys->own}};
	if (stream)
		parts[1] = (struct schema_part){schema_stream, &keys->stream};
	compile_profile_missing(compile, at);
	return schema_read(what, at, parts, 3, arena, compile->faults);
}

static void add(struct compile *compile, const struct tree *at, const struct plan_device *entry)
{
	size_t n = compile->plan->n_devices++;
	if (strlen(entry->topic) + strlen("/availability") > MESSAGE_TOPIC_MAX)
		compile_fault(compile, at, NULL, NULL, "the topic of device \"%s\" is longer than %d bytes", at->name,
			MESSAGE_TOPIC_MAX);
	compile->devices = compile_grow(compile->devices, n, &compile->devices_size, sizeof(*entry));
	compile->device_at = compile_grow(compile->device_at, n, &compile->device_at_size, sizeof(at));
	compile->devices[n] = *entry;
	compile->device_at[n] = at;
}

static void device(struct compile *compile, const struct compile_level *level, const struct tree *told)
{
	struct plan *plan = compile->plan;
	const struct profile *profile = compile_profile_of(compile, told);
	const struct tree *at = profile ? compile_profile_defaults(compile, profile, told) : told;
	int bus = compile_bus_of(compile, at, at->name);
	/* without a bus the rest is checked as if it were on one; the plan is of no use then */
	static const struct plan_bus nowhere = {.wire = WIRE_TCP, .name = "?", .timeout_us = 1000000};
	const struct bf_driver *driver = compile_driver_of(compile, at, profile, bus);
	bool stream = driver->way == BF_WAY_STREAM;
	compile_bus_way(compile, bus, at, driver);
	struct plan_bus on = bus >= 0 ? compile->buses[bus] : nowhere;

	if (stream)
		at = flat_messages(at, &compile->scratch);
	struct keys keys = {0};
	bool sound = read_keys(compile, at, driver, &keys);
	const struct map_device *map = &keys.map;
	const char *path = path_of(compile, level, at, map->topic, true);
	if (!path)
		path = COMPILE_NAMELESS;
	struct plan_device entry = {
		.topic = arena_format(compile->keep, "%s/%s", plan->site, path),
		.path = arena_text(compile->keep, path),
		.name = arena_text(compile->keep, map->name ? map->name : at->name),
		.maker = profile ? arena_text(compile->keep, profile->maker) : NULL,
		.model = profile ? arena_text(compile->keep, profile->device) : NULL,
		.bus = bus >= 0 ? (uint32_t)bus : 0,
		.driver = driver,
		.keys = keys.own,
		.first_metric = (uint32_t)plan->n_metrics,
		.timeout_us = map->timeout_us == BF_UNSET ? on.timeout_us : map->timeout_us,
		.max_registers = (uint16_t)(stream ? 0 : keys.registers.max_registers),
		.max_gap = stream || keys.registers.max_gap == BF_UNSET ? PLAN_ADAPTIVE : keys.registers.max_gap,
	};
	check_address(compile, at, map, &on, &entry);
	struct compile_device into = {
		.index = (uint32_t)plan->n_devices,
		.map = map,
		.registers = stream ? NULL : &keys.registers,
		.stream = stream ? &keys.stream : NULL,
		.seen = {.keys = keys.own, .address = entry.address},
		.driver = driver,
		.keys = keys.own,
		.every_us = map->every_us == BF_UNSET ? level->every_us : map->every_us,
		.write_counts = true,
	};
	if (stream)
		entry.stream = compile_stream_device(compile, at, driver, &keys.stream, sound, &into.seen);
	add(compile, at, &entry);
	uint32_t n_metrics = metrics(compile, &into, at, profile);
	compile->devices[into.index].n_metrics = n_metrics;
	if (map->enabled == 0 || bus < 0 || n_metrics == 0) { /* checked, but not part of the plan */
		plan->n_devices = into.index;
		plan->n_metrics = entry.first_metric;
	} else if (profile) {
		compile_bus_profile(compile, entry.bus, profile);
	}
}

static void unknown_setting(struct compile *compile, const struct tree *level, const struct tree *setting)
{
	const char *words[64] = {0};
	size_t n = 0;
	for (const struct bf_key *key = schema_level; key->name && n < 63; key++)
		words[n++] = key->name;
	for (const struct bf_key *key = schema_device; key->name && n < 63; key++)
		words[n++] = key->name;
	const char *near = faults_did_you_mean(setting->name, words);
	faults_add(compile->faults, FAULT_ERROR, &setting->key,
		near ? arena_format(&compile->scratch, "did you mean \"%s\"?", near) : NULL,
		"unknown setting \"%s\" in level \"%s\"", setting->name, level->name);
}

static void level(struct compile *compile, const struct compile_level *above, const struct tree *at);

static void children(struct compile *compile, const struct compile_level *here, const struct tree *group)
{
	for (const struct tree *at = group->first; at; at = at->next) {
		if (at->type != TREE_GROUP)
			continue;
		if (is_device(at))
			device(compile, here, at);
		else
			level(compile, here, at);
	}
}

static bool is_level_key(const char *name)
{
	for (const struct bf_key *key = schema_level; key->name; key++)
		if (strcmp(key->name, name) == 0)
			return true;
	return false;
}

/* The level's own keys, without the groups in it, which are levels and devices. */
static void level_keys(struct compile *compile, const struct tree *at, struct map_level *ret_map)
{
	char what[128];
	snprintf(what, sizeof(what), "level \"%.100s\"", at->name);
	struct tree *own = tree_add(NULL, TREE_GROUP, at->name, &compile->scratch);
	own->key = at->key;
	own->at = at->at;
	for (const struct tree *setting = at->first; setting; setting = setting->next) {
		if (setting->type == TREE_GROUP)
			continue;
		if (!is_level_key(setting->name)) {
			unknown_setting(compile, at, setting);
			continue;
		}
		struct tree *copy = tree_add(own, setting->type, setting->name, &compile->scratch);
		struct tree *next = copy->next;
		*copy = *setting;
		copy->next = next;
	}
	struct schema_part part = {schema_level, ret_map};
	schema_read(what, own, &part, 1, &compile->scratch, compile->faults);
}

static void level(struct compile *compile, const struct compile_level *above, const struct tree *at)
{
	struct map_level map;
	level_keys(compile, at, &map);
	const char *path = path_of(compile, above, at, map.topic, false);
	struct compile_level here = {
		.path = path ? path : COMPILE_NAMELESS,
		.every_us = map.every_us == BF_UNSET ? above->every_us : map.every_us,
		.depth = above->depth + 1,
	};
	children(compile, &here, at);
}

void compile_floors(struct compile *compile, const struct tree *floors, int64_t every_us)
{
	struct compile_level top = {.path = "", .every_us = every_us};
	if (!floors)
		return;
	for (const struct tree *at = floors->first; at; at = at->next)
		if (at->type != TREE_GROUP)
			faults_add(compile->faults, FAULT_ERROR, &at->key, NULL,
				"\"%s\" in floors is %s, it must be a group", at->name, tree_what(at));
	children(compile, &top, floors);
}

/*
 * Profiles in the map: a device takes its metrics from one, all or some, as they are or changed.  See compile.h.
 *
 * What the map changes is laid over the profile's own settings before anything is read, so that a metric goes through
 * one and the same reader wherever its keys stand, and every fault is told where its key stands: in the profile's file
 * or in the map.
 *
 * Invariant: a profile is read once for each map, however many devices use it; its tree lives in the scratch arena.
 */
#include "app/compile.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

struct compile_profile {
	struct compile_profile *next;
	const char *id;
	struct profile profile;
	bool there;
};

static const struct profile *remember(struct compile *compile, const char *id, const struct profile *profile)
{
	struct compile_profile *entry = arena_alloc(&compile->scratch, sizeof(*entry));
	entry->id = arena_text(&compile->scratch, id);
	entry->next = compile->profiles;
	compile->profiles = entry;
	entry->there = profile != NULL;
	if (profile)
		entry->profile = *profile;
	return profile ? &entry->profile : NULL;
}

const struct profile *compile_profile_of(struct compile *compile, const struct tree *device)
{
	const struct tree *setting = tree_get(device, "profile");
	if (!setting || setting->type != TREE_TEXT) /* which is told by who reads the device */
		return NULL;
	const char *id = setting->text, *file;
	for (struct compile_profile *entry = compile->profiles; entry; entry = entry->next)
		if (strcmp(entry->id, id) == 0)
			return entry->there ? &entry->profile : NULL;
	if (profile_find(id, &compile->scratch, &file) < 0) {
		const char *near = faults_did_you_mean(id, profile_ids(&compile->scratch));
		compile_fault(compile, device, "profile",
			near ? arena_format(&compile->scratch, "did you mean \"%s\"?", near)
			     : "busferry profiles list shows them",
			"unknown profile \"%s\"", id);
		return NULL;
	}
	struct profile profile;
	profile_read(file, &compile->scratch, compile->faults, &profile);
	return remember(compile, id, profile.id ? &profile : NULL);
}

const struct tree *compile_profile_defaults(
	struct compile *compile, const struct profile *profile, const struct tree *device)
{
	if (profile->defaults->n == 0)
		return device;
	struct tree *own = tree_overlay(profile->defaults, device, &compile->scratch);
	own->name = device->name;
	own->key = device->key;
	own->at = device->at;
	return own;
}

static bool any(const struct bf_texts *patterns, const char *name)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (fnmatch(patterns->at[i], name, 0) == 0)
			return true;
	return false;
}

/* A metric, or one of its bits: what holds for the metric holds for all of them. */
static bool selected(const struct map_device *map, const char *metric, const char *bit)
{
	bool wanted = map->only.n == 0 || any(&map->only, metric) || (bit && any(&map->only, bit));
	return wanted && !any(&map->skip, metric) && !(bit && any(&map->skip, bit));
}

static const struct tree *bits_of(const struct tree *metric)
{
	const struct tree *bits = metric->type == TREE_GROUP ? tree_get(metric, "bits") : NULL;
	return bits && bits->type == TREE_GROUP ? bits : NULL;
}

/* The metric without the bits that are not wanted; NULL when nothing is left of it. */
static const struct tree *chosen(struct compile *compile, const struct map_device *map, const struct tree *metric)
{
	const struct tree *bits = bits_of(metric);
	if (!bits || bits->n == 0)
		return selected(map, metric->name, NULL) ? metric : NULL;
	struct tree *kept = tree_add(NULL, TREE_GROUP, "bits", &compile->scratch);
	kept->key = bits->key;
	kept->at = bits->at;
	for (const struct tree *bit = bits->first; bit; bit = bit->next)
		if (selected(map, metric->name, bit->name))
			tree_copy(kept, bit, &compile->scratch);
	if (kept->n == 0 || kept->n == bits->n)
		return kept->n ? metric : NULL;
	struct tree *over = tree_add(NULL, TREE_GROUP, NULL, &compile->scratch);
	tree_copy(over, kept, &compile->scratch);
	return tree_overlay(metric, over, &compile->scratch);
}

/* The name of a metric of the profile that is nearest to the word, or NULL. */
static const char *near(struct compile *compile, const struct profile *profile, const char *word)
{
	const char **names = arena_array(&compile->scratch, profile->metrics->n + 1, sizeof(*names));
	size_t n = 0;
	for (const struct tree *metric = profile->metrics->first; metric; metric = metric->next)
		names[n++] = metric->name;
	return faults_did_you_mean(word, names);
}

static const char *near_hint(struct compile *compile, const struct profile *profile, const char *word)
{
	const char *name = near(compile, profile, word);
	return name ? arena_format(&compile->scratch, "did you mean \"%s\"?", name)
		    : arena_format(&compile->scratch, "busferry profiles show %s lists them", profile->id);
}

static bool matches_one(const struct profile *profile, const char *pattern)
{
	for (const struct tree *metric = profile->metrics->first; metric; metric = metric->next) {
		if (fnmatch(pattern, metric->name, 0) == 0)
			return true;
		const struct tree *bits = bits_of(metric);
		for (const struct tree *bit = bits ? bits->first : NULL; bit; bit = bit->next)
			if (fnmatch(pattern, bit->name, 0) == 0)
				return true;
	}
	return false;
}

static void check_patterns(
	struct compile *compile, const struct profile *profile, const struct tree *device, const char *key)
{
	const struct tree *list = tree_get(device, key);
	const struct tree *item = list && list->type == TREE_LIST ? list->first : list;
	for (; item; item = list->type == TREE_LIST ? item->next : NULL)
		if (item->type == TREE_TEXT && !matches_one(profile, item->text))
			faults_add(compile->faults, FAULT_ERROR, &item->at, near_hint(compile, profile, item->text),
				"\"%s\": no metric of the profile \"%s\" matches \"%s\"", key, profile->id, item->text);
}

static void check_publish(struct compile *compile, const struct profile *profile, const struct map_device *map)
{
	for (const struct tree *change = map->publish ? map->publish->first : NULL; change; change = change->next) {
		const struct tree *metric = tree_get(profile->metrics, change->name);
		if (change->type != TREE_GROUP)
			faults_add(compile->faults, FAULT_ERROR, &change->at,
				arena_format(&compile->scratch, "write %s: { every: \"1m\" }", change->name),
				"\"%s\" in publish is %s, it must be a group", change->name, tree_what(change));
		else if (!metric)
			faults_add(compile->faults, FAULT_ERROR, &change->key,
				near_hint(compile, profile, change->name), "the profile \"%s\" has no metric \"%s\"",
				profile->id, change->name);
		else if (!chosen(compile, map, metric))
			faults_add(compile->faults, FAULT_WARNING, &change->key, NULL,
				"\"publish\" has no effect on \"%s\": it is left out by only or skip", change->name);
	}
}

/* The change, its `write` laid over that of the profile: limits hold unless the map says else. */
static const struct tree *with_limits(struct compile *compile, const struct tree *own, const struct tree *change)
{
	const struct tree *limits = tree_get(own, "write"), *write = tree_get(change, "write");
	if (!limits || !write || limits->type != TREE_GROUP || write->type != TREE_GROUP)
		return change;
	struct tree *over = tree_add(NULL, TREE_GROUP, NULL, &compile->scratch);
	struct tree *both = tree_overlay(limits, write, &compile->scratch);
	both->key = write->key;
	both->at = write->at;
	tree_copy(over, both, &compile->scratch);
	return tree_overlay(change, over, &compile->scratch);
}

void compile_profile_metrics(struct compile *compile, const struct compile_device *into, const struct tree *at,
	const struct profile *profile)
{
	const struct map_device *map = into->map;
	check_patterns(compile, profile, at, "only");
	check_patterns(compile, profile, at, "skip");
	check_publish(compile, profile, map);
	for (const struct tree *metric = profile->metrics->first; metric; metric = metric->next) {
		const struct tree *own = chosen(compile, map, metric);
		if (!own)
			continue;
		const struct tree *twin = map->metrics ? tree_get(map->metrics, metric->name) : NULL;
		if (twin) {
			faults_add(compile->faults, FAULT_ERROR, &twin->key,
				arena_format(&compile->scratch,
					"it stands at %s:%u:%u; write publish: { %s: { … } } to change it, skip: "
					"\"%s\" to replace it",
					metric->key.file, metric->key.line, metric->key.column, metric->name,
					metric->name),
				"the profile \"%s\" has a metric \"%s\" too", profile->id, metric->name);
			continue;
		}
		const struct tree *change = map->publish ? tree_get(map->publish, metric->name) : NULL;
		struct compile_device as = *into;
		as.write_counts = change && change->type == TREE_GROUP && tree_get(change, "write");
		if (change && change->type == TREE_GROUP && own->type == TREE_GROUP)
			own = tree_overlay(own, with_limits(compile, own, change), &compile->scratch);
		compile_metric(compile, &as, own);
	}
}

void compile_profile_missing(struct compile *compile, const struct tree *device)
{
	static const char *const keys[] = {"only", "skip", "publish"};
	for (size_t i = 0; i < 3; i++)
		if (tree_get(device, keys[i]) && !tree_get(device, "profile"))
			faults_add(compile->faults, FAULT_ERROR, tree_place(device, keys[i]), NULL,
				"\"%s\" has no meaning without a profile", keys[i]);
}

/* The probe of a profile, read as a metric and taken out of the plan again. */
static bool probe(struct compile *compile, const struct profile *profile, struct plan_metric *ret_probe)
{
	struct map_device map;
	struct map_registers registers;
	struct schema_part parts[] = {{schema_device, &map}, {schema_registers, &registers}};
	schema_read("quirks", profile->defaults, parts, 2, &compile->scratch, compile->faults);
	const struct bf_driver *driver = compile_driver_default();
	struct compile_device into = {
		.map = &map,
		.registers = &registers,
		.driver = driver,
		.keys = arena_alloc(compile->keep, driver->device_size),
	};
	size_t before = compile->plan->n_metrics;
	compile_metric(compile, &into, profile->probe);
	if (compile->plan->n_metrics != before + 1)
		return false;
	*ret_probe = compile->metrics[before];
	compile->plan->n_metrics = before;
	if (ret_probe->n_models)
		compile_fault(compile, profile->probe, "model",
			"write holding: 40000  type: \"u32\", which is \"SunS\"",
			"a scan asks for one place only, \"model\" has no meaning there");
	if (!tree_get(profile->probe, "min") || !tree_get(profile->probe, "max"))
		compile_fault(
			compile, profile->probe, NULL, "write min and max", "the probe does not say what to expect");
	return true;
}

static struct tree *group(struct tree *parent, const char *name, const struct profile *profile, struct arena *arena)
{
	struct tree *added = tree_add(parent, TREE_GROUP, name, arena);
	added->key.file = added->at.file = profile->file;
	return added;
}

static void text(struct tree *parent, const char *name, const char *value, struct arena *arena)
{
	tree_add(parent, TREE_TEXT, name, arena)->text = value;
}

bool compile_profile(
	const struct profile *profile, struct faults *faults, struct plan *ret_plan, struct plan_metric *ret_probe)
{
	struct compile compile;
	compile_start(&compile, profile->file, faults, ret_plan);
	remember(&compile, profile->id, profile);
	ret_plan->site = "profile";
	struct tree *buses = group(NULL, "buses", profile, &compile.scratch);
	struct tree *floors = group(NULL, "floors", profile, &compile.scratch);
	bool stream = profile_is_stream(profile);
	text(group(buses, "wire", profile, &compile.scratch), stream ? "port" : "tcp",
		stream ? "tcp://localhost:1" : "localhost", &compile.scratch);
	text(group(floors, "device", profile, &compile.scratch), "profile", profile->id, &compile.scratch);
	compile_buses(&compile, buses);
	compile_rules(&compile, NULL);
	compile_floors(&compile, floors, stream ? 0 : 10000000); /* all that comes is told */
	compile_topics_check(&compile);
	bool probed = profile->probe && !stream && ret_plan->n_devices && probe(&compile, profile, ret_probe);
	ret_plan->buses = compile.buses;
	ret_plan->devices = compile.devices;
	compile_bus_lists(&compile);
	compile_end(&compile);
	return probed;
}

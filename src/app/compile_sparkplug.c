/*
 * The group `sparkplug`.  See compile.h.
 *
 * Ids are one part of a topic each, so those that are made of the site or of a device's path have "-" for "/"; two
 * devices must not become one by it, nor by hosts that do not tell capitals from small letters.
 */
#include "app/compile.h"
#include "ship/sparkplug_id.h"
#include "ship/sparkplug_payload.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The id that was given, else one made of the text. */
static const char *id_of(
	struct compile *compile, const struct tree *group, const char *key, const char *given, const char *text)
{
	char made[SPARKPLUG_ID_MAX + 1];
	const char *fault = given ? sparkplug_id_fault(given) : NULL;
	if (fault)
		compile_fault(compile, group, key, NULL, "the Sparkplug id \"%s\" %s", given, fault);
	if (given && !fault)
		return arena_text(compile->keep, given);
	if (!text)
		return NULL;
	sparkplug_id_of(text, made);
	return arena_text(compile->keep, made);
}

struct device_id {
	const char *id;
	uint32_t index;
};

static int by_id(const void *a, const void *b)
{
	const struct device_id *x = a, *y = b;
	int order = strcasecmp(x->id, y->id);
	return order ? order : (x->index > y->index) - (x->index < y->index);
}

static void check_devices(struct compile *compile)
{
	const struct plan *plan = compile->plan;
	struct device_id *ids = arena_array(&compile->scratch, plan->n_devices + 1, sizeof(*ids));
	for (uint32_t i = 0; i < plan->n_devices; i++) {
		char id[SPARKPLUG_ID_MAX + 1];
		sparkplug_id_of(compile->devices[i].path, id);
		ids[i] = (struct device_id){arena_text(&compile->scratch, id), i};
		if (strlen(compile->devices[i].path) > SPARKPLUG_ID_MAX)
			compile_fault(compile, compile->device_at[i], NULL, "give it or its levels a shorter topic",
				"the path \"%s\" is longer than the 250 bytes of a Sparkplug device id",
				compile->devices[i].path);
	}
	qsort(ids, plan->n_devices, sizeof(*ids), by_id);
	for (size_t i = 1; i < plan->n_devices; i++)
		if (strcasecmp(ids[i - 1].id, ids[i].id) == 0)
			compile_fault(compile, compile->device_at[ids[i].index], NULL, "give one of them another topic",
				"\"%s\" and \"%s\" would be one Sparkplug device, \"%s\"",
				compile->devices[ids[i - 1].index].path, compile->devices[ids[i].index].path,
				ids[i].id);
}

void compile_sparkplug(struct compile *compile, const struct tree *group)
{
	struct plan_sparkplug *sparkplug = &compile->plan->sparkplug;
	struct map_sparkplug map;
	struct schema_part part = {schema_sparkplug, &map};
	schema_read("sparkplug", group, &part, 1, &compile->scratch, compile->faults);
	sparkplug->enabled = map.enabled == 1;
	sparkplug->group = id_of(compile, group, "group", map.group, compile->plan->site);
	sparkplug->node = id_of(compile, group, "node", map.node, compile->plan->gateway_id);
	sparkplug->host = id_of(compile, group, "host", map.host, NULL);
	if (!sparkplug->enabled)
		return;
	check_devices(compile);
	if (sparkplug_payload_load() < 0)
		compile_fault(compile, group, "enabled", "apt install libprotobuf-c1",
			"Sparkplug needs libprotobuf-c.so.1, which is not there");
}

/*
 * From the tree to the plan: the top of the map, and the order of its parts.  See compile.h.
 *
 * Buses come before devices and rules before metrics, because the later ones are resolved by the earlier ones; checks
 * over all topics and addresses come last.  A part with a fault is given some sound value and the rest goes on, so that
 * all faults are told in one run.
 *
 * Invariant: what the plan points to lies in its own arena; maps, places and dictionaries lie in the scratch arena.
 */
#include "app/compile.h"
#include "model/topic.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *compile_grow(void *array, size_t n, size_t *size, size_t element)
{
	if (n < *size)
		return array;
	size_t more = *size ? *size * 2 : 16;
	void *bigger = reallocarray(array, more, element); /* in an arena all its former sizes would stay */
	if (!bigger) {
		fputs("busferry: error: out of memory\n", stderr);
		abort();
	}
	*size = more;
	return bigger;
}

static void tell(struct compile *compile, enum fault_level level, const struct tree *group, const char *key,
	const char *hint, const char *format, va_list args) __attribute__((format(printf, 6, 0)));

static void tell(struct compile *compile, enum fault_level level, const struct tree *group, const char *key,
	const char *hint, const char *format, va_list args)
{
	char what[1024];
	if (vsnprintf(what, sizeof(what), format, args) < 0)
		what[0] = '\0';
	const struct tree *setting = key ? tree_get(group, key) : NULL;
	bool plain = setting && setting->type != TREE_GROUP && setting->type != TREE_LIST;
	faults_add(compile->faults, level,
		plain ? &setting->at
		: key ? tree_place(group, key)
		      : &group->key,
		hint, "%s", what);
}

void compile_fault(
	struct compile *compile, const struct tree *group, const char *key, const char *hint, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	tell(compile, FAULT_ERROR, group, key, hint, format, args);
	va_end(args);
}

void compile_warning(
	struct compile *compile, const struct tree *group, const char *key, const char *hint, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	tell(compile, FAULT_WARNING, group, key, hint, format, args);
	va_end(args);
}

static void rabbit(struct compile *compile, const struct tree *group, const char *key, const char *text)
{
	const char *changed = strpbrk(text, ".*");
	if (changed)
		compile_warning(compile, group, key, "no matter with other brokers",
			"RabbitMQ changes the %c in the topic text \"%s\"", *changed, text);
}

const char *compile_topic_text(struct compile *compile, const struct tree *group, const char *topic)
{
	const char *text = topic ? topic : group->name, *key = topic ? "topic" : NULL;
	const char *fault = topic_text_fault(text);
	if (fault) {
		compile_fault(compile, group, key, NULL, "the topic text \"%s\" %s", text, fault);
		return NULL;
	}
	rabbit(compile, group, key, text);
	return text;
}

const char *compile_reserved(const char *text, const char *const *words)
{
	for (const char *part = text;; part++) {
		size_t n = strcspn(part, "/");
		for (size_t i = 0; words[i]; i++)
			if (strlen(words[i]) == n && memcmp(words[i], part, n) == 0)
				return words[i];
		part += n;
		if (*part == '\0')
			return NULL;
	}
}

static void gateway(struct compile *compile, const struct tree *group)
{
	struct map_gateway map;
	struct schema_part part = {schema_gateway, &map};
	schema_read("gateway", group, &part, 1, &compile->scratch, compile->faults);
	struct plan *plan = compile->plan;
	char host[256] = "";
	if (gethostname(host, sizeof(host) - 1) < 0 || topic_text_fault(host))
		snprintf(host, sizeof(host), "gateway");
	const char *fault = map.id ? topic_text_fault(map.id) : NULL;
	if (map.id && !fault && strchr(map.id, '/'))
		fault = "has a /";
	if (fault)
		compile_fault(compile, group, "id", NULL, "the gateway id \"%s\" %s", map.id, fault);
	else if (map.id)
		rabbit(compile, group, "id", map.id);
	plan->gateway_id = arena_text(compile->keep, map.id && !fault ? map.id : host);
	plan->gateway_topic = arena_format(compile->keep, "%s/gateway/%s", plan->site, plan->gateway_id);
	plan->ids = map.ids == 1;
}

static void site(struct compile *compile, const struct tree *root, const char *text)
{
	const char *fault = text ? topic_text_fault(text) : NULL;
	if (text && !fault && text[0] == '$')
		fault = "starts with a $, which MQTT keeps for brokers";
	if (fault)
		compile_fault(compile, root, "site", NULL, "the topic text \"%s\" %s", text, fault);
	else if (text)
		rabbit(compile, root, "site", text);
	compile->plan->site = arena_text(compile->keep, text && !fault ? text : "site");
}

static void *kept(struct plan *plan, void *array, size_t n, size_t element)
{
	void *copy = arena_array(&plan->arena, n ? n : 1, element);
	if (n)
		memcpy(copy, array, n * element);
	free(array);
	return copy;
}

void compile_start(struct compile *compile, const char *file, struct faults *faults, struct plan *plan)
{
	*plan = (struct plan){0};
	*compile = (struct compile){.plan = plan, .keep = &plan->arena, .faults = faults};
	compile->names.arena = &compile->scratch;
	plan->file = arena_text(compile->keep, file);
}

void compile_end(struct compile *compile)
{
	struct plan *plan = compile->plan;
	free(compile->device_at);
	free(compile->metric_at);
	free(compile->bus_facts);
	arena_free(&compile->scratch);
	plan->buses = kept(plan, compile->buses, plan->n_buses, sizeof(*compile->buses));
	plan->devices = kept(plan, compile->devices, plan->n_devices, sizeof(*compile->devices));
	plan->metrics = kept(plan, compile->metrics, plan->n_metrics, sizeof(*compile->metrics));
}

void compile(
	const char *file, const struct tree *root, struct arena *trees, struct faults *faults, struct plan *ret_plan)
{
	struct compile state;
	compile_start(&state, file, faults, ret_plan);
	struct map_top map;
	struct schema_part part = {schema_top, &map};
	schema_read("the map", root, &part, 1, &state.scratch, faults);

	site(&state, root, map.site);
	gateway(&state, map.gateway);
	compile_broker(&state, map.broker);
	compile_buffer(&state, map.buffer);
	compile_control(&state, map.control);
	compile_homeassistant(&state, map.homeassistant);
	compile_page(&state, map.status_page);
	compile_buses(&state, map.buses);
	compile_rules(&state, map.topics);
	compile_floors(&state, map.floors, map.every_us);
	compile_bus_settle(&state);
	compile_sparkplug(&state, map.sparkplug);
	compile_topics_check(&state);
	compile_addresses_check(&state);

	ret_plan->buses = state.buses;
	ret_plan->devices = state.devices;
	ret_plan->metrics = state.metrics;
	compile_homeassistant_check(&state, map.homeassistant);
	compile_bus_lists(&state);
	compile_load_check(&state);

	arena_free(trees); /* a big map need not be in memory three times */
	compile_end(&state);
}

/*
 * What can only be seen when the whole map is read: two of them on one topic, two devices on one address.
 *
 * Both look at all metrics at once, so both go through a dictionary or a sorted array: a map with 10 000 metrics is
 * checked while one looks at it.
 */
#include "app/compile.h"

#include <stdlib.h>
#include <string.h>

/* Cells that a device is asked for. */
struct span {
	uint64_t group; /* bus and address */
	uint32_t space, at, end;
	uint32_t device;
};

static void collide(struct compile *compile, const struct tree *at, const struct tree *first, const char *topic)
{
	faults_add(compile->faults, FAULT_ERROR, &at->key,
		arena_format(&compile->scratch, "also the topic of \"%s\" at %s:%u:%u", first->name, first->key.file,
			first->key.line, first->key.column),
		"two on one topic: %s", topic);
}

void compile_topics_check(struct compile *compile)
{
	struct plan *plan = compile->plan;
	const struct tree **at = arena_array(&compile->scratch, plan->n_devices + plan->n_metrics + 1, sizeof(*at));
	size_t n = 0, other;
	/* devices too: their availability is below them, and with per: "device" their readings */
	for (size_t i = 0; i < plan->n_devices + plan->n_metrics; i++) {
		bool is_device = i < plan->n_devices;
		size_t metric = is_device ? 0 : i - plan->n_devices;
		const char *topic = is_device ? compile->devices[i].topic : compile->metrics[metric].topic;
		at[n] = is_device ? compile->device_at[i] : compile->metric_at[metric];
		if (strstr(topic, COMPILE_NAMELESS)) /* that was told already */
			continue;
		if (!names_put(&compile->names, SCOPE_TOPICS, topic, strlen(topic), n, &other))
			collide(compile, at[n], at[other], topic);
		n++;
	}
}

static int by_cell(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	if (x->space != y->space)
		return x->space < y->space ? -1 : 1;
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->device < y->device ? -1 : x->device > y->device;
}

static uint64_t group_of(const struct plan_device *device)
{
	return (uint64_t)device->bus << 8 | device->address;
}

/* For each device that reads what another one reads: that other one, else UINT32_MAX. */
static uint32_t *overlaps(struct compile *compile)
{
	struct plan *plan = compile->plan;
	uint32_t *with = arena_array(&compile->scratch, plan->n_devices + 1, sizeof(*with));
	struct span *spans = arena_array(&compile->scratch, plan->n_metrics + 1, sizeof(*spans));
	memset(with, 0xFF, (plan->n_devices + 1) * sizeof(*with));
	for (size_t i = 0; i < plan->n_metrics; i++) {
		const struct plan_metric *metric = &compile->metrics[i];
		if (metric->n_models) /* who knows where */
			continue;
		spans[i] = (struct span){group_of(&compile->devices[metric->device]), metric->place.space,
			metric->place.at, (uint32_t)metric->place.at + metric->place.count, metric->device};
	}
	qsort(spans, plan->n_metrics, sizeof(*spans), by_cell);
	const struct span *longest = NULL; /* of those before, the one that reaches furthest */
	for (size_t i = 0; i < plan->n_metrics; i++) {
		const struct span *span = &spans[i];
		if (span->end == span->at) /* it has no place, which was told */
			continue;
		bool same = longest && longest->group == span->group && longest->space == span->space;
		if (same && span->at < longest->end && span->device != longest->device) {
			uint32_t first = span->device < longest->device ? span->device : longest->device;
			uint32_t later = span->device < longest->device ? longest->device : span->device;
			with[later] = first;
		}
		if (!same || span->end > longest->end)
			longest = span;
	}
	return with;
}

void compile_addresses_check(struct compile *compile)
{
	struct plan *plan = compile->plan;
	uint32_t *with = overlaps(compile);
	size_t other;
	for (uint32_t i = 0; i < plan->n_devices; i++) {
		const struct plan_device *device = &compile->devices[i];
		if (device->stream)
			continue;
		uint64_t *group = arena_alloc(&compile->scratch, sizeof(*group));
		*group = group_of(device);
		bool first = names_put(&compile->names, SCOPE_DEVICES, (const char *)group, sizeof(*group), i, &other);
		if (first && with[i] == UINT32_MAX)
			continue;
		const struct tree *at = compile->device_at[i];
		bool overlap = with[i] != UINT32_MAX;
		const struct tree *there = compile->device_at[overlap ? with[i] : (uint32_t)other];
		const char *hint = arena_format(&compile->scratch, "the other is \"%s\" at %s:%u:%u", there->name,
			there->key.file, there->key.line, there->key.column);
		const char *bus = compile->buses[device->bus].name;
		if (overlap)
			compile_fault(compile, at, "address", hint,
				"two devices read the same registers of address %u on bus \"%s\"", device->address,
				bus);
		else
			compile_warning(compile, at, "address", hint, "two devices with address %u on bus \"%s\"",
				device->address, bus);
	}
}

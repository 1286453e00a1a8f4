/*
 * Buses on which devices send messages, for `check`.  See plan_stream.h.
 */
#include "cli/plan_stream.h"

#include <stdio.h>

#define HEX_SIZE ((size_t)3 * 256 + 1)

/* What is known of one kind of message. */
struct kind {
	const struct bf_message_told *told;
	unsigned n_metrics;
	int64_t every_us; /* the shortest; PLAN_EVERY_START when all are told once */
	bool events;      /* all of them are */
};

static struct kind kind_of(const struct plan *plan, const struct plan_device *device, size_t nth)
{
	struct kind kind = {.told = &device->stream->messages[nth], .every_us = PLAN_EVERY_START, .events = true};
	for (uint32_t i = device->first_metric; i < device->first_metric + device->n_metrics; i++) {
		const struct plan_metric *metric = &plan->metrics[i];
		if (metric->message != nth)
			continue;
		kind.n_metrics++;
		if (metric->event)
			continue;
		kind.events = false;
		if (metric->every_us >= 0 && (kind.every_us < 0 || metric->every_us < kind.every_us))
			kind.every_us = metric->every_us;
	}
	return kind;
}

static const char *hex(const struct bf_bytes *bytes, char text[static HEX_SIZE])
{
	size_t n = 0;
	text[0] = '\0';
	for (size_t i = 0; i < bytes->n && n + 4 <= HEX_SIZE; i++)
		n += (size_t)snprintf(text + n, HEX_SIZE - n, "%s%02X", i ? " " : "", bytes->at[i]);
	return text;
}

static void print_kind(const struct plan_device *device, const struct kind *kind)
{
	char every[BF_DURATION_SIZE] = "", request[HEX_SIZE];
	if (kind->every_us >= 0)
		bf_duration_print(kind->every_us, every);
	printf("    %-12s  %u metric%s, ", kind->told->name[0] ? kind->told->name : "message", kind->n_metrics,
		kind->n_metrics == 1 ? "" : "s");
	if (kind->events)
		fputs("told when it comes", stdout);
	else if (kind->every_us < 0)
		fputs("told once at start", stdout);
	else
		printf("every %s", every);
	if (kind->told->request.n)
		printf(", asked with %s", hex(&kind->told->request, request));
	else
		printf(", %s", device->driver->ask ? "asked by the driver" : "comes by itself");
	putchar('\n');
}

void plan_stream_print(const struct plan *plan, const struct plan_bus *bus)
{
	for (uint32_t d = 0; d < bus->n_devices; d++) {
		const struct plan_device *device = &plan->devices[bus->devices[d]];
		printf("  %s, driver %s\n", device->path, device->driver->name);
		for (size_t k = 0; k < device->stream->n_messages; k++) {
			struct kind kind = kind_of(plan, device, k);
			if (kind.n_metrics)
				print_kind(device, &kind);
		}
	}
}

static void json_kind(struct json *json, const struct plan_device *device, const struct kind *kind)
{
	char request[HEX_SIZE];
	json_object(json, NULL);
	json_text(json, "name", kind->told->name);
	json_int(json, "metrics", kind->n_metrics);
	if (kind->every_us >= 0)
		json_int(json, "every_ms", kind->every_us / 1000);
	json_bool(json, "asked", kind->told->request.n || device->driver->ask);
	if (kind->told->request.n)
		json_text(json, "request", hex(&kind->told->request, request));
	json_object_end(json);
}

void plan_stream_json(struct json *json, const struct plan *plan, const struct plan_bus *bus)
{
	for (uint32_t d = 0; d < bus->n_devices; d++) {
		const struct plan_device *device = &plan->devices[bus->devices[d]];
		json_object(json, NULL);
		json_text(json, "path", device->path);
		json_text(json, "driver", device->driver->name);
		json_array(json, "messages");
		for (size_t k = 0; k < device->stream->n_messages; k++) {
			struct kind kind = kind_of(plan, device, k);
			if (kind.n_metrics)
				json_kind(json, device, &kind);
		}
		json_array_end(json);
		json_object_end(json);
	}
}

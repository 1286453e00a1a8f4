/*
 * Printing of info.  See info.h; info_past.c reads it again.
 *
 * Thread: the publisher's.
 */
#include "ship/info.h"
#include "base/json.h"
#include "ship/discovery.h"
#include "ship/payload.h"

static void print_buses(struct json *json, const struct plan *plan)
{
	json_array(json, "buses");
	for (size_t i = 0; i < plan->n_buses; i++) {
		const struct plan_bus *bus = &plan->buses[i];
		json_object(json, NULL);
		json_text(json, "name", bus->name);
		const struct plan_device *first = bus->n_devices ? &plan->devices[bus->devices[0]] : NULL;
		if (first && first->driver)
			json_text(json, "driver", first->driver->name);
		if (bus->wire == WIRE_SERIAL) {
			json_text(json, "port", bus->port);
		} else {
			json_text(json, "host", bus->host);
			json_int(json, "tcp_port", bus->tcp_port);
		}
		json_int(json, "devices", bus->n_devices);
		json_object_end(json);
	}
	json_array_end(json);
}

static void print_retained(struct json *json, const struct plan *plan, const struct plan_device *device)
{
	bool any = false;
	for (uint32_t i = device->first_metric; i < device->first_metric + device->n_metrics; i++) {
		const struct plan_metric *metric = &plan->metrics[i];
		if (metric->delivery.per_device || !metric->delivery.retain)
			continue;
		if (!any)
			json_array(json, "retained");
		any = true;
		json_text(json, NULL, payload_label(plan, metric));
	}
	if (any)
		json_array_end(json);
	const struct plan_delivery *whole = plan_device_delivery(plan, device);
	if (whole && whole->retain)
		json_text(json, "per", "device");
}

static void print_devices(struct json *json, const struct plan *plan, bool whole)
{
	json_array(json, "devices");
	for (size_t i = 0; i < plan->n_devices && !json->overflow; i++) {
		const struct plan_device *device = &plan->devices[i];
		json_object(json, NULL);
		json_text(json, "path", device->path);
		if (whole && device->name)
			json_text(json, "name", device->name);
		if (whole) {
			json_text(json, "bus", plan->buses[device->bus].name);
			json_int(json, "address", device->address);
			json_int(json, "metrics", device->n_metrics);
		}
		print_retained(json, plan, device);
		unsigned n_parts = discovery_is_on(plan) ? discovery_parts(plan, i + 1) : 1;
		if (n_parts > 1)
			json_int(json, "discovery", n_parts);
		json_object_end(json);
	}
	json_array_end(json);
}

int info_print(const struct plan *plan, int64_t started_ms, const char *broker_url, enum info_detail detail, char *text,
	size_t size)
{
	struct json json = json_into(text, size);
	json_object(&json, NULL);
	json_text(&json, "version", BUSFERRY_VERSION);
	json_int(&json, "started", started_ms);
	if (broker_url)
		json_text(&json, "broker", broker_url);
	if (discovery_is_on(plan))
		json_text(&json, "homeassistant", plan->homeassistant.prefix);
	if (detail == INFO_WHOLE)
		print_buses(&json, plan);
	if (detail != INFO_BARE)
		print_devices(&json, plan, detail == INFO_WHOLE);
	json_object_end(&json);
	return json_end(&json);
}

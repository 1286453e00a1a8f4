/*
 * Counters to text.  Reads relaxed atomics only.
 */
#include "app/stats.h"
#include "app/edge.h"
#include "base/json.h"
#include "model/line_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATS_BASE_BYTES    3072
#define STATS_BUS_BYTES     512
#define STATS_DEVICE_BYTES  512
#define STATUS_WHERE        300 /* a host of 253 characters and a port */
#define STATUS_BUS_BYTES    (6 * STATUS_WHERE + 128)
#define STATUS_DEVICE_BYTES 128

static const char *state_word(const struct device_counts *counts)
{
	static const char *const words[] = {
		[AVAILABILITY_SAME] = "unknown", [AVAILABILITY_ONLINE] = "online", [AVAILABILITY_OFFLINE] = "offline"};
	return words[counts_get(counts->availability)];
}

void stats_line(struct gateway *gateway, char *text, size_t size)
{
	const struct plan *plan = gateway_plan(gateway);
	struct publisher_status status = {0};
	struct outbox_counts counts = {0};
	struct wire_walk walk = {0};
	const struct wire *wire;
	size_t online = 0;
	while ((wire = gateway_next_wire(gateway, &walk)))
		for (uint32_t d = 0; d < wire->told->n_devices; d++)
			online += counts_get(wire_device_counts(wire, d)->availability) == AVAILABILITY_ONLINE;
	if (gateway_publisher(gateway)) {
		publisher_status(gateway_publisher(gateway), &status);
		outbox_counts(gateway_outbox(gateway), &counts);
	}
	snprintf(text, size, "%zu of %zu devices answer, %s %s, %llu messages wait", online, plan->n_devices,
		status.connected ? "connected to" : "no connection to",
		status.broker_url ? status.broker_url : "a broker", (unsigned long long)counts.waiting);
}

static void told_of_bus(struct json *json, const struct plan_bus *bus)
{
	static const char *const words[] = {
		[WIRE_SERIAL] = "serial", [WIRE_SERIAL_TCP] = "serial over tcp", [WIRE_TCP] = "tcp"};
	char where[STATUS_WHERE], line[LINE_TEXT_SIZE];
	if (bus->wire == WIRE_SERIAL)
		json_text(json, "port", bus->port);
	else if (snprintf(where, sizeof(where), "%s:%u", bus->host, bus->tcp_port) > 0)
		json_text(json, "port", where);
	json_text(json, "wire", words[bus->wire]);
	if (bus->wire != WIRE_TCP) {
		line_text_print(&bus->line, line);
		json_text(json, "line", line);
	}
	json_int(json, "devices", bus->n_devices);
}

static void wire_json(struct json *json, const struct wire *wire, int64_t up_us, bool whole)
{
	const struct bus_counts *counts = wire_counts(wire);
	const struct caution_counts *caution = wire_caution(wire);
	char share[BF_NUMBER_SIZE];
	struct bf_value utilisation = {
		.kind = BF_FLOAT64, .f64 = up_us > 0 ? (double)counts_get(counts->busy_us) / (double)up_us : 0.0};
	int n = bf_value_print(&utilisation, 3, share);
	json_object(json, wire->told->name);
	if (whole)
		told_of_bus(json, wire->told);
	json_bool(json, "open", counts_get(counts->open));
	json_int(json, "requests", counts_get(counts->requests));
	json_int(json, "answers", counts_get(counts->answers));
	json_int(json, "timeouts", counts_get(counts->timeouts));
	json_int(json, "checksum", counts_get(counts->checksum));
	json_int(json, "exceptions", counts_get(counts->exceptions));
	json_int(json, "late", caution ? counts_get(caution->late) : 0);
	if (caution) {
		json_int(json, "foreign", counts_get(caution->foreign));
		json_int(json, "noise", counts_get(caution->noise));
		json_int(json, "echoes", counts_get(caution->echoes));
		json_int(json, "canaries", counts_get(caution->canaries));
	}
	json_int(json, "merged", counts_get(counts->merged));
	json_int(json, "opened", counts_get(counts->reopened));
	json_int(json, "jitter_us_median", times_quantile(&counts->late_by, 500));
	json_int(json, "jitter_us_p99", times_quantile(&counts->late_by, 990));
	if (n > 0)
		json_raw(json, "utilisation", share, (size_t)n);
	json_object_end(json);
}

static void told_of_device(struct json *json, const struct plan_bus *bus, const struct plan_device *device,
	const struct device_counts *counts)
{
	int64_t answered_at = counts_get(counts->answered_at);
	json_text(json, "bus", bus->name);
	if (device->address || bus->wire == WIRE_TCP)
		json_int(json, "address", device->address);
	else
		json_null(json, "address");
	json_int(json, "metrics", device->n_metrics);
	if (answered_at)
		json_int(json, "answered",
			clock_system.wall_ms(&clock_system) - (clock_now(&clock_system) - answered_at) / 1000);
	else
		json_null(json, "answered");
}

static void device_json(struct json *json, const struct plan_bus *bus, const struct plan_device *device,
	const struct device_counts *counts, bool whole)
{
	json_object(json, device->path);
	json_text(json, "state", state_word(counts));
	if (whole)
		told_of_device(json, bus, device, counts);
	json_int(json, "requests", counts_get(counts->requests));
	json_int(json, "answers", counts_get(counts->answers));
	json_int(json, "timeouts", counts_get(counts->timeouts));
	json_int(json, "checksum", counts_get(counts->checksum));
	json_int(json, "exceptions", counts_get(counts->exceptions));
	json_int(json, "late", counts_get(counts->late));
	json_int(json, "foreign", counts_get(counts->foreign));
	json_int(json, "missed", counts_get(counts->missed));
	json_int(json, "answer_ms_median", times_quantile(&counts->answer_times, 500) / 1000);
	json_int(json, "answer_ms_p95", times_quantile(&counts->answer_times, 950) / 1000);
	json_object_end(json);
}

static void buffer_json(struct json *json, struct outbox *outbox, struct store *store)
{
	struct outbox_counts counts;
	outbox_counts(outbox, &counts);
	json_object(json, "buffer");
	json_int(json, "waiting", (int64_t)counts.waiting);
	json_int(json, "bytes", (int64_t)counts.waiting_bytes);
	if (counts.oldest_ms && clock_plausible(counts.oldest_ms))
		json_int(json, "oldest", counts.oldest_ms);
	else
		json_null(json, "oldest");
	if (store) {
		struct store_status status;
		store_status(store, &status);
		json_bool(json, "durable", status.durable);
		json_int(json, "disk_bytes", status.bytes);
		json_int(json, "rows_written", (int64_t)status.rows_written);
		json_int(json, "commits", (int64_t)status.commits);
		json_int(json, "damaged", (int64_t)status.damaged);
	}
	json_object(json, "dropped");
	json_int(json, "full", (int64_t)counts.dropped_full);
	json_int(json, "offline", (int64_t)counts.dropped_offline);
	json_int(json, "refused", (int64_t)counts.dropped_refused);
	json_int(json, "expired", (int64_t)counts.dropped_expired);
	json_int(json, "superseded", (int64_t)counts.dropped_superseded);
	json_int(json, "damaged", (int64_t)counts.dropped_damaged);
	json_int(json, "command", (int64_t)counts.dropped_command);
	json_object_end(json);
	json_object_end(json);
}

static void broker_json(struct json *json, struct publisher *publisher)
{
	struct publisher_status status;
	publisher_status(publisher, &status);
	json_object(json, "broker");
	json_bool(json, "connected", status.connected);
	json_text(json, "url", status.broker_url ? status.broker_url : "");
	json_int(json, "reconnects", (int64_t)status.reconnects);
	json_int(json, "acknowledged", (int64_t)status.acknowledged);
	json_int(json, "refused", (int64_t)status.refused);
	json_int(json, "in_flight", status.in_flight);
	json_object_end(json);
}

static void sparkplug_json(struct json *json, const struct gateway *gateway)
{
	struct edge_status status;
	if (!gateway_sparkplug(gateway, &status))
		return;
	json_object(json, "sparkplug");
	json_text(json, "state", status.node.state);
	json_text(json, "url", status.node.broker_url);
	json_int(json, "bdseq", status.node.bd_seq);
	json_int(json, "births", (int64_t)status.node.births);
	json_int(json, "told", (int64_t)status.node.told);
	json_int(json, "waiting", (int64_t)status.waiting);
	json_int(json, "dropped", (int64_t)status.dropped);
	json_object_end(json);
}

size_t stats_size(struct gateway *gateway)
{
	const struct plan *plan = gateway_plan(gateway);
	size_t size = STATS_BASE_BYTES;
	for (size_t i = 0; i < plan->n_buses; i++)
		size += STATS_BUS_BYTES + 6 * strlen(plan->buses[i].name);
	for (size_t i = 0; i < plan->n_devices; i++)
		size += STATS_DEVICE_BYTES + 6 * strlen(plan->devices[i].path);
	return size;
}

size_t stats_status_size(struct gateway *gateway)
{
	const struct plan *plan = gateway_plan(gateway);
	size_t size = stats_size(gateway) + 6 * (strlen(plan->file) + strlen(plan->site) + strlen(plan->gateway_id));
	for (size_t i = 0; i < plan->n_buses; i++)
		size += STATUS_BUS_BYTES + 6 * strlen(plan->buses[i].port ? plan->buses[i].port : "");
	for (size_t i = 0; i < plan->n_devices; i++)
		size += STATUS_DEVICE_BYTES + 6 * strlen(plan->buses[plan->devices[i].bus].name);
	return size;
}

static int write_all(struct gateway *gateway, bool whole, char *text, size_t size)
{
	struct json json = json_into(text, size);
	const struct plan *plan = gateway_plan(gateway);
	int64_t now_us = clock_now(&clock_system), up_us = now_us - gateway_started_at(gateway);
	json_object(&json, NULL);
	int64_t time_ms = clock_system.wall_ms(&clock_system);
	if (whole) {
		json_text(&json, "version", BUSFERRY_VERSION);
		json_int(&json, "pid", getpid());
		json_text(&json, "map", plan->file);
		json_text(&json, "site", plan->site);
		json_text(&json, "gateway", plan->gateway_id);
		json_int(&json, "started", time_ms - up_us / 1000);
	}
	json_int(&json, "time", time_ms);
	if (!clock_plausible(time_ms))
		json_text(&json, "clock", "unset");
	json_int(&json, "uptime_s", up_us / 1000000);
	json_object(&json, "buses");
	const struct wire *wire;
	for (struct wire_walk walk = {0}; (wire = gateway_next_wire(gateway, &walk));)
		wire_json(&json, wire, now_us - gateway_wire_started_at(gateway, &walk), whole);
	json_object_end(&json);
	json_object(&json, "devices");
	for (struct wire_walk walk = {0}; (wire = gateway_next_wire(gateway, &walk));)
		for (uint32_t d = 0; d < wire->told->n_devices; d++)
			device_json(&json, wire->told, wire_device(wire, d), wire_device_counts(wire, d), whole);
	json_object_end(&json);
	if (gateway_publisher(gateway)) {
		buffer_json(&json, gateway_outbox(gateway), gateway_store(gateway));
		broker_json(&json, gateway_publisher(gateway));
		sparkplug_json(&json, gateway);
	}
	json_object_end(&json);
	return json_end(&json);
}

int stats_json(struct gateway *gateway, char *text, size_t size)
{
	return write_all(gateway, false, text, size);
}

int stats_status_json(struct gateway *gateway, char *text, size_t size)
{
	return write_all(gateway, true, text, size);
}

/*
 * The status page for programs.  See page_text.h.
 *
 * Prometheus wants all samples of one name together, behind what they are; so each family goes over all buses or
 * devices, by a table that says where each number is.  A reading that is not good has no sample: a number is never made
 * up, and busferry_device_up says why.  An enum is told by its number, a flag as 0 or 1, a text not at all.
 */
#include "app/page_text.h"
#include "ship/payload.h"
#include "ship/pen.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct family {
	const char *name, *help;
	size_t offset; /* of an _Atomic uint64_t */
};

static const struct family of_bus[] = {
	{"requests", "Questions that were asked", offsetof(struct bus_counts, requests)},
	{"answers", "Answers and messages that came", offsetof(struct bus_counts, answers)},
	{"timeouts", "Questions without an answer", offsetof(struct bus_counts, timeouts)},
	{"checksum_errors", "Answers and messages that were damaged", offsetof(struct bus_counts, checksum)},
	{"exceptions", "Answers that were refusals", offsetof(struct bus_counts, exceptions)},
	{"merged_polls", "Polls that were overdue and made one with the next", offsetof(struct bus_counts, merged)},
	{NULL, NULL, 0},
};

static const struct family of_device[] = {
	{"requests", "Questions that were asked", offsetof(struct device_counts, requests)},
	{"answers", "Answers and messages that came", offsetof(struct device_counts, answers)},
	{"timeouts", "Questions without an answer", offsetof(struct device_counts, timeouts)},
	{"checksum_errors", "Answers and messages that were damaged", offsetof(struct device_counts, checksum)},
	{"exceptions", "Answers that were refusals", offsetof(struct device_counts, exceptions)},
	{"late_answers", "Answers after their time", offsetof(struct device_counts, late)},
	{"missed_polls", "Polls that brought nothing", offsetof(struct device_counts, missed)},
	{NULL, NULL, 0},
};

static void tell(struct sheet *sheet, const char *name, const char *type, const char *help)
{
	sheet_print(sheet, "# HELP busferry_%s %s\n# TYPE busferry_%s %s\n", name, help, name, type);
}

static void single(struct sheet *sheet, const char *name, const char *type, const char *help, int64_t value)
{
	tell(sheet, name, type, help);
	sheet_print(sheet, "busferry_%s %" PRId64 "\n", name, value);
}

static void label(struct sheet *sheet, const char *key, const char *text)
{
	sheet_print(sheet, "%s=\"", key);
	sheet_label(sheet, text, strlen(text));
	sheet_add(sheet, "\"");
}

/* `busferry_bus_answers_total{bus="rs485"} 12` and its kin. */
static void sample(struct sheet *sheet, const char *kind, const char *name, const char *of, double value)
{
	sheet_print(sheet, "busferry_%s_%s{", kind, name);
	label(sheet, kind, of);
	sheet_print(sheet, "} %.15g\n", value);
}

static double counter_at(const void *counts, size_t offset)
{
	const char *at = (const char *)counts + offset;
	return (double)atomic_load_explicit((const _Atomic uint64_t *)(const void *)at, memory_order_relaxed);
}

/* The counters of a family for one bus or device; NULL = none just now. */
static const void *bus_at(const struct page_facts *facts, size_t i, const char **ret_of)
{
	*ret_of = facts->plan->buses[i].name;
	return facts->buses[i].counts;
}

static const void *device_at(const struct page_facts *facts, size_t i, const char **ret_of)
{
	*ret_of = facts->plan->devices[i].path;
	return facts->devices[i].counts;
}

static void families(struct sheet *sheet, const struct page_facts *facts, const char *kind, const struct family *family,
	size_t n, const void *(*at)(const struct page_facts *facts, size_t i, const char **ret_of))
{
	const char *of;
	char name[64];
	for (; family->name; family++) {
		snprintf(name, sizeof(name), "%s_%s_total", kind, family->name);
		tell(sheet, name, "counter", family->help);
		for (size_t i = 0; i < n; i++) {
			const void *counts = at(facts, i, &of);
			if (counts)
				sample(sheet, kind, name + strlen(kind) + 1, of, counter_at(counts, family->offset));
		}
	}
}

static void states(struct sheet *sheet, const struct page_facts *facts)
{
	const struct plan *plan = facts->plan;
	tell(sheet, "bus_open", "gauge", "1 = the port or connection is there");
	for (size_t b = 0; b < plan->n_buses; b++)
		if (facts->buses[b].counts)
			sample(sheet, "bus", "open", plan->buses[b].name,
				counts_get(facts->buses[b].counts->open) != 0);
	tell(sheet, "bus_busy_seconds_total", "counter", "Time that the wire was taken, its silences included");
	for (size_t b = 0; b < plan->n_buses; b++)
		if (facts->buses[b].counts)
			sample(sheet, "bus", "busy_seconds_total", plan->buses[b].name,
				(double)counts_get(facts->buses[b].counts->busy_us) / 1e6);
	tell(sheet, "bus_late_seconds", "gauge", "99 of 100 polls are asked at most so long after they are due");
	for (size_t b = 0; b < plan->n_buses; b++)
		if (facts->buses[b].counts)
			sample(sheet, "bus", "late_seconds", plan->buses[b].name,
				(double)times_quantile(&facts->buses[b].counts->late_by, 990) / 1e6);
	tell(sheet, "device_up", "gauge", "1 = the device answers");
	for (size_t d = 0; d < plan->n_devices; d++)
		if (facts->devices[d].counts)
			sample(sheet, "device", "up", plan->devices[d].path,
				page_availability(&facts->devices[d]) == AVAILABILITY_ONLINE);
}

static void broker(struct sheet *sheet, const struct page_facts *facts)
{
	const struct outbox_counts *buffer = &facts->buffer;
	const struct {
		const char *cause;
		uint64_t n;
	} dropped[] = {{"full", buffer->dropped_full}, {"offline", buffer->dropped_offline},
		{"refused", buffer->dropped_refused}, {"expired", buffer->dropped_expired},
		{"superseded", buffer->dropped_superseded}, {"damaged", buffer->dropped_damaged},
		{"command", buffer->dropped_command}};
	single(sheet, "broker_connected", "gauge", "1 = there is a connection", facts->broker.connected);
	single(sheet, "broker_reconnects_total", "counter", "Connections but the first",
		(int64_t)facts->broker.reconnects);
	single(sheet, "broker_acknowledged_total", "counter", "Messages that the broker has taken",
		(int64_t)facts->broker.acknowledged);
	single(sheet, "broker_refused_total", "counter", "Messages that the broker has refused for good",
		(int64_t)facts->broker.refused);
	single(sheet, "broker_in_flight", "gauge", "Messages that await their acknowledgement",
		facts->broker.in_flight);
	single(sheet, "buffer_messages", "gauge", "Messages that wait, those in flight included",
		(int64_t)buffer->waiting);
	single(sheet, "buffer_bytes", "gauge", "What they take in memory", (int64_t)buffer->waiting_bytes);
	if (facts->stores) {
		single(sheet, "buffer_disk_bytes", "gauge", "What is in use of the file", facts->store.bytes);
		single(sheet, "buffer_disk_max_bytes", "gauge", "What may be in use of it", facts->store.max_bytes);
	}
	tell(sheet, "buffer_dropped_total", "counter", "Messages that were dropped, by cause");
	for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
		sheet_print(sheet, "busferry_buffer_dropped_total{cause=\"%s\"} %" PRIu64 "\n", dropped[i].cause,
			dropped[i].n);
}

static void sparkplug(struct sheet *sheet, const struct edge_status *status)
{
	single(sheet, "sparkplug_online", "gauge", "1 = births are told, data follows",
		strcmp(status->node.state, "online") == 0);
	single(sheet, "sparkplug_births_total", "counter", "Births of the node", (int64_t)status->node.births);
	single(sheet, "sparkplug_readings_total", "counter", "Readings that the broker has read",
		(int64_t)status->node.told);
	single(sheet, "sparkplug_waiting", "gauge", "Readings that wait to be told", (int64_t)status->waiting);
	single(sheet, "sparkplug_dropped_total", "counter", "Readings that were dropped", (int64_t)status->dropped);
}

static void reading_of(struct sheet *sheet, const struct page_facts *facts, uint32_t m)
{
	const struct plan_metric *metric = &facts->plan->metrics[m];
	const char *path = facts->plan->devices[metric->device].path, *slash = strrchr(path, '/');
	char text[BF_STRING_MAX + 1], number[BF_NUMBER_SIZE];
	struct reading reading;
	int64_t at_us;
	if (!page_facts_look(facts, m, text, &reading, &at_us) || reading.quality != QUALITY_GOOD)
		return;
	struct bf_value value = reading.value;
	if (value.kind == BF_BOOLEAN)
		value = (struct bf_value){.kind = BF_UNSIGNED, .u = reading.value.yes};
	if (bf_value_print(&value, metric->decimals, number) < 0)
		return;
	sheet_add(sheet, "busferry_reading{");
	label(sheet, "site", facts->plan->site);
	sheet_add(sheet, ",path=\"");
	sheet_label(sheet, path, slash ? (size_t)(slash - path) : 0);
	sheet_add(sheet, "\",");
	label(sheet, "device", slash ? slash + 1 : path);
	sheet_add(sheet, ",");
	label(sheet, "metric", payload_label(facts->plan, metric));
	sheet_add(sheet, ",");
	label(sheet, "unit", metric->unit ? metric->unit : "");
	sheet_print(sheet, "} %s\n", number);
}

void page_metrics(struct sheet *sheet, const struct page_facts *facts)
{
	const struct plan *plan = facts->plan;
	tell(sheet, "info", "gauge", "Which gateway this is");
	sheet_add(sheet, "busferry_info{");
	label(sheet, "site", plan->site);
	sheet_add(sheet, ",");
	label(sheet, "gateway", plan->gateway_id);
	sheet_add(sheet, ",version=\"" BUSFERRY_VERSION "\"} 1\n");
	single(sheet, "uptime_seconds", "gauge", "Since the gateway was started",
		(facts->now_us - facts->started_at) / 1000000);
	if (facts->ships)
		broker(sheet, facts);
	if (facts->tells)
		sparkplug(sheet, &facts->sparkplug);
	states(sheet, facts);
	families(sheet, facts, "bus", of_bus, plan->n_buses, bus_at);
	families(sheet, facts, "device", of_device, plan->n_devices, device_at);
	tell(sheet, "reading", "gauge", "The newest reading of a metric, while it is good");
	for (uint32_t m = 0; m < plan->n_metrics; m++)
		reading_of(sheet, facts, m);
}

static void json_reading(struct pen *pen, const struct page_facts *facts, uint32_t m)
{
	const struct plan_metric *metric = &facts->plan->metrics[m];
	char text[BF_STRING_MAX + 1];
	struct reading reading;
	int64_t at_us;
	if (!page_facts_look(facts, m, text, &reading, &at_us))
		return;
	pen_json(pen, metric->topic, strlen(metric->topic));
	pen_text(pen, ":{\"value\":");
	int n = reading.quality != QUALITY_GOOD
			? -1
			: payload_value(metric, &reading.value, PAYLOAD_JSON, pen->text + pen->n, pen->size - pen->n);
	if (n < 0)
		pen_text(pen, "null");
	else
		pen->n += (size_t)n;
	if (metric->unit) {
		pen_text(pen, ",\"unit\":");
		pen_json(pen, metric->unit, strlen(metric->unit));
	}
	pen_text(pen, ",\"time\":");
	pen_int(pen, reading.time_ms);
	if (reading.quality != QUALITY_GOOD) {
		pen_text(pen, ",\"quality\":\"");
		pen_text(pen, quality_word(reading.quality));
		pen_text(pen, "\"");
	}
	pen_text(pen, "}");
}

void page_json(struct sheet *sheet, const struct page_facts *facts, const char *status, size_t n)
{
	char one[16384];
	bool any = false;
	sheet_put(sheet, status, n - 1);
	sheet_add(sheet, ",\"readings\":{");
	for (uint32_t m = 0; m < facts->plan->n_metrics; m++) {
		struct pen pen = {.text = one, .size = sizeof(one)};
		json_reading(&pen, facts, m);
		if (pen_end(&pen) <= 0)
			continue;
		if (any)
			sheet_add(sheet, ",");
		sheet_put(sheet, one, pen.n);
		any = true;
	}
	sheet_add(sheet, "}}\n");
}

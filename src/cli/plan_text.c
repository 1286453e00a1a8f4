/*
 * What `check` prints.  The rounds and reads shown are made by the very code that polls, so they can't differ.
 */
#include "cli/plan_text.h"
#include "base/json.h"
#include "cli/fault_text.h"
#include "cli/plan_stream.h"
#include "field/device.h"
#include "model/line_text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_SIZE (sizeof("every ") + BF_DURATION_SIZE)

static void every_text(int64_t every_us, char text[static EVERY_SIZE])
{
	char duration[BF_DURATION_SIZE] = "";
	if (every_us == PLAN_EVERY_START) {
		snprintf(text, EVERY_SIZE, "at start");
	} else {
		bf_duration_print(every_us, duration);
		snprintf(text, EVERY_SIZE, "every %s", duration);
	}
}

/* The share of the bus's time that a round asks for; "0s" asks for nothing. */
static double round_share(const struct round *round, const struct planner_cost *cost)
{
	return (double)round_ns(round, cost) / 1e9 * round->per_s;
}

/* Does it come at all?  What always falls together with a faster one never comes alone. */
static bool round_comes(const struct round *round)
{
	return round->per_s > 0 || round->every_us <= 0;
}

static void where_text(const struct plan_bus *bus, char *text, size_t size)
{
	char line[LINE_TEXT_SIZE];
	line_text_print(&bus->line, line);
	switch (bus->wire) {
	case WIRE_SERIAL:
		snprintf(text, size, "%s %s", bus->port, line);
		break;
	case WIRE_SERIAL_TCP:
		snprintf(text, size, "serial device server %s:%u, %s", bus->host, bus->tcp_port, line);
		break;
	case WIRE_TCP:
		snprintf(text, size, "Modbus TCP %s:%u", bus->host, bus->tcp_port);
		break;
	}
}

/* ", with 1s 5s": the faster rates whose instants these are too. */
static void with_text(const struct rounds *rounds, const struct round *round, char *text, size_t size)
{
	size_t n = 0;
	text[0] = '\0';
	for (uint32_t rate = 0; rate < round->rate && n < size; rate++) {
		char every[BF_DURATION_SIZE];
		if (!round_has(rounds, round, rate))
			continue;
		bf_duration_print(rounds->every_us[rate], every);
		n += (size_t)snprintf(text + n, size - n, "%s %s", n ? "" : ", with", every);
	}
}

static void print_round(const struct rounds *rounds, const struct round *round, const struct planner_cost *cost)
{
	char every[EVERY_SIZE], with[ROUND_SHARED_MAX * BF_DURATION_SIZE];
	every_text(round->every_us, every);
	with_text(rounds, round, with, sizeof(with));
	for (uint32_t i = 0; i < round->n_reads; i++) {
		const struct planner_read *read = &round->reads[i];
		char what[48];
		snprintf(what, sizeof(what), "%s %u-%u", plan_space_word(read->place.space), read->place.at,
			read->place.at + read->place.count - 1u);
		printf("    %-12s  %-20s %4u cells  %3u metrics  %8.1f ms%s\n", every, what, read->place.count,
			round_metrics(round, read), (double)planner_read_ns(cost, &read->place) / 1e6, with);
	}
}

static void print_refusals(const struct refusals *refusals)
{
	for (uint32_t i = 0; i < refusals->n; i++) {
		const struct planner_refusal *refusal = &refusals->list[i];
		if (refusal->from == refusal->to)
			printf("    refuses to be read across %s %u\n", plan_space_word(refusal->space), refusal->from);
		else
			printf("    refuses %s %u-%u, which is read around\n", plan_space_word(refusal->space),
				refusal->from, refusal->to - 1);
	}
}

/* Where its models are only the device knows. */
static void print_models(const struct plan *plan, const struct plan_device *told)
{
	struct chain chain;
	if (!chain_is_needed(plan, told))
		return;
	chain_presume(plan, told, &chain);
	printf("    places of models");
	for (uint32_t m = 0; m < chain.n; m++)
		printf("%s %u", m ? "," : "", chain.models[m].id);
	puts(" are presumed: the device is asked for them when it answers");
}

static void print_bus(const struct plan *plan, const struct plan_bus *bus, const struct learnt *learnt)
{
	char where[320];
	struct arena arena = {0};
	struct planner_cost cost = planner_cost_of(bus, PLANNER_TURNAROUND_US);
	double share = 0.0;
	size_t n_requests = 0;
	where_text(bus, where, sizeof(where));
	printf("bus %s: %s, %u device%s\n", bus->name, where, bus->n_devices, bus->n_devices == 1 ? "" : "s");
	if (bus->way == BF_WAY_STREAM) {
		plan_stream_print(plan, bus);
		return;
	}
	for (uint32_t d = 0; d < bus->n_devices; d++) {
		struct device device = {0};
		device_init(&device, plan, bus->devices[d], &cost, learnt, NULL, &arena);
		printf("  %s, unit address %u\n", device.told->path, device.told->address);
		print_models(plan, device.told);
		for (uint32_t r = 0; r < device.rounds.n; r++) {
			const struct round *round = &device.rounds.list[r];
			if (!round_comes(round))
				continue;
			print_round(&device.rounds, round, &cost);
			share += round_share(round, &cost);
			n_requests += round->n_reads;
		}
		print_refusals(&device.refusals);
	}
	printf("  %zu requests, utilisation %.1f %%\n", n_requests, 100.0 * share);
	arena_free(&arena);
}

void plan_text_print(const struct plan *plan, const struct learnt *learnt)
{
	printf("site %s, gateway %s, %zu metrics of %zu devices on %zu buses\n", plan->site, plan->gateway_id,
		plan->n_metrics, plan->n_devices, plan->n_buses);
	for (size_t i = 0; i < plan->broker.n_endpoints; i++)
		printf("broker %s\n", plan->broker.endpoints[i].url);
	for (size_t i = 0; i < plan->n_buses; i++)
		print_bus(plan, &plan->buses[i], learnt);
	if (plan->n_metrics == 0)
		puts("the map has no devices: nothing to do");
}

static const char *payload_word(const struct plan_metric *metric)
{
	static const char *const words[] = {
		[PAYLOAD_JSON] = "json", [PAYLOAD_PLAIN] = "plain", [PAYLOAD_INFLUX] = "influx"};
	return words[metric->delivery.payload];
}

static const char *metric_topic(const struct plan *plan, const struct plan_metric *metric)
{
	return metric->delivery.per_device ? plan->devices[metric->device].topic : metric->topic;
}

/* What `…/set` takes, as "  set 15 to 28 step 0.5"; empty when it takes nothing. */
#define SET_SIZE 96
static void set_text(const struct plan *plan, const struct plan_metric *metric, char text[static SET_SIZE])
{
	const struct plan_write *write = plan->control ? metric->write : NULL;
	size_t n = 0;
	text[0] = '\0';
	if (!write)
		return;
	n += (size_t)snprintf(text, SET_SIZE, "  set");
	if (!isnan(write->min))
		n += (size_t)snprintf(text + n, SET_SIZE - n, " %.10g", write->min);
	if (!isnan(write->max))
		n += (size_t)snprintf(text + n, SET_SIZE - n, " to %.10g", write->max);
	if (!isnan(write->step))
		snprintf(text + n, SET_SIZE - n, " step %.10g", write->step);
}

void plan_text_print_topics(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_metrics; i++) {
		const struct plan_metric *metric = &plan->metrics[i];
		char every[EVERY_SIZE], set[SET_SIZE];
		every_text(metric->every_us, every);
		set_text(plan, metric, set);
		printf("%-48s  qos %u  %-8s  %-12s  %s%s%s%s%s\n", metric_topic(plan, metric), metric->delivery.qos,
			metric->delivery.retain ? "retained" : "-", every, payload_word(metric),
			metric->delivery.per_device ? " (" : "", metric->delivery.per_device ? metric->name : "",
			metric->delivery.per_device ? ")" : "", set);
	}
}

static void json_read(
	struct json *json, const struct round *round, const struct planner_read *read, const struct planner_cost *cost)
{
	json_object(json, NULL);
	json_text(json, "table", plan_space_word(read->place.space));
	json_int(json, "at", read->place.at);
	json_int(json, "count", read->place.count);
	json_int(json, "metrics", round_metrics(round, read));
	json_int(json, "wire_us", planner_read_ns(cost, &read->place) / 1000);
	json_object_end(json);
}

static void json_every(struct json *json, int64_t every_us)
{
	if (every_us == PLAN_EVERY_START)
		json_text(json, "every_ms", "start");
	else
		json_int(json, "every_ms", every_us / 1000);
}

static void json_round(
	struct json *json, const struct rounds *rounds, const struct round *round, const struct planner_cost *cost)
{
	json_object(json, NULL);
	json_every(json, round->every_us);
	json_array(json, "with_ms");
	for (uint32_t rate = 0; rate < round->rate; rate++)
		if (round_has(rounds, round, rate))
			json_int(json, NULL, rounds->every_us[rate] / 1000);
	json_array_end(json);
	json_array(json, "requests");
	for (uint32_t i = 0; i < round->n_reads; i++)
		json_read(json, round, &round->reads[i], cost);
	json_array_end(json);
	json_object_end(json);
}

static void json_device(struct json *json, const struct device *device, const struct planner_cost *cost)
{
	json_object(json, NULL);
	json_text(json, "path", device->told->path);
	json_int(json, "address", device->told->address);
	if (chain_is_needed(device->plan, device->told))
		json_bool(json, "presumed", true); /* the places: the device is asked which models it has */
	json_array(json, "rounds");
	for (uint32_t r = 0; r < device->rounds.n; r++)
		if (round_comes(&device->rounds.list[r]))
			json_round(json, &device->rounds, &device->rounds.list[r], cost);
	json_array_end(json);
	json_array(json, "refuses");
	for (uint32_t i = 0; i < device->refusals.n; i++) {
		const struct planner_refusal *refusal = &device->refusals.list[i];
		json_object(json, NULL);
		json_text(json, "table", plan_space_word(refusal->space));
		json_int(json, "at", refusal->from);
		json_int(json, "count", refusal->to - refusal->from);
		json_object_end(json);
	}
	json_array_end(json);
	json_object_end(json);
}

static void json_number(struct json *json, const char *key, double number)
{
	char text[BF_NUMBER_SIZE];
	struct bf_value value = {.kind = BF_FLOAT64, .f64 = number};
	int n = bf_value_print(&value, 5, text);
	if (n > 0)
		json_raw(json, key, text, (size_t)n);
}

static void json_bus(
	struct json *json, const struct plan *plan, const struct plan_bus *bus, const struct learnt *learnt)
{
	struct arena arena = {0};
	struct planner_cost cost = planner_cost_of(bus, PLANNER_TURNAROUND_US);
	char where[320];
	double share = 0.0;
	where_text(bus, where, sizeof(where));
	json_object(json, NULL);
	json_text(json, "name", bus->name);
	json_text(json, "where", where);
	json_array(json, "devices");
	if (bus->way == BF_WAY_STREAM)
		plan_stream_json(json, plan, bus);
	for (uint32_t d = 0; bus->way == BF_WAY_REGISTERS && d < bus->n_devices; d++) {
		struct device device = {0};
		device_init(&device, plan, bus->devices[d], &cost, learnt, NULL, &arena);
		json_device(json, &device, &cost);
		for (uint32_t r = 0; r < device.rounds.n; r++)
			share += round_share(&device.rounds.list[r], &cost);
	}
	json_array_end(json);
	if (bus->way == BF_WAY_REGISTERS)
		json_number(json, "utilisation", share);
	json_object_end(json);
	arena_free(&arena);
}

static void json_limit(struct json *json, const char *key, double limit)
{
	char text[BF_NUMBER_SIZE];
	const struct bf_value value = {.kind = BF_FLOAT64, .f64 = limit};
	int n = isnan(limit) ? 0 : bf_value_print(&value, -1, text);
	if (n > 0)
		json_raw(json, key, text, (size_t)n);
}

/* What may be written. */
static void json_set(struct json *json, const struct plan_write *write)
{
	json_object(json, "set");
	json_limit(json, "min", write->min);
	json_limit(json, "max", write->max);
	json_limit(json, "step", write->step);
	json_object_end(json);
}

static void json_topics(struct json *json, const struct plan *plan)
{
	json_array(json, "topics");
	for (size_t i = 0; i < plan->n_metrics; i++) {
		const struct plan_metric *metric = &plan->metrics[i];
		json_object(json, NULL);
		json_text(json, "topic", metric_topic(plan, metric));
		json_text(json, "metric", metric->name);
		json_int(json, "qos", metric->delivery.qos);
		json_bool(json, "retain", metric->delivery.retain);
		json_every(json, metric->every_us);
		json_text(json, "payload", payload_word(metric));
		json_text(json, "per", metric->delivery.per_device ? "device" : "metric");
		if (metric->unit)
			json_text(json, "unit", metric->unit);
		if (plan->control && metric->write)
			json_set(json, metric->write);
		json_object_end(json);
	}
	json_array_end(json);
}

int plan_text_print_json(const struct plan *plan, const struct learnt *learnt, struct faults *faults)
{
	size_t size = 65536 + plan->n_metrics * 6144 + plan->n_devices * 4096 + plan->n_buses * 4096 +
		      fault_text_size(faults);
	char *text = malloc(size);
	if (!text)
		return -ENOMEM;
	struct json json = json_into(text, size);
	json_object(&json, NULL);
	fault_text_json(&json, faults);
	json_text(&json, "site", plan->site);
	json_text(&json, "gateway", plan->gateway_id);
	json_array(&json, "buses");
	for (size_t i = 0; i < plan->n_buses; i++)
		json_bus(&json, plan, &plan->buses[i], learnt);
	json_array_end(&json);
	json_topics(&json, plan);
	json_object_end(&json);
	int rc = json_end(&json);
	if (rc >= 0)
		puts(text);
	free(text);
	return rc < 0 ? rc : 0;
}

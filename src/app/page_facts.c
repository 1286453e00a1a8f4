/*
 * Gathering.  See page_facts.h.
 *
 * Why not in an arena: for want of memory that ends the program, and a look at a gateway must not.
 */
#include "app/page_facts.h"
#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define AWAY_US (60 * (int64_t)1000000)
#define LOOK_US (10 * (int64_t)1000000) /* between the looks that rates are made of */
#define PAST_US (90 * (int64_t)1000000) /* what is older says nothing of the present */

static int take_buses(struct page_facts *facts, const struct gateway *gateway)
{
	const struct plan *plan = facts->plan;
	facts->buses = calloc(plan->n_buses + 1, sizeof(*facts->buses));
	facts->devices = calloc(plan->n_devices + 1, sizeof(*facts->devices));
	if (!facts->buses || !facts->devices)
		return -ENOMEM;
	for (size_t b = 0; b < plan->n_buses; b++) {
		struct page_bus *bus = &facts->buses[b];
		const struct wire *wire = gateway_bus_wire(gateway, b, &bus->started_at);
		if (!wire)
			continue;
		bus->counts = wire_counts(wire);
		bus->caution = wire_caution(wire);
		for (uint32_t d = 0; d < plan->buses[b].n_devices; d++)
			facts->devices[plan->buses[b].devices[d]].counts = wire_device_counts(wire, d);
	}
	for (uint32_t d = 0; d < plan->n_devices; d++)
		facts->devices[d].board = gateway_board(gateway, d, &facts->devices[d].first_metric);
	return 0;
}

void page_facts_compare(struct page_facts *facts, struct page_past *past)
{
	struct page_then now = {facts->now_us, facts->broker.acknowledged, facts->buffer.waiting};
	if (now.acknowledged < past->newer.acknowledged) /* another connection, which counts anew */
		*past = (struct page_past){0};
	if (now.at_us - past->newer.at_us >= LOOK_US) {
		past->older = past->newer;
		past->newer = now;
	}
	double s = (double)(now.at_us - past->older.at_us) / 1e6;
	if (past->older.at_us == 0 || now.at_us - past->older.at_us > PAST_US)
		return;
	facts->taken_s = (double)(now.acknowledged - past->older.acknowledged) / s;
	facts->fell_s = ((double)past->older.waiting - (double)now.waiting) / s;
}

int page_facts_take(struct page_facts *facts, struct gateway *gateway, int64_t map_at, struct page_past *past)
{
	*facts = (struct page_facts){.plan = gateway_plan(gateway),
		.now_us = clock_now(&clock_system),
		.wall_ms = clock_system.wall_ms(&clock_system),
		.started_at = gateway_started_at(gateway),
		.map_at = map_at,
		.ships = gateway_publisher(gateway) != NULL,
		.stores = gateway_store(gateway) != NULL,
		.alive_until = gateway_alive_until(gateway),
		.memory_bytes = gateway_memory_bytes(gateway)};
	if (facts->ships) {
		publisher_status(gateway_publisher(gateway), &facts->broker);
		outbox_counts(gateway_outbox(gateway), &facts->buffer);
		page_facts_compare(facts, past);
	}
	if (facts->stores)
		store_status(gateway_store(gateway), &facts->store);
	facts->tells = gateway_sparkplug(gateway, &facts->sparkplug);
	return take_buses(facts, gateway);
}

void page_facts_release(struct page_facts *facts)
{
	free(facts->buses);
	free(facts->devices);
}

enum availability page_availability(const struct page_device *device)
{
	return device->counts ? (enum availability)counts_get(device->counts->availability) : AVAILABILITY_SAME;
}

/* The device of a metric, and the metric's number on its board. */
static const struct page_device *place_of(const struct page_facts *facts, uint32_t metric, uint32_t *ret_there)
{
	uint32_t d = facts->plan->metrics[metric].device;
	*ret_there = facts->devices[d].first_metric + (metric - facts->plan->devices[d].first_metric);
	return &facts->devices[d];
}

bool page_facts_look(const struct page_facts *facts, uint32_t metric, char text[static BF_STRING_MAX + 1],
	struct reading *ret_reading, int64_t *ret_at_us)
{
	uint32_t there;
	const struct page_device *device = place_of(facts, metric, &there);
	return device->board && board_look(device->board, there, text, ret_reading, ret_at_us);
}

void page_facts_points(const struct page_facts *facts, uint32_t metric, float ret_points[static BOARD_POINTS])
{
	uint32_t there;
	const struct page_device *device = place_of(facts, metric, &there);
	if (device->board)
		board_points(device->board, there, facts->now_us, ret_points);
	else
		for (size_t i = 0; i < BOARD_POINTS; i++)
			ret_points[i] = NAN;
}

/* On disk, or, without one that works, in memory. */
static bool is_nearly_full(const struct page_facts *facts)
{
	if (facts->stores && facts->store.durable)
		return facts->store.nearly_full;
	return (int64_t)facts->buffer.waiting_bytes >= facts->memory_bytes / 10 * 9;
}

const char *page_facts_fault(const struct page_facts *facts)
{
	if (facts->alive_until < facts->now_us)
		return "a thread hangs";
	int64_t since_us = facts->broker.since_us ? facts->broker.since_us : facts->started_at;
	if (facts->ships && !facts->broker.connected && facts->now_us - since_us > AWAY_US && is_nearly_full(facts))
		return "no broker, and the buffer is nearly full";
	return NULL;
}

/*
 * The wiring.  Here both field/ and ship/ are known: the parts, and the order in which they start and end, and nothing
 * else.  How they change when the map is read again is in reload.c.
 *
 * Order of the end: pollers are asked to stop and joined, so that nothing more is put; then the publisher sends what it
 * may and says its last words; then the store puts on disk what still waits; only then are the parts destroyed, those
 * that are used after those that use them.
 */
#include "app/gateway_inner.h"
#include "base/arena.h"

#include <errno.h>
#include <stdlib.h>

#define MEMORY_BYTES      (32u << 20) /* of readings that wait and are not on disk */
#define POLLER_JOIN_US    1500000
#define PUBLISHER_JOIN_US 3200000
#define STORE_JOIN_US     10000000 /* what waits goes to disk, however slow: better late than lost */

static void tally_take(struct reading_sink *sink, const struct batch *batch)
{
	struct tally *tally = (struct tally *)sink;
	uint64_t n = 0;
	for (size_t i = 0; i < batch->n; i++) {
		enum quality quality = batch->readings[i].quality;
		n += quality == QUALITY_TIMEOUT || quality == QUALITY_CHECKSUM || quality == QUALITY_OFFLINE;
	}
	if (n)
		atomic_fetch_add_explicit(&tally->unanswered, n, memory_order_relaxed);
	tally->next->take(tally->next, batch);
}

static void tally_rest(struct reading_sink *sink)
{
	struct tally *tally = (struct tally *)sink;
	tally->next->rest(tally->next);
}

static bool uses_disk(const struct gateway *gateway)
{
	return gateway->at_start.path && !gateway->options.once && !gateway->options.print;
}

int64_t gateway_memory_bytes(const struct gateway *gateway)
{
	return plan_buffer_memory(&gateway->buffer, MEMORY_BYTES);
}

const struct plan_buffer *gateway_buffer(const struct gateway *gateway)
{
	return &gateway->buffer;
}

static int init_messages(struct gateway *gateway, const struct plan *plan)
{
	if (gateway->options.print) {
		int rc = printer_init(&gateway->printer);
		if (rc == 0)
			gateway->messages = printer_sink(gateway->printer);
		return rc;
	}
	gateway->retained = calloc(1, sizeof(*gateway->retained));
	if (!gateway->retained)
		return -ENOMEM;
	int rc = outbox_init(&gateway->buffer, gateway_memory_bytes(gateway), &clock_system, &gateway->outbox);
	if (rc < 0)
		return rc;
	gateway->messages = outbox_sink(gateway->outbox);
	retained_init(gateway->retained, plan);
	outbox_retain_only(gateway->outbox, gateway->retained);
	return inquiry_init(gateway->outbox, &gateway->inquiry);
}

static int init_pollers(struct gateway *gateway)
{
	struct generation *generation = gateway->present;
	struct learnt learnt;
	struct arena arena = {0};
	struct reading_sink *sink = report_sink(generation->report);
	gateway->tally.sink = (struct reading_sink){.take = tally_take, .rest = tally_rest};
	gateway->tally.next = sink;
	if (gateway->options.once)
		sink = &gateway->tally.sink;
	remember_load(&generation->plan, &learnt, &arena);
	int rc = generation_poll(generation, &learnt, sink, &clock_system, gateway->options.once);
	arena_free(&arena);
	if (rc == 0)
		rc = gateway_room_for_pollers(gateway, generation->n_pollers);
	if (rc == 0)
		gateway_list_pollers(gateway);
	return rc;
}

int gateway_room_for_pollers(struct gateway *gateway, size_t n)
{
	struct poller **grown = realloc(gateway->pollers, (n + 1) * sizeof(struct poller *));
	if (!grown)
		return -ENOMEM;
	gateway->pollers = grown;
	return 0;
}

void gateway_list_pollers(struct gateway *gateway)
{
	gateway->n_pollers = 0;
	for (struct generation *one = gateway->newest; one; one = one->older)
		for (size_t i = 0; i < one->n_pollers; i++)
			gateway->pollers[gateway->n_pollers++] = one->pollers[i];
}

/* The buffer's path outlives the plan, since the store does. */
static void keep_buffer(struct gateway *gateway, const struct plan *plan)
{
	gateway->at_start = gateway->buffer = plan_buffer_copy(&plan->buffer, &gateway->arena);
}

int gateway_init(struct plan *plan, const struct gateway_options *options, struct gateway **ret_gateway)
{
	struct gateway *gateway = calloc(1, sizeof(*gateway));
	if (!gateway) {
		plan_destroy(plan);
		return -ENOMEM;
	}
	gateway->options = *options;
	keep_buffer(gateway, plan);
	remember_init(&gateway->remember, plan);
	payload_ids_init(&gateway->ids);
	int rc = init_messages(gateway, plan);
	if (rc == 0)
		rc = generation_init(
			plan, &clock_system, gateway->messages, &gateway->ids, &gateway->occasions, &gateway->present);
	else
		plan_destroy(plan);
	gateway->newest = gateway->present;
	if (rc == 0)
		rc = gateway_taps(gateway, gateway->present);
	if (rc == 0)
		rc = init_pollers(gateway);
	if (rc == 0 && !options->once && !options->print)
		rc = generation_command(gateway->present, &clock_system, gateway->messages);
	if (rc == 0)
		rc = gateway_node(gateway, gateway->present, &gateway->node);
	if (rc == 0)
		rc = upstream_init(&gateway->present->standing, gateway->messages, gateway->present->command,
			&gateway->occasions, options->once, gateway->outbox, &gateway->upstream);
	if (rc < 0) {
		gateway_destroy(gateway);
		return rc;
	}
	*ret_gateway = gateway;
	return 0;
}

int gateway_open_buffer(struct gateway *gateway)
{
	int rc = 0;
	if (!uses_disk(gateway))
		return 0;
	if (!gateway->store) {
		rc = store_init(&gateway->at_start, gateway->outbox, &clock_system, &gateway->store);
		if (rc == 0)
			store_answers(gateway->store, inquiry_serve, gateway->inquiry);
	}
	if (rc == 0 && gateway->edge)
		rc = edge_open(gateway->edge);
	return rc;
}

const char *gateway_unopened(const struct gateway *gateway)
{
	return gateway->store && gateway->edge ? gateway->edge->buffer.path : gateway->at_start.path;
}

int gateway_start(struct gateway *gateway)
{
	gateway->started_at = clock_now(&clock_system);
	int rc = gateway->store ? store_start(gateway->store) : 0;
	if (rc == 0 && gateway_publisher(gateway))
		rc = publisher_start(gateway_publisher(gateway));
	if (rc == 0 && gateway->edge)
		rc = edge_start(gateway->edge);
	if (rc == 0 && gateway->node)
		rc = sparkplug_start(gateway->node->sparkplug);
	if (rc < 0 || gateway->options.once)
		return rc;
	return gateway_poll(gateway);
}

int gateway_poll(struct gateway *gateway)
{
	int rc = 0;
	for (size_t i = 0; i < gateway->n_pollers && rc == 0; i++)
		rc = poller_start(gateway->pollers[i]);
	if (rc < 0)
		gateway_stop(gateway);
	return rc;
}

void gateway_remember(struct gateway *gateway)
{
	if (!gateway->options.once && !gateway->options.print)
		remember_keep(&gateway->remember, gateway->pollers, gateway->n_pollers);
}

int gateway_stop(struct gateway *gateway)
{
	int rc = 0;
	for (size_t i = 0; i < gateway->n_pollers; i++)
		poller_stop(gateway->pollers[i]);
	for (size_t i = 0; i < gateway->n_pollers; i++)
		if (poller_join(gateway->pollers[i], rc ? 0 : POLLER_JOIN_US) < 0)
			rc = -ETIMEDOUT;
	struct publisher *publisher = gateway_publisher(gateway);
	if (gateway->node)
		sparkplug_stop(gateway->node->sparkplug);
	if (publisher) {
		publisher_stop(publisher);
		if (publisher_join(publisher, PUBLISHER_JOIN_US) < 0)
			rc = -ETIMEDOUT;
	}
	if (gateway->node && sparkplug_join(gateway->node->sparkplug, rc ? 0 : PUBLISHER_JOIN_US) < 0)
		rc = -ETIMEDOUT;
	edge_stop(gateway->edge);
	if (gateway->store) {
		store_stop(gateway->store);
		if (store_join(gateway->store, STORE_JOIN_US) < 0)
			rc = -ETIMEDOUT;
	}
	if (edge_join(gateway->edge, STORE_JOIN_US) < 0)
		rc = -ETIMEDOUT;
	gateway_remember(gateway);
	return rc;
}

void gateway_destroy(struct gateway *gateway)
{
	if (!gateway)
		return;
	struct generation *generation = gateway->newest;
	upstream_destroy(gateway->upstream);
	edge_node_destroy(gateway->node);
	for (struct generation *older; generation; generation = older) {
		older = generation->older;
		generation_destroy(generation);
	}
	free(gateway->pollers);
	printer_destroy(gateway->printer);
	edge_destroy(gateway->edge);
	store_destroy(gateway->store);
	inquiry_destroy(gateway->inquiry);
	outbox_destroy(gateway->outbox);
	if (gateway->retained)
		retained_destroy(gateway->retained);
	free(gateway->retained);
	arena_free(&gateway->arena);
	remember_destroy(&gateway->remember);
	free(gateway);
}

bool gateway_polled(struct gateway *gateway)
{
	for (size_t i = 0; i < gateway->n_pollers; i++)
		if (!poller_finished(gateway->pollers[i]))
			return false;
	return true;
}

bool gateway_connected(struct gateway *gateway)
{
	if (!gateway_publisher(gateway))
		return true;
	struct publisher_status status;
	publisher_status(gateway_publisher(gateway), &status);
	return status.connected;
}

bool gateway_finished(struct gateway *gateway)
{
	if (!gateway_polled(gateway))
		return false;
	return !gateway_publisher(gateway) || (gateway_connected(gateway) && outbox_empty(gateway->outbox));
}

uint64_t gateway_unanswered(const struct gateway *gateway)
{
	return atomic_load_explicit(&gateway->tally.unanswered, memory_order_relaxed);
}

int64_t gateway_alive_until(const struct gateway *gateway)
{
	const struct publisher *publisher = gateway->upstream->publisher;
	int64_t until = publisher ? publisher_alive_until(publisher) : CLOCK_NEVER;
	if (gateway->store && store_alive_until(gateway->store) < until)
		until = store_alive_until(gateway->store);
	if (gateway->edge && gateway->edge->store)
		until = clock_earlier(until, store_alive_until(gateway->edge->store));
	if (gateway->node)
		until = clock_earlier(until, sparkplug_alive_until(gateway->node->sparkplug));
	for (size_t i = 0; i < gateway->n_pollers; i++)
		if (poller_alive_until(gateway->pollers[i]) < until)
			until = poller_alive_until(gateway->pollers[i]);
	return until;
}

const struct plan *gateway_plan(const struct gateway *gateway)
{
	return &gateway->present->plan;
}

const struct wire *gateway_next_wire(const struct gateway *gateway, struct wire_walk *walk)
{
	return poller_next_wire(gateway->pollers, gateway->n_pollers, walk);
}

int64_t gateway_wire_started_at(const struct gateway *gateway, const struct wire_walk *walk)
{
	return poller_started_at(gateway->pollers[walk->poller]);
}

const struct wire *gateway_bus_wire(const struct gateway *gateway, size_t bus, int64_t *ret_started_at)
{
	const struct home *home = &gateway->present->homes[bus];
	size_t n = 0;
	const struct wire *wires = home->poller ? poller_wires(home->poller, &n) : NULL;
	if (home->wire >= n)
		return NULL;
	*ret_started_at = poller_started_at(home->poller);
	return &wires[home->wire];
}

const struct board *gateway_board(const struct gateway *gateway, uint32_t device, uint32_t *ret_first_metric)
{
	const struct generation *present = gateway->present;
	const struct generation *lives = present->homes[present->plan.devices[device].bus].generation;
	*ret_first_metric = lives->plan.devices[present->standing.devices[device].device].first_metric;
	return lives->board;
}

struct outbox *gateway_outbox(struct gateway *gateway)
{
	return gateway->outbox;
}

struct publisher *gateway_publisher(struct gateway *gateway)
{
	return gateway->upstream->publisher;
}

struct store *gateway_store(struct gateway *gateway)
{
	return gateway->store;
}

struct inquiry *gateway_inquiry(struct gateway *gateway)
{
	return gateway->inquiry;
}

int64_t gateway_started_at(const struct gateway *gateway)
{
	return gateway->started_at;
}

int gateway_errand(struct gateway *gateway, const struct errand *errand)
{
	const struct generation *present = gateway->present;
	if (errand->bus >= present->plan.n_buses || !present->homes[errand->bus].poller)
		return -ENODEV;
	struct errand there = *errand;
	there.bus = (uint32_t)present->homes[errand->bus].bus;
	return poller_errand(present->homes[errand->bus].poller, &there);
}

void gateway_put_stats(struct gateway *gateway, const char *json, size_t n)
{
	announce_stats(gateway->upstream->announce, json, n);
}

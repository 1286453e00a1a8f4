/*
 * What Sparkplug needs of the gateway.  See edge.h.
 *
 * Why a file of its own: what was told in one protocol waits for the other one's broker in its own time, and the limits
 * of the buffer hold for each.
 */
#include "app/edge.h"
#include "app/remember.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MEMORY_BYTES (16u << 20) /* of records that wait and are not on disk */

/* …/buffer.db → …/buffer-sparkplug.db */
static const char *path_beside(const char *path, struct arena *arena)
{
	static const char ending[] = ".db";
	size_t n = strlen(path), n_ending = sizeof(ending) - 1;
	bool named = n > n_ending && strcmp(path + n - n_ending, ending) == 0 && path[n - n_ending - 1] != '/';
	return arena_format(arena, "%.*s-sparkplug%s", (int)(named ? n - n_ending : n), path, named ? ending : "");
}

int edge_init(const struct plan *plan, struct edge **ret_edge)
{
	struct edge *edge = calloc(1, sizeof(*edge));
	if (!edge)
		return -ENOMEM;
	edge->buffer = plan->buffer;
	edge->buffer.path = plan->buffer.path ? path_beside(plan->buffer.path, &edge->arena) : NULL;
	edge->buffer.live_first = true; /* history goes beside what is read now */
	sparkplug_count_init(&edge->count, remember_path(plan, "bdseq", &edge->arena), &clock_system);
	edge->news_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int64_t memory = plan_buffer_memory(&edge->buffer, MEMORY_BYTES);
	int rc = edge->news_fd < 0 ? -errno : outbox_init(&edge->buffer, memory, &clock_system, &edge->outbox);
	if (rc < 0) {
		edge_destroy(edge);
		return rc;
	}
	*ret_edge = edge;
	return 0;
}

int edge_open(struct edge *edge)
{
	return edge->buffer.path ? store_init(&edge->buffer, edge->outbox, &clock_system, &edge->store) : 0;
}

int edge_start(struct edge *edge)
{
	int rc = edge->store ? store_start(edge->store) : 0;
	edge->runs = rc == 0;
	return rc;
}

void edge_stop(struct edge *edge)
{
	if (edge && edge->store)
		store_stop(edge->store);
}

int edge_join(struct edge *edge, int64_t timeout_us)
{
	return edge && edge->store ? store_join(edge->store, timeout_us) : 0;
}

void edge_destroy(struct edge *edge)
{
	if (!edge)
		return;
	store_destroy(edge->store);
	outbox_destroy(edge->outbox);
	if (edge->news_fd >= 0)
		close(edge->news_fd);
	arena_free(&edge->arena);
	free(edge);
}

void edge_relimit(struct edge *edge, const struct plan_buffer *limits)
{
	plan_buffer_relimit(&edge->buffer, limits);
	outbox_relimit(edge->outbox, &edge->buffer, plan_buffer_memory(&edge->buffer, MEMORY_BYTES));
}

bool edge_status(const struct edge *edge, const struct edge_node *node, struct edge_status *ret_status)
{
	struct outbox_counts counts;
	if (!edge || !node)
		return false;
	sparkplug_status(node->sparkplug, &ret_status->node);
	outbox_counts(edge->outbox, &counts);
	ret_status->waiting = counts.waiting;
	ret_status->dropped = counts.dropped_full + counts.dropped_expired + counts.dropped_damaged;
	return true;
}

int edge_node_init(struct edge *edge, struct generation *generation, struct edge_node **ret_node)
{
	struct edge_node *node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->broker = plan_broker_copy(&generation->plan.broker, &node->arena);
	node->broker.client_id = sparkplug_client_id(node->broker.client_id, &node->arena);
	int rc = uplink_mosquitto_init(&node->uplink);
	const struct sparkplug_parts parts = {
		.plan = &generation->plan,
		.broker = &node->broker,
		.places = generation->places,
		.outbox = edge->outbox,
		.uplink = node->uplink,
		.count = &edge->count,
		.taker = generation->edge_orders ? orders_taker(generation->edge_orders) : NULL,
		.clock = &clock_system,
		.news_fd = edge->news_fd,
	};
	if (rc == 0)
		rc = sparkplug_init(&parts, &node->sparkplug);
	if (rc < 0) {
		edge_node_destroy(node);
		return rc;
	}
	*ret_node = node;
	return 0;
}

void edge_node_destroy(struct edge_node *node)
{
	if (!node)
		return;
	sparkplug_destroy(node->sparkplug);
	uplink_mosquitto_destroy(node->uplink);
	arena_free(&node->arena);
	free(node);
}

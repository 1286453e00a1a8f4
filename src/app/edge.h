/*
 * The gateway's side of Sparkplug: what waits to be told there, with a file of its own beside the buffer's, and the
 * node that tells it.
 *
 * An edge lasts as long as the gateway; each reading of the map has a node of its own, of which one runs at a time.
 * Main thread.
 */
#ifndef APP_EDGE_H
#define APP_EDGE_H

#include "app/generation.h"
#include "model/plan.h"
#include "ship/outbox.h"
#include "ship/sparkplug.h"
#include "ship/store.h"
#include "ship/uplink.h"

struct edge {
	struct outbox *outbox;
	struct store *store;       /* NULL = memory only */
	struct plan_buffer buffer; /* of the file */
	struct sparkplug_count count;
	int news_fd;
	bool runs;
	struct arena arena;
};

/* 0 and *ret_edge, or -errno. */
int edge_init(const struct plan *plan, struct edge **ret_edge);

/* Opens its file, if there is to be one.  As gateway_open_buffer. */
int edge_open(struct edge *edge);
int edge_start(struct edge *edge);

/* Its file is stopped as a store is; edge NULL is fine. */
void edge_stop(struct edge *edge);
int edge_join(struct edge *edge, int64_t timeout_us);
void edge_destroy(struct edge *edge);

/* The buffer's limits, as outbox_relimit. */
void edge_relimit(struct edge *edge, const struct plan_buffer *limits);

/* How it is.  False when it is switched off: edge or node is NULL. */
struct edge_status {
	struct sparkplug_status node;
	uint64_t waiting, dropped; /* readings */
};
struct edge_node;
bool edge_status(const struct edge *edge, const struct edge_node *node, struct edge_status *ret_status);

struct edge_node {
	struct uplink *uplink;
	struct sparkplug *sparkplug;
	struct plan_broker broker;
	struct arena arena;
};

/* The node of a generation that has its places (generation_places).  0 and *ret_node, or -errno. */
int edge_node_init(struct edge *edge, struct generation *generation, struct edge_node **ret_node);

/* It has ended or was never started, and none of the generation's orders is under way.  NULL is fine. */
void edge_node_destroy(struct edge_node *node);

#endif

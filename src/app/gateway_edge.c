/*
 * Sparkplug in the gateway: made with the first map that has it, a node for each reading of the map.  See
 * gateway_inner.h.
 *
 * Thread: main.
 */
#include "app/gateway_inner.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

static bool has_sparkplug(const struct gateway *gateway, const struct generation *generation)
{
	return generation->plan.sparkplug.enabled && !gateway->options.once && !gateway->options.print;
}

static int tap_sparkplug(struct gateway *gateway, struct generation *generation)
{
	int rc = 0;
	if (!gateway->edge)
		rc = edge_init(&generation->plan, &gateway->edge);
	if (rc == 0 && gateway->started_at &&
		!gateway->edge->runs) { /* else gateway_open_buffer and gateway_start do */
		rc = edge_open(gateway->edge);
		if (rc < 0)
			log_error("buffer: %s: %s", gateway->edge->buffer.path,
				rc == -EBUSY ? "another gateway has it" : strerror(-rc));
		else
			rc = edge_start(gateway->edge);
	}
	if (rc == 0)
		rc = generation_intake(generation, outbox_sink(gateway->edge->outbox), gateway->edge->news_fd);
	return rc;
}

int gateway_taps(struct gateway *gateway, struct generation *generation)
{
	int rc = has_sparkplug(gateway, generation) ? tap_sparkplug(gateway, generation) : 0;
	return rc < 0 || gateway->options.once || gateway->options.print ? rc : generation_board(generation);
}

void gateway_untap(struct gateway *gateway)
{
	if (!gateway->edge || gateway->edge->runs)
		return;
	edge_destroy(gateway->edge);
	gateway->edge = NULL;
}

int gateway_node(struct gateway *gateway, struct generation *generation, struct edge_node **ret_node)
{
	*ret_node = NULL;
	if (!has_sparkplug(gateway, generation))
		return 0;
	int rc = generation_places(generation, &clock_system);
	return rc < 0 ? rc : edge_node_init(gateway->edge, generation, ret_node);
}

bool gateway_change_node(struct gateway *gateway, struct edge_node **node, int64_t alive_by_us)
{
	if (gateway->node && sparkplug_join(gateway->node->sparkplug, 0) < 0)
		return false;
	struct edge_node *before = gateway->node;
	gateway->node = *node;
	*node = before;
	if (!gateway->node)
		return true;
	sparkplug_alive_by(gateway->node->sparkplug, alive_by_us);
	int rc = sparkplug_start(gateway->node->sparkplug);
	if (rc < 0) /* then the watchdog has us started anew */
		log_error("the Sparkplug node can't be started: %s", strerror(-rc));
	return true;
}

bool gateway_sparkplug(const struct gateway *gateway, struct edge_status *ret_status)
{
	return edge_status(gateway->edge, gateway->node, ret_status);
}

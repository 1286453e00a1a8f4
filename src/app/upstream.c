/*
 * The way to the broker.  See upstream.h.
 *
 * Why the broker is copied: the publisher goes on over readings of the map that don't change it, and the plan that it
 * was made from goes.
 */
#include "app/upstream.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Polling once may happen beside the gateway that runs with the same map: with its client id it would push that one
 * out and clear its session, and with its last word and its will it would tell that that one is gone.
 */
static int init_publisher(struct upstream *upstream, const struct plan *plan, bool once, struct outbox *outbox)
{
	int rc = uplink_mosquitto_init(&upstream->uplink);
	if (rc < 0)
		return rc;
	upstream->broker = plan_broker_copy(&plan->broker, &upstream->arena);
	if (once) {
		upstream->broker.client_id = arena_format(&upstream->arena, "%s-once", upstream->broker.client_id);
		announce_stateless(upstream->announce);
	}
	rc = publisher_init(&upstream->broker, plan_uses_qos2(plan), announce_will_topic(upstream->announce), outbox,
		upstream->uplink, &upstream->audience.listener, &clock_system, &upstream->publisher);
	if (rc < 0 || once || upstream->broker.prefer_first_us == 0)
		return rc;
	rc = uplink_mosquitto_init(&upstream->lookout);
	return rc < 0 ? rc : publisher_look_with(upstream->publisher, upstream->lookout);
}

int upstream_init(const struct standing *standing, struct message_sink *messages, struct command *command,
	_Atomic unsigned *occasions, bool once, struct outbox *outbox, struct upstream **ret_upstream)
{
	struct upstream *upstream = calloc(1, sizeof(*upstream));
	if (!upstream)
		return -ENOMEM;
	int rc = announce_init(standing, &clock_system, messages, &upstream->announce);
	audience_init(&upstream->audience);
	if (rc == 0)
		audience_add(&upstream->audience, announce_publisher_listener(upstream->announce));
	if (rc == 0 && command)
		audience_add(&upstream->audience, command_listener(command));
	if (rc == 0 && outbox && !once)
		rc = discoverer_init(standing->plan, &clock_system, messages, occasions, &upstream->discoverer);
	if (upstream->discoverer)
		audience_add(&upstream->audience, discoverer_listener(upstream->discoverer));
	if (rc == 0 && outbox)
		rc = init_publisher(upstream, standing->plan, once, outbox);
	if (rc < 0) {
		upstream_destroy(upstream);
		return rc;
	}
	*ret_upstream = upstream;
	return 0;
}

void upstream_destroy(struct upstream *upstream)
{
	if (!upstream)
		return;
	publisher_destroy(upstream->publisher);
	uplink_mosquitto_destroy(upstream->lookout);
	uplink_mosquitto_destroy(upstream->uplink);
	discoverer_destroy(upstream->discoverer);
	announce_destroy(upstream->announce);
	arena_free(&upstream->arena);
	free(upstream);
}

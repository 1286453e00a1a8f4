/*
 * Hands on what a publisher tells, see audience.h.
 */
#include "ship/audience.h"

static struct audience *audience_of(struct publisher_listener *listener)
{
	return (struct audience *)(void *)listener; /* its first member */
}

static void audience_connected(
	struct publisher_listener *listener, const char *broker_url, struct uplink *uplink, bool resumed)
{
	struct audience *audience = audience_of(listener);
	audience->broker_url = broker_url;
	audience->uplink = uplink;
	for (size_t i = 0; i < audience->n; i++)
		audience->members[i]->connected(audience->members[i], broker_url, uplink, resumed);
}

static void audience_lost(struct publisher_listener *listener)
{
	struct audience *audience = audience_of(listener);
	audience->uplink = NULL;
	for (size_t i = 0; i < audience->n; i++)
		if (audience->members[i]->lost)
			audience->members[i]->lost(audience->members[i]);
}

static void audience_subscribed(struct publisher_listener *listener, int message_id, int reason)
{
	struct audience *audience = audience_of(listener);
	for (size_t i = 0; i < audience->n; i++)
		if (audience->members[i]->subscribed)
			audience->members[i]->subscribed(audience->members[i], message_id, reason);
}

static void audience_message(struct publisher_listener *listener, const struct uplink_message *message)
{
	struct audience *audience = audience_of(listener);
	for (size_t i = 0; i < audience->n; i++)
		if (audience->members[i]->message)
			audience->members[i]->message(audience->members[i], message);
}

static int64_t audience_step(struct publisher_listener *listener, bool settled, int64_t now_us)
{
	struct audience *audience = audience_of(listener);
	int64_t soonest = CLOCK_NEVER;
	for (size_t i = 0; i < audience->n; i++) {
		if (!audience->members[i]->step)
			continue;
		int64_t at = audience->members[i]->step(audience->members[i], settled, now_us);
		soonest = at < soonest ? at : soonest;
	}
	return soonest;
}

static void audience_leaving(struct publisher_listener *listener)
{
	struct audience *audience = audience_of(listener);
	for (size_t i = 0; i < audience->n; i++)
		if (audience->members[i]->leaving)
			audience->members[i]->leaving(audience->members[i]);
}

static void leave(struct audience *audience, struct publisher_listener *out, struct publisher_listener *in)
{
	size_t kept = 0;
	for (size_t i = 0; i < audience->n; i++)
		if (audience->members[i] != out)
			audience->members[kept++] = audience->members[i];
	audience->n = kept;
	if (audience->uplink && out->replaced)
		out->replaced(out, in, audience->uplink);
	if (audience->uplink && out->lost)
		out->lost(out);
}

static void audience_turned(struct publisher_listener *listener, struct uplink *uplink)
{
	struct audience *audience = audience_of(listener);
	if (atomic_load_explicit(&audience->changes, memory_order_acquire)) {
		if (audience->out)
			leave(audience, audience->out, audience->in);
		if (audience->in)
			audience_add(audience, audience->in);
		if (audience->in && audience->uplink)
			audience->in->connected(audience->in, audience->broker_url, audience->uplink, false);
		atomic_store_explicit(&audience->changes, false, memory_order_release);
	}
	for (size_t i = 0; i < audience->n; i++)
		if (audience->members[i]->turned)
			audience->members[i]->turned(audience->members[i], uplink);
}

void audience_change(struct audience *audience, struct publisher_listener *out, struct publisher_listener *in)
{
	audience->out = out;
	audience->in = in;
	atomic_store_explicit(&audience->changes, true, memory_order_release);
}

bool audience_changes(const struct audience *audience)
{
	return atomic_load_explicit(&audience->changes, memory_order_acquire);
}

void audience_init(struct audience *audience)
{
	*audience = (struct audience){.listener = {.connected = audience_connected,
					      .lost = audience_lost,
					      .subscribed = audience_subscribed,
					      .message = audience_message,
					      .step = audience_step,
					      .turned = audience_turned,
					      .leaving = audience_leaving}};
}

void audience_add(struct audience *audience, struct publisher_listener *member)
{
	if (audience->n < AUDIENCE_MAX)
		audience->members[audience->n++] = member;
}

/*
 * Who is not asked again, by endpoint.  See unanswered.h.
 */
#include "ship/unanswered.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int unanswered_init(struct unanswered *unanswered, const struct plan_broker *broker)
{
	/* One more: there is a place to count also without a list. */
	*unanswered = (struct unanswered){.n = calloc(broker->n_endpoints + 1, 1), .n_endpoints = broker->n_endpoints};
	return unanswered->n ? 0 : -ENOMEM;
}

void unanswered_destroy(struct unanswered *unanswered)
{
	free(unanswered->n);
	unanswered->n = NULL;
}

void unanswered_carry(struct unanswered *unanswered, const struct unanswered *from)
{
	if (unanswered->n_endpoints == from->n_endpoints)
		memcpy(unanswered->n, from->n, from->n_endpoints + 1);
}

void unanswered_connected(struct unanswered *unanswered, const struct plan_broker *broker, const char *url)
{
	for (size_t i = 0; i < broker->n_endpoints && i < unanswered->n_endpoints; i++)
		if (strcmp(broker->endpoints[i].url, url) == 0)
			unanswered->endpoint = i;
}

bool unanswered_asks(const struct unanswered *unanswered)
{
	return unanswered->n[unanswered->endpoint] < UNANSWERED_MAX;
}

void unanswered_heard(struct unanswered *unanswered)
{
	unanswered->n[unanswered->endpoint] = 0;
}

bool unanswered_lost(struct unanswered *unanswered)
{
	return unanswered_asks(unanswered) && ++unanswered->n[unanswered->endpoint] == UNANSWERED_MAX;
}

/*
 * Brokers that drop the connection when they are asked for a subscription, as RabbitMQ does with a user that may not:
 * it has no other answer.  Readings go before what would be heard, so after UNANSWERED_MAX such connections in a row a
 * broker is not asked again; the others of the list are.
 *
 * On the publisher's thread; not shared.
 */
#ifndef SHIP_UNANSWERED_H
#define SHIP_UNANSWERED_H

#include "model/plan.h"

#include <stdbool.h>
#include <stddef.h>

#define UNANSWERED_MAX 3

struct unanswered {
	unsigned char *n; /* of each endpoint: connections in a row that were lost while it was asked */
	size_t n_endpoints;
	size_t endpoint; /* connected to, or last */
};

/* 0 or -ENOMEM.  The broker is not kept. */
int unanswered_init(struct unanswered *unanswered, const struct plan_broker *broker);
void unanswered_destroy(struct unanswered *unanswered);

/* What another one knows of the same list of endpoints holds here as well. */
void unanswered_carry(struct unanswered *unanswered, const struct unanswered *from);

/* A connection stands; url: one of the list that it was made with. */
void unanswered_connected(struct unanswered *unanswered, const struct plan_broker *broker, const char *url);

/* May the broker be asked? */
bool unanswered_asks(const struct unanswered *unanswered);

/* It has answered all that it was asked: some may be allowed, and the connection dropped at the next. */
void unanswered_heard(struct unanswered *unanswered);

/* The connection was lost while an answer was owed.  True when from now on it is not asked again. */
bool unanswered_lost(struct unanswered *unanswered);

#endif

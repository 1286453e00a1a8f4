/*
 * What was handed over at QoS 0, until it is known that the broker has read it.  A message at QoS 0 is never
 * acknowledged; but a broker reads what a client sends in its order, so its word on a subscription that was asked for
 * behind a message says that the message was read.
 *
 *   open ──sent──► sent ──asked──► asked ──the broker's word──► done
 *
 * One owner thread.
 */
#ifndef SHIP_SPARKPLUG_WINDOW_H
#define SHIP_SPARKPLUG_WINDOW_H

#include "ship/outbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPARKPLUG_WINDOW 1000

/* Between two questions: well within half of the default `sync`, so that what a broker reads at once is never written
 * to disk. */
#define SPARKPLUG_CONFIRM_US ((int64_t)200000)

struct sparkplug_window {
	struct outbox *outbox;
	size_t n, n_sent, n_asked;
	int question; /* the id of the subscription; while n_asked > 0 */
	int64_t asked_at_us;
	uint64_t n_done;
	uint64_t sequences[SPARKPLUG_WINDOW];
};

static inline bool sparkplug_window_full(const struct sparkplug_window *window)
{
	return window->n == SPARKPLUG_WINDOW;
}

/* A record of the outbox is in the payload that is being made; there is room. */
void sparkplug_window_take(struct sparkplug_window *window, uint64_t sequence);

/* The payload was handed over. */
void sparkplug_window_sent(struct sparkplug_window *window);

/* It was not: its records go back. */
void sparkplug_window_unsent(struct sparkplug_window *window);

/* A subscription was asked for behind all that was sent. */
void sparkplug_window_asked(struct sparkplug_window *window, int question, int64_t now_us);

/* The broker's word on a subscription.  True when it was the one that was asked for. */
bool sparkplug_window_answered(struct sparkplug_window *window, int question);

/* The connection is gone: all go back, those that were sent as maybe had. */
void sparkplug_window_lost(struct sparkplug_window *window);

#endif

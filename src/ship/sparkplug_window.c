/*
 * The records in flight.  See sparkplug_window.h.
 *
 * Invariant: n_asked <= n_sent <= n; all of them are IN FLIGHT in the outbox.
 */
#include "ship/sparkplug_window.h"

#include <string.h>

void sparkplug_window_take(struct sparkplug_window *window, uint64_t sequence)
{
	window->sequences[window->n++] = sequence;
}

void sparkplug_window_sent(struct sparkplug_window *window)
{
	window->n_sent = window->n;
}

/* From the newest on, so that they lie in the outbox as they did. */
static void back(struct sparkplug_window *window, size_t from, bool maybe_sent)
{
	while (window->n > from)
		outbox_back(window->outbox, false, window->sequences[--window->n], maybe_sent);
}

void sparkplug_window_unsent(struct sparkplug_window *window)
{
	back(window, window->n_sent, false);
}

void sparkplug_window_asked(struct sparkplug_window *window, int question, int64_t now_us)
{
	window->question = question;
	window->n_asked = window->n_sent;
	window->asked_at_us = now_us;
}

bool sparkplug_window_answered(struct sparkplug_window *window, int question)
{
	if (window->n_asked == 0 || question != window->question)
		return false;
	for (size_t i = 0; i < window->n_asked; i++)
		outbox_done(window->outbox, false, window->sequences[i], OUTBOX_ACKNOWLEDGED);
	window->n_done += window->n_asked;
	window->n -= window->n_asked;
	window->n_sent -= window->n_asked;
	memmove(window->sequences, window->sequences + window->n_asked, window->n * sizeof(window->sequences[0]));
	window->n_asked = 0;
	return true;
}

void sparkplug_window_lost(struct sparkplug_window *window)
{
	sparkplug_window_unsent(window);
	back(window, 0, true);
	window->n_sent = window->n_asked = 0;
}

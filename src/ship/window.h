/*
 * What is in flight: message id of the uplink's object -> message of the outbox, in the order of hand-over.
 *
 * A window lives and dies with the uplink's object: it is emptied when the object is forgotten, so an id in it always
 * is one of the object that is there.  One owner thread; memory only at init.
 */
#ifndef SHIP_WINDOW_H
#define SHIP_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WINDOW_TOPIC_MAX 128

struct window_entry {
	uint64_t sequence;
	uint32_t bytes; /* topic and payload */
	int message_id;
	uint8_t qos; /* at which it was handed over */
	bool standing;
	bool orphan; /* the outbox has forgotten it; the object still sends it again */
	uint16_t older, newer;
	char topic[WINDOW_TOPIC_MAX]; /* cut when longer: for logs, and to know it again */
};

struct window {
	struct window_entry *entries;
	unsigned size;
	uint16_t oldest, newest, unused;
	unsigned n[3]; /* in flight, by QoS */
	size_t bytes[3];
};

/* Room for size messages (1..65000).  0 or -ENOMEM. */
int window_init(struct window *window, unsigned size);
void window_destroy(struct window *window);

static inline unsigned window_kept(const struct window *window)
{
	return window->n[1] + window->n[2]; /* those that await an acknowledgement */
}

/* The entry to fill in (sequence, standing are the caller's); NULL when there is no room or the id is in flight
 * already. */
struct window_entry *window_add(struct window *window, int message_id, uint8_t qos, uint32_t bytes, const char *topic);

/* Takes out the message with that id.  False when there is none. */
bool window_take(struct window *window, int message_id, struct window_entry *ret_entry);

/* The oldest, or NULL. */
const struct window_entry *window_oldest(const struct window *window);

/* Walks from the oldest; NULL at the end.  The entry in hand may be taken out if the next was asked for before. */
struct window_entry *window_first(struct window *window);
struct window_entry *window_after(struct window *window, const struct window_entry *entry);

#endif

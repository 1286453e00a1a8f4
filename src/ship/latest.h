/*
 * Where the newest of each topic waits: an index over records of a lane that are to be told only in their newest
 * state (`backlog: "latest"`).  It holds at most one record a topic.
 *
 * No lock: part of a lane, under the outbox's mutex.
 */
#ifndef SHIP_LATEST_H
#define SHIP_LATEST_H

#include <stddef.h>

struct record;

/* Zero-initialised is an empty one.  It grows with the number of topics and stays. */
struct latest {
	struct record **slots; /* hash of the topic, open addressing */
	size_t n_slots, n;
};

void latest_destroy(struct latest *latest);

/* The record with that topic, or NULL. */
struct record *latest_find(const struct latest *latest, const char *topic);

/* Room for one more.  0 or -ENOMEM. */
int latest_grow(struct latest *latest);

/* Adds a record whose topic is not there yet; after latest_grow. */
void latest_add(struct latest *latest, struct record *record);

/* Takes out this very record, if it is there. */
void latest_remove(struct latest *latest, const struct record *record);

#endif

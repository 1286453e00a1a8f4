/*
 * Topic aliases (MQTT 5, section 3.3.2.3.4): a number that stands for a topic on one connection, so that the topic is
 * sent only once.
 *
 * The first topics that ask get one, as many as the server allows, and keep it while the connection lasts: to hand them
 * on would cost a topic each time.  One owner thread; allocates when a topic gets its alias.
 */
#ifndef SHIP_ALIAS_H
#define SHIP_ALIAS_H

#include <stdbool.h>
#include <stdint.h>

#define ALIAS_MOST  256u /* more are worth less than their memory */
#define ALIAS_SLOTS (2 * ALIAS_MOST)

/* Zero-initialised is one without aliases. */
struct aliases {
	char *topics[ALIAS_MOST];    /* of alias 1, 2, … */
	uint16_t slots[ALIAS_SLOTS]; /* aliases by the hash of their topic, 0 = free */
	uint16_t n, most;
	uint16_t newest; /* its slot */
};

/* A connection begins, or ended: what was is forgotten.  most: how many the server takes, 0 = none. */
void aliases_begin(struct aliases *aliases, uint16_t most);

/* The alias of the topic, or 0: send the topic alone.  *ret_known: the server has heard of it, so that it is sent
 * alone; otherwise the topic goes with it. */
uint16_t alias_of(struct aliases *aliases, const char *topic, bool *ret_known);

/* What was to introduce the newest alias was not sent. */
void alias_take_back(struct aliases *aliases);

#endif

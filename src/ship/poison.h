/*
 * Poison: a message at which the broker drops the connection, again and again.  MQTT 3.1.1 has no other way to refuse
 * (RabbitMQ does it to a topic that is not allowed, EMQX to a message above 1 MiB), and such a message would block all
 * behind it for ever.
 *
 * How it is found: after two connections in a row were dropped with messages unacknowledged, the next ones carry one
 * message at a time, and that only after they have stood for a second: a broker that falls over by itself, or another
 * client with our id, shows itself in that second and clears the messages of suspicion.  Whatever was alone in flight
 * at three drops is refused.  A topic with three such messages in a row is not tried again for ten minutes.
 *
 * A broker may also put a message off ("quota exceeded") for reasons of the message: one that it has put off for ten
 * minutes, while it took others each time, is refused.
 *
 * One owner thread; no memory, no clock of its own.
 */
#ifndef SHIP_POISON_H
#define SHIP_POISON_H

#include "ship/window.h"

#include <stdbool.h>
#include <stdint.h>

#define POISON_PUT_OFF       8
#define POISON_PUT_OFF_TIMES 10
#define POISON_PUT_OFF_US    (600 * (int64_t)1000000)
#define POISON_STRIKES       3
#define POISON_HOLD_US       (1 * (int64_t)1000000)
#define POISON_OUTCAST_US    (600 * (int64_t)1000000)
#define POISON_TOPICS        16

struct poison_topic {
	uint32_t hash; /* 0 = free */
	unsigned refused;
	int64_t until_us;
};

/* A message that the broker has put off, while it took others. */
struct poison_put_off {
	uint64_t sequence; /* 0 = free */
	uint64_t n_acknowledged;
	int64_t since_us;
	unsigned times;
	bool standing;
};

struct poison {
	struct poison_put_off put_off[POISON_PUT_OFF];
	unsigned n_put_off;
	unsigned losses; /* connections in a row that were dropped with something unacknowledged */
	unsigned strikes;
	bool takes;    /* the broker took a reading since it last refused one so */
	bool standing; /* the suspect: a standing message is known again by its topic, a reading by its sequence */
	uint64_t suspect;
	unsigned n_topics;
	struct poison_topic topics[POISON_TOPICS];
};

/* One message at a time, POISON_HOLD_US after the connection stands, and nothing at QoS 0. */
static inline bool poison_suspected(const struct poison *poison)
{
	return poison->losses >= 2;
}

/* Is it worth connecting again soon, to find the message?  Not with a broker that takes nothing at all. */
static inline bool poison_hurries(const struct poison *poison)
{
	return poison_suspected(poison) && poison->takes;
}

/* The broker dropped an established connection.  True when the only message that awaits its acknowledgement in the
 * window is to be refused. */
bool poison_lost(struct poison *poison, const struct window *window, int64_t now_us);

/* The broker does not take the message now.  True when that is not about now but about the message: refused for long,
 * and each time others were taken since. */
bool poison_put_off(struct poison *poison, const struct window_entry *entry, uint64_t n_acknowledged, int64_t now_us);

/* The broker took the message. */
void poison_taken(struct poison *poison, const struct window_entry *entry);

/* A message was acknowledged (with any reason: the connection stood). */
void poison_acknowledged(struct poison *poison, const struct window_entry *entry);

/* True when a message on that topic is to be refused without being sent. */
bool poison_outcast(const struct poison *poison, const char *topic, bool standing, int64_t now_us);

#endif

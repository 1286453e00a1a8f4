/*
 * One message for a whole device (`per: "device"`): gathers what one round of polls tells and writes it as one json
 * object or one influx line.  Values are written as text as they come, since a reading's own text is gone when the
 * next batch arrives.
 *
 * The round of a device belongs to the thread of its bus; no lock, no allocation after init.
 */
#ifndef SHIP_PAYLOAD_ROUND_H
#define SHIP_PAYLOAD_ROUND_H

#include "model/message.h"
#include "ship/payload.h"

struct payload_round;

struct payload_rounds {
	struct payload *payload;
	struct payload_round **devices; /* NULL where no metric is told per device */
	struct arena arena;
};

/* The payload outlives the rounds. */
void payload_rounds_init(struct payload_rounds *rounds, struct payload *payload);
void payload_rounds_destroy(struct payload_rounds *rounds);

/*
 * Adds a reading of a metric whose delivery is per_device: a value that is to be told, or a quality.  With worth false
 * it goes along in a message that goes out anyway, but is no reason to send one.
 */
void payload_round_add(struct payload_rounds *rounds, const struct reading *reading, bool worth);

/*
 * Ends the round of the device and begins the next.  Fills the message, whose payload is valid until the next
 * payload_round_add: topic of the device, delivery of its first metric per device, time of its last answer.
 * 0; -ENOMSG when nothing is worth a message.
 */
int payload_round_end(struct payload_rounds *rounds, uint32_t device, struct message *ret_message);

#endif

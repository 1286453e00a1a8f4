/*
 * What a Sparkplug node says in a session: births, deaths and data, each with the next seq, by what the plan, the
 * boards and the rosters know.
 *
 * Source: Sparkplug 3.0.0, 6.4.  One owner thread; allocates nothing after init.
 */
#ifndef SHIP_SPARKPLUG_TELL_H
#define SHIP_SPARKPLUG_TELL_H

#include "base/clock.h"
#include "model/plan.h"
#include "ship/sparkplug_payload.h"
#include "ship/sparkplug_place.h"
#include "ship/uplink.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPARKPLUG_DEATH_BYTES 64 /* an NDEATH */

struct sparkplug_device {
	const char *id;
	bool born;
	bool refused;    /* the broker takes no message as long as its birth … */
	bool complained; /* … which was logged, however often births are asked for */
	int64_t dies_at; /* it does not answer: when its death is told at the latest; CLOCK_NEVER */
};

struct sparkplug_tell {
	const struct plan *plan;
	const struct sparkplug_place *places;
	const struct clock *clock;
	struct uplink *uplink;

	struct sparkplug_device *devices;
	struct sparkplug_said *said; /* of each metric */
	uint32_t *by_topic;          /* metrics, sorted by their topics */
	int64_t since_ms;            /* when it was made */
	uint8_t seq;                 /* of the next message */
	bool caught_up;              /* nothing that was put before the last birth waits */

	size_t topic_max; /* bytes of the longest topic of a DDATA */
	size_t data_max;  /* bytes of a DDATA */
	uint8_t *bytes;
	size_t size;
	struct sparkplug_pack pack; /* a DDATA that is being made, of … */
	uint32_t device;            /* … this device, when it has metrics */
};

/* What is given outlives it.  0 or -ENOMEM. */
int sparkplug_tell_init(struct sparkplug_tell *tell, const struct plan *plan, const struct sparkplug_place *places,
	const struct clock *clock, struct uplink *uplink);
void sparkplug_tell_destroy(struct sparkplug_tell *tell); /* a zeroed one is fine */

/* The payload of NDEATH, also as the will.  How many bytes. */
size_t sparkplug_tell_death_payload(
	const struct sparkplug_tell *tell, uint8_t bd_seq, uint8_t bytes[static SPARKPLUG_DEATH_BYTES]);

/*
 * A session begins, or is told anew: NBIRTH with seq 0; after it no device is born.  maximum_packet: what the broker
 * takes; 0 = anything.  What these return: 0, or what the uplink's publish returned with nothing said.
 */
int sparkplug_tell_node_birth(struct sparkplug_tell *tell, uint8_t bd_seq, uint32_t maximum_packet);

/* DBIRTH: each metric with its present value.  stale: without, as the device does not answer. */
int sparkplug_tell_birth(struct sparkplug_tell *tell, uint32_t device, bool stale);
int sparkplug_tell_death(struct sparkplug_tell *tell, uint32_t device);

/* The metric with that topic; -1 = the plan has none. */
ptrdiff_t sparkplug_tell_find(const struct sparkplug_tell *tell, const char *topic);

/*
 * Adds a reading to the DDATA of its device, which is born; the one that is being made is this device's or empty.
 * past: it was not read in this session, or may have been told in it.  0, or -ENOSPC: send first.
 */
int sparkplug_tell_add(struct sparkplug_tell *tell, const struct reading *reading, bool past);

/* Sends the DDATA, if it has metrics; it is gone in any case. */
int sparkplug_tell_send(struct sparkplug_tell *tell);

/* Publishes at QoS 0 on GROUP's type/NODE, or of a device, a payload of `bytes`. */
int sparkplug_tell_publish(
	struct sparkplug_tell *tell, const char *type, const char *device_id, const void *bytes, size_t n);

#endif

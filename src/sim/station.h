/*
 * A station: all simulated devices of one bus, and what they answer when.  No I/O and no clock of
 * its own: station_set.h puts it on a wire.  One owner thread.
 */
#ifndef SIM_STATION_H
#define SIM_STATION_H

#include "sim/frame.h"
#include "sim/mishap.h"
#include "sim/slave.h"

struct station_options {
	int64_t turnaround_us;         /* a device thinks so long before it answers */
	bool pace;                     /* bytes take the time that they would take on the bus's line */
	bool strict;                   /* paced, and a request without 3.5 characters of silence before it is lost */
	bool fill_gaps;                /* see slave_init */
	const struct mishaps *mishaps; /* NULL = all goes well */
};

struct station {
	const struct plan *plan;
	const struct plan_bus *bus;
	struct station_options options;
	enum frame_kind kind;
	int64_t gap_us;    /* silence that ends a frame */
	int64_t strict_us; /* silence that strict devices want, whatever the map's `gap` */
	int64_t quiet_at;  /* strict: when that silence will be over, as far as is known */
	uint64_t n_hasty;  /* strict: requests that came before */
	struct slave *slaves;
	struct mishap_state *mishaps; /* one a slave */
	struct mishap_state of_bus;
	size_t n_slaves;
	int16_t by_unit[256]; /* index in slaves, or -1 */
};

/* One piece of what comes back. */
struct station_reply {
	int64_t due_at; /* when its last byte is on the wire */
	bool hangs_up;  /* the connection ends behind it */
	size_t n;
	uint8_t frame[FRAME_MAX];
};

#define STATION_REPLIES 4 /* an echo, another master's question and answer, the answer */

struct station_outcome {
	struct station_reply replies[STATION_REPLIES];
	size_t n_replies;
	int64_t unplugged_us; /* the bus goes away for so long; 0 = it stays */
};

/* plan and what the options point to must outlive the station, whose memory is the arena's. */
void station_init(struct station *station, const struct plan *plan, const struct plan_bus *bus,
	const struct station_options *options, struct arena *arena);

/*
 * Takes a request that came in at an instant, and says what comes back: nothing when nobody answers.
 *
 * On a serial line an unknown unit is silent, and unit 0 is obeyed by all and answered by none
 * (MODBUS over Serial Line V1.02, section 2.1).  On Modbus TCP units 0 and 255 mean the device
 * itself where there is only one, and an unknown unit gets exception 11 (MODBUS Messaging on TCP/IP
 * Implementation Guide V1.0b, section 4.4.2.2).
 */
void station_take(struct station *station, const struct frame_request *request, int64_t now_us,
	struct station_outcome *ret_outcome);

/* The last byte of something that came back went out at that instant. */
void station_sent(struct station *station, int64_t now_us);

#endif

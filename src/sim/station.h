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
	bool fill_gaps;                /* see slave_init */
	const struct mishaps *mishaps; /* NULL = all goes well */
};

struct station {
	const struct plan_bus *bus;
	struct station_options options;
	enum frame_kind kind;
	int64_t gap_us; /* silence that ends a frame */
	struct slave *slaves;
	struct mishap_state *mishaps; /* one a slave */
	size_t n_slaves;
	int16_t by_unit[256]; /* index in slaves, or -1 */
};

/* plan and what the options point to must outlive the station, whose memory is the arena's. */
void station_init(struct station *station, const struct plan *plan, const struct plan_bus *bus,
	const struct station_options *options, struct arena *arena);

/*
 * Takes a request that came in at an instant.  Returns the length of the frame that answers it, and
 * in *ret_due_at when its last byte is on the wire; 0 when nobody answers.
 *
 * On a serial line an unknown unit is silent, and unit 0 is obeyed by all and answered by none
 * (MODBUS over Serial Line V1.02, section 2.1).  On Modbus TCP units 0 and 255 mean the device
 * itself where there is only one, and an unknown unit gets exception 11 (MODBUS Messaging on TCP/IP
 * Implementation Guide V1.0b, section 4.4.2.2).
 */
size_t station_take(struct station *station, const struct frame_request *request, int64_t now_us,
	uint8_t frame[static FRAME_MAX], int64_t *ret_due_at);

#endif

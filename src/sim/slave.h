/*
 * One simulated Modbus device: it holds the registers and bits at which a plan's metrics of that
 * device lie, moves their values, and answers requests.  No I/O and no clock of its own.
 * One owner thread.
 */
#ifndef SIM_SLAVE_H
#define SIM_SLAVE_H

#include "base/arena.h"
#include "model/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLAVE_PDU_MAX 253 /* MODBUS Application Protocol V1.1b3, section 4.1 */

enum slave_exception {
	SLAVE_ILLEGAL_FUNCTION = 1,
	SLAVE_ILLEGAL_ADDRESS = 2,
	SLAVE_ILLEGAL_VALUE = 3,
	SLAVE_GATEWAY_NO_ANSWER = 11,
};

/* One register, or one bit. */
struct slave_cell {
	uint16_t at;
	uint16_t value;
	bool written; /* by a master: no longer moves */
};

/* Something that lies in cells and moves. */
struct slave_slot {
	uint32_t metric; /* index in plan->metrics */
	struct bf_place place;
	bool exponent; /* the power of ten of the metric, not its value */
};

struct slave {
	const struct plan *plan;
	uint32_t device; /* index in plan->devices */
	struct {
		struct slave_cell *cells; /* sorted, each address once */
		size_t n_cells;
		struct slave_slot *slots; /* sorted by place.at */
		size_t n_slots;
	} spaces[BF_N_SPACES];
};

/*
 * Makes the device; its memory is the arena's.  Metrics in models lie as chain_presume has them, with the chain around
 * them.  What no metric uses answers exception 2; with `fill_gaps` the gaps between two places that one request could
 * span are there too and hold 0.
 */
void slave_init(struct slave *slave, const struct plan *plan, uint32_t device, bool fill_gaps, struct arena *arena);

/*
 * Answers one request PDU of n bytes at an instant.  Function codes 1–6, 15 and 16; all others
 * and all that is wrong with these gets an exception.  Returns the length of the answer PDU, never
 * more than SLAVE_PDU_MAX; 0 when there is no request to answer (n is 0).
 */
size_t slave_answer(
	struct slave *slave, const uint8_t *request, size_t n, int64_t now_us, uint8_t answer[static SLAVE_PDU_MAX]);

/* Writes an exception answer to a function code; returns its length, 2. */
size_t slave_refuse(uint8_t function, enum slave_exception code, uint8_t answer[static SLAVE_PDU_MAX]);

#endif

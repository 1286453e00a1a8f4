/*
 * What goes wrong on purpose between a simulated device's answer and the wire.  Pure but for the
 * state that the caller keeps for each device and bus: with the same seed and the same questions the
 * same mishaps happen, whatever the other devices do.  One owner thread.
 */
#ifndef SIM_MISHAP_H
#define SIM_MISHAP_H

#include "base/arena.h"
#include "model/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mishap {
	MISHAP_DEAD,       /* never answers; its rate is the share of devices that are */
	MISHAP_LOST,       /* an answer that does not come */
	MISHAP_LATE,       /* one that comes when it has been given up */
	MISHAP_SLOW,       /* one that comes late but in time */
	MISHAP_TRUNCATED,  /* one that is cut off; on TCP the connection ends there */
	MISHAP_NOISY,      /* bits of it are wrong; serial frames only, as TCP has a checksum of its own */
	MISHAP_FOREIGN,    /* another master's question and its answer come before it */
	MISHAP_WRONG_UNIT, /* it bears the address of another unit */
	MISHAP_EXCEPTION,  /* an exception comes instead: 4, 5, 6 or 11 */
	MISHAP_ECHOING,    /* an adapter that returns what it sends; its rate is the share of buses */
	MISHAP_UNPLUGGED,  /* at a request the bus goes away for seconds */
	N_MISHAPS,
};

#define MISHAP_ANY UINT32_MAX

struct mishap_rule {
	enum mishap what;
	double rate;     /* 0..1 */
	uint32_t device; /* index in plan->devices, or MISHAP_ANY */
	uint32_t bus;    /* index in plan->buses, or MISHAP_ANY */
};

struct mishaps {
	const struct mishap_rule *rules;
	size_t n_rules;
	uint64_t seed;
};

/*
 * Reads "late,dead@cellar/boiler,lost:5%,slow@rs485:20%": kinds, each for one device (its topic
 * without the site), for one bus (its name), or for all, each with its rate.  What befalls a bus and
 * is told of a device befalls the device's bus.  0; -EINVAL with what is wrong in `complaint`.
 */
int mishaps_parse(const char *text, const struct plan *plan, uint64_t seed, struct arena *arena,
	struct mishaps *ret_mishaps, char complaint[static 160]);

/* The chance of one device, or of one bus. */
struct mishap_state {
	uint32_t device, bus;
	uint64_t base, n_drawn;
	bool dead;    /* the device */
	bool echoing; /* the bus */
};

void mishap_begin(const struct mishaps *mishaps, uint32_t device, uint32_t bus, struct mishap_state *ret_state);
void mishap_begin_bus(const struct mishaps *mishaps, uint32_t bus, struct mishap_state *ret_state);

/* What becomes of one answer. */
struct mishap_fate {
	bool silent, truncated, noisy, foreign, wrong_unit;
	uint8_t exception; /* 0 = none */
	int64_t delay_us;
	uint64_t dice; /* what else is up to chance */
};

/* Draws the fate of the next answer of a device whose master waits at most timeout_us. */
struct mishap_fate mishap_draw(const struct mishaps *mishaps, int64_t timeout_us, struct mishap_state *state);

/* At a request on the bus: for how long it is unplugged; 0 = not. */
int64_t mishap_unplugs(const struct mishaps *mishaps, struct mishap_state *state);

/* The next number of a chain of dice. */
uint64_t mishap_roll(uint64_t *dice);

/*
 * Spoils n bytes (at least 2) of a serial frame as its fate says; returns how many are left.  Noise is one to three
 * bits, or a burst within two bytes: what a CRC-16 is certain to find, so that a value that passes is a fault of who
 * took it.
 */
size_t mishap_spoil(const struct mishap_fate *fate, uint8_t *frame, size_t n);

#endif

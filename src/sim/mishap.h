/*
 * What goes wrong on purpose between a simulated device's answer and the wire.  Pure but for the
 * state that the caller keeps for each device: with the same seed and the same questions the same
 * mishaps happen, whatever the other devices do.  One owner thread.
 */
#ifndef SIM_MISHAP_H
#define SIM_MISHAP_H

#include "base/arena.h"
#include "model/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mishap {
	MISHAP_DEAD, /* never answers; its rate is the share of devices that are */
	MISHAP_LOST, /* an answer that does not come */
	MISHAP_LATE, /* one that comes when it has been given up */
	MISHAP_SLOW, /* one that comes late but in time */
	N_MISHAPS,
};

#define MISHAP_ANY_DEVICE UINT32_MAX

struct mishap_rule {
	enum mishap what;
	uint32_t device; /* index in plan->devices */
	double rate;     /* 0..1 */
};

struct mishaps {
	const struct mishap_rule *rules;
	size_t n_rules;
	uint64_t seed;
};

/*
 * Reads "late,dead@cellar/boiler,lost:5%,slow@cellar/pump:20%": kinds, each for one device (its
 * topic without the site) or for all, each with its rate, 100 % for dead and 5 % for the others.
 * 0; -EINVAL with what is wrong in `complaint`.
 */
int mishaps_parse(const char *text, const struct plan *plan, uint64_t seed, struct arena *arena,
	struct mishaps *ret_mishaps, char complaint[static 160]);

/* The chance of one device. */
struct mishap_state {
	uint64_t random;
	bool dead;
};

void mishap_begin(const struct mishaps *mishaps, uint32_t device, struct mishap_state *ret_state);

/* What becomes of one answer. */
struct mishap_fate {
	bool silent;
	int64_t delay_us;
};

/* Draws the fate of the next answer of a device whose master waits at most timeout_us. */
struct mishap_fate mishap_draw(
	const struct mishaps *mishaps, uint32_t device, int64_t timeout_us, struct mishap_state *state);

#endif

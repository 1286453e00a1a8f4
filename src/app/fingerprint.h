/*
 * Fingerprints: the probes of all profiles, by which a search suggests what a device may be.  It never decides: a
 * register that holds a plausible number is no proof.
 */
#ifndef APP_FINGERPRINT_H
#define APP_FINGERPRINT_H

#include "model/plan.h"
#include "sdk/value.h"

#include <stdbool.h>
#include <stddef.h>

struct fingerprint {
	const char *id, *maker, *device; /* of the profile */
	struct plan_metric probe;
};

struct fingerprints {
	struct fingerprint *items; /* in the order of the profiles' names */
	size_t n_items;
	struct plan *plans; /* that own what the probes point to */
	size_t n_plans;
	struct arena arena;
};

/* Reads all profiles that can be read; those with faults are left out. */
void fingerprints_load(struct fingerprints *ret_fingerprints);
void fingerprints_destroy(struct fingerprints *fingerprints);

/*
 * Does an answer to convert_place(&print->probe) fit?  *ret_value gets the number as its metric tells it; NaN when
 * there is none.
 */
bool fingerprint_fits(const struct fingerprint *print, const uint8_t *bytes, double *ret_value);

#endif

/*
 * Golden vectors of a profile: registers, and the readings that must come of them.
 */
#ifndef APP_VECTOR_H
#define APP_VECTOR_H

#include "app/faults.h"
#include "app/profile.h"
#include "model/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A run of cells and what they hold; bits as 0 and 1. */
struct vector_cells {
	struct bf_place place;
	const uint16_t *values;
};

struct vector {
	const char *name, *origin;
	const struct tree *at;
	const struct vector_cells *cells;
	size_t n_cells;
	const struct tree *expect; /* of each metric a value, or a group with its quality; NULL when told */
};

/* Reads all vectors into the arena.  False when one of them has a fault, which was told. */
bool vectors_read(const struct profile *profile, struct arena *arena, struct faults *faults,
	const struct vector **ret_vectors, size_t *ret_n);

/*
 * Decodes and converts each vector with the plan of the profile (compile_profile).  What differs from what is expected,
 * and metrics that no vector proves, are added to `wrong` at their place.
 */
void vectors_replay(const struct profile *profile, const struct plan *plan, const struct vector *vectors, size_t n,
	struct faults *wrong);

/* The quality word of an expectation without a value, or NULL when it has one. */
const char *vector_quality(const struct tree *expected);

#endif

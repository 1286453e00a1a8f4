/*
 * Golden vectors of a profile: registers, or bytes of a stream, and the readings that must come of them.
 */
#ifndef APP_VECTOR_H
#define APP_VECTOR_H

#include "app/faults.h"
#include "app/profile.h"
#include "model/plan.h"
#include "model/reading.h"
#include "ship/payload.h"

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
	const struct bf_bytes *input; /* of a stream: what comes, chunk by chunk, or answer by answer */
	size_t n_input;
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

/* The last that was told of a metric. */
struct vector_seen {
	bool any;
	enum quality quality;
	char text[PAYLOAD_READING_MAX]; /* as a subscriber sees the value */
};

/* Notes a reading as its report would judge it: what lies beyond min and max is none. */
void vector_note(
	const struct plan_metric *metric, enum quality quality, const struct bf_value *value, struct vector_seen *seen);

/* vector_stream.c: plays the input to the plan's only device, by the code that a gateway reads with.  seen: of each
 * metric of the plan. */
void vector_stream_replay(const struct plan *plan, const struct vector *vector, struct vector_seen *seen);

/* vector_recording.c: adds what a recording in the folder beside the profile has to the input.  Tells what is wrong. */
void vector_recording_read(const struct profile *profile, const struct tree *at, const char *name, struct arena *arena,
	struct faults *faults, struct vector *to);

/* The quality word of an expectation without a value, or NULL when it has one. */
const char *vector_quality(const struct tree *expected);

#endif

/*
 * What `profiles show` prints of a profile.
 */
#ifndef CLI_PROFILE_SHOW_H
#define CLI_PROFILE_SHOW_H

#include "app/vector.h"
#include "base/json.h"

/* A profile with all that is made of it.  Zeroed, then loaded, then closed. */
struct profile_loaded {
	struct arena arena;
	struct faults faults; /* of the grammar */
	struct faults wrong;  /* vectors that differ */
	struct profile profile;
	struct plan plan;
	struct plan_metric probe;
	bool probed;
	const struct vector *vectors;
	size_t n_vectors;
};

void profile_show(const struct profile_loaded *loaded);

/* The settings of the object that was begun. */
void profile_show_json(struct json *json, const struct profile_loaded *loaded);

/* The settings by which `profiles list` names it. */
void profile_show_head(struct json *json, const struct profile *profile);

#endif

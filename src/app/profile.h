/*
 * Profiles: what is known of a device, in a file of the map's grammar.  Where they lie, and one of them as a tree.
 *
 * A profile is looked up as ID.conf in, one after the other
 *   the folder that BUSFERRY_PROFILES in the environment names (for tests and for trying one out)
 *   /etc/busferry/profiles
 *   the installed place, BUSFERRY_PROFILES_INSTALLED
 *   the source tree, BUSFERRY_PROFILES_SOURCE ("" leaves it out)
 * and the first one wins.  What is read lives in the arena of the caller.
 */
#ifndef APP_PROFILE_H
#define APP_PROFILE_H

#include "app/faults.h"
#include "app/tree.h"
#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

struct profile {
	const char *id, *maker, *device, *document, *revision; /* "" when missing, which was told */
	const char *note;                                      /* NULL = none */
	const char *transport;                                 /* the driver that it is for */
	const char *line;                                      /* of the device as it comes; NULL = not said */
	const char *file;
	int64_t gap_us;                       /* the least silence between frames; BF_UNSET = not said */
	const struct tree *defaults;          /* what stands in for keys of a device; never NULL */
	const struct tree *probe;             /* NULL = none */
	const struct tree *metrics, *vectors; /* never NULL; empty when missing, which was told */
};

/*
 * Reads a profile; what is wrong is added to the faults, at its place.  Metrics, probe and vectors are not looked into.
 * 0; -EINVAL when it has faults, with what is sound in *ret_profile all the same, or nothing (its id is NULL) when no
 * tree could be made of it; -ENOENT, -EACCES … when it can't be opened (one fault says so; nothing either).
 */
int profile_read(const char *file, struct arena *arena, struct faults *faults, struct profile *ret_profile);

/* Is it for a driver of streams? */
bool profile_is_stream(const struct profile *profile);

/* Can it be an id?  Letters and digits, and behind the first one of them also "-", "_" and ".". */
bool profile_id_sound(const char *id);

/* The file of that profile.  0; -ENOENT. */
int profile_find(const char *id, struct arena *arena, const char **ret_file);

/* The ids of all profiles in the order of their names, ending with NULL. */
const char *const *profile_ids(struct arena *arena);

#endif

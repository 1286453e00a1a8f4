/*
 * The golden input of a stream from a recording of `busferry listen --record`, as it stands.
 *
 * Of a device that sends by itself, each chunk that came is one.  When something was sent, what came between two
 * requests is the answer to the first of them, nothing if nothing came; `init` is answered by nothing, and what came
 * before the first request is left out.
 */
#include "app/recording.h"
#include "app/schema.h"
#include "app/vector.h"

#include <string.h>

#define FOLDER "recordings"

/* "FOLDER-OF-THE-PROFILE/recordings/NAME". */
static const char *path_of(const struct profile *profile, const char *name, struct arena *arena)
{
	const char *slash = strrchr(profile->file, '/');
	int n = slash ? (int)(slash + 1 - profile->file) : 0;
	return arena_format(arena, "%.*s" FOLDER "/%s", n, profile->file, name);
}

/* How many messages `init` sends. */
static size_t n_greetings(const struct profile *profile)
{
	const struct tree *init = tree_get(profile->defaults, "init");
	return !init ? 0 : init->type == TREE_LIST ? init->n : 1;
}

/* One behind the other, as one. */
static struct bf_bytes joined(const struct recording_chunk *chunks, size_t n, struct arena *arena)
{
	size_t size = 0;
	for (size_t i = 0; i < n; i++)
		size += chunks[i].bytes.n;
	uint8_t *bytes = arena_alloc(arena, size + 1);
	size = 0;
	for (size_t i = 0; i < n; i++) {
		memcpy(bytes + size, chunks[i].bytes.at, chunks[i].bytes.n);
		size += chunks[i].bytes.n;
	}
	return (struct bf_bytes){bytes, size};
}

static size_t count_sent(const struct recording_chunk *chunks, size_t n)
{
	size_t n_sent = 0;
	for (size_t i = 0; i < n; i++)
		n_sent += chunks[i].sent;
	return n_sent;
}

/* Fills items (as many as chunks); returns how many there are. */
static size_t cut(
	const struct recording_chunk *chunks, size_t n, size_t greetings, struct bf_bytes *items, struct arena *arena)
{
	size_t n_items = 0, sent = 0;
	if (count_sent(chunks, n) == 0) {
		for (size_t i = 0; i < n; i++)
			items[n_items++] = chunks[i].bytes;
		return n_items;
	}
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && !chunks[end].sent;)
			end++;
		if (chunks[i].sent && ++sent > greetings)
			items[n_items++] = joined(&chunks[i + 1], end - i - 1, arena);
	}
	return n_items;
}

void vector_recording_read(const struct profile *profile, const struct tree *at, const char *name, struct arena *arena,
	struct faults *faults, struct vector *to)
{
	const struct recording_chunk *chunks;
	size_t n;
	if (strchr(name, '/') || name[0] == '.') {
		schema_fault(faults, at, "recording", "it lies in the folder " FOLDER " beside the profile",
			"\"%s\" is not the name of a file", name);
		return;
	}
	size_t before = faults->n_errors;
	int rc = recording_read(path_of(profile, name, arena), arena, faults, &chunks, &n);
	if (rc < 0 && faults->n_errors == before)
		schema_fault(faults, at, "recording", "it lies in the folder " FOLDER " beside the profile",
			"the recording \"%s\" can't be read: %s", name, strerror(-rc));
	if (rc < 0)
		return;
	struct bf_bytes *all = arena_array(arena, to->n_input + n + 1, sizeof(*all));
	if (to->n_input)
		memcpy(all, to->input, to->n_input * sizeof(*all));
	to->n_input += cut(chunks, n, n_greetings(profile), all + to->n_input, arena);
	to->input = all;
}

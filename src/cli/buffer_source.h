/*
 * Where the answers about a buffer come from: the gateway that runs the map, over its control socket, or, when there is
 * none, the buffer file.  Either answers the requests of app/control.h with the same lines.
 */
#ifndef CLI_BUFFER_SOURCE_H
#define CLI_BUFFER_SOURCE_H

#include "model/plan.h"

#include <stdbool.h>
#include <stddef.h>

struct buffer_source;

/*
 * The plan outlives the source.  -1 with *ret_source; else it is told on stderr, and the exit code: 66 no file, 65 it
 * is no sound buffer file, 69 no gateway and nothing on disk by the map, 74, 75 a gateway has the file, 77 not allowed.
 */
int buffer_source_open(const struct plan *plan, struct buffer_source **ret_source);
void buffer_source_close(struct buffer_source *source);

/* Does a gateway answer? */
bool buffer_source_runs(const struct buffer_source *source);

/*
 * Asks "buffer WHAT [filter]", filter NULL = none; `take` gets each line but the last, without its newline, and says
 * whether it wants more.  0, also when it wanted no more; else it is told on stderr, and the exit code.
 */
int buffer_source_ask(struct buffer_source *source, const char *what, const char *filter,
	bool (*take)(void *user, const char *line, size_t n), void *user);

#endif

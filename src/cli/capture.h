/*
 * Runs another program, without a shell, and keeps what it says.
 */
#ifndef CLI_CAPTURE_H
#define CLI_CAPTURE_H

#include <stddef.h>
#include <sys/types.h>

struct captured {
	char *text; /* NUL-terminated; both of its outputs */
	size_t n;
	int code; /* its exit code; -1 = it was ended by a signal, or by us */
};

/*
 * argv[0] is looked for in PATH.  What is more than `most` bytes is read and dropped; after so many seconds it is
 * killed.  0, and *ret_captured is to be freed; -ENOENT when there is no such program; another -errno.
 */
int capture(const char *const *argv, unsigned seconds, size_t most, struct captured *ret_captured);

/* NULL text is fine. */
void captured_free(struct captured *captured);

#endif

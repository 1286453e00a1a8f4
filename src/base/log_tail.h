/*
 * The last lines of the log, for whoever looks at the gateway while it runs.  Nothing is kept before log_tail_keep.
 *
 * Lines come from any thread and wait for nobody; a reader may miss one that is just being written.
 */
#ifndef BASE_LOG_TAIL_H
#define BASE_LOG_TAIL_H

#include "base/log.h"

#include <stddef.h>
#include <stdint.h>

#define LOG_TAIL_LINES 16
#define LOG_TAIL_BYTES 256 /* of one, its NUL included; what is longer is cut */

struct log_tail_line {
	enum log_level level;
	int64_t time_ms; /* by the wall clock */
	char text[LOG_TAIL_BYTES];
};

/* From now on lines are kept, until the process ends.  0, or -ENOMEM.  One thread calls it, as often as it likes. */
int log_tail_keep(void);

/* For log.c: a line, harmless already. */
void log_tail_note(enum log_level level, const char *text, size_t n);

/* The newest lines, the newest first.  Returns how many, at most LOG_TAIL_LINES. */
size_t log_tail_read(struct log_tail_line ret_lines[static LOG_TAIL_LINES]);

#endif

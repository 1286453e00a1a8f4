/*
 * The answer to one request on the control socket: lines on their way out, and the question to the store that it waits
 * for.  Main thread.
 */
#ifndef APP_ANSWER_H
#define APP_ANSWER_H

#include "ship/outbox_view.h"

#include <stdbool.h>
#include <stddef.h>

struct answer {
	char *text; /* lines; those before `at` are sent */
	size_t size, n, at;
	bool ended;  /* its last line is among them */
	bool asks;   /* a pull of the view is wanted, with what stands below */
	bool broken; /* without memory: the connection has to go */

	enum outbox_view_kind kind;
	char filter[MESSAGE_TOPIC_MAX + 1];
	uint64_t after;
	uint64_t ticket; /* of what is asked of a wire for it; 0 = nothing; see control_wire.h */
	uint64_t n_waiting, n_in_flight, n_damaged; /* of all pulls so far */
};

/* A zeroed answer is an empty one.  Frees the text and zeroes it. */
void answer_clear(struct answer *answer);

/* Room for a line of at most n bytes; answer_line then takes it as it is. NULL without memory. */
char *answer_room(struct answer *answer, size_t n);
void answer_line(struct answer *answer, size_t n);

/* The last line: {"ok":true}, or an error of up to some 200 bytes with an exit code of sysexits. */
void answer_end(struct answer *answer);
void answer_fail(struct answer *answer, int code, const char *error);

#endif

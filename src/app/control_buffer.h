/*
 * The requests about the buffer; see control.h for their words.  Main thread.
 */
#ifndef APP_CONTROL_BUFFER_H
#define APP_CONTROL_BUFFER_H

#include "app/answer.h"
#include "app/gateway.h"

/* Begin an answer. */
void control_buffer_status(struct answer *answer, struct gateway *gateway, const char *const *arguments, size_t n);
void control_buffer_export(struct answer *answer, struct gateway *gateway, const char *const *arguments, size_t n);
void control_buffer_count(struct answer *answer, struct gateway *gateway, const char *const *arguments, size_t n);
void control_buffer_drop(struct answer *answer, struct gateway *gateway, const char *const *arguments, size_t n);

/* Goes on with what a pull of the view has brought. */
void control_buffer_take(struct answer *answer, const struct outbox_view *view);

/* What the answer has done, if it has dropped something, for the log; also when nobody waited for its end. */
void control_buffer_tell(const struct answer *answer);

/* {"messages":3,"in_flight":1} as a line: what count and drop tell. */
void control_buffer_sums(struct answer *answer);

#endif

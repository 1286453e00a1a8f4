/*
 * The request about the gateway as a whole.  Main thread.
 */
#ifndef APP_CONTROL_STATUS_H
#define APP_CONTROL_STATUS_H

#include "app/answer.h"
#include "app/gateway.h"

/* One line, as in stats.h. */
void control_status(struct answer *answer, struct gateway *gateway, const char *const *arguments, size_t n);

#endif

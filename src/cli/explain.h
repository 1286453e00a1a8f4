/*
 * `check --explain KEY`: what a key of the map is.
 */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

#include <stdbool.h>

/* KEY is "every", "metric.scale", "topics.qos".  Returns the exit code: 0, or 64 for an unknown key. */
int explain_print(const char *key, bool as_json);

#endif

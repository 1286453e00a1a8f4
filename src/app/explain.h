/*
 * The keys of the map, told from their tables: for `check --explain` and docs/configuration.md.
 */
#ifndef APP_EXPLAIN_H
#define APP_EXPLAIN_H

#include "sdk/key.h"

#include <stdbool.h>
#include <stddef.h>

/* A key in its group.  Constant texts. */
struct explain_row {
	const char *group;  /* "the map", "broker", "a metric" */
	const char *driver; /* whose key it is; NULL = the core's */
	const struct bf_key *key;
};

/* The rows of all groups, those of drivers last.  False behind the last one. */
bool explain_row_at(size_t at, struct explain_row *ret);

/* The word for a group in "metric.scale": without its article. */
const char *explain_group_word(const char *group);

#define EXPLAIN_SIZE 512

/* "a whole number from 1 to 65535", "\"json\", \"plain\" or \"influx\"", "a duration up to 10d, or \"start\"". */
void explain_type(const struct bf_key *key, char text[static EXPLAIN_SIZE]);

/* What it is when it is not given, as it would stand in the map; empty when there is no such thing. */
void explain_default(const struct bf_key *key, char text[static EXPLAIN_SIZE]);

/* Whether it must be given: empty, "must be given", or where only: "must be given in \"repeat\"". */
void explain_required(const struct bf_key *key, char text[static EXPLAIN_SIZE]);

#endif

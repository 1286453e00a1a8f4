/*
 * Metrics of a stream may stand in their message, or beside the messages and name theirs.  They are brought to the
 * second form first, so that `only`, `skip` and `publish` see one list of them and there is one reader.
 */
#ifndef APP_FLAT_H
#define APP_FLAT_H

#include "app/tree.h"

/* The device, or profile, with the metrics of its messages among its metrics, each with a setting `message`.  Itself
 * when it has none, or when messages or metrics are no groups, which who reads them tells. */
const struct tree *flat_messages(const struct tree *device, struct arena *arena);

#endif

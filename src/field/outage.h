/*
 * A port that is not there: when it is tried again, and the words about it; the same for whatever speaks over it.  One
 * owner thread.
 */
#ifndef FIELD_OUTAGE_H
#define FIELD_OUTAGE_H

#include "base/backoff.h"
#include "base/log.h"
#include "field/counts.h"
#include "model/plan.h"

#include <stdbool.h>

struct outage {
	int64_t retry_at; /* when to open the port again */
	struct backoff waits;
	struct complaint told;
};

void outage_init(struct outage *outage, const struct plan_bus *bus);

/* The port went, or could not be opened (was_open false).  True when devices are to be told: it was there, or this is
 * the first attempt that failed. */
bool outage_begin(struct outage *outage, const struct plan_bus *bus, struct bus_counts *counts, bool was_open,
	int failure, int64_t now_us);

/* It is open.  True when that ends an outage. */
bool outage_end(struct outage *outage, const struct plan_bus *bus, struct bus_counts *counts, int64_t now_us);

/* It serves: the next attempt after a loss comes soon. */
void outage_forget(struct outage *outage);

#endif

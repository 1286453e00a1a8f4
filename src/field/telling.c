/*
 * Batches of readings on the stack: see telling.h.
 */
#include "field/telling.h"

void telling_begin(struct telling *telling, struct reading_sink *sink, uint32_t device, int64_t now_us)
{
	telling->sink = sink;
	telling->batch = (struct batch){.device = device, .readings = telling->readings, .now_us = now_us};
}

void telling_send(struct telling *telling, bool round_over)
{
	telling->batch.round_over = round_over;
	if (telling->batch.n == 0 && telling->batch.availability == AVAILABILITY_SAME && !round_over)
		return;
	telling->sink->take(telling->sink, &telling->batch);
	telling->batch.n = 0;
	telling->batch.availability = AVAILABILITY_SAME;
}

bool telling_availability(struct telling *telling, struct device_counts *counts, enum availability to)
{
	int before = atomic_exchange_explicit(&counts->availability, (int)to, memory_order_relaxed);
	if (before == (int)to)
		return false;
	telling->batch.availability = to;
	return true;
}

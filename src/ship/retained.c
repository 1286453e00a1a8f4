/*
 * The set of retained topics.  See retained.h.
 */
#include "ship/retained.h"

#include <stdlib.h>
#include <string.h>

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void retained_init(struct retained *retained, const struct plan *plan)
{
	*retained = (struct retained){0};
	retained->topics = arena_array(&retained->arena, plan->n_metrics + plan->n_devices + 1, sizeof(char *));
	for (size_t i = 0; i < plan->n_metrics; i++)
		if (plan->metrics[i].delivery.retain && !plan->metrics[i].delivery.per_device)
			retained->topics[retained->n++] = plan->metrics[i].topic;
	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct plan_delivery *whole = plan_device_delivery(plan, &plan->devices[i]);
		if (whole && whole->retain)
			retained->topics[retained->n++] = plan->devices[i].topic;
	}
	qsort(retained->topics, retained->n, sizeof(char *), by_text);
}

void retained_destroy(struct retained *retained)
{
	arena_free(&retained->arena);
	*retained = (struct retained){0};
}

ptrdiff_t retained_find(const struct retained *retained, const char *topic)
{
	if (!retained->n)
		return -1;
	const char *const *found = bsearch(&topic, retained->topics, retained->n, sizeof(char *), by_text);
	return found ? found - retained->topics : -1;
}

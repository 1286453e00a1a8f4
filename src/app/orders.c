/*
 * Orders to errands and back, see orders.h.
 *
 * Why a way for each bus: what comes back names the metric by the number in the plan of its wire, and only who knows on
 * which bus of which plan that is can say which metric was meant.
 *
 * Invariant: n_under_way counts the errands whose done() has not returned.
 */
#include "app/orders.h"
#include "app/generation.h"
#include "field/encode.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BEGIN_US (5 * (int64_t)1000000) /* what has not begun by then is answered as failed */

struct way {
	struct orders *orders;
	const struct plan_bus *bus; /* of the plan by which orders are given … */
	const struct home *home;    /* … and where it lives */
};

struct orders {
	struct order_taker taker;
	const struct generation *generation;
	const struct clock *clock;
	struct way *ways; /* of each bus */
	_Atomic unsigned n_under_way;
};

static struct orders *orders_of(struct order_taker *taker)
{
	return (struct orders *)(void *)taker; /* its first member */
}

/* Which metric of the generation's plan the errand was about. */
static uint32_t metric_of(const struct way *way, const struct errand *errand)
{
	const struct plan *plan = &way->orders->generation->plan, *there = &way->home->generation->plan;
	const struct plan_bus *bus = &there->buses[way->home->bus];
	uint32_t d = 0;
	while (d + 1 < bus->n_devices && bus->devices[d] != errand->device)
		d++;
	return plan->devices[way->bus->devices[d]].first_metric +
	       (errand->metric - there->devices[bus->devices[d]].first_metric);
}

static void done(void *user, const struct errand *errand, const struct errand_outcome *outcome)
{
	const struct way *way = user;
	struct order_giver *giver = way->orders->taker.giver;
	const struct order_outcome told = {.rc = outcome->rc,
		.exception = outcome->exception,
		.taken = outcome->taken,
		.same = outcome->same,
		.quality = outcome->quality,
		.value = outcome->value};
	if (errand->kind == ERRAND_WRITE && giver)
		giver->done(giver, metric_of(way, errand), &told);
	atomic_fetch_sub_explicit(&way->orders->n_under_way, 1, memory_order_release);
}

/* To the poller that has the bus, with the numbers of its plan. */
static int put(struct orders *orders, uint32_t device, struct errand *errand)
{
	struct way *way = &orders->ways[orders->generation->plan.devices[device].bus];
	errand->bus = (uint32_t)way->home->bus;
	errand->device = orders->generation->standing.devices[device].device;
	errand->deadline_us = clock_now(orders->clock) + BEGIN_US;
	errand->done = done;
	errand->user = way;
	atomic_fetch_add_explicit(&orders->n_under_way, 1, memory_order_relaxed);
	int rc = poller_errand(way->home->poller, errand);
	if (rc < 0)
		atomic_fetch_sub_explicit(&orders->n_under_way, 1, memory_order_release);
	return rc;
}

static int orders_write(struct order_taker *taker, uint32_t index, const struct bf_value *value)
{
	struct orders *orders = orders_of(taker);
	const struct plan *plan = &orders->generation->plan;
	const struct plan_metric *metric = &plan->metrics[index];
	const struct plan_device *device = &plan->devices[metric->device];
	const struct home *home = &orders->generation->homes[device->bus];
	uint32_t there = orders->generation->standing.devices[metric->device].device;
	struct errand errand = {.kind = ERRAND_WRITE,
		.metric = home->generation->plan.devices[there].first_metric + (index - device->first_metric),
		.unit = device->address,
		.place = metric->place,
		.many = metric->write && metric->write->many};
	int n = encode_metric(metric, value, errand.bytes, sizeof(errand.bytes));
	return n < 0 ? n : put(orders, metric->device, &errand);
}

static int orders_poll(struct order_taker *taker, uint32_t device)
{
	struct orders *orders = orders_of(taker);
	const struct plan_device *told = &orders->generation->plan.devices[device];
	struct errand errand = {.kind = ERRAND_POLL, .metric = ERRAND_NO_METRIC};
	if (told->stream && !plan_device_is_asked(told))
		return -EOPNOTSUPP;
	return put(orders, device, &errand);
}

int orders_init(const struct generation *generation, const struct clock *clock, struct orders **ret_orders)
{
	const struct plan *plan = &generation->plan;
	struct orders *orders = calloc(1, sizeof(*orders));
	struct way *ways = calloc(plan->n_buses + 1, sizeof(*ways));
	if (!orders || !ways) {
		free(orders);
		free(ways);
		return -ENOMEM;
	}
	orders->taker = (struct order_taker){.write = orders_write, .poll = orders_poll};
	orders->generation = generation;
	orders->clock = clock;
	orders->ways = ways;
	for (size_t i = 0; i < plan->n_buses; i++)
		ways[i] = (struct way){orders, &plan->buses[i], &generation->homes[i]};
	*ret_orders = orders;
	return 0;
}

void orders_destroy(struct orders *orders)
{
	if (!orders)
		return;
	free(orders->ways);
	free(orders);
}

struct order_taker *orders_taker(struct orders *orders)
{
	return &orders->taker;
}

bool orders_busy(const struct orders *orders)
{
	return atomic_load_explicit(&orders->n_under_way, memory_order_acquire) > 0;
}

/*
 * Orders to errands and back, see orders.h.
 */
#include "app/orders.h"
#include "field/encode.h"

#include <errno.h>

#define BEGIN_US (5 * (int64_t)1000000) /* what has not begun by then is answered as failed */

static struct orders *orders_of(struct order_taker *taker)
{
	return (struct orders *)(void *)taker; /* its first member */
}

static void done(void *user, const struct errand *errand, const struct errand_outcome *outcome)
{
	const struct orders *orders = user;
	const struct order_outcome told = {.rc = outcome->rc,
		.exception = outcome->exception,
		.taken = outcome->taken,
		.same = outcome->same,
		.quality = outcome->quality,
		.value = outcome->value};
	if (errand->kind == ERRAND_WRITE && orders->taker.giver)
		orders->taker.giver->done(orders->taker.giver, errand->metric, &told);
}

/* To the poller that has the bus. */
static int put(const struct orders *orders, const struct errand *errand)
{
	int rc = -ENODEV;
	for (size_t i = 0; i < orders->n_pollers && rc == -ENODEV; i++)
		rc = poller_errand(orders->pollers[i], errand);
	return rc;
}

static int orders_write(struct order_taker *taker, uint32_t index, const struct bf_value *value)
{
	struct orders *orders = orders_of(taker);
	const struct plan_metric *metric = &orders->plan->metrics[index];
	const struct plan_device *device = &orders->plan->devices[metric->device];
	struct errand errand = {.kind = ERRAND_WRITE,
		.bus = device->bus,
		.device = metric->device,
		.metric = index,
		.unit = device->address,
		.place = metric->place,
		.many = metric->write && metric->write->many,
		.deadline_us = clock_now(orders->clock) + BEGIN_US,
		.done = done,
		.user = orders};
	int n = encode_metric(metric, value, errand.bytes, sizeof(errand.bytes));
	return n < 0 ? n : put(orders, &errand);
}

static int orders_poll(struct order_taker *taker, uint32_t device)
{
	struct orders *orders = orders_of(taker);
	const struct plan_device *told = &orders->plan->devices[device];
	if (told->stream && !plan_device_is_asked(told))
		return -EOPNOTSUPP;
	const struct errand errand = {.kind = ERRAND_POLL,
		.bus = told->bus,
		.device = device,
		.metric = ERRAND_NO_METRIC,
		.deadline_us = clock_now(orders->clock) + BEGIN_US,
		.done = done,
		.user = orders};
	return put(orders, &errand);
}

void orders_init(struct orders *orders, const struct plan *plan, const struct clock *clock)
{
	*orders = (struct orders){.taker = {.write = orders_write, .poll = orders_poll}, .plan = plan, .clock = clock};
}

void orders_pollers(struct orders *orders, struct poller *const *pollers, size_t n)
{
	orders->pollers = pollers;
	orders->n_pollers = n;
}

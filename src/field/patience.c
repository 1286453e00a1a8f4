/*
 * Time-outs and budgets of silence, see patience.h.
 *
 * Why the exact sum over the last ten seconds and not a bucket that fills: what is promised is "in any ten seconds",
 * and a bucket that holds a burst promises it with half the rate only.
 *
 * Why the time to the beginning of the answer: it is the device's own, whatever it is asked for, and a silent device
 * need not be waited for as long as its answer would take on the wire.
 *
 * Invariant: marks stand in the order of their ends; when there is no room the two oldest become one that ends with
 * the later of them, which counts no less for any window.
 */
#include "field/patience.h"

#define FIRST_WAIT_US 500000
#define LAST_WAIT_US  9500000 /* of ten seconds: a device that returns is asked within them */

#define LEAST_US        35000 /* of what is learnt: adapters and busy systems are late by some of it now and then */
#define LIVE_US         60000 /* for the first question without an answer: giving up too early costs a reading */
#define UNHEARD_US      60000 /* for a device never heard while nothing is learnt on its bus */
#define MARGIN_US       10000
#define FEW             16 /* answers: what was seen of them is no quantile yet */
#define SHARE_OF_DEVICE 100
#define SHARE_OF_BUS    20

static const struct spent *mark_at(const struct spending *spending, unsigned i)
{
	return &spending->marks[(spending->first + i) % SPENDING_MARKS];
}

static void drop_first(struct spending *spending)
{
	spending->first = (spending->first + 1) % SPENDING_MARKS;
	spending->n--;
}

void spending_add(struct spending *spending, int64_t now_us, int64_t us)
{
	while (spending->n && mark_at(spending, 0)->until_us <= now_us - PATIENCE_WINDOW_US)
		drop_first(spending);
	if (spending->n == SPENDING_MARKS) {
		int64_t oldest_us = mark_at(spending, 0)->us;
		drop_first(spending);
		spending->marks[spending->first].us += oldest_us;
	}
	spending->marks[(spending->first + spending->n++) % SPENDING_MARKS] = (struct spent){now_us, us};
}

int64_t spending_room_at(const struct spending *spending, int64_t cost_us, int64_t limit_us, int64_t now_us)
{
	/* From the newest back: the question must begin so late that what does not fit lies outside the window that
	 * ends with it. */
	int64_t left_us = limit_us - cost_us;
	for (unsigned i = spending->n; i-- > 0;) {
		const struct spent *mark = mark_at(spending, i);
		if (mark->us > left_us) {
			int64_t at = mark->until_us - (left_us > 0 ? left_us : 0) + PATIENCE_WINDOW_US - cost_us;
			return at > now_us ? at : now_us;
		}
		left_us -= mark->us;
	}
	return now_us;
}

void patience_bus_init(struct patience_bus *bus, bool alone)
{
	*bus = (struct patience_bus){.alone = alone};
}

void patience_init(struct patience *patience, int64_t cap_us)
{
	*patience = (struct patience){
		.cap_us = cap_us, .one_more = true, .backoff = {.first_us = FIRST_WAIT_US, .cap_us = LAST_WAIT_US}};
}

static int64_t at_most(int64_t us, int64_t most_us)
{
	return us < most_us ? us : most_us;
}

static int64_t at_least(int64_t us, int64_t least_us)
{
	return us > least_us ? us : least_us;
}

/* The wait for a device, as far as it is known. */
static int64_t usual_wait(const struct patience *patience, const struct patience_bus *bus, int64_t wire_us)
{
	if (patience->learnt_us)
		return patience->learnt_us;
	/* No more than leaves room for five of them in the bus's budget. */
	int64_t most_us = at_least(PATIENCE_BUS_US / 5 - wire_us, LEAST_US);
	return at_most(at_most(bus->bound_us ? bus->bound_us : UNHEARD_US, most_us), patience->cap_us);
}

/* May a silent device be given the whole time-out now? */
static bool may_wait_whole(const struct patience *patience, const struct patience_bus *bus, int64_t wire_us,
	int64_t free_until, int64_t now_us)
{
	int64_t cost_us = wire_us + patience->cap_us;
	bool spares = free_until >= now_us + cost_us || !bus->heard;
	int64_t apart_us = spares ? SHARE_OF_BUS * cost_us : at_least(PATIENCE_WHOLE_US, SHARE_OF_DEVICE * cost_us);
	int64_t since_us = now_us - (bus->whole_at ? bus->whole_at : bus->started_at);
	return since_us >= apart_us || (spares && !bus->whole_at);
}

static int64_t may_ask_at(
	const struct patience *patience, const struct patience_bus *bus, int64_t cost_us, int64_t now_us)
{
	const struct spending *own = &patience->spent, *all = &bus->spent;
	int64_t at = spending_room_at(all, cost_us, at_least(PATIENCE_BUS_US, cost_us), now_us);
	if (cost_us > PATIENCE_BUS_US && all->n)
		at = at_least(at, mark_at(all, all->n - 1)->until_us + (SHARE_OF_BUS - 1) * cost_us);
	if (patience->missed == 1 && patience->one_more)
		return at;
	at = at_least(at, spending_room_at(own, cost_us, at_least(PATIENCE_DEVICE_US, cost_us), now_us));
	if (cost_us > PATIENCE_DEVICE_US && own->n)
		at = at_least(at, mark_at(own, own->n - 1)->until_us + (SHARE_OF_DEVICE - 1) * cost_us);
	return at;
}

int64_t patience_ask(struct patience *patience, struct patience_bus *bus, int64_t wire_us, int64_t free_until,
	int64_t now_us, int64_t *ret_at)
{
	if (!bus->started_at)
		bus->started_at = now_us;
	int64_t wait_us = usual_wait(patience, bus, wire_us);
	patience->whole = false;
	*ret_at = now_us;
	if (bus->alone)
		return patience->missed || !patience->learnt_us ? patience->cap_us : wait_us;
	if (patience->missed == 0) /* while nobody else is due, some more patience costs nobody anything */
		return at_most(at_least(at_least(wait_us, LIVE_US),
				       at_most(PATIENCE_DEVICE_US, free_until - now_us) - wire_us),
			patience->cap_us);
	if (wait_us < patience->cap_us && may_wait_whole(patience, bus, wire_us, free_until, now_us)) {
		patience->whole = true;
		return patience->cap_us;
	}
	*ret_at = may_ask_at(patience, bus, wire_us + wait_us, now_us);
	return wait_us;
}

static void learn(struct patience *patience, struct patience_bus *bus)
{
	const struct times *took = &patience->took;
	int64_t most_us = times_quantile(took, 999);
	int64_t wait_us = 4 * most_us;
	if (times_n(took) >= FEW)
		wait_us = at_least(2 * times_quantile(took, 990), most_us + most_us / 2);
	wait_us = at_least(wait_us + MARGIN_US, LEAST_US);
	patience->learnt_us = at_most(wait_us, patience->cap_us);
	if (patience->learnt_us > bus->bound_us)
		bus->bound_us = patience->learnt_us;
}

void patience_answered(struct patience *patience, struct patience_bus *bus, int64_t took_us)
{
	times_note(&patience->took, took_us);
	bus->heard = true;
	patience->missed = 0;
	if (++patience->answered >= PATIENCE_EARNED)
		patience->one_more = true;
	backoff_reset(&patience->backoff);
	learn(patience, bus);
}

void patience_spent(struct patience *patience, struct patience_bus *bus, int64_t spent_us, int64_t now_us)
{
	spending_add(&patience->spent, now_us, spent_us);
	spending_add(&bus->spent, now_us, spent_us);
}

int64_t patience_missed(struct patience *patience, struct patience_bus *bus, int64_t spent_us, int64_t now_us)
{
	if (patience->whole)
		bus->whole_at = now_us;
	else
		patience_spent(patience, bus, spent_us, now_us);
	if (patience->missed == 1 && !patience->whole)
		patience->one_more = false;
	patience->answered = 0;
	patience->missed++;
	return at_least(backoff_next(&patience->backoff), 2 * spent_us);
}

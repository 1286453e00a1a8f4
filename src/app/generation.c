/*
 * What was made for one reading of the map.  See generation.h.
 *
 * Invariant: a home names a wire of a poller that its generation owns.  Thread: main.
 */
#include "app/generation.h"

#include <errno.h>
#include <stdlib.h>

int generation_init(struct plan *plan, const struct clock *clock, struct message_sink *messages,
	struct payload_ids *ids, const _Atomic unsigned *occasions, struct generation **ret_generation)
{
	struct generation *generation = calloc(1, sizeof(*generation));
	if (!generation) {
		plan_destroy(plan);
		return -ENOMEM;
	}
	generation->plan = *plan;
	*plan = (struct plan){0};
	int rc = roster_init(&generation->plan, clock, messages, &generation->roster);
	if (rc == 0)
		rc = report_init(
			&generation->plan, clock, messages, roster_listener(generation->roster), &generation->report);
	if (rc < 0) {
		generation_destroy(generation);
		return rc;
	}
	report_count_ids(generation->report, ids);
	report_tell_anew(generation->report, occasions);
	generation->homes = arena_array(&generation->arena, generation->plan.n_buses, sizeof(*generation->homes));
	*ret_generation = generation;
	return 0;
}

static void settle_in(struct generation *generation, struct poller *poller)
{
	size_t n;
	const struct wire *wires = poller_wires(poller, &n);
	for (size_t w = 0; w < n; w++) {
		size_t bus = (size_t)(wires[w].told - generation->plan.buses);
		generation->homes[bus] = (struct home){generation, bus, poller, w};
	}
}

/* Which roster has the state of each device: that of the home of its bus. */
static void make_standing(struct generation *generation)
{
	const struct plan *plan = &generation->plan;
	struct roster_place *places = arena_array(&generation->arena, plan->n_devices, sizeof(*places));
	for (size_t b = 0; b < plan->n_buses; b++) {
		const struct home *home = &generation->homes[b];
		const struct plan_bus *there = &home->generation->plan.buses[home->bus];
		for (uint32_t d = 0; d < plan->buses[b].n_devices; d++)
			places[plan->buses[b].devices[d]] =
				(struct roster_place){home->generation->roster, there->devices[d]};
	}
	generation->standing = (struct standing){.plan = plan, .devices = places};
}

int generation_poll(struct generation *generation, const struct learnt *learnt, struct reading_sink *sink,
	const struct clock *clock, bool once)
{
	const struct plan *plan = &generation->plan;
	bool *wanted = calloc(plan->n_buses + 1, sizeof(*wanted));
	for (size_t i = 0; wanted && i < plan->n_buses; i++)
		wanted[i] = !generation->homes[i].generation;
	size_t n = wanted ? poller_count(plan, wanted) : 0;
	generation->pollers = calloc(n + 1, sizeof(struct poller *));
	int rc = wanted && generation->pollers ? 0 : -ENOMEM;
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = poller_init(plan, wanted, i, learnt, sink, clock, once, &generation->pollers[i]);
		if (rc < 0)
			break;
		generation->n_pollers++;
		settle_in(generation, generation->pollers[i]);
	}
	free(wanted);
	if (rc == 0)
		make_standing(generation);
	return rc;
}

int generation_command(struct generation *generation, const struct clock *clock, struct message_sink *messages)
{
	if (!generation->plan.control)
		return 0;
	int rc = orders_init(generation, clock, &generation->orders);
	return rc < 0 ? rc
		      : command_init(&generation->plan, clock, messages, orders_taker(generation->orders),
				&generation->command);
}

int generation_intake(struct generation *generation, struct message_sink *records, int news_fd)
{
	int rc = sparkplug_intake_init(&generation->plan, records, news_fd, &generation->intake);
	if (rc == 0)
		report_add_tap(generation->report, sparkplug_intake_tap(generation->intake));
	return rc;
}

int generation_board(struct generation *generation)
{
	if (!generation->intake && !generation->plan.page.host)
		return 0;
	int rc = board_init(&generation->plan, generation->plan.page.host != NULL, &generation->board);
	/* The one that is added last hears first: what waits is never newer than what the board shows. */
	if (rc == 0)
		report_add_tap(generation->report, board_tap(generation->board));
	return rc;
}

int generation_places(struct generation *generation, const struct clock *clock)
{
	const struct plan *plan = &generation->plan;
	if (!plan->sparkplug.enabled)
		return 0;
	generation->places = arena_array(&generation->arena, plan->n_devices, sizeof(*generation->places));
	for (uint32_t d = 0; d < plan->n_devices; d++) {
		const struct roster_place *roster = &generation->standing.devices[d];
		const struct generation *there = generation->homes[plan->devices[d].bus].generation;
		generation->places[d] = (struct sparkplug_place){.roster = *roster,
			.board = there->board,
			.intake = there->intake,
			.first_metric = there->plan.devices[roster->device].first_metric};
	}
	return plan->control ? orders_init(generation, clock, &generation->edge_orders) : 0;
}

void generation_trim(struct generation *generation)
{
	size_t kept = 0;
	for (size_t i = 0; i < generation->n_pollers; i++) {
		struct poller *poller = generation->pollers[i];
		struct wire_walk walk = {0};
		if (poller_next_wire(&poller, 1, &walk))
			generation->pollers[kept++] = poller;
		else
			poller_destroy(poller);
	}
	generation->n_pollers = kept;
}

void generation_destroy(struct generation *generation)
{
	if (!generation)
		return;
	for (size_t i = 0; i < generation->n_pollers; i++)
		poller_destroy(generation->pollers[i]);
	free(generation->pollers);
	command_destroy(generation->command);
	orders_destroy(generation->orders);
	orders_destroy(generation->edge_orders);
	report_destroy(generation->report);
	sparkplug_intake_destroy(generation->intake);
	board_destroy(generation->board);
	roster_destroy(generation->roster);
	arena_free(&generation->arena);
	plan_destroy(&generation->plan);
	free(generation);
}

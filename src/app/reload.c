/*
 * Reading the map again.  See reload.h.
 *
 * Why nothing of a bus that goes on is moved: its plan, report and roster stay with it in the generation that it began
 * in (generation.h), so its thread never notices.  What restarts takes over what is known of metrics that are the same,
 * so nothing is told twice and no limit is forgotten; that is done between the end of the old wire and the start of the
 * new one, when no thread is in either.
 *
 * Why all that can fail is made before anything is touched: a reload that fails half-way would leave a gateway that no
 * map describes.
 *
 * Invariant: `next` is the first of the gateway's generations and not the present one while LEAVING, and only then.
 *
 * Thread: main.
 */
#include "app/reload.h"
#include "app/config.h"
#include "app/gateway_inner.h"
#include "app/plan_diff.h"
#include "app/reload_report.h"
#include "base/log.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_US         5000
#define HANGS_US        5000000
#define FIRST_STEP_US   20000000 /* a new thread must have made a step by then */
#define GENERATIONS_MAX 8        /* with threads; beyond, the buses of the smallest are restarted as well */
#define GENERATIONS_BIG 3        /* the same for maps whose plans take megabytes: of so many metrics */
#define METRICS_BIG     2000

enum reload_state { RELOAD_IDLE, RELOAD_LEAVING, RELOAD_TELLING };

struct reload {
	struct gateway *gateway;
	const char *file;
	enum reload_state state;
	bool asked;
	bool node_is_told;
	bool is_told;     /* while TELLING: the publisher's side is, but wires may owe an answer to the one before */
	int64_t began_at; /* 0 = a hanging wire was told of */
	struct generation *next;
	struct publisher_listener *command; /* of the generation before; NULL = it had none */
	struct upstream *upstream;          /* to take the place of the present one; NULL = that stays */
	struct edge_node *node;    /* of Sparkplug: the next one, then the one before; NULL = the map has none */
	struct retained *retained; /* the next one, then the one before; NULL when printing */
	struct reload_report report;
};

int reload_init(struct gateway *gateway, const char *file, struct reload **ret_reload)
{
	struct reload *reload = calloc(1, sizeof(*reload));
	if (!reload)
		return -ENOMEM;
	reload->gateway = gateway;
	reload->file = file;
	*ret_reload = reload;
	return 0;
}

static void drop_retained(struct reload *reload)
{
	if (reload->retained)
		retained_destroy(reload->retained);
	free(reload->retained);
	reload->retained = NULL;
}

void reload_destroy(struct reload *reload)
{
	if (!reload)
		return;
	upstream_destroy(reload->upstream);
	edge_node_destroy(reload->node);
	drop_retained(reload);
	free(reload);
}

void reload_ask(struct reload *reload)
{
	reload->asked = true;
}

bool reload_busy(const struct reload *reload)
{
	return reload->state != RELOAD_IDLE || reload->asked;
}

/* ---- Which buses go on ---- */

static size_t count_homes(const struct generation *present, const struct generation *in)
{
	size_t n = 0;
	for (size_t i = 0; i < present->plan.n_buses; i++)
		n += present->homes[i].generation == in;
	return n;
}

/* The generation that has to end although its buses could go on, since there are too many; NULL = none. */
static const struct generation *crowded_out(const struct gateway *gateway)
{
	const struct generation *least = NULL;
	size_t n = 0;
	for (const struct generation *one = gateway->newest; one; one = one->older) {
		n += one->n_pollers > 0;
		if (one->n_pollers &&
			(!least || count_homes(gateway->present, one) < count_homes(gateway->present, least)))
			least = one;
	}
	size_t most = gateway->present->plan.n_metrics < METRICS_BIG ? GENERATIONS_MAX : GENERATIONS_BIG;
	return n < most ? NULL : least;
}

static void find_homes(const struct gateway *gateway, struct generation *next)
{
	const struct generation *present = gateway->present, *out = crowded_out(gateway);
	bool anew = plan_diff_readings(&present->plan, &next->plan);
	size_t at = 0;
	for (size_t i = 0; i < next->plan.n_buses && !anew; i++)
		for (size_t n = 0; n < present->plan.n_buses; n++) {
			size_t b = (at + n) % present->plan.n_buses;
			if (present->homes[b].generation == out || plan_diff_bus(&present->plan, b, &next->plan, i))
				continue;
			next->homes[i] = present->homes[b];
			at = b + 1;
			break;
		}
}

static bool stays(const struct generation *next, const struct home *home)
{
	for (size_t i = 0; i < next->plan.n_buses; i++)
		if (next->homes[i].poller == home->poller && next->homes[i].wire == home->wire)
			return true;
	return false;
}

/* ---- What the new buses know from the start ---- */

static bool same_place(
	const struct plan *a, const struct plan_device *x, const struct plan *b, const struct plan_device *y)
{
	const struct plan_bus *of_x = &a->buses[x->bus], *of_y = &b->buses[y->bus];
	const char *port_x = of_x->wire == WIRE_SERIAL ? of_x->port : of_x->host;
	const char *port_y = of_y->wire == WIRE_SERIAL ? of_y->port : of_y->host;
	return of_x->wire == of_y->wire && strcmp(port_x, port_y) == 0 && of_x->tcp_port == of_y->tcp_port &&
	       x->address == y->address && x->driver == y->driver;
}

static void carry_device(struct generation *present, struct generation *next, uint32_t now, uint32_t then)
{
	const struct plan_device *device = &next->plan.devices[now], *before = &present->plan.devices[then];
	const struct generation *lived = present->homes[before->bus].generation;
	uint32_t there = present->standing.devices[then].device;
	if (same_place(&next->plan, device, &present->plan, before))
		roster_carry(next->roster, now, lived->roster, there);
	uint32_t at = 0;
	for (uint32_t i = 0; i < device->n_metrics; i++)
		for (uint32_t n = 0; n < before->n_metrics; n++) {
			uint32_t m = (at + n) % before->n_metrics;
			if (plan_diff_metric(
				    &next->plan, device->first_metric + i, &present->plan, before->first_metric + m))
				continue;
			uint32_t metric = device->first_metric + i, of = lived->plan.devices[there].first_metric + m;
			report_carry(next->report, metric, lived->report, of);
			if (next->board && lived->board)
				board_carry(next->board, metric, lived->board, of);
			at = m + 1;
			break;
		}
}

static void carry(struct generation *present, struct generation *next)
{
	size_t at = 0;
	for (uint32_t d = 0; d < next->plan.n_devices; d++) {
		const struct plan_device *device = &next->plan.devices[d], *before;
		if (next->homes[device->bus].generation != next)
			continue;
		before = plan_find_device(&present->plan, device->topic, &at);
		if (before)
			carry_device(present, next, d, (uint32_t)(before - present->plan.devices));
	}
}

/* ---- Before anything is touched ---- */

static void unmake_next(struct reload *reload)
{
	upstream_destroy(reload->upstream);
	edge_node_destroy(reload->node);
	generation_destroy(reload->next);
	gateway_untap(reload->gateway);
	reload->upstream = NULL;
	reload->node = NULL;
	reload->next = NULL;
}

/* 0, or -errno with nothing of it left. */
static int make_next(struct reload *reload, struct plan *plan)
{
	struct gateway *gateway = reload->gateway;
	struct learnt learnt;
	struct arena arena = {0};
	bool connects = gateway->outbox && plan_diff_connection(&gateway->present->plan, plan);
	int rc = generation_init(
		plan, &clock_system, gateway->messages, &gateway->ids, &gateway->occasions, &reload->next);
	if (rc < 0)
		return rc;
	struct generation *next = reload->next;
	rc = gateway_taps(gateway, next);
	find_homes(gateway, next);
	gateway_remember(gateway);
	remember_load(&next->plan, &learnt, &arena);
	if (rc == 0)
		rc = generation_poll(next, &learnt, report_sink(next->report), &clock_system, false);
	arena_free(&arena);
	if (rc == 0)
		rc = gateway_room_for_pollers(gateway, gateway->n_pollers + next->n_pollers);
	if (rc == 0 && gateway->outbox)
		rc = generation_command(next, &clock_system, gateway->messages);
	if (rc == 0)
		rc = gateway_node(gateway, next, &reload->node);
	if (rc == 0 && connects)
		rc = upstream_init(&next->standing, gateway->messages, next->command, &gateway->occasions, false,
			gateway->outbox, &reload->upstream);
	if (rc == 0 && gateway->outbox) {
		reload->retained = calloc(1, sizeof(*reload->retained));
		rc = reload->retained ? 0 : -ENOMEM;
	}
	if (rc < 0) {
		unmake_next(reload);
		return rc;
	}
	if (reload->retained)
		retained_init(reload->retained, &next->plan);
	return 0;
}

/* The keys of `buffer` that can change while the gateway runs: plan_buffer_relimit. */
static unsigned live_keys(const struct gateway *gateway)
{
	unsigned live = BUFFER_MAX_AGE | BUFFER_REPLAY | BUFFER_WHEN_FULL;
	return gateway->at_start.path ? live : live | BUFFER_MAX_SIZE;
}

static bool changes(const struct gateway *gateway, const struct plan *plan)
{
	const struct plan *present = &gateway->present->plan;
	return plan_diff_info(present, plan) || plan_diff_readings(present, plan) ||
	       plan_diff_connection(present, plan) || plan_diff_sparkplug(present, plan) ||
	       plan_diff_page(present, plan) || plan_diff_buffer(&gateway->buffer, &plan->buffer) & live_keys(gateway);
}

static bool read_map(struct reload *reload, struct plan *ret_plan)
{
	struct faults faults = {0};
	int rc = config_load(reload->file, &faults, ret_plan);
	reload_report_faults(&faults);
	faults_destroy(&faults);
	malloc_trim(0); /* what the reading of a big map took goes back */
	return rc == 0;
}

static void begin(struct reload *reload, int64_t now_us)
{
	struct gateway *gateway = reload->gateway;
	struct generation *present = gateway->present;
	struct plan plan = {0};
	reload->asked = false;
	if (!read_map(reload, &plan))
		return;
	reload_report_buffer(plan_diff_buffer(&gateway->buffer, &plan.buffer) & ~live_keys(gateway));
	if (!changes(gateway, &plan)) {
		plan_destroy(&plan);
		log_notice("map read again: nothing has changed");
		return;
	}
	int rc = make_next(reload, &plan);
	if (rc < 0) {
		log_error("the map can't be applied: %s; running on as before", strerror(-rc));
		return;
	}
	reload->report = reload_report_of(present, reload->next, reload->upstream != NULL);
	reload->next->older = gateway->newest;
	gateway->newest = reload->next;
	reload->state = RELOAD_LEAVING;
	reload->began_at = now_us;
	for (size_t i = 0; i < present->plan.n_buses; i++)
		if (!stays(reload->next, &present->homes[i]))
			poller_release(present->homes[i].poller, present->homes[i].wire);
	if (reload->upstream)
		publisher_stop(gateway_publisher(gateway));
	if (gateway->node)
		sparkplug_stop(gateway->node->sparkplug);
}

/* ---- The wires are leaving ---- */

/* True when the poller has closed what it was asked to, and has ended if nothing is left. */
static bool has_let_go(struct poller *poller)
{
	size_t n;
	struct wire_walk walk = {0};
	const struct wire *wires = poller_wires(poller, &n);
	for (size_t w = 0; w < n; w++)
		if (wire_leaves(&wires[w]))
			return false;
	return poller_next_wire(&poller, 1, &walk) || poller_join(poller, 0) == 0;
}

static bool all_let_go(struct gateway *gateway)
{
	bool all = true;
	for (size_t i = 0; i < gateway->n_pollers; i++)
		all = has_let_go(gateway->pollers[i]) && all;
	return all;
}

static void relimit(struct gateway *gateway, const struct plan_buffer *buffer)
{
	plan_buffer_relimit(&gateway->buffer, buffer);
	outbox_relimit(gateway->outbox, &gateway->buffer, gateway_memory_bytes(gateway));
	if (gateway->edge)
		edge_relimit(gateway->edge, buffer);
}

static void start_pollers(struct generation *next, int64_t now_us)
{
	for (size_t i = 0; i < next->n_pollers; i++) {
		poller_alive_by(next->pollers[i], now_us + FIRST_STEP_US);
		int rc = poller_start(next->pollers[i]);
		if (rc < 0) /* then the watchdog has us started anew */
			log_error("a bus can't be started: %s", strerror(-rc));
	}
}

static struct publisher_listener *listener_of(const struct generation *generation)
{
	return generation->command ? command_listener(generation->command) : NULL;
}

/* Of two readings of the map the later one holds from here on. */
static int turn_over(struct reload *reload, int64_t now_us)
{
	struct gateway *gateway = reload->gateway;
	struct generation *next = reload->next;
	if (gateway->outbox) {
		if (outbox_retain_anew(gateway->outbox, reload->retained) < 0)
			return -ENOMEM; /* again at the next step */
		struct retained *before = gateway->retained;
		gateway->retained = reload->retained;
		reload->retained = before;
		relimit(gateway, &next->plan.buffer);
	}
	carry(gateway->present, next);
	reload->command = listener_of(gateway->present);
	gateway_list_pollers(gateway);
	start_pollers(next, now_us);
	gateway->present = next;
	reload->next = NULL;
	reload->is_told = reload->node_is_told = false;
	reload->state = RELOAD_TELLING;
	return 0;
}

static void leave(struct reload *reload, int64_t now_us)
{
	struct gateway *gateway = reload->gateway;
	bool gone = all_let_go(gateway);
	if (!gone && reload->began_at && now_us - reload->began_at >= HANGS_US) {
		reload->began_at = 0;
		log_warning("the map is read, but a bus does not end; it is waited for");
	}
	if (!gone || turn_over(reload, now_us) < 0)
		return;
	if (reload->upstream)
		return;
	struct upstream *upstream = gateway->upstream;
	struct publisher_listener *listener = &upstream->audience.listener;
	announce_change(upstream->announce, &gateway->present->standing);
	if (upstream->discoverer)
		discoverer_change(upstream->discoverer, &gateway->present->plan);
	audience_change(&upstream->audience, reload->command, listener_of(gateway->present));
	if (upstream->publisher)
		publisher_turn(upstream->publisher);
	else
		listener->turned(listener, NULL);
}

/* ---- The publisher is told ---- */

/* True when what stands is known on the publisher's side, and nothing of what stood before is used there. */
static bool told(struct reload *reload, int64_t now_us)
{
	struct gateway *gateway = reload->gateway;
	const struct upstream *present = reload->gateway->upstream;
	if (!reload->upstream)
		return !announce_changes(present->announce) && !audience_changes(&present->audience) &&
		       !(present->discoverer && discoverer_changes(present->discoverer));
	if (publisher_join(gateway->upstream->publisher, 0) < 0)
		return false;
	announce_succeed(reload->upstream->announce, gateway->upstream->announce);
	upstream_destroy(gateway->upstream);
	gateway->upstream = reload->upstream;
	reload->upstream = NULL;
	publisher_alive_by(gateway->upstream->publisher, now_us + FIRST_STEP_US);
	int rc = publisher_start(gateway->upstream->publisher);
	if (rc < 0) /* as with a bus */
		log_error("the publisher can't be started: %s", strerror(-rc));
	return true;
}

/* Do wires still owe an answer to a command that was given by an older map? */
static bool owes(const struct gateway *gateway)
{
	for (const struct generation *one = gateway->newest; one; one = one->older)
		if (one != gateway->present && ((one->orders && orders_busy(one->orders)) ||
						       (one->edge_orders && orders_busy(one->edge_orders))))
			return true;
	return false;
}

/* Pollers without wires, and generations of which nothing runs any more. */
static void bury(struct gateway *gateway)
{
	for (struct generation *one = gateway->newest; one; one = one->older)
		generation_trim(one);
	gateway_list_pollers(gateway);
	for (struct generation **at = &gateway->newest; *at;) {
		struct generation *one = *at;
		if (one == gateway->present || one->n_pollers) {
			at = &one->older;
			continue;
		}
		*at = one->older;
		generation_destroy(one);
	}
}

static void tell(struct reload *reload, int64_t now_us)
{
	if (!reload->is_told)
		reload->is_told = told(reload, now_us);
	if (!reload->node_is_told)
		reload->node_is_told = gateway_change_node(reload->gateway, &reload->node, now_us + FIRST_STEP_US);
	if (!reload->is_told || !reload->node_is_told || owes(reload->gateway))
		return;
	edge_node_destroy(reload->node);
	reload->node = NULL;
	bury(reload->gateway);
	drop_retained(reload);
	malloc_trim(0);
	reload_report_tell(&reload->report);
	reload->state = RELOAD_IDLE;
}

int64_t reload_step(struct reload *reload, int64_t now_us)
{
	if (reload->state == RELOAD_IDLE && reload->asked)
		begin(reload, now_us);
	if (reload->state == RELOAD_LEAVING)
		leave(reload, now_us);
	if (reload->state == RELOAD_TELLING)
		tell(reload, now_us);
	return reload_busy(reload) ? now_us + LOOK_US : CLOCK_NEVER;
}

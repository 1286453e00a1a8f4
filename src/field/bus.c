/*
 * The state machine of one bus.
 *
 *   CLOSED ──open──► OPENING ──► IDLE ◄──answer, time-out──► ASKED
 *      ▲                │          │                           │
 *      └────────────────┴──────────┴── port gone ──────────────┘
 *
 * Invariant: at most one question is under way, and none is asked before the silence after the last frame is over.
 * A time-out is not a lost port; an exception is an answer.  A port that can't be opened is tried for ever.
 */
#include "field/bus.h"
#include "field/port_failure.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define REOPEN_FIRST_US 500000
#define REOPEN_CAP_US   10000000
#define REOPEN_PORT_US  500000 /* looking whether an unplugged port is back costs next to nothing */
#define START_AGAIN_US  1000000

#define bump(counter) atomic_fetch_add_explicit(&(counter), 1, memory_order_relaxed)

void bus_init(struct bus *bus, const struct plan *plan, size_t index, struct line *line, struct reading_sink *sink,
	const struct clock *clock, bool once, struct arena *arena)
{
	const struct plan_bus *told = &plan->buses[index];
	struct planner_cost cost = planner_cost_of(told, PLANNER_TURNAROUND_US);
	*bus = (struct bus){.plan = plan,
		.told = told,
		.clock = clock,
		.line = line,
		.gap_us = plan_bus_gap_us(told),
		.current = -1,
		.reopening = {.first_us = REOPEN_FIRST_US,
			.cap_us = told->wire == WIRE_SERIAL ? REOPEN_PORT_US : REOPEN_CAP_US},
		.once = once};
	bus->devices = arena_array(arena, told->n_devices, sizeof(*bus->devices));
	for (uint32_t i = 0; i < told->n_devices; i++) {
		device_init(&bus->devices[i], plan, told->devices[i], &cost, sink, arena);
		bus->n_rounds += bus->devices[i].n_rounds;
	}
	bus->entries = arena_array(arena, bus->n_rounds, sizeof(*bus->entries));
	bus->rounds = arena_array(arena, bus->n_rounds, sizeof(*bus->rounds));
	size_t n = 0;
	for (uint32_t i = 0; i < told->n_devices; i++)
		for (uint32_t r = 0; r < bus->devices[i].n_rounds; r++)
			bus->rounds[n++] = &bus->devices[i].rounds[r];
	bus->n_unserved = bus->n_rounds;
}

void bus_destroy(struct bus *bus)
{
	if (bus->line)
		bus->line->ops->destroy(bus->line);
	bus->line = NULL;
}

static int64_t round_every(const struct bus *bus, const struct round *round)
{
	return bus->plan->metrics[round->items[0].metric].every_us;
}

/* Makes every round due, spread so that they do not fall on one instant. */
void bus_schedule(struct bus *bus, size_t first, size_t n_all, int64_t now_us)
{
	for (size_t i = 0; i < bus->n_rounds; i++) {
		int64_t every = round_every(bus, bus->rounds[i]);
		struct schedule_entry *entry = &bus->entries[i];
		entry->every_us = every > 0 ? every : 0;
		entry->due_at = bus->once ? now_us : schedule_first(now_us, entry->every_us, first + i, n_all);
	}
}

bool bus_finished(const struct bus *bus)
{
	return bus->n_unserved == 0;
}

short bus_events(const struct bus *bus)
{
	if (bus->line->fd < 0)
		return 0;
	if (bus->state == BUS_IDLE) /* unplugged between two polls: its number is free only once it is closed */
		return bus->told->wire == WIRE_SERIAL ? POLLHUP : 0;
	return bus->state == BUS_CLOSED ? 0 : bus->line->events;
}

static int64_t wall_ms(const struct bus *bus)
{
	return bus->clock->wall_ms(bus->clock);
}

/* The round is over.  One that is asked once is asked again until the device has answered. */
static void served(struct bus *bus, bool heard, int64_t now_us)
{
	struct schedule_entry *entry = &bus->entries[bus->current];
	uint64_t merged = entry->n_merged;
	if (entry->served_at == 0 && bus->n_unserved > 0)
		bus->n_unserved--;
	schedule_served(entry, now_us);
	bool start = round_every(bus, bus->rounds[bus->current]) == PLAN_EVERY_START;
	if (bus->once || start)
		entry->due_at = bus->once || heard ? CLOCK_NEVER : now_us + START_AGAIN_US;
	atomic_fetch_add_explicit(&bus->counts.merged, entry->n_merged - merged, memory_order_relaxed);
	bus->rounds[bus->current]->next = 0;
	bus->rounds[bus->current]->unheard = false;
	bus->current = -1;
}

static void port_lost(struct bus *bus, int failure, int64_t now_us)
{
	char why[PORT_FAILURE_SIZE];
	if (complaint_raise(&bus->closed, now_us))
		log_warning("bus %s: %s%s: %s", bus->told->name, bus->told->port ? bus->told->port : bus->told->host,
			bus->state == BUS_CLOSED || bus->state == BUS_OPENING ? " can't be opened" : " is gone",
			port_failure_text(bus->told->port, failure, why));
	bool was_open = bus->state == BUS_IDLE || bus->state == BUS_ASKED;
	bus->line->ops->close(bus->line);
	bus->state = BUS_CLOSED;
	bus->reopen_at = now_us + backoff_next(&bus->reopening);
	bus->current = -1;
	bus->tries = 0;
	atomic_store_explicit(&bus->counts.open, 0, memory_order_relaxed);
	for (uint32_t i = 0; i < bus->told->n_devices; i++)
		if (was_open || bus->reopening.round == 1)
			device_port_lost(&bus->devices[i], wall_ms(bus), now_us);
	if (bus->once)
		bus->n_unserved = 0;
}

static void opened(struct bus *bus, int64_t now_us)
{
	int64_t lasted;
	bus->state = BUS_IDLE;
	bus->free_at = now_us + bus->gap_us;
	bump(bus->counts.reopened);
	atomic_store_explicit(&bus->counts.open, 1, memory_order_relaxed);
	for (size_t i = 0; i < bus->n_rounds; i++) {
		bus->entries[i].not_before = 0;
		if (round_every(bus, bus->rounds[i]) == PLAN_EVERY_START)
			bus->entries[i].due_at = now_us;
	}
	if (complaint_clear(&bus->closed, now_us, &lasted, NULL)) {
		/* Its devices are offline until they are heard, so nobody waits for his turn to come round. */
		for (size_t i = 0; i < bus->n_rounds; i++)
			if (bus->entries[i].due_at > now_us && bus->entries[i].due_at != CLOCK_NEVER)
				bus->entries[i].due_at = now_us;
		char length[LOG_LENGTH_SIZE];
		log_notice("bus %s: %s is back after %s", bus->told->name,
			bus->told->port ? bus->told->port : bus->told->host, log_length(lasted, length));
	}
}

/* A device came back: what it is asked once after that is due. */
static void reappeared(struct bus *bus, const struct device *device, int64_t now_us)
{
	for (size_t i = 0; i < bus->n_rounds; i++) {
		if (bus->rounds[i]->device != device)
			continue;
		bus->entries[i].not_before = 0;
		if (round_every(bus, bus->rounds[i]) == PLAN_EVERY_START && (int)i != bus->current)
			bus->entries[i].due_at = now_us;
	}
}

static void leave_alone(struct bus *bus, const struct device *device, int64_t until_us)
{
	for (size_t i = 0; i < bus->n_rounds; i++)
		if (bus->rounds[i]->device == device)
			bus->entries[i].not_before = until_us;
}

/* How long the question and a whole answer take on the wire. */
static int64_t transfer_us(const struct bus *bus, const struct planner_read *read)
{
	struct planner_cost cost = planner_cost_of(bus->told, 0);
	return bus->told->wire == WIRE_TCP ? 0 : planner_read_ns(&cost, &read->place) / 1000;
}

/* The port failed in use.  A TCP device may close an idle connection: that is no fault before it happens twice. */
static void connection_closed(struct bus *bus, int failure, int64_t now_us)
{
	if (bus->told->wire == WIRE_TCP && bus->tries == 0) {
		bus->tries++;
		bus->line->ops->close(bus->line);
		bus->state = BUS_OPENING;
		return;
	}
	port_lost(bus, failure, now_us);
}

static void ask(struct bus *bus, int64_t now_us)
{
	struct round *round = bus->rounds[bus->current];
	struct planner_read *read = &round->reads[round->next];
	struct line_question question = {.unit = round->device->told->address, .place = read->place};
	int rc = bus->line->ops->ask(bus->line, &question, now_us);
	if (rc < 0) {
		connection_closed(bus, rc, now_us);
		return;
	}
	bump(bus->counts.requests);
	atomic_fetch_add_explicit(&round->device->counts.requests, 1, memory_order_relaxed);
	bus->state = BUS_ASKED;
	bus->asked_at = now_us;
	bus->deadline = now_us + transfer_us(bus, read) + round->device->told->timeout_us;
}

static void finish(struct bus *bus, int64_t now_us, bool heard, bool round_over)
{
	struct round *round = bus->rounds[bus->current];
	atomic_fetch_add_explicit(&bus->counts.busy_us, now_us - bus->asked_at + bus->gap_us, memory_order_relaxed);
	bus->state = BUS_IDLE;
	bus->free_at = now_us + bus->gap_us;
	bus->tries = 0;
	round->next++;
	round->unheard |= !heard;
	if (round_over || round->next >= round->n_reads)
		served(bus, !round->unheard, now_us);
}

static bool may_retry(struct bus *bus, int64_t now_us)
{
	if (bus->tries >= bus->told->retries)
		return false;
	bus->tries++;
	atomic_fetch_add_explicit(&bus->counts.busy_us, now_us - bus->asked_at + bus->gap_us, memory_order_relaxed);
	bus->state = BUS_IDLE;
	bus->free_at = now_us + bus->gap_us;
	return true;
}

static void answered(struct bus *bus, const struct line_answer *answer, int64_t now_us)
{
	struct round *round = bus->rounds[bus->current];
	struct device *device = round->device;
	int before = atomic_load_explicit(&device->counts.availability, memory_order_relaxed);
	bump(bus->counts.answers);
	backoff_reset(&bus->reopening);
	device_note_time(device, now_us - bus->asked_at);
	device_answered(device, round, &round->reads[round->next], answer, wall_ms(bus), now_us);
	if (before != AVAILABILITY_ONLINE)
		reappeared(bus, device, now_us);
	finish(bus, now_us, true, false);
}

static void refused(struct bus *bus, uint8_t exception, int64_t now_us)
{
	struct round *round = bus->rounds[bus->current];
	struct device *device = round->device;
	int before = atomic_load_explicit(&device->counts.availability, memory_order_relaxed);
	bump(bus->counts.answers);
	bump(bus->counts.exceptions);
	backoff_reset(&bus->reopening);
	device_note_time(device, now_us - bus->asked_at);
	/* 2 illegal data address, 3 illegal data value (here: quantity); 5 acknowledge, 6 server device busy. */
	if ((exception == 2 || exception == 3) && device_split(round, round->next)) {
		log_info("%s refuses a read of several values (exception %u): it is split", device->told->path,
			exception);
		bus->state = BUS_IDLE;
		bus->free_at = now_us + bus->gap_us;
		return;
	}
	if ((exception == 5 || exception == 6) && may_retry(bus, now_us))
		return;
	device_failed(device, round, &round->reads[round->next], QUALITY_EXCEPTION, exception, wall_ms(bus), now_us);
	if (before != AVAILABILITY_ONLINE)
		reappeared(bus, device, now_us);
	finish(bus, now_us, true, false);
}

static void unanswered(struct bus *bus, enum quality quality, int64_t now_us)
{
	struct round *round = bus->rounds[bus->current];
	struct device *device = round->device;
	if (quality == QUALITY_CHECKSUM) {
		bump(bus->counts.checksum);
		if (may_retry(bus, now_us))
			return;
	} else {
		bump(bus->counts.timeouts);
	}
	int64_t leave_us = device_failed(device, round, &round->reads[round->next], quality, 0, wall_ms(bus), now_us);
	finish(bus, now_us, false, quality == QUALITY_TIMEOUT);
	if (leave_us)
		leave_alone(bus, device, now_us + leave_us);
}

static int64_t step_opening(struct bus *bus, int64_t now_us)
{
	int rc = bus->line->ops->open(bus->line, now_us);
	if (rc == -EINPROGRESS) {
		bus->state = BUS_OPENING;
		return bus->line->look_at;
	}
	if (rc < 0) {
		port_lost(bus, rc, now_us);
		return bus->reopen_at;
	}
	opened(bus, now_us);
	return now_us;
}

/* Unplugged?  Found without reading. */
static bool hung_up(int fd)
{
	struct pollfd port = {.fd = fd};
	return poll(&port, 1, 0) == 1 && port.revents & (POLLHUP | POLLERR | POLLNVAL);
}

static int64_t step_idle(struct bus *bus, bool ready, int64_t now_us)
{
	if (ready && bus->told->wire == WIRE_SERIAL && hung_up(bus->line->fd)) {
		port_lost(bus, -ENODEV, now_us);
		return bus->reopen_at;
	}
	if (bus->current < 0) {
		bus->current = schedule_pick(bus->entries, bus->n_rounds, now_us);
		if (bus->current < 0)
			return schedule_wake(bus->entries, bus->n_rounds);
	}
	if (now_us < bus->free_at)
		return bus->free_at;
	ask(bus, now_us);
	return now_us;
}

static int64_t step_asked(struct bus *bus, bool ready, int64_t now_us)
{
	struct line_answer answer = {0};
	int rc = -EAGAIN;
	if (ready || now_us >= bus->line->look_at)
		rc = bus->line->ops->answer(bus->line, now_us, &answer);
	atomic_store_explicit(&bus->counts.late, bus->line->n_late, memory_order_relaxed);
	atomic_store_explicit(&bus->counts.foreign, bus->line->n_foreign, memory_order_relaxed);
	switch (rc) {
	case 0:
		answered(bus, &answer, now_us);
		return now_us;
	case -EREMOTEIO:
		refused(bus, answer.exception, now_us);
		return now_us;
	case -EBADMSG:
		unanswered(bus, QUALITY_CHECKSUM, now_us);
		return now_us;
	case -ENODEV:
		connection_closed(bus, rc, now_us);
		return now_us;
	default:
		break;
	}
	if (now_us >= bus->deadline) {
		unanswered(bus, QUALITY_TIMEOUT, now_us);
		return now_us;
	}
	return bus->line->look_at < bus->deadline ? bus->line->look_at : bus->deadline;
}

int64_t bus_step(struct bus *bus, bool ready, int64_t now_us)
{
	if (bus->n_rounds == 0) /* named in the map, used by no device */
		return CLOCK_NEVER;
	/* Each pass may end one state and begin the next; bounded, so that one bus can't keep a shared thread. */
	int64_t wake = now_us;
	for (int pass = 0; pass < 8 && wake <= now_us; pass++, ready = false) {
		switch (bus->state) {
		case BUS_CLOSED:
			wake = now_us < bus->reopen_at ? bus->reopen_at : step_opening(bus, now_us);
			break;
		case BUS_OPENING:
			wake = step_opening(bus, now_us);
			break;
		case BUS_IDLE:
			wake = step_idle(bus, ready, now_us);
			break;
		case BUS_ASKED:
			wake = step_asked(bus, ready, now_us);
			break;
		}
	}
	return wake;
}

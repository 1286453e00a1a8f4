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
#include "field/strip.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define PAUSE_US 50000 /* within an answer that has begun: adapters and servers hand it on in pieces */

void bus_init(struct bus *bus, const struct plan *plan, size_t index, struct line *line, const struct learnt *learnt,
	struct reading_sink *sink, const struct clock *clock, bool once, struct arena *arena)
{
	const struct plan_bus *told = &plan->buses[index];
	*bus = (struct bus){.plan = plan,
		.told = told,
		.clock = clock,
		.line = line,
		.cost = planner_cost_of(told, PLANNER_TURNAROUND_US),
		.gap_us = plan_bus_gap_us(told),
		.current = -1,
		.once = once};
	outage_init(&bus->outage, told);
	bus->devices = arena_array(arena, told->n_devices, sizeof(*bus->devices));
	for (uint32_t i = 0; i < told->n_devices; i++) {
		device_init(&bus->devices[i], plan, told->devices[i], &bus->cost, learnt, sink, arena);
		device_find_models(&bus->devices[i], arena);
	}
	turns_init(&bus->turns, bus->devices, told->n_devices, once, arena);
	patience_bus_init(&bus->patience, told->n_devices == 1);
	caution_init(&bus->caution, line, told, bus->devices, &bus->turns, &bus->patience);
}

void bus_destroy(struct bus *bus)
{
	if (bus->line)
		bus->line->ops->destroy(bus->line);
	bus->line = NULL;
}

void bus_schedule(struct bus *bus, size_t first, size_t n_all, int64_t tick_us, int64_t now_us)
{
	turns_start(&bus->turns, first, n_all, tick_us, now_us);
}

bool bus_finished(const struct bus *bus)
{
	return bus->turns.n_unserved == 0;
}

short bus_events(const struct bus *bus)
{
	if (bus->line->fd < 0)
		return 0;
	/* A port may be unplugged between two polls: its number is free only once it is closed. */
	if (bus->state == BUS_IDLE && !bus->line->ops->listen)
		return bus->told->wire == WIRE_SERIAL ? POLLHUP : 0;
	return bus->state == BUS_CLOSED ? 0 : bus->line->events;
}

static int64_t wall_ms(const struct bus *bus)
{
	return bus->clock->wall_ms(bus->clock);
}

/* The turn of the device that was asked is over. */
static void turn_over(struct bus *bus, int64_t now_us)
{
	struct device *device = &bus->devices[bus->current];
	struct round *round = device->turn;
	uint64_t merged = turns_over(&bus->turns, (uint32_t)bus->current, !round->unheard, now_us);
	atomic_fetch_add_explicit(&bus->counts.merged, merged, memory_order_relaxed);
	round_over(&device->rounds, round);
}

static void port_lost(struct bus *bus, int failure, int64_t now_us)
{
	bool was_open = bus->state == BUS_IDLE || bus->state == BUS_ASKED;
	bool tells = outage_begin(&bus->outage, bus->told, &bus->counts, was_open, failure, now_us);
	bus->line->ops->close(bus->line);
	bus->state = BUS_CLOSED;
	courier_fail(bus, -ENODEV);
	bus->current = -1;
	bus->reopened = false;
	turns_lost(&bus->turns);
	for (uint32_t i = 0; tells && i < bus->told->n_devices; i++)
		device_port_lost(&bus->devices[i], wall_ms(bus), now_us);
}

static void opened(struct bus *bus, int64_t now_us)
{
	bus->state = BUS_IDLE;
	bus->free_at = now_us + bus->gap_us;
	turns_opened(&bus->turns, now_us);
	if (outage_end(&bus->outage, bus->told, &bus->counts, now_us))
		turns_returned(&bus->turns, now_us);
}

/* The port failed in use.  A TCP device may close an idle connection: that is no fault before it happens twice. */
static void connection_closed(struct bus *bus, int failure, int64_t now_us)
{
	if (bus->told->wire == WIRE_TCP && !bus->reopened) {
		bus->reopened = true;
		courier_cut_off(bus);
		bus->line->ops->close(bus->line);
		bus->state = BUS_OPENING;
		return;
	}
	port_lost(bus, failure, now_us);
}

/* The device to ask next, and how long it will be waited for.  False when nobody may be asked now. */
static bool choose(struct bus *bus, int64_t now_us)
{
	/* What a question takes besides waiting: the request, and the silence after the time-out. */
	int64_t wire_us = planner_request_us(bus->told) + bus->gap_us;
	for (uint32_t tries = 0; tries <= bus->told->n_devices; tries++) {
		int64_t at;
		bus->current = turns_next(&bus->turns, now_us);
		if (bus->current < 0)
			return false;
		struct device *device = &bus->devices[bus->current];
		uint32_t d = (uint32_t)bus->current;
		if (device->turn->n_reads == 0) { /* the device has none of it */
			device->turn->began_at = now_us;
			turns_over(&bus->turns, d, true, now_us);
			continue;
		}
		bus->wait_us = patience_ask(&device->patience, &bus->patience, wire_us,
			turns_others_at(&bus->turns, d, now_us), now_us, &at);
		if (bus->once) /* there will be no second time */
			bus->wait_us = device->told->timeout_us;
		if (bus->once || at <= now_us)
			return true;
		turns_leave_alone(&bus->turns, d, at);
	}
	bus->current = -1;
	return false;
}

/* The question is over, whatever became of it; the silence after it begins. */
static void settle(struct bus *bus, int64_t now_us)
{
	atomic_fetch_add_explicit(&bus->counts.busy_us, now_us - bus->asked_at + bus->gap_us, memory_order_relaxed);
	bus->state = BUS_IDLE;
	bus->free_at = now_us + bus->gap_us;
}

/* Goes on with the next read of the turn, or ends it. */
static void finish(struct bus *bus, int64_t now_us, bool heard, bool rest)
{
	struct round *round = bus->devices[bus->current].turn;
	settle(bus, now_us);
	round->next++;
	round->tries = 0;
	round->unheard |= !heard;
	if (rest || round->next >= round->n_reads)
		turn_over(bus, now_us);
	bus->current = -1;
}

static bool may_retry(struct bus *bus, int64_t now_us)
{
	struct round *round = bus->devices[bus->current].turn;
	if (round->tries >= bus->told->retries)
		return false;
	round->tries++;
	settle(bus, now_us);
	bus->current = -1;
	return true;
}

/* Somebody answered: the port serves. */
static void served(struct bus *bus, int64_t now_us)
{
	strip_count(&bus->counts, OUTCOME_ANSWER, now_us);
	outage_forget(&bus->outage);
	bus->reopened = false;
}

/* A frame of the device: it lives, and how long it took is learnt. */
static bool alive(struct bus *bus, struct device *device, int64_t now_us)
{
	int64_t began_at = bus->began_at ? bus->began_at : now_us;
	int64_t took_us = began_at - bus->asked_at - planner_request_us(bus->told);
	served(bus, now_us);
	times_note(&device->counts.answer_times, now_us - bus->asked_at);
	patience_answered(&device->patience, &bus->patience, took_us > 0 ? took_us : 0);
	return atomic_load_explicit(&device->counts.availability, memory_order_relaxed) != AVAILABILITY_ONLINE;
}

/* The unit's answers can be told apart again, or a little better: its turn goes on. */
static void canary_answered(struct bus *bus, int64_t now_us)
{
	alive(bus, &bus->devices[bus->current], now_us);
	settle(bus, now_us);
	bus->current = -1;
}

/* What is asked once after the device came back is due: also when it shows that it has more, or other models. */
static void note_appeared(struct bus *bus, uint32_t d, bool appears, int64_t now_us)
{
	struct models *models = bus->devices[d].models;
	if (appears || (models && models->changed))
		turns_appeared(&bus->turns, d, now_us);
	if (models)
		models->changed = false;
}

static void answered(struct bus *bus, const struct line_answer *answer, int64_t now_us)
{
	uint32_t d = (uint32_t)bus->current;
	struct device *device = &bus->devices[d];
	bool appears = alive(bus, device, now_us);
	backoff_reset(&device->behind);
	device_took(device, now_us - bus->asked_at);
	bool more = device_answered(device, answer, wall_ms(bus), now_us);
	note_appeared(bus, d, appears, now_us);
	finish(bus, now_us, true, !more);
}

static void refused(struct bus *bus, uint8_t exception, int64_t now_us)
{
	uint32_t d = (uint32_t)bus->current;
	struct device *device = &bus->devices[d];
	struct round *round = device->turn;
	bool appears = alive(bus, device, now_us), behind = exception == LINE_TARGET_SILENT, lost = false;
	strip_count(&bus->counts, OUTCOME_EXCEPTION, now_us);
	if (exception == LINE_ILLEGAL_ADDRESS || exception == LINE_ILLEGAL_VALUE) {
		if (round_cut(round, round->next)) {
			log_about(LOG_LEVEL_INFO,
				&(struct log_about){.device = device->told->path, .bus = bus->told->name},
				"%s refuses a read of several values (exception %u): it is split", device->told->path,
				exception);
			settle(bus, now_us);
			bus->current = -1;
			return;
		}
		round_refused(&device->rounds, round, round->next);
		lost = device_lost_model(device);
	}
	if ((exception == LINE_ACKNOWLEDGE || exception == LINE_BUSY) && may_retry(bus, now_us)) {
		turns_pause(&bus->turns, d, now_us + BUS_BUSY_US);
		return;
	}
	device_failed(device, QUALITY_EXCEPTION, exception, behind || lost, wall_ms(bus), now_us);
	note_appeared(bus, d, appears, now_us);
	finish(bus, now_us, true, behind || lost);
	if (behind) /* each question to it takes the gateway's own time-out */
		turns_leave_alone(&bus->turns, d, now_us + backoff_next(&device->behind));
}

static void damaged(struct bus *bus, int64_t now_us)
{
	struct device *device = &bus->devices[bus->current];
	strip_count(&bus->counts, OUTCOME_CHECKSUM, now_us);
	if (may_retry(bus, now_us))
		return;
	device_failed(device, QUALITY_CHECKSUM, 0, false, wall_ms(bus), now_us);
	finish(bus, now_us, false, false);
}

static void unanswered(struct bus *bus, int64_t now_us)
{
	uint32_t d = (uint32_t)bus->current;
	struct device *device = &bus->devices[d];
	strip_count(&bus->counts, OUTCOME_TIMEOUT, now_us);
	int64_t leave_us = patience_missed(
		&device->patience, &bus->patience, now_us + bus->gap_us - bus->asked_at, now_us + bus->gap_us);
	device_failed(device, QUALITY_TIMEOUT, 0, true, wall_ms(bus), now_us);
	finish(bus, now_us, false, true);
	turns_leave_alone(&bus->turns, d, bus->asked_at + leave_us);
	atomic_store_explicit(&device->counts.quiet_until, bus->asked_at + leave_us, memory_order_relaxed);
}

/* The line did not take a question: others speak, or it is gone. */
static void not_taken(struct bus *bus, int rc, int64_t now_us)
{
	if (rc == -EAGAIN)
		bus->free_at = bus->line->free_at > now_us ? bus->line->free_at : bus->line->look_at;
	else
		connection_closed(bus, rc, now_us);
}

void bus_asked(struct bus *bus, const struct bf_place *place, int64_t wait_us, int64_t now_us)
{
	caution_free(&bus->caution, now_us);
	counts_bump(bus->counts.requests);
	bus->state = BUS_ASKED;
	bus->asked = *place;
	bus->asked_at = now_us;
	bus->began_at = 0;
	bus->deadline = now_us + planner_request_us(bus->told) + wait_us;
}

static void ask(struct bus *bus, int64_t now_us)
{
	struct device *device = &bus->devices[bus->current];
	const struct planner_read *read = &device->turn->reads[device->turn->next];
	struct line_question question = {.unit = device->told->address, .place = read->place};
	int64_t until;
	bus->asked_at = now_us;
	if (!caution_choose(&bus->caution, &question, now_us, &until)) {
		turns_pause(&bus->turns, (uint32_t)bus->current, until);
		bus->current = -1;
		return;
	}
	int rc = bus->line->ops->ask(bus->line, &question, now_us);
	if (rc == -ENOBUFS || (rc == -EAGAIN && caution_held(&bus->caution, now_us)))
		unanswered(bus, now_us);
	else if (rc < 0)
		not_taken(bus, rc, now_us);
	if (rc < 0)
		return;
	bus_asked(bus, &question.place, bus->wait_us, now_us);
	bus->courier.served = false;
	counts_bump(device->counts.requests);
	int64_t late_us = turns_asked(&bus->turns, (uint32_t)bus->current, now_us);
	if (late_us >= 0)
		times_note(&bus->counts.late_by, late_us);
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
		return bus->outage.retry_at;
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

static int64_t step_errand(struct bus *bus, int64_t now_us)
{
	if (now_us < bus->free_at)
		return bus->free_at;
	int rc = courier_ask(bus, now_us);
	if (rc < 0)
		not_taken(bus, rc, now_us);
	return bus->state == BUS_IDLE && bus->free_at > now_us ? bus->free_at : now_us;
}

/* Does an errand go before what is due? */
static bool errand_first(struct bus *bus, int64_t now_us)
{
	if (!courier_wants(bus, now_us))
		return false;
	return bus->courier.slot || !bus->courier.served || (bus->current < 0 && !choose(bus, now_us));
}

static int64_t step_idle(struct bus *bus, int64_t now_us)
{
	if (errand_first(bus, now_us))
		return step_errand(bus, now_us);
	if (bus->current < 0 && !choose(bus, now_us))
		return turns_wake(&bus->turns);
	if (now_us < bus->free_at)
		return bus->free_at;
	ask(bus, now_us);
	return bus->state == BUS_IDLE && bus->current >= 0 && bus->free_at > now_us ? bus->free_at : now_us;
}

/* Between questions: what others send is looked at as it comes. */
static int64_t step_listening(struct bus *bus, bool ready, int64_t now_us)
{
	struct line *line = bus->line;
	if (ready && bus->told->wire == WIRE_SERIAL && hung_up(line->fd)) {
		port_lost(bus, -ENODEV, now_us);
		return bus->outage.retry_at;
	}
	if (line->ops->listen && (ready || now_us >= line->look_at)) {
		int rc = line->ops->listen(line, now_us);
		if (rc < 0) {
			connection_closed(bus, rc, now_us);
			return now_us;
		}
	}
	int64_t wake = step_idle(bus, now_us);
	return bus->state == BUS_IDLE && line->ops->listen && line->look_at < wake ? line->look_at : wake;
}

/* An answer that has begun is waited for until its end.  What has begun may turn out to be something else. */
static void note_begin(struct bus *bus, int64_t now_us)
{
	if (!bus->line->begun)
		bus->began_at = 0;
	if (!bus->line->begun || bus->began_at)
		return;
	bus->began_at = now_us;
	int64_t whole_us = planner_answer_us(bus->told, &bus->asked);
	if (now_us + whole_us + PAUSE_US > bus->deadline)
		bus->deadline = now_us + whole_us + PAUSE_US;
}

static void errand_asked(struct bus *bus, int rc, const struct line_answer *answer, int64_t now_us)
{
	if (rc == -ENODEV) {
		connection_closed(bus, rc, now_us);
		return;
	}
	if (rc == 0 || rc == -EREMOTEIO)
		served(bus, now_us);
	settle(bus, now_us);
	courier_answered(bus, rc, answer, now_us);
}

/* Sets the clock forward when something came: the silence is counted from then, since bytes may have come after this
 * step began, and it may have been held up. */
static int64_t step_asked(struct bus *bus, bool ready, int64_t *clock_us)
{
	struct line_answer answer = {0};
	int64_t now_us = *clock_us;
	int rc = -EAGAIN;
	if (ready || now_us >= bus->line->look_at || now_us >= bus->deadline)
		rc = bus->line->ops->answer(bus->line, now_us, &answer);
	if (rc != -EAGAIN)
		*clock_us = now_us = clock_now(bus->clock);
	note_begin(bus, now_us);
	if (bus->courier.asking && (rc != -EAGAIN || now_us >= bus->deadline)) {
		errand_asked(bus, rc == -EAGAIN ? -ETIMEDOUT : rc, &answer, now_us);
		return now_us;
	}
	if (!bus->courier.asking && caution_answered(&bus->caution, rc, answer.exception)) {
		canary_answered(bus, now_us);
		return now_us;
	}
	switch (rc) {
	case 0:
		answered(bus, &answer, now_us);
		return now_us;
	case -EREMOTEIO:
		refused(bus, answer.exception, now_us);
		return now_us;
	case -EBADMSG:
	case -ESTALE:
		damaged(bus, now_us);
		return now_us;
	case -ENODEV:
		connection_closed(bus, rc, now_us);
		return now_us;
	default:
		break;
	}
	if (now_us >= bus->deadline) {
		unanswered(bus, now_us);
		return now_us;
	}
	return bus->line->look_at < bus->deadline ? bus->line->look_at : bus->deadline;
}

int64_t bus_step(struct bus *bus, bool ready, int64_t now_us)
{
	if (bus->turns.n_entries == 0) { /* named in the map, used by no device */
		courier_fail(bus, -ENODEV);
		return CLOCK_NEVER;
	}
	/* Each pass may end one state and begin the next; bounded, so that one bus can't keep a shared thread. */
	int64_t wake = now_us;
	for (int pass = 0; pass < 8 && wake <= now_us; pass++, ready = false) {
		switch (bus->state) {
		case BUS_CLOSED:
			wake = now_us < bus->outage.retry_at ? bus->outage.retry_at : step_opening(bus, now_us);
			if (bus->state == BUS_CLOSED)
				courier_fail(bus, -ENODEV);
			break;
		case BUS_OPENING:
			wake = step_opening(bus, now_us);
			break;
		case BUS_IDLE:
			wake = step_listening(bus, ready, now_us);
			break;
		case BUS_ASKED:
			wake = step_asked(bus, ready, &now_us);
			break;
		}
	}
	int64_t errands_at = courier_wake(bus, now_us);
	return errands_at < wake ? errands_at : wake;
}

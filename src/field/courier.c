/*
 * The errands of a bus, see courier.h.
 *
 *   READ   READS ──► done
 *   WRITE  (LOOKS ──►) WRITES ──► READS_BACK ──► done
 *
 * Why a write is never sent twice: an answer that is missing or damaged does not say that the write is.  Devices count
 * pulses, toggle and store in memory that wears; who asked is told that nothing is known and may decide.
 *
 * Why the answer to a write is not believed: by function 5 and 6 it is the request itself, which adapters return too,
 * and a device may round, clamp or forget.  So the place is read after each write that may have been taken, also when
 * what came was damaged.  LOOKS comes before the first write on a line where nobody knows yet whether it echoes: an
 * answer without an echo before it says so.
 *
 * Silent units cost the others time, so one that did not answer is not asked by errands for nine times as long, and a
 * device that is offline is not written to.
 *
 * Invariant: `slot` is NULL, or an errand that was taken from the waiting ones; `asking` only while the bus is ASKED.
 */
#include "field/courier.h"
#include "field/bus.h"
#include "field/convert.h"
#include "field/rtu.h"
#include "field/strip.h"
#include "field/telling.h"

#include <errno.h>
#include <string.h>

#define SILENT_TIMES  9
#define TRIES_DAMAGED 2
#define TRIES_BUSY    5
#define TRIES_SILENT  2       /* of reading back: devices that store are deaf for a while */
#define DOUBT_US      1000000 /* an errand waits so long for a unit whose answers can't be told apart */

/* The device of the map that the errand is about, or one with its unit address; NULL. */
static struct device *device_of(const struct bus *bus, const struct errand *errand)
{
	for (uint32_t d = 0; d < bus->told->n_devices; d++) {
		struct device *device = &bus->devices[d];
		if (errand->metric == ERRAND_NO_METRIC ? device->told->address == errand->unit
						       : device->index == bus->plan->metrics[errand->metric].device)
			return device;
	}
	return NULL;
}

static bool is_offline(const struct bus *bus, const struct errand *errand)
{
	const struct device *device = device_of(bus, errand);
	return device && errand->kind == ERRAND_WRITE &&
	       atomic_load_explicit(&device->counts.availability, memory_order_relaxed) == AVAILABILITY_OFFLINE;
}

static bool is_silent(const struct courier *courier, uint8_t unit, int64_t now_us)
{
	for (size_t i = 0; i < COURIER_SILENT; i++)
		if (courier->silent[i].unit == unit && courier->silent[i].until > now_us)
			return true;
	return false;
}

static void note_silent(struct courier *courier, uint8_t unit, int64_t until)
{
	courier->silent[courier->next_silent].unit = unit;
	courier->silent[courier->next_silent].until = until;
	courier->next_silent = (courier->next_silent + 1) % COURIER_SILENT;
}

static void note_heard(struct courier *courier, uint8_t unit)
{
	for (size_t i = 0; i < COURIER_SILENT; i++)
		if (courier->silent[i].unit == unit)
			courier->silent[i].until = 0;
}

static void end(struct bus *bus, const struct errand_outcome *outcome)
{
	struct courier *courier = &bus->courier;
	struct errand_slot *slot = courier->slot;
	courier->slot = NULL;
	courier->asking = false;
	courier->served = true;
	errand_end(slot, outcome);
}

static void fail(struct bus *bus, int rc, uint8_t exception)
{
	end(bus, &(struct errand_outcome){.rc = rc, .exception = exception, .taken = bus->courier.taken});
}

static void poll_device(struct bus *bus, struct errand_slot *slot)
{
	int rc = -ENODEV;
	for (uint32_t d = 0; d < bus->told->n_devices && bus->state != BUS_CLOSED; d++)
		if (bus->devices[d].index == slot->errand.device) {
			turns_poll(&bus->turns, d, clock_now(bus->clock));
			rc = 0;
		}
	errand_fail(slot, rc);
}

void courier_add(struct bus *bus, struct errand_slot *slot)
{
	struct errand_slot **last = &bus->courier.first;
	if (slot->errand.kind == ERRAND_POLL) {
		poll_device(bus, slot);
		return;
	}
	while (*last)
		last = &(*last)->next;
	slot->next = NULL;
	*last = slot;
}

/* May it begin now?  So many writes a second and no more. */
static bool is_due(const struct courier *courier, const struct errand *errand, int64_t now_us)
{
	return errand->kind != ERRAND_WRITE || now_us >= courier->write_at;
}

bool courier_wants(const struct bus *bus, int64_t now_us)
{
	const struct courier *courier = &bus->courier;
	if (courier->slot)
		return now_us >= courier->not_before;
	for (const struct errand_slot *slot = courier->first; slot; slot = slot->next)
		if (is_due(courier, &slot->errand, now_us))
			return true;
	return false;
}

/* Takes the next one, past those that must not be asked.  False when none is left. */
static bool begin(struct bus *bus, int64_t now_us)
{
	struct courier *courier = &bus->courier;
	struct errand_slot **at = &courier->first;
	while (*at) {
		struct errand_slot *slot = *at;
		const struct errand *errand = &slot->errand;
		if (!is_due(courier, errand, now_us)) {
			at = &slot->next;
			continue;
		}
		*at = slot->next;
		if (is_silent(courier, errand->unit, now_us) || is_offline(bus, errand)) {
			errand_fail(slot, -EHOSTDOWN);
			continue;
		}
		courier->slot = slot;
		courier->step = errand->kind == ERRAND_READ ? COURIER_READS
				: bus->line->echo_known     ? COURIER_WRITES
							    : COURIER_LOOKS;
		courier->tries = 0;
		courier->taken = false;
		courier->not_before = 0;
		return true;
	}
	return false;
}

static int64_t timeout_us(const struct bus *bus, const struct errand *errand)
{
	const struct device *device = device_of(bus, errand);
	return device ? device->told->timeout_us : bus->told->timeout_us;
}

/* The unit must not be asked before then: worth waiting for? */
static void doubtful(struct bus *bus, int64_t until, int64_t now_us)
{
	if (until - now_us <= DOUBT_US)
		bus->courier.not_before = until;
	else
		fail(bus, bus->courier.step == COURIER_READS_BACK ? -ETIMEDOUT : -EHOSTDOWN, 0);
}

static void asked(struct bus *bus, const struct line_question *question, int64_t now_us)
{
	struct courier *courier = &bus->courier;
	struct bf_place place = question->place;
	int64_t wait_us = timeout_us(bus, &courier->slot->errand);
	int64_t char_us = bus->told->wire == WIRE_TCP ? 0 : plan_line_char_ns(&bus->told->line) / 1000 + 1;
	courier->asking = true;
	if (question->write) {
		wait_us += char_us * (1 + (int64_t)rtu_answer_bytes(&place)); /* the request is longer than a read's */
		place.count = 1;                                              /* and its answer is a short one */
		courier->write_at = now_us + COURIER_WRITE_US;
	}
	bus_asked(bus, &place, wait_us, now_us);
}

int courier_ask(struct bus *bus, int64_t now_us)
{
	struct courier *courier = &bus->courier;
	if (!courier->slot && !begin(bus, now_us))
		return 0;
	const struct errand *errand = &courier->slot->errand;
	struct line_question question = {.unit = errand->unit, .place = errand->place};
	int64_t until;
	if (courier->step == COURIER_WRITES) {
		question.write = errand->bytes;
		question.many = errand->many;
	}
	if (!caution_choose(&bus->caution, &question, now_us, &until)) {
		doubtful(bus, until, now_us);
		return 0;
	}
	int rc = bus->line->ops->ask(bus->line, &question, now_us);
	if (rc == 0)
		asked(bus, &question, now_us);
	if (rc == -EAGAIN && !caution_held(&bus->caution, now_us))
		return rc;
	if (rc == -EAGAIN || rc == -ENOBUFS) {
		fail(bus, rc == -EAGAIN ? rc : -ETIMEDOUT, 0);
		return 0;
	}
	return rc;
}

static bool same_cells(const struct errand *errand, const uint8_t *bytes)
{
	unsigned n = errand->place.count, bits = errand->place.space == BF_SPACE_COIL ? n % 8 : 0;
	size_t whole = errand->place.space == BF_SPACE_COIL ? n / 8 : 2 * (size_t)n;
	uint8_t mask = (uint8_t)((1u << bits) - 1);
	if (memcmp(errand->bytes, bytes, whole) != 0)
		return false;
	return bits == 0 || ((errand->bytes[whole] ^ bytes[whole]) & mask) == 0;
}

/* The reading of the errand's metric, as if it had been polled; it may not be all of its device's round. */
static void tell(struct bus *bus, const struct errand *errand, const struct line_answer *answer,
	char text[static BF_STRING_MAX + 1], struct errand_outcome *outcome, int64_t now_us)
{
	const struct plan_metric *metric = &bus->plan->metrics[errand->metric];
	struct device *device = device_of(bus, errand);
	struct telling telling;
	if (!device)
		return;
	outcome->quality = convert_metric(metric, &errand->place, answer->bytes, text, &outcome->value);
	telling_begin(&telling, device->sink, device->index, now_us);
	*telling_next(&telling) = (struct reading){.metric = errand->metric,
		.quality = outcome->quality,
		.value = outcome->value,
		.time_ms = bus->clock->wall_ms(bus->clock)};
	telling_send(&telling, !device->turn);
}

static void was_read(struct bus *bus, const struct line_answer *answer, int64_t now_us)
{
	char text[BF_STRING_MAX + 1], wanted_text[BF_STRING_MAX + 1];
	struct courier *courier = &bus->courier;
	const struct errand *errand = &courier->slot->errand;
	struct errand_outcome outcome = {.taken = courier->taken, .bytes = answer->bytes, .n = answer->n};
	if (courier->step == COURIER_LOOKS) {
		courier->step = COURIER_WRITES;
		courier->tries = 0;
		return;
	}
	if (errand->metric != ERRAND_NO_METRIC)
		tell(bus, errand, answer, text, &outcome, now_us);
	if (errand->kind == ERRAND_WRITE)
		outcome.same = same_cells(errand, answer->bytes);
	if (errand->kind == ERRAND_WRITE && errand->metric != ERRAND_NO_METRIC && !outcome.same) {
		struct bf_value wanted; /* a bool may be kept as any number but 0 */
		outcome.same = convert_metric(&bus->plan->metrics[errand->metric], &errand->place, errand->bytes,
				       wanted_text, &wanted) == QUALITY_GOOD &&
			       bf_value_equal(&wanted, &outcome.value);
	}
	end(bus, &outcome);
}

static void was_refused(struct bus *bus, uint8_t exception, int64_t now_us)
{
	struct courier *courier = &bus->courier;
	bool reads = courier->step != COURIER_WRITES;
	if ((exception == LINE_ACKNOWLEDGE || exception == LINE_BUSY) && reads && ++courier->tries < TRIES_BUSY) {
		courier->not_before = now_us + BUS_BUSY_US;
		return;
	}
	if (exception == LINE_ACKNOWLEDGE && !reads) {
		courier->step = COURIER_READS_BACK;
		courier->tries = 0;
		courier->not_before = now_us + BUS_BUSY_US;
		return;
	}
	fail(bus, -EREMOTEIO, exception);
}

static void was_damaged(struct bus *bus)
{
	struct courier *courier = &bus->courier;
	if (courier->step == COURIER_WRITES && !bus->caution.asks_canary) {
		courier->step = COURIER_READS_BACK;
		courier->tries = 0;
	} else if (++courier->tries >= TRIES_DAMAGED) {
		fail(bus, -EBADMSG, 0);
	}
}

static void was_not_answered(struct bus *bus, int64_t now_us)
{
	struct courier *courier = &bus->courier;
	if (courier->step == COURIER_READS_BACK && ++courier->tries < TRIES_SILENT)
		return;
	note_silent(courier, courier->slot->errand.unit, now_us + SILENT_TIMES * (now_us - bus->asked_at));
	fail(bus, -ETIMEDOUT, 0);
}

void courier_answered(struct bus *bus, int rc, const struct line_answer *answer, int64_t now_us)
{
	struct courier *courier = &bus->courier;
	courier->asking = false;
	if (rc == 0 || rc == -EREMOTEIO)
		note_heard(courier, courier->slot->errand.unit);
	if (caution_answered(&bus->caution, rc, answer->exception))
		return;
	switch (rc) {
	case 0:
		if (courier->step != COURIER_WRITES) {
			was_read(bus, answer, now_us);
			return;
		}
		courier->taken = true;
		courier->step = COURIER_READS_BACK;
		courier->tries = 0;
		return;
	case -EREMOTEIO:
		strip_count(&bus->counts, OUTCOME_EXCEPTION, now_us);
		was_refused(bus, answer->exception, now_us);
		return;
	case -ETIMEDOUT:
		strip_count(&bus->counts, OUTCOME_TIMEOUT, now_us);
		was_not_answered(bus, now_us);
		return;
	default:
		strip_count(&bus->counts, OUTCOME_CHECKSUM, now_us);
		was_damaged(bus);
		return;
	}
}

void courier_cut_off(struct bus *bus)
{
	struct courier *courier = &bus->courier;
	if (!courier->asking)
		return;
	courier->asking = false;
	if (courier->step == COURIER_WRITES && !bus->caution.asks_canary)
		fail(bus, -ENODEV, 0);
}

int64_t courier_wake(struct bus *bus, int64_t now_us)
{
	struct courier *courier = &bus->courier;
	struct errand_slot **at = &courier->first;
	int64_t wake = CLOCK_NEVER;
	bool idle = bus->state == BUS_IDLE;
	if (idle && courier->slot && courier->not_before > now_us)
		wake = courier->not_before;
	while (*at) {
		struct errand_slot *slot = *at;
		if (now_us >= slot->errand.deadline_us) {
			*at = slot->next;
			errand_fail(slot, -EAGAIN);
			continue;
		}
		if (slot->errand.deadline_us < wake)
			wake = slot->errand.deadline_us;
		if (idle && !courier->slot && courier->write_at > now_us && courier->write_at < wake)
			wake = courier->write_at;
		at = &slot->next;
	}
	return wake;
}

void courier_fail(struct bus *bus, int rc)
{
	struct courier *courier = &bus->courier;
	if (courier->slot)
		fail(bus, rc, 0);
	while (courier->first) {
		struct errand_slot *slot = courier->first;
		courier->first = slot->next;
		errand_fail(slot, rc);
	}
}

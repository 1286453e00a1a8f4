/*
 * Borrowing a wire.  See control_wire.h.
 *
 * An outcome comes on the wire's thread and is left in a place that belongs to one side at a time:
 *
 *   FREE ──main──► ASKED ──wire──► DONE ──main──► FREE
 *
 * Why not in the client: it may be gone, and another one in its place, when the device answers at last.  So each asking
 * has a ticket, which the client's answer bears.
 */
#include "app/control_wire.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/wake.h"
#include "model/line_text.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#define PLACES      4
#define PATIENCE_US 10000000 /* until it is asked */
#define LINE_BYTES  (2 * ERRAND_BYTES + 6 * 512 + 256)
#define PORT_BYTES  512

enum place_state { PLACE_FREE, PLACE_ASKED, PLACE_DONE };

static struct outcome_place {
	_Atomic int state;
	uint64_t ticket;
	char port[PORT_BYTES], line[LINE_TEXT_SIZE]; /* as the map has them */
	int rc;
	uint8_t exception, bytes[ERRAND_BYTES];
	size_t n;
} places[PLACES];

static int wake_fd = -1;

int control_wire_fd(void)
{
	if (wake_fd < 0)
		wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return wake_fd;
}

/* On the wire's thread. */
static void done(void *user, const struct errand *errand, const struct errand_outcome *outcome)
{
	struct outcome_place *place = user;
	(void)errand;
	place->rc = outcome->rc;
	place->exception = outcome->exception;
	place->n = outcome->rc == 0 && outcome->n <= sizeof(place->bytes) ? outcome->n : 0;
	if (place->n)
		memcpy(place->bytes, outcome->bytes, place->n);
	atomic_store(&place->state, PLACE_DONE);
	wake_up(wake_fd);
}

static bool same_port(const char *a, const char *b)
{
	if (strcmp(a, b) == 0)
		return true;
	char *real_a = realpath(a, NULL), *real_b = realpath(b, NULL);
	bool same = real_a && real_b && strcmp(real_a, real_b) == 0;
	free(real_a);
	free(real_b);
	return same;
}

static const struct plan_bus *bus_at(const struct plan *plan, const char *port)
{
	for (size_t i = 0; i < plan->n_buses; i++)
		if (plan->buses[i].wire == WIRE_SERIAL && same_port(plan->buses[i].port, port))
			return &plan->buses[i];
	return NULL;
}

static bool number(const char *text, unsigned long min, unsigned long max, unsigned long *ret)
{
	char *end;
	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	unsigned long found = strtoul(text, &end, 10);
	if (errno || *end || found < min || found > max)
		return false;
	*ret = found;
	return true;
}

static bool parse(const char *const *arguments, struct errand *errand)
{
	unsigned long unit, at, count;
	enum bf_space space;
	if (!plan_space_from_word(arguments[2], strlen(arguments[2]), &space) || !number(arguments[1], 1, 247, &unit) ||
		!number(arguments[3], 0, 65535, &at) || !number(arguments[4], 1, 2000, &count))
		return false;
	errand->unit = (uint8_t)unit;
	errand->place = (struct bf_place){.space = space, .at = (uint16_t)at, .count = (uint16_t)count};
	return true;
}

static struct outcome_place *free_place(void)
{
	static uint64_t tickets;
	for (size_t i = 0; i < PLACES; i++) {
		if (atomic_load(&places[i].state) != PLACE_FREE)
			continue;
		places[i].ticket = ++tickets;
		return &places[i];
	}
	return NULL;
}

void control_wire_read(struct answer *answer, struct gateway *gateway, const char *const *arguments, size_t n)
{
	const struct plan *plan = gateway_plan(gateway);
	struct errand errand = {.kind = ERRAND_READ, .metric = ERRAND_NO_METRIC, .done = done};
	if (n != 5 || !parse(arguments, &errand)) {
		answer_fail(answer, EX_USAGE, "it is: wire read PORT UNIT TABLE AT COUNT");
		return;
	}
	const struct plan_bus *bus = bus_at(plan, arguments[0]);
	if (!bus) {
		answer_fail(answer, EX_NOINPUT, "no bus of this gateway is at that port");
		return;
	}
	struct outcome_place *place = control_wire_fd() < 0 ? NULL : free_place();
	if (!place) {
		answer_fail(answer, EX_TEMPFAIL, "too much is asked at once");
		return;
	}
	snprintf(place->port, sizeof(place->port), "%s", bus->port);
	line_text_print(&bus->line, place->line);
	errand.bus = (uint32_t)(bus - plan->buses);
	errand.deadline_us = clock_now(&clock_system) + PATIENCE_US;
	errand.user = place;
	atomic_store(&place->state, PLACE_ASKED);
	int rc = gateway_errand(gateway, &errand);
	if (rc == 0) {
		answer->ticket = place->ticket;
		return;
	}
	atomic_store(&place->state, PLACE_FREE);
	answer_fail(answer, rc == -EBUSY || rc == -ENODEV ? EX_TEMPFAIL : EX_USAGE,
		rc == -EBUSY        ? "too much is asked at once"
		: rc == -ENODEV     ? "that bus restarts just now"
		: rc == -EOPNOTSUPP ? "devices on that port send by themselves, and are not asked for registers"
				    : "no such place, or too many at once");
}

uint64_t control_wire_next(void)
{
	uint64_t n;
	ssize_t got = read(wake_fd, &n, sizeof(n));
	(void)got;
	for (size_t i = 0; i < PLACES; i++)
		if (atomic_load(&places[i].state) == PLACE_DONE)
			return places[i].ticket;
	return 0;
}

static const char *failure_word(int rc)
{
	switch (rc) {
	case -ETIMEDOUT:
		return "timeout";
	case -EREMOTEIO:
		return "exception";
	case -EBADMSG:
		return "damaged";
	case -EHOSTDOWN:
		return "silent";
	case -EAGAIN:
		return "busy";
	default:
		return "gone";
	}
}

/* outcome NULL: nothing was asked. */
static void tell(struct answer *answer, const char *port, const char *line, const struct outcome_place *outcome)
{
	char hex[2 * ERRAND_BYTES + 1] = "";
	char *room = answer_room(answer, LINE_BYTES);
	if (!room)
		return;
	for (size_t i = 0; outcome && i < outcome->n; i++)
		snprintf(hex + 2 * i, 3, "%02X", outcome->bytes[i]);
	struct json json = json_into(room, LINE_BYTES);
	json_object(&json, NULL);
	json_text(&json, "port", port);
	json_text(&json, "line", line);
	if (outcome && outcome->rc == 0)
		json_text(&json, "bytes", hex);
	else if (outcome)
		json_text(&json, "failure", failure_word(outcome->rc));
	if (outcome && outcome->rc == -EREMOTEIO)
		json_int(&json, "exception", outcome->exception);
	json_object_end(&json);
	int length = json_end(&json);
	if (length < 0) {
		answer_fail(answer, EX_SOFTWARE, "the outcome does not fit");
		return;
	}
	answer_line(answer, (size_t)length);
	answer_end(answer);
}

void control_wire_line(struct answer *answer, struct gateway *gateway, const char *const *arguments, size_t n)
{
	const struct plan_bus *bus = n == 1 ? bus_at(gateway_plan(gateway), arguments[0]) : NULL;
	char line[LINE_TEXT_SIZE];
	if (!bus) {
		answer_fail(answer, n == 1 ? EX_NOINPUT : EX_USAGE,
			n == 1 ? "no bus of this gateway is at that port" : "it is: wire line PORT");
		return;
	}
	line_text_print(&bus->line, line);
	tell(answer, bus->port, line, NULL);
}

void control_wire_take(struct answer *answer, uint64_t ticket)
{
	for (size_t i = 0; i < PLACES; i++) {
		if (atomic_load(&places[i].state) != PLACE_DONE || places[i].ticket != ticket)
			continue;
		if (answer) {
			answer->ticket = 0;
			tell(answer, places[i].port, places[i].line, &places[i]);
		}
		atomic_store(&places[i].state, PLACE_FREE);
	}
}

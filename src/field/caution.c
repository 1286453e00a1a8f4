/*
 * Canaries, silence and strays of one bus, see caution.h.
 *
 * Doubts belong to a unit address, not to a device: two devices with one address share them, so that the late answer of
 * the one is not taken for the other's.
 *
 * Invariant: on a line with `trusts` nothing but canaries is asked of a unit that owes an answer.
 */
#include "field/caution.h"

#include <errno.h>

#define HELD_US     1000000 /* a line that others don't leave free for so long is as good as none */
#define LATE_SPARED 2       /* answers in a row that are later than the map allows */

/* The device lives, and needs more time than it was given: it is asked again as soon as it is due.  One that is always
 * later than the map allows must not live on that, or it would take the others' time. */
static void was_late(struct caution *caution, uint32_t d, int64_t late_us)
{
	struct device *device = &caution->devices[d];
	int64_t took_us = late_us - planner_request_us(caution->told), cap_us = device->told->timeout_us;
	counts_bump(device->counts.late);
	if (late_us == 0)
		return;
	times_note(&device->counts.answer_times, late_us);
	if (took_us <= 0 || (took_us > cap_us && device->too_late++ >= LATE_SPARED))
		return;
	patience_answered(&device->patience, caution->patience, took_us < cap_us ? took_us : cap_us);
	turns_pause(caution->turns, d, 0);
}

static void stray(struct line_watch *watch, enum line_stray what, uint8_t unit, int64_t late_us)
{
	struct caution *caution = (struct caution *)(void *)((char *)watch - offsetof(struct caution, watch));
	switch (what) {
	case LINE_LATE:
		counts_bump(caution->counts.late);
		break;
	case LINE_FOREIGN:
		counts_bump(caution->counts.foreign);
		break;
	case LINE_ECHO:
		counts_bump(caution->counts.echoes);
		return;
	case LINE_NOISE:
		counts_bump(caution->counts.noise);
		return;
	}
	for (uint32_t i = 0; i < caution->told->n_devices; i++) {
		if (caution->devices[i].told->address != unit)
			continue;
		if (what == LINE_FOREIGN)
			counts_bump(caution->devices[i].counts.foreign);
		else
			was_late(caution, i, late_us);
	}
}

void caution_init(struct caution *caution, struct line *line, const struct plan_bus *told, struct device *devices,
	struct turns *turns, struct patience_bus *patience)
{
	*caution = (struct caution){.watch = {.stray = stray},
		.line = line,
		.told = told,
		.devices = devices,
		.turns = turns,
		.patience = patience};
	line->watch = &caution->watch;
	for (uint32_t i = 0; i < told->n_devices && line->trusts; i++) {
		struct trust *trust = &line->trusts[devices[i].told->address];
		if (devices[i].told->timeout_us > trust->timeout_us)
			trust->timeout_us = devices[i].told->timeout_us;
	}
}

bool caution_choose(struct caution *caution, struct line_question *question, int64_t now_us, int64_t *ret_until)
{
	caution->asks_canary = false;
	caution->unit = question->unit;
	if (!caution->line->trusts)
		return true;
	switch (canary_advise(caution->devices, caution->told->n_devices, question,
		&caution->line->trusts[question->unit], now_us, &caution->canary, ret_until)) {
	case CANARY_NOT_NEEDED:
		return true;
	case CANARY_ASK:
		caution->asks_canary = true;
		question->place = caution->canary.place;
		question->write = NULL;
		return true;
	default:
		return false;
	}
}

bool caution_answered(struct caution *caution, int rc, uint8_t exception)
{
	if (!caution->asks_canary || (rc != 0 && rc != -EREMOTEIO && rc != -ESTALE))
		return false;
	if (rc != -ESTALE)
		counts_bump(caution->counts.canaries);
	if (rc != 0 && caution->canary.parts && (exception == LINE_ILLEGAL_ADDRESS || exception == LINE_ILLEGAL_VALUE))
		caution->line->trusts[caution->unit].whole_values = true;
	return true;
}

bool caution_held(struct caution *caution, int64_t now_us)
{
	if (!caution->held_since)
		caution->held_since = now_us;
	if (now_us - caution->held_since < HELD_US)
		return false;
	if (complaint_raise(&caution->babble, now_us))
		log_about(LOG_LEVEL_WARNING, &(struct log_about){.bus = caution->told->name},
			"bus %s: the line is never silent: %s", caution->told->name,
			caution->line->babbles ? "somebody sends without end what is no frame" : "others speak on it");
	return true;
}

void caution_free(struct caution *caution, int64_t now_us)
{
	int64_t lasted;
	char length[LOG_LENGTH_SIZE];
	caution->held_since = 0;
	if (complaint_clear(&caution->babble, now_us, &lasted, NULL))
		log_about(LOG_LEVEL_NOTICE, &(struct log_about){.bus = caution->told->name},
			"bus %s: the line is free again after %s", caution->told->name, log_length(lasted, length));
}

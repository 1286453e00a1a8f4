/*
 * A search for devices.
 *
 * The commonest comes first: devices mostly have a low address, so the first addresses are asked with every setting
 * before the others are.  The wait is short, or a search would take an hour; a device that is slower is heard all the
 * same, since its answer comes while the next ones are asked: then those that were asked last are asked again, with
 * patience.
 *
 * Whose answer is it?  Within a setting the unit address tells, as each unit is asked once.  The next setting may ask
 * the same unit, so it asks for another number of registers: a late answer then has the wrong length.  An exception has
 * no length; the rest between two settings is for those.
 *
 * Invariant: a unit that was found is not asked again with other settings, for it has only one.
 */
#include "field/scan.h"

#include <errno.h>
#include <string.h>

#define FIRST_UNITS     16
#define LATE_UNITS      10      /* that may have been meant by a late answer */
#define LATE_US         1000000 /* how long those are waited for */
#define REST_US         300000  /* between two settings */
#define DAMAGED_REST_US 30000
#define ADAPTER_US      35000 /* USB adapters: 16 ms each way, and then some */
#define SHAPES          8
#define RTU_REQUEST     8
#define RTU_ANSWER      5 /* and its values */

/* Where a search is. */
struct search {
	struct scan *scan;
	struct scan_wire *wire;
	const struct plan_line *settings;
	struct bf_place place; /* as it is asked for with these settings */
	size_t n_asked, n_all;
	bool done[256]; /* found */
	bool late[256];
	uint8_t recent[LATE_UNITS];
	size_t n_recent;
};

int64_t scan_timeout_us(const struct plan_line *settings, const struct bf_place *place, int64_t turnaround_us)
{
	if (!settings)
		return turnaround_us;
	bool bits = place->space == BF_SPACE_COIL || place->space == BF_SPACE_DISCRETE;
	int64_t n = RTU_REQUEST + RTU_ANSWER + (bits ? (place->count + 7) / 8 : 2 * place->count);
	const struct plan_bus bus = {.wire = WIRE_SERIAL, .line = *settings, .gap_us = PLAN_ADAPTIVE};
	return plan_line_char_ns(settings) * n / 1000 + 2 * plan_bus_gap_us(&bus) + ADAPTER_US + turnaround_us;
}

static int64_t gap_us(const struct plan_line *settings)
{
	if (!settings)
		return 0;
	const struct plan_bus bus = {.wire = WIRE_SERIAL, .line = *settings, .gap_us = PLAN_ADAPTIVE};
	return plan_bus_gap_us(&bus);
}

/* 10 and 11 come from a gateway that reaches nobody. */
static bool somebody(int rc, const struct line_answer *answer)
{
	return rc == 0 || (rc == -EREMOTEIO && answer->exception != 10 && answer->exception != 11);
}

static int ask(struct search *search, uint8_t unit, int64_t turnaround_us, struct line_answer *ret_answer)
{
	struct scan_wire *wire = search->wire;
	const struct line_question question = {.unit = unit, .place = search->place};
	wire->rest(wire, gap_us(search->settings));
	return wire->ask(wire, &question, scan_timeout_us(search->settings, &search->place, turnaround_us), ret_answer);
}

/* Who answers under two more addresses answers under all: no device has such neighbours by chance. */
static bool ignores_unit(struct search *search, uint8_t unit)
{
	static const uint8_t others[] = {173, 246, 94};
	size_t n = 0;
	for (size_t i = 0; !search->settings && i < 3 && n < 2; i++) {
		struct line_answer answer = {0};
		if (others[i] == unit)
			continue;
		int rc = ask(search, others[i], search->scan->turnaround_us, &answer);
		if (!somebody(rc, &answer))
			return false;
		n++;
	}
	return n == 2;
}

/* 0; -EINTR. */
static int tell(struct search *search, uint8_t unit, int rc, const struct line_answer *answer, int64_t asked_at)
{
	struct scan *scan = search->scan;
	struct scan_found found = {.unit = unit,
		.settings = search->settings,
		.exception = rc == -EREMOTEIO ? answer->exception : 0,
		.answer_us = search->wire->now_us(search->wire) - asked_at};
	if (rc == 0 && answer->n > 0)
		found.value =
			answer->n > 1 ? (uint16_t)(answer->bytes[0] << 8 | answer->bytes[1]) : answer->bytes[0] & 1;
	found.any_unit = ignores_unit(search, unit);
	search->done[unit] = true;
	scan->n_found++;
	if (!scan->found(scan, search->wire, &found))
		return -EINTR;
	if (found.any_unit)
		memset(search->done, true, sizeof(search->done));
	return 0;
}

/* A stranger's frame came while this unit was asked: it may be the late answer of any of those before. */
static void note_silence(struct search *search, uint8_t unit, bool stranger)
{
	for (size_t i = 0; stranger && i < LATE_UNITS && i < search->n_recent; i++)
		search->late[search->recent[i]] = true;
	search->recent[search->n_recent++ % LATE_UNITS] = unit;
}

/* 0; -EINTR; -errno of the wire. */
static int try_unit(struct search *search, uint8_t unit, int64_t turnaround_us, bool first_look)
{
	struct scan_wire *wire = search->wire;
	uint64_t strangers = wire->strangers(wire);
	struct line_answer answer = {0};
	int64_t asked_at = 0;
	int rc = -EBADMSG;
	for (int attempt = 0; attempt < 2 && rc == -EBADMSG; attempt++) {
		if (attempt > 0)
			wire->rest(wire, DAMAGED_REST_US);
		asked_at = wire->now_us(wire);
		rc = ask(search, unit, turnaround_us, &answer);
	}
	bool stranger = wire->strangers(wire) != strangers;
	if (stranger && first_look && rc != -ETIMEDOUT)
		note_silence(search, unit, true);
	switch (rc) {
	case 0:
	case -EREMOTEIO:
		return somebody(rc, &answer) ? tell(search, unit, rc, &answer, asked_at) : 0;
	case -EBADMSG:
		search->scan->n_damaged++;
		search->scan->damaged_at = search->settings;
		return 0;
	case -ETIMEDOUT:
		if (first_look)
			note_silence(search, unit, stranger);
		return 0;
	default:
		return rc;
	}
}

/* Those that may have answered late. */
static int look_again(struct search *search)
{
	int rc = 0;
	for (size_t i = 0; i < 256 && rc == 0; i++) {
		if (!search->late[i] || search->done[i])
			continue;
		if (!search->scan->goes_on(search->scan, search->n_asked, search->n_all, search->settings, (uint8_t)i))
			return -EINTR;
		rc = try_unit(search, (uint8_t)i, LATE_US, false);
	}
	memset(search->late, 0, sizeof(search->late));
	search->n_recent = 0;
	return rc;
}

static int try_units(struct search *search, size_t first, size_t end)
{
	struct scan *scan = search->scan;
	for (size_t i = first; i < end; i++) {
		uint8_t unit = scan->units[i];
		if (!scan->goes_on(scan, search->n_asked, search->n_all, search->settings, unit))
			return -EINTR;
		search->n_asked++;
		if (search->done[unit])
			continue;
		int rc = try_unit(search, unit, scan->turnaround_us, true);
		if (rc < 0)
			return rc;
	}
	return look_again(search);
}

/* One run over some of the addresses with all settings. */
static int try_lines(struct search *search, size_t first, size_t end)
{
	struct scan *scan = search->scan;
	size_t n = scan->lines ? scan->n_lines : 1;
	for (size_t i = 0; i < n && first < end; i++) {
		search->settings = scan->lines ? &scan->lines[i] : NULL;
		search->place = scan->ask;
		search->place.count =
			(uint16_t)(1 + i % SHAPES *
					       (scan->ask.space == BF_SPACE_COIL || scan->ask.space == BF_SPACE_DISCRETE
							       ? 8
							       : 1));
		int rc = search->wire->open(search->wire, search->settings);
		if (rc == -EINVAL && scan->lines) {
			scan->n_refused += first == 0;
			search->n_asked += end - first;
			if (scan->n_refused == n)
				return rc;
			continue;
		}
		if (rc < 0)
			return rc;
		rc = try_units(search, first, end);
		search->wire->close(search->wire);
		if (rc < 0)
			return rc;
		if (i + 1 < n)
			search->wire->rest(search->wire, REST_US);
	}
	return 0;
}

int scan_run(struct scan *scan, struct scan_wire *wire)
{
	struct search search = {.scan = scan, .wire = wire};
	size_t first = scan->lines && scan->n_lines > 1 && scan->n_units > FIRST_UNITS ? FIRST_UNITS : scan->n_units;
	search.n_all = scan->n_units * (scan->lines ? scan->n_lines : 1);
	int rc = try_lines(&search, 0, first);
	if (rc == 0 && first < scan->n_units) {
		wire->rest(wire, REST_US);
		rc = try_lines(&search, first, scan->n_units);
	}
	return rc;
}

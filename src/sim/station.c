/*
 * All simulated devices of one bus.
 *
 * Paced, a transaction takes as long as on the real line: the request's characters, the silence
 * that tells the device that the request is over, its turnaround, the answer's characters.  The
 * answer is handed over in one piece when its last character would be in, which is when a master
 * could act on it; a pty or socket has no slower way of its own.
 *
 * Strict, a request is heard only when the line has been silent for 3.5 characters before its first
 * byte (MODBUS over Serial Line V1.02, section 2.5.1.1), as some real devices insist.  When it came
 * is known when it is read, never too early, so nobody is called hasty who was not.
 *
 * Pure but for its own state.
 */
#include "sim/station.h"

#define STATION_GAP_MIN_US 2000 /* below, a pty's scheduling could tear frames */

static void station_init_mishaps(struct station *station, const struct mishaps *mishaps)
{
	uint32_t bus = (uint32_t)(station->bus - station->plan->buses);
	mishap_begin_bus(mishaps, bus, &station->of_bus);
	for (uint32_t i = 0; i < station->bus->n_devices; i++)
		mishap_begin(mishaps, station->bus->devices[i], bus, &station->mishaps[i]);
}

void station_init(struct station *station, const struct plan *plan, const struct plan_bus *bus,
	const struct station_options *options, struct arena *arena)
{
	struct plan_bus standard = *bus;
	standard.gap_us = PLAN_ADAPTIVE;
	*station = (struct station){.plan = plan, .bus = bus, .options = *options};
	station->kind = bus->wire == WIRE_TCP ? FRAME_MBAP : FRAME_RTU;
	station->options.pace |= options->strict;
	station->options.strict &= station->kind == FRAME_RTU;
	station->strict_us = plan_bus_gap_us(&standard);
	station->gap_us = plan_bus_gap_us(bus);
	if (station->gap_us < STATION_GAP_MIN_US)
		station->gap_us = STATION_GAP_MIN_US;
	for (size_t unit = 0; unit < 256; unit++)
		station->by_unit[unit] = -1;
	station->n_slaves = bus->n_devices;
	station->slaves = arena_array(arena, bus->n_devices, sizeof(*station->slaves));
	station->mishaps = arena_array(arena, bus->n_devices, sizeof(*station->mishaps));
	for (uint32_t i = 0; i < bus->n_devices; i++) {
		uint32_t device = bus->devices[i];
		slave_init(&station->slaves[i], plan, device, options->fill_gaps, arena);
		station->by_unit[plan->devices[device].address] = (int16_t)i;
	}
	if (options->mishaps)
		station_init_mishaps(station, options->mishaps);
}

static int station_find(const struct station *station, uint8_t unit)
{
	if (station->by_unit[unit] >= 0 || station->kind == FRAME_RTU)
		return station->by_unit[unit];
	return station->n_slaves == 1 && (unit == 0 || unit == 255) ? 0 : -1;
}

static int64_t station_wire_us(const struct station *station, size_t n_bytes)
{
	if (!station->options.pace || station->kind != FRAME_RTU)
		return 0;
	return (plan_line_char_ns(&station->bus->line) * (int64_t)n_bytes + 999) / 1000;
}

/* Adds n bytes that follow what is there, so long after it. */
static struct station_reply *station_reply(
	const struct station *station, struct station_outcome *outcome, int64_t after_us, size_t n)
{
	struct station_reply *reply = &outcome->replies[outcome->n_replies++];
	int64_t before = outcome->n_replies > 1 ? reply[-1].due_at : 0;
	reply->n = n;
	reply->hangs_up = false;
	reply->due_at = before + after_us + station_wire_us(station, n);
	return reply;
}

/* From the last byte of the request, or of what came between, to the first one of the answer. */
static int64_t station_thinks_us(const struct station *station)
{
	return station->options.turnaround_us + (station->options.pace ? plan_bus_gap_us(station->bus) : 0);
}

static void station_echo(const struct station *station, const struct frame_request *request,
	struct station_outcome *outcome, int64_t now_us)
{
	struct station_reply *reply = station_reply(station, outcome, now_us, request->wire_bytes);
	frame_wrap(station->kind, request, request->pdu, request->n, reply->frame);
}

/* Another master, who asks another unit between our question and its answer. */
static void station_foreign(const struct station *station, const struct frame_request *request, uint64_t dice,
	struct station_outcome *outcome, int64_t asked_at)
{
	struct frame_request other = {.unit = (uint8_t)(1 + mishap_roll(&dice) % 247),
		.transaction = (uint16_t)(request->transaction - 1 - mishap_roll(&dice) % 100)};
	other.unit = (uint8_t)(other.unit == request->unit ? other.unit % 247 + 1 : other.unit);
	uint64_t at = mishap_roll(&dice);
	size_t count = 1 + (size_t)(mishap_roll(&dice) % 20);
	uint8_t pdu[SLAVE_PDU_MAX] = {3, (uint8_t)(at >> 8), (uint8_t)at, 0, (uint8_t)count};
	int64_t since = outcome->n_replies ? 0 : asked_at;
	if (station->kind == FRAME_RTU) {
		struct station_reply *question = station_reply(station, outcome, since + station->gap_us, 8);
		frame_wrap(station->kind, &other, pdu, 5, question->frame);
		since = 0;
	}
	pdu[1] = (uint8_t)(2 * count);
	for (size_t i = 0; i < 2 * count; i++)
		pdu[2 + i] = (uint8_t)mishap_roll(&dice);
	size_t n = 2 + 2 * count;
	struct station_reply *answer = station_reply(station, outcome, since + station->gap_us, 3 + n);
	answer->n = frame_wrap(station->kind, &other, pdu, n, answer->frame);
}

/* The answer, and what its fate makes of it. */
static void station_answer(const struct station *station, const struct frame_request *request,
	const struct mishap_fate *fate, const uint8_t *pdu, size_t n, struct station_outcome *outcome, int64_t asked_at)
{
	struct frame_request as = *request;
	int64_t since = outcome->n_replies ? 0 : asked_at;
	if (fate->wrong_unit)
		as.unit = (uint8_t)(1 + (as.unit + fate->dice % 246) % 247);
	if (fate->foreign)
		since += station->gap_us;
	struct station_reply *reply = station_reply(station, outcome, since + station_thinks_us(station), n + 3);
	reply->n = frame_wrap(station->kind, &as, pdu, n, reply->frame);
	reply->due_at += fate->delay_us;
	if (station->kind == FRAME_RTU) {
		reply->n = mishap_spoil(fate, reply->frame, reply->n);
	} else if (fate->truncated) {
		const struct mishap_fate cut = {.truncated = true, .dice = fate->dice};
		reply->n = mishap_spoil(&cut, reply->frame, reply->n);
		reply->hangs_up = true;
	}
}

/* Nobody has this unit address. */
static void station_take_unknown(const struct station *station, const struct frame_request *request, int64_t now_us,
	struct station_outcome *outcome)
{
	if (station->kind == FRAME_RTU)
		return;
	struct station_reply *reply = station_reply(station, outcome, now_us, 0);
	uint8_t pdu[SLAVE_PDU_MAX];
	size_t n = slave_refuse(request->pdu[0], SLAVE_GATEWAY_NO_ANSWER, pdu);
	reply->n = frame_wrap(station->kind, request, pdu, n, reply->frame);
}

static void station_take_known(struct station *station, int who, const struct frame_request *request, int64_t now_us,
	struct station_outcome *outcome)
{
	struct slave *slave = &station->slaves[who];
	struct mishap_fate fate = {0};
	if (station->options.mishaps)
		fate = mishap_draw(station->options.mishaps, station->plan->devices[slave->device].timeout_us,
			&station->mishaps[who]);
	uint8_t pdu[SLAVE_PDU_MAX];
	size_t n = slave_answer(slave, request->pdu, request->n, now_us, pdu);
	if (fate.exception)
		n = slave_refuse(request->pdu[0], (enum slave_exception)fate.exception, pdu);
	int64_t asked_at = now_us + station_wire_us(station, request->wire_bytes);
	if (fate.foreign)
		station_foreign(station, request, fate.dice, outcome, asked_at);
	if (!fate.silent && n > 0)
		station_answer(station, request, &fate, pdu, n, outcome, asked_at);
}

/* Strict: has the line been silent for long enough before this request?  It is busy with it now in any case. */
static bool station_was_quiet(struct station *station, const struct frame_request *request, int64_t now_us)
{
	bool quiet = now_us >= station->quiet_at;
	int64_t over_at = now_us + station_wire_us(station, request->wire_bytes) + station->strict_us;
	if (over_at > station->quiet_at)
		station->quiet_at = over_at;
	station->n_hasty += !quiet;
	return quiet;
}

void station_take(struct station *station, const struct frame_request *request, int64_t now_us,
	struct station_outcome *ret_outcome)
{
	ret_outcome->n_replies = 0;
	ret_outcome->unplugged_us = 0;
	if (station->options.mishaps) {
		ret_outcome->unplugged_us = mishap_unplugs(station->options.mishaps, &station->of_bus);
		if (ret_outcome->unplugged_us)
			return;
	}
	if (station->of_bus.echoing && station->kind == FRAME_RTU)
		station_echo(station, request, ret_outcome, now_us);
	if (station->options.strict && !station_was_quiet(station, request, now_us))
		return;
	if (station->kind == FRAME_RTU && request->unit == 0) {
		uint8_t nobody[SLAVE_PDU_MAX];
		for (size_t i = 0; i < station->n_slaves; i++)
			slave_answer(&station->slaves[i], request->pdu, request->n, now_us, nobody);
		return;
	}
	int who = station_find(station, request->unit);
	if (who < 0)
		station_take_unknown(station, request, now_us, ret_outcome);
	else
		station_take_known(station, who, request, now_us, ret_outcome);
}

void station_sent(struct station *station, int64_t now_us)
{
	if (now_us + station->strict_us > station->quiet_at)
		station->quiet_at = now_us + station->strict_us;
}

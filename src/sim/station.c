/*
 * All simulated devices of one bus.
 *
 * Paced, a transaction takes as long as on the real line: the request's characters, the silence
 * that tells the device that the request is over, its turnaround, the answer's characters.  The
 * answer is handed over in one piece when its last character would be in, which is when a master
 * could act on it; a pty or socket has no slower way of its own.
 *
 * Pure but for its own state.
 */
#include "sim/station.h"

#define STATION_GAP_MIN_US 2000 /* below, a pty's scheduling could tear frames */

void station_init(struct station *station, const struct plan *plan, const struct plan_bus *bus,
	const struct station_options *options, struct arena *arena)
{
	*station = (struct station){.bus = bus, .options = *options};
	station->kind = bus->wire == WIRE_TCP ? FRAME_MBAP : FRAME_RTU;
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
		if (options->mishaps)
			mishap_begin(options->mishaps, device, &station->mishaps[i]);
		station->by_unit[plan->devices[device].address] = (int16_t)i;
	}
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

/* From the request's first byte to the answer's last. */
static int64_t station_takes_us(const struct station *station, const struct frame_request *request, size_t n_answer)
{
	int64_t takes = station->options.turnaround_us;
	if (station->options.pace)
		takes += plan_bus_gap_us(station->bus);
	return takes + station_wire_us(station, request->wire_bytes) + station_wire_us(station, n_answer);
}

size_t station_take(struct station *station, const struct frame_request *request, int64_t now_us,
	uint8_t frame[static FRAME_MAX], int64_t *ret_due_at)
{
	uint8_t answer[SLAVE_PDU_MAX];
	if (station->kind == FRAME_RTU && request->unit == 0) {
		for (size_t i = 0; i < station->n_slaves; i++)
			slave_answer(&station->slaves[i], request->pdu, request->n, now_us, answer);
		return 0;
	}
	int who = station_find(station, request->unit);
	if (who < 0) {
		if (station->kind == FRAME_RTU)
			return 0;
		size_t n = slave_refuse(request->pdu[0], SLAVE_GATEWAY_NO_ANSWER, answer);
		*ret_due_at = now_us;
		return frame_wrap(station->kind, request, answer, n, frame);
	}
	struct slave *slave = &station->slaves[who];
	struct mishap_fate fate = {0};
	if (station->options.mishaps)
		fate = mishap_draw(station->options.mishaps, slave->device,
			slave->plan->devices[slave->device].timeout_us, &station->mishaps[who]);
	size_t n = slave_answer(slave, request->pdu, request->n, now_us, answer);
	if (fate.silent || n == 0)
		return 0;
	n = frame_wrap(station->kind, request, answer, n, frame);
	*ret_due_at = now_us + station_takes_us(station, request, n) + fate.delay_us;
	return n;
}

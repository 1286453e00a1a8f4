/*
 * The line on which everything takes its time, see wire_line.h.
 */
#include "wire_line.h"
#include "field/planner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct wire_line *of(struct line *line)
{
	return (struct wire_line *)(void *)line;
}

static int wire_open(struct line *line, int64_t now_us)
{
	of(line)->quiet_at = now_us;
	line->fd = 0;
	return 0;
}

static void wire_close(struct line *line)
{
	line->fd = -1;
}

static int64_t chance(struct wire_line *self, int64_t below)
{
	self->seed ^= self->seed >> 12;
	self->seed ^= self->seed << 25;
	self->seed ^= self->seed >> 27;
	return below > 0 ? (int64_t)((self->seed * 0x2545F4914F6CDD1Du >> 33) % (uint64_t)below) : 0;
}

static bool is_refused(const struct wire_device *device, const struct bf_place *place)
{
	return place->at < device->bad_to && (uint32_t)place->at + place->count > device->bad_from;
}

static int wire_ask(struct line *line, const struct line_question *question, int64_t now_us)
{
	static const char *const spaces[] = {"coil", "discrete", "input", "holding"};
	struct wire_line *self = of(line);
	struct wire_device *device = &self->devices[question->unit];
	if (self->ends_at == CLOCK_NEVER || self->collected) /* else it was given up, and may come at any time */
		self->n_early += now_us < self->quiet_at + plan_bus_gap_us(self->bus);
	self->collected = false;
	self->n_twice += question->unit == self->asked.unit;
	self->asked = *question;
	device->n_asked++;
	device->asked_at = now_us;
	int64_t sent_at = now_us + planner_request_us(self->bus);
	self->begins_at = self->ends_at = CLOCK_NEVER;
	self->quiet_at = sent_at;
	if (!device->dead) {
		struct bf_place none = {.space = BF_SPACE_INPUT};
		const struct bf_place *place = is_refused(device, &question->place) ? &none : &question->place;
		self->begins_at = sent_at + device->turnaround_us + chance(self, device->spread_us + 1);
		self->ends_at = self->begins_at + planner_answer_us(self->bus, place);
		self->quiet_at = self->ends_at;
	}
	if (self->log_n < sizeof(self->log) - 64)
		self->log_n += (size_t)snprintf(self->log + self->log_n, 64, "%" PRId64 ".%03d %u:%s:%u+%u\n",
			now_us / 1000000, (int)(now_us / 1000 % 1000), question->unit, spaces[question->place.space],
			question->place.at, question->place.count);
	line->begun = false;
	line->look_at = self->begins_at;
	return 0;
}

static int wire_answer(struct line *line, int64_t now_us, struct line_answer *ret_answer)
{
	struct wire_line *self = of(line);
	struct wire_device *device = &self->devices[self->asked.unit];
	const struct bf_place *place = &self->asked.place;
	line->begun = now_us >= self->begins_at;
	line->look_at = line->begun ? self->ends_at : self->begins_at;
	if (now_us < self->ends_at)
		return -EAGAIN;
	line->look_at = CLOCK_NEVER;
	self->collected = true;
	device->n_answered++;
	device->answered_at = now_us;
	if (is_refused(device, place)) {
		ret_answer->exception = 2;
		return -EREMOTEIO;
	}
	memset(self->bytes, 0, sizeof(self->bytes));
	for (uint16_t i = 0; i < place->count && i < 125; i++) {
		unsigned value = self->asked.unit * 1000u + place->at + i;
		self->bytes[2 * i] = (uint8_t)(value >> 8);
		self->bytes[2 * i + 1] = (uint8_t)value;
	}
	*ret_answer = (struct line_answer){.bytes = self->bytes, .n = sizeof(self->bytes)};
	return 0;
}

static void wire_destroy(struct line *line)
{
	(void)line;
}

void wire_line_init(struct wire_line *wire, const struct plan_bus *bus)
{
	static const struct line_ops ops = {.open = wire_open,
		.close = wire_close,
		.ask = wire_ask,
		.answer = wire_answer,
		.destroy = wire_destroy};
	*wire = (struct wire_line){.line = {.ops = &ops, .fd = -1, .look_at = CLOCK_NEVER},
		.bus = bus,
		.ends_at = CLOCK_NEVER,
		.seed = 0x9E3779B97F4A7C15u};
}

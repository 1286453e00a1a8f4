/*
 * The scripted line, see scripted_line.h.
 */
#include "scripted_line.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct scripted_line *of(struct line *line)
{
	return (struct scripted_line *)(void *)line;
}

uint16_t scripted_register(uint8_t unit, uint16_t at)
{
	return (uint16_t)(unit * 1000u + at);
}

static int scripted_open(struct line *line, int64_t now_us)
{
	(void)now_us;
	if (of(line)->absent)
		return -ENOENT;
	of(line)->n_opened++;
	line->fd = 0;
	return 0;
}

static void scripted_close(struct line *line)
{
	line->fd = -1;
}

static int scripted_ask(struct line *line, const struct line_question *question, int64_t now_us)
{
	static const char *const spaces[] = {"coil", "discrete", "input", "holding"};
	struct scripted_line *self = of(line);
	const struct bf_place *place = &question->place;
	self->asked = *question;
	self->asked_at = now_us;
	self->counted = false;
	if (question->write) {
		self->n_writes++;
		memcpy(self->cells, question->write, 2 * (size_t)place->count);
		if (self->log_n < sizeof(self->log) - 32)
			self->log_n += (size_t)snprintf(self->log + self->log_n, 32, "write ");
	}
	if (self->log_n < sizeof(self->log) - 32)
		self->log_n += (size_t)snprintf(self->log + self->log_n, 32, "%u:%s:%u+%u ", question->unit,
			spaces[place->space], place->at, place->count);
	line->look_at = now_us + self->latency_us;
	return 0;
}

static int scripted_mishap(struct scripted_line *self, struct line_answer *ret_answer)
{
	struct scripted_mishap *mishap = &self->mishaps[self->asked.unit];
	if (mishap->kind == MISHAP_NONE || (mishap->times == 0 && !self->counted))
		return 0;
	switch (mishap->kind) {
	case MISHAP_SILENT:
		self->line.look_at = CLOCK_NEVER;
		return -EAGAIN;
	case MISHAP_CHECKSUM:
		return -EBADMSG;
	case MISHAP_EXCEPTION:
		ret_answer->exception = mishap->code;
		return -EREMOTEIO;
	default:
		return -ENODEV;
	}
}

static void scripted_keep(struct scripted_line *self)
{
	for (uint16_t i = 0; i < self->asked.place.count && !self->loses_writes; i++)
		if (self->n_kept < SCRIPTED_KEPT)
			self->kept[self->n_kept++] =
				(struct scripted_kept){self->asked.unit, (uint16_t)(self->asked.place.at + i),
					(uint16_t)(self->cells[2 * i] << 8 | self->cells[2 * i + 1])};
}

static int scripted_answer(struct line *line, int64_t now_us, struct line_answer *ret_answer)
{
	struct scripted_line *self = of(line);
	const struct bf_place *place = &self->asked.place;
	if (now_us < self->asked_at + self->latency_us)
		return -EAGAIN;
	if (self->clock_us)
		*self->clock_us += self->held_up_us;
	int rc = scripted_mishap(self, ret_answer);
	if (self->asked.write && (rc == 0 || (self->takes_in_silence && !self->counted)))
		scripted_keep(self);
	if (rc) {
		if (!self->counted && self->mishaps[self->asked.unit].times != ~0u)
			self->mishaps[self->asked.unit].times--;
		self->counted = true;
		return rc;
	}
	if (self->asked.write) {
		*ret_answer = (struct line_answer){0};
		return 0;
	}
	if (self->refuses_reads && place->space == BF_SPACE_HOLDING) {
		ret_answer->exception = 1;
		return -EREMOTEIO;
	}
	uint32_t end = (uint32_t)place->at + place->count;
	if (self->holes_to > self->holes_from && place->at < self->holes_to && end > self->holes_from) {
		ret_answer->exception = 2;
		return -EREMOTEIO;
	}
	if (self->longest && place->count > self->longest) {
		ret_answer->exception = 3;
		return -EREMOTEIO;
	}
	memset(self->bytes, 0, sizeof(self->bytes));
	for (uint16_t i = 0; i < place->count; i++) {
		uint16_t at = (uint16_t)(place->at + i);
		if (place->space == BF_SPACE_COIL || place->space == BF_SPACE_DISCRETE) {
			self->bytes[i / 8] |= (uint8_t)((at & 1) << (i % 8));
		} else {
			uint16_t value = scripted_register(self->asked.unit, at);
			if (self->holding && place->space == BF_SPACE_HOLDING &&
				!self->holding(self, self->asked.unit, at, &value)) {
				ret_answer->exception = 2;
				return -EREMOTEIO;
			}
			for (size_t k = 0; k < self->n_kept && place->space == BF_SPACE_HOLDING; k++)
				if (self->kept[k].unit == self->asked.unit && self->kept[k].at == at)
					value = self->kept[k].value;
			self->bytes[2 * i] = (uint8_t)(value >> 8);
			self->bytes[2 * i + 1] = (uint8_t)value;
		}
	}
	*ret_answer = (struct line_answer){.bytes = self->bytes, .n = sizeof(self->bytes)};
	return 0;
}

static void scripted_destroy(struct line *line)
{
	(void)line;
}

void scripted_line_init(struct scripted_line *scripted, int64_t latency_us)
{
	static const struct line_ops ops = {.open = scripted_open,
		.close = scripted_close,
		.ask = scripted_ask,
		.answer = scripted_answer,
		.destroy = scripted_destroy};
	*scripted = (struct scripted_line){
		.line = {.ops = &ops, .fd = -1, .look_at = CLOCK_NEVER}, .latency_us = latency_us};
}

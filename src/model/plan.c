/*
 * The few facts that follow from a plan.  Pure; any thread.
 */
#include "model/plan.h"

#include <string.h>

void plan_destroy(struct plan *plan)
{
	if (!plan)
		return;
	struct arena arena = plan->arena;
	*plan = (struct plan){0};
	arena_free(&arena);
}

const struct plan_delivery *plan_device_delivery(const struct plan *plan, const struct plan_device *device)
{
	for (uint32_t i = device->first_metric; i < device->first_metric + device->n_metrics; i++)
		if (plan->metrics[i].delivery.per_device)
			return &plan->metrics[i].delivery;
	return NULL;
}

const struct plan_device *plan_find_device(const struct plan *plan, const char *topic, size_t *at)
{
	for (size_t i = 0; i < plan->n_devices; i++) {
		size_t d = (*at + i) % plan->n_devices;
		if (strcmp(plan->devices[d].topic, topic) != 0)
			continue;
		*at = d + 1;
		return &plan->devices[d];
	}
	return NULL;
}

bool plan_uses_qos2(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_metrics; i++)
		if (plan->metrics[i].delivery.qos == 2)
			return plan->broker.max_qos >= 2;
	return false;
}

static const char *copy_text(struct arena *arena, const char *text)
{
	return text ? arena_text(arena, text) : NULL;
}

struct plan_broker plan_broker_copy(const struct plan_broker *broker, struct arena *arena)
{
	struct plan_broker copy = *broker;
	struct plan_endpoint *endpoints = arena_array(arena, broker->n_endpoints, sizeof(*endpoints));
	for (size_t i = 0; i < broker->n_endpoints; i++) {
		endpoints[i] = broker->endpoints[i];
		endpoints[i].url = copy_text(arena, broker->endpoints[i].url);
		endpoints[i].host = copy_text(arena, broker->endpoints[i].host);
	}
	copy.endpoints = endpoints;
	copy.client_id = copy_text(arena, broker->client_id);
	copy.user = copy_text(arena, broker->user);
	copy.password_file = copy_text(arena, broker->password_file);
	copy.ca_file = copy_text(arena, broker->ca_file);
	copy.cert_file = copy_text(arena, broker->cert_file);
	copy.key_file = copy_text(arena, broker->key_file);
	return copy;
}

struct plan_buffer plan_buffer_copy(const struct plan_buffer *buffer, struct arena *arena)
{
	struct plan_buffer copy = *buffer;
	copy.path = copy_text(arena, buffer->path);
	return copy;
}

int64_t plan_buffer_memory(const struct plan_buffer *buffer, int64_t most)
{
	bool memory_only = !buffer->path && buffer->path_given;
	return memory_only || buffer->max_size < most ? buffer->max_size : most;
}

void plan_buffer_relimit(struct plan_buffer *buffer, const struct plan_buffer *limits)
{
	buffer->max_age_us = limits->max_age_us;
	buffer->replay = limits->replay;
	buffer->when_full = limits->when_full;
	if (!buffer->path)
		buffer->max_size = limits->max_size;
}

bool plan_device_is_asked(const struct plan_device *device)
{
	bool asked = device->driver->ask != NULL;
	for (size_t i = 0; i < device->stream->n_messages; i++)
		asked = asked || device->stream->messages[i].request.n;
	return asked;
}

static const char *const space_words[BF_N_SPACES] = {[BF_SPACE_COIL] = "coil",
	[BF_SPACE_DISCRETE] = "discrete",
	[BF_SPACE_INPUT] = "input",
	[BF_SPACE_HOLDING] = "holding"};

const char *plan_space_word(enum bf_space space)
{
	return space_words[space];
}

bool plan_space_from_word(const char *word, size_t n, enum bf_space *ret_space)
{
	for (unsigned space = 0; space < BF_N_SPACES; space++)
		if (strlen(space_words[space]) == n && memcmp(word, space_words[space], n) == 0) {
			*ret_space = (enum bf_space)space;
			return true;
		}
	return false;
}

int64_t plan_line_char_ns(const struct plan_line *line)
{
	int64_t bits = 1 + line->data_bits + (line->parity == 'N' ? 0 : 1) + line->stop_bits;
	return line->baud ? bits * 1000000000 / line->baud : 0;
}

int64_t plan_bus_gap_us(const struct plan_bus *bus)
{
	if (bus->wire == WIRE_TCP)
		return 0;
	if (bus->gap_us != PLAN_ADAPTIVE)
		return bus->gap_us;
	if (bus->line.baud > 19200)
		return 1750;
	return (plan_line_char_ns(&bus->line) * 7 / 2 + 999) / 1000;
}

unsigned plan_type_bits(enum bf_type type)
{
	switch (type) {
	case BF_TYPE_U8:
	case BF_TYPE_S8:
		return 8;
	case BF_TYPE_U24:
		return 24;
	case BF_TYPE_U32:
	case BF_TYPE_S32:
	case BF_TYPE_F32:
	case BF_TYPE_BCD32:
		return 32;
	case BF_TYPE_U64:
	case BF_TYPE_S64:
	case BF_TYPE_F64:
		return 64;
	case BF_TYPE_STRING:
		return 0;
	case BF_TYPE_BOOL:
		return 1;
	default:
		return 16;
	}
}

void plan_type_range(enum bf_type type, double *ret_min, double *ret_max)
{
	bool is_signed = type == BF_TYPE_S8 || type == BF_TYPE_S16 || type == BF_TYPE_S32 || type == BF_TYPE_S64;
	double half = 0.5;
	for (unsigned bits = plan_type_bits(type); bits > 0; bits--)
		half *= 2;
	*ret_min = is_signed ? -half : 0;
	*ret_max = is_signed ? half - 1 : 2 * half - 1;
	if (type == BF_TYPE_BCD16 || type == BF_TYPE_BCD32)
		*ret_max = type == BF_TYPE_BCD16 ? 9999 : 99999999;
	if (type == BF_TYPE_F16 || type == BF_TYPE_F32 || type == BF_TYPE_F64) {
		*ret_max = type == BF_TYPE_F16 ? 65504 : type == BF_TYPE_F32 ? 0x1.fffffep127 : 0x1.fffffffffffffp1023;
		*ret_min = -*ret_max;
	}
}

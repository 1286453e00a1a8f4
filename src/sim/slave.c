/*
 * One simulated Modbus device.
 *
 * It is written from the standard (MODBUS Application Protocol Specification V1.1b3, section 6) and
 * not with libmodbus, because the two ends of a test must not share their misunderstandings.
 *
 * Cells are the truth that requests see; slots paint the moving values into them, just before a
 * request reads them and only where it reads.  A metric that is read in two requests may therefore
 * be of two instants, as in any real device.  A cell that a master has written keeps what was
 * written: that is the overlay.
 *
 * Invariant: the cells of a space are sorted and each address is there once, so a run of addresses
 * exists exactly when its first and last cell lie as far apart in the array as on the wire.
 */
#include "sim/slave.h"
#include "sim/motion.h"
#include "sim/slave_chain.h"

#include <stdlib.h>
#include <string.h>

#define SLAVE_EXPONENT       (-1)
#define SLAVE_READ_MAX       125 /* registers; sections 6.3, 6.4 */
#define SLAVE_READ_BITS_MAX  2000
#define SLAVE_WRITE_MAX      123 /* section 6.12 */
#define SLAVE_WRITE_BITS_MAX 1968

enum slave_function {
	FUNCTION_READ_COILS = 1,
	FUNCTION_READ_DISCRETE = 2,
	FUNCTION_READ_HOLDING = 3,
	FUNCTION_READ_INPUT = 4,
	FUNCTION_WRITE_COIL = 5,
	FUNCTION_WRITE_REGISTER = 6,
	FUNCTION_WRITE_COILS = 15,
	FUNCTION_WRITE_REGISTERS = 16,
};

static bool slave_space_of_bits(enum bf_space space)
{
	return space == BF_SPACE_COIL || space == BF_SPACE_DISCRETE;
}

static int slave_compare_cells(const void *a, const void *b)
{
	const struct slave_cell *left = a, *right = b;
	return (int)left->at - (int)right->at;
}

static int slave_compare_slots(const void *a, const void *b)
{
	const struct slave_slot *left = a, *right = b;
	if (left->place.at != right->place.at)
		return (int)left->place.at - (int)right->place.at;
	return left->metric < right->metric ? -1 : left->metric > right->metric;
}

/* The slots of a metric: its value, and its power of ten.  Returns how many. */
static size_t slave_slots(
	const struct slave_chain *chain, const struct plan *plan, uint32_t index, struct slave_slot slots[static 2])
{
	const struct plan_metric *metric = &plan->metrics[index];
	slots[0] = (struct slave_slot){.metric = index, .place = metric->place};
	slots[1] = (struct slave_slot){.metric = index, .place = metric->scale_place, .exponent = true};
	if (!slave_chain_place(chain, metric, &slots[0].place) || !slave_chain_place(chain, metric, &slots[1].place))
		return 0;
	return metric->scale_from ? 2 : 1;
}

static void slave_count(struct slave *slave, const struct bf_place *place, size_t *n_cells)
{
	slave->spaces[place->space].n_slots++;
	n_cells[place->space] += place->count;
}

static void slave_occupy(struct slave *slave, const struct slave_slot *slot)
{
	enum bf_space space = slot->place.space;
	slave->spaces[space].slots[slave->spaces[space].n_slots++] = *slot;
	for (uint16_t i = 0; i < slot->place.count; i++)
		slave->spaces[space].cells[slave->spaces[space].n_cells++].at = (uint16_t)(slot->place.at + i);
}

/* Sorts the cells of one space and makes each unique.  Returns how many are left. */
static size_t slave_settle(struct slave_cell *cells, size_t n)
{
	if (n == 0)
		return 0;
	qsort(cells, n, sizeof(*cells), slave_compare_cells);
	size_t kept = 1;
	for (size_t i = 1; i < n; i++)
		if (cells[i].at != cells[kept - 1].at)
			cells[kept++] = cells[i];
	return kept;
}

static void slave_fill_gaps(struct slave *slave, enum bf_space space, struct arena *arena)
{
	const struct slave_cell *sparse = slave->spaces[space].cells;
	size_t n = slave->spaces[space].n_cells, whole = n;
	size_t reach = slave_space_of_bits(space) ? SLAVE_READ_BITS_MAX : SLAVE_READ_MAX;
	for (size_t i = 1; i < n; i++) {
		size_t gap = (size_t)(sparse[i].at - sparse[i - 1].at) - 1;
		whole += gap < reach ? gap : 0;
	}
	struct slave_cell *dense = arena_array(arena, whole, sizeof(*dense));
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && (size_t)(sparse[i].at - sparse[i - 1].at) - 1 < reach)
			for (uint16_t at = (uint16_t)(sparse[i - 1].at + 1); at < sparse[i].at; at++)
				dense[kept++].at = at;
		dense[kept++] = sparse[i];
	}
	slave->spaces[space].cells = dense;
	slave->spaces[space].n_cells = kept;
}

void slave_init(struct slave *slave, const struct plan *plan, uint32_t device, bool fill_gaps, struct arena *arena)
{
	*slave = (struct slave){.plan = plan, .device = device};
	uint32_t first = plan->devices[device].first_metric;
	uint32_t end = first + plan->devices[device].n_metrics;
	size_t n_cells[BF_N_SPACES] = {0};
	struct slave_slot slots[2];
	struct slave_chain chain;
	slave_chain_init(&chain, plan, &plan->devices[device]);
	n_cells[BF_SPACE_HOLDING] = slave_chain_count(&chain);
	for (uint32_t i = first; i < end; i++)
		for (size_t n = slave_slots(&chain, plan, i, slots); n > 0; n--)
			slave_count(slave, &slots[n - 1].place, n_cells);
	for (int space = 0; space < BF_N_SPACES; space++) {
		slave->spaces[space].cells = arena_array(arena, n_cells[space], sizeof(struct slave_cell));
		slave->spaces[space].slots =
			arena_array(arena, slave->spaces[space].n_slots, sizeof(struct slave_slot));
		slave->spaces[space].n_slots = 0;
	}
	slave_chain_occupy(slave, &chain);
	for (uint32_t i = first; i < end; i++)
		for (size_t n = slave_slots(&chain, plan, i, slots); n > 0; n--)
			slave_occupy(slave, &slots[n - 1]);
	for (int space = 0; space < BF_N_SPACES; space++) {
		slave->spaces[space].n_cells = slave_settle(slave->spaces[space].cells, slave->spaces[space].n_cells);
		if (slave->spaces[space].n_slots)
			qsort(slave->spaces[space].slots, slave->spaces[space].n_slots, sizeof(struct slave_slot),
				slave_compare_slots);
		if (fill_gaps)
			slave_fill_gaps(slave, (enum bf_space)space, arena);
	}
	slave_chain_set(slave, &chain);
}

/* The cells of count addresses from `at`; NULL unless all are there. */
static struct slave_cell *slave_cells(struct slave *slave, enum bf_space space, uint32_t at, uint32_t count)
{
	struct slave_cell *cells = slave->spaces[space].cells;
	size_t low = 0, high = slave->spaces[space].n_cells;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (cells[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	if (slave->spaces[space].n_cells - low < count || cells[low].at != at ||
		cells[low + count - 1].at != at + count - 1)
		return NULL;
	return cells + low;
}

/* The unsigned type as wide as the given one: bits are cut out of the bare number. */
static enum bf_type slave_bare_type(const struct bf_shape *shape)
{
	switch (bf_shape_registers(shape)) {
	case 1:
		return BF_TYPE_U16;
	case 2:
		return BF_TYPE_U32;
	default:
		return BF_TYPE_U64;
	}
}

/*
 * The registers of a slot at an instant, and which of their bits are its own.  Returns their number
 * of bytes; 0 when the value can't be had in this type, the cells then stay as they are.
 */
static size_t slave_render(const struct slave *slave, const struct slave_slot *slot, int64_t now_us, uint8_t *bytes,
	uint8_t *mask, size_t size)
{
	const struct plan_metric *metric = &slave->plan->metrics[slot->metric];
	memset(mask, 0xFF, size);
	if (slot->exponent) {
		struct bf_shape shape = {.type = BF_TYPE_S16, .bytes = metric->shape.bytes};
		struct bf_value value = {.kind = BF_SIGNED, .i = SLAVE_EXPONENT};
		int n = bf_encode(&shape, &value, bytes, size);
		return n > 0 ? (size_t)n : 0;
	}
	uint32_t seed = slot->metric;
	struct bf_value value = motion_raw(metric, seed, SLAVE_EXPONENT, now_us);
	if (metric->n_bits && value.kind == BF_UNSIGNED && metric->bit < 64) {
		struct bf_shape bare = metric->shape;
		bare.type = slave_bare_type(&metric->shape);
		struct bf_value ones = {.kind = BF_UNSIGNED};
		ones.u = (metric->n_bits >= 64 ? UINT64_MAX : (UINT64_C(1) << metric->n_bits) - 1) << metric->bit;
		value.u <<= metric->bit;
		int n = bf_encode(&bare, &ones, mask, size);
		return n > 0 && bf_encode(&bare, &value, bytes, size) == n ? (size_t)n : 0;
	}
	int n = bf_encode(&metric->shape, &value, bytes, size);
	if (n <= 0)
		return 0;
	uint64_t raw = bf_decode_raw(&metric->shape, bytes, (size_t)n);
	for (size_t i = 0; i < metric->n_invalid; i++) {
		if (metric->invalid[i] != raw || value.kind != BF_FLOAT64)
			continue;
		value.f64 += value.f64 > 0 ? -1 : 1; /* a device that works doesn't show "no value" */
		n = bf_encode(&metric->shape, &value, bytes, size);
		break;
	}
	return n > 0 ? (size_t)n : 0;
}

static void slave_paint(struct slave *slave, const struct slave_slot *slot, int64_t now_us)
{
	struct slave_cell *cells = slave_cells(slave, slot->place.space, slot->place.at, slot->place.count);
	if (!cells)
		return;
	if (slave_space_of_bits(slot->place.space)) {
		const struct plan_metric *metric = &slave->plan->metrics[slot->metric];
		struct bf_value value = motion_raw(metric, slot->metric, SLAVE_EXPONENT, now_us);
		for (uint16_t i = 0; i < slot->place.count; i++)
			if (!cells[i].written)
				cells[i].value = bf_value_number(&value) != 0;
		return;
	}
	uint8_t bytes[BF_STRING_MAX + 2], mask[BF_STRING_MAX + 2];
	size_t n = slave_render(slave, slot, now_us, bytes, mask, sizeof(bytes));
	for (size_t i = 0; i < n / 2 && i < slot->place.count; i++) {
		unsigned value = (unsigned)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
		unsigned own = (unsigned)(mask[2 * i] << 8 | mask[2 * i + 1]);
		if (!cells[i].written)
			cells[i].value = (uint16_t)((cells[i].value & ~own) | (value & own));
	}
}

/* Brings the cells of a run up to date. */
static void slave_move(struct slave *slave, enum bf_space space, uint32_t at, uint32_t count, int64_t now_us)
{
	const struct slave_slot *slots = slave->spaces[space].slots;
	size_t low = 0, high = slave->spaces[space].n_slots;
	while (low < high) { /* no value is longer than a read: none that starts earlier reaches us */
		size_t middle = low + (high - low) / 2;
		if (slots[middle].place.at + (uint32_t)SLAVE_READ_MAX <= at)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < slave->spaces[space].n_slots && slots[low].place.at < at + count; low++)
		if ((uint32_t)slots[low].place.at + slots[low].place.count > at)
			slave_paint(slave, &slots[low], now_us);
}

size_t slave_refuse(uint8_t function, enum slave_exception code, uint8_t answer[static SLAVE_PDU_MAX])
{
	answer[0] = function | 0x80;
	answer[1] = (uint8_t)code;
	return 2;
}

static unsigned slave_word(const uint8_t *bytes)
{
	return (unsigned)(bytes[0] << 8 | bytes[1]);
}

static size_t slave_read(struct slave *slave, enum bf_space space, const uint8_t *request, size_t n, int64_t now_us,
	uint8_t answer[static SLAVE_PDU_MAX])
{
	bool bits = slave_space_of_bits(space);
	if (n != 5)
		return slave_refuse(request[0], SLAVE_ILLEGAL_VALUE, answer);
	unsigned at = slave_word(request + 1), count = slave_word(request + 3);
	if (count == 0 || count > (bits ? SLAVE_READ_BITS_MAX : SLAVE_READ_MAX))
		return slave_refuse(request[0], SLAVE_ILLEGAL_VALUE, answer);
	const struct slave_cell *cells = slave_cells(slave, space, at, count);
	if (!cells)
		return slave_refuse(request[0], SLAVE_ILLEGAL_ADDRESS, answer);
	slave_move(slave, space, at, count, now_us);
	size_t n_bytes = bits ? (count + 7) / 8 : 2 * count;
	answer[0] = request[0];
	answer[1] = (uint8_t)n_bytes;
	memset(answer + 2, 0, n_bytes);
	for (unsigned i = 0; i < count; i++) {
		if (bits) {
			answer[2 + i / 8] |= (uint8_t)((cells[i].value & 1) << i % 8);
		} else {
			answer[2 + 2 * i] = (uint8_t)(cells[i].value >> 8);
			answer[3 + 2 * i] = (uint8_t)cells[i].value;
		}
	}
	return 2 + n_bytes;
}

static size_t slave_write_one(struct slave *slave, enum bf_space space, const uint8_t *request, size_t n,
	uint8_t answer[static SLAVE_PDU_MAX])
{
	if (n != 5)
		return slave_refuse(request[0], SLAVE_ILLEGAL_VALUE, answer);
	unsigned value = slave_word(request + 3);
	bool bit = slave_space_of_bits(space);
	if (bit && value != 0x0000 && value != 0xFF00)
		return slave_refuse(request[0], SLAVE_ILLEGAL_VALUE, answer);
	struct slave_cell *cell = slave_cells(slave, space, slave_word(request + 1), 1);
	if (!cell)
		return slave_refuse(request[0], SLAVE_ILLEGAL_ADDRESS, answer);
	cell->value = (uint16_t)(bit ? value != 0 : value);
	cell->written = true;
	memcpy(answer, request, 5);
	return 5;
}

static size_t slave_write_many(struct slave *slave, enum bf_space space, const uint8_t *request, size_t n,
	uint8_t answer[static SLAVE_PDU_MAX])
{
	bool bits = slave_space_of_bits(space);
	if (n < 6)
		return slave_refuse(request[0], SLAVE_ILLEGAL_VALUE, answer);
	unsigned at = slave_word(request + 1), count = slave_word(request + 3);
	size_t n_bytes = bits ? (count + 7) / 8 : 2 * (size_t)count;
	if (count == 0 || count > (bits ? SLAVE_WRITE_BITS_MAX : SLAVE_WRITE_MAX) || request[5] != n_bytes ||
		n != 6 + n_bytes)
		return slave_refuse(request[0], SLAVE_ILLEGAL_VALUE, answer);
	struct slave_cell *cells = slave_cells(slave, space, at, count);
	if (!cells)
		return slave_refuse(request[0], SLAVE_ILLEGAL_ADDRESS, answer);
	for (size_t i = 0; i < count; i++) {
		cells[i].value =
			(uint16_t)(bits ? (unsigned)request[6 + i / 8] >> i % 8 & 1 : slave_word(request + 6 + 2 * i));
		cells[i].written = true;
	}
	memcpy(answer, request, 5);
	return 5;
}

size_t slave_answer(
	struct slave *slave, const uint8_t *request, size_t n, int64_t now_us, uint8_t answer[static SLAVE_PDU_MAX])
{
	if (n == 0)
		return 0;
	switch ((enum slave_function)request[0]) {
	case FUNCTION_READ_COILS:
		return slave_read(slave, BF_SPACE_COIL, request, n, now_us, answer);
	case FUNCTION_READ_DISCRETE:
		return slave_read(slave, BF_SPACE_DISCRETE, request, n, now_us, answer);
	case FUNCTION_READ_HOLDING:
		return slave_read(slave, BF_SPACE_HOLDING, request, n, now_us, answer);
	case FUNCTION_READ_INPUT:
		return slave_read(slave, BF_SPACE_INPUT, request, n, now_us, answer);
	case FUNCTION_WRITE_COIL:
		return slave_write_one(slave, BF_SPACE_COIL, request, n, answer);
	case FUNCTION_WRITE_REGISTER:
		return slave_write_one(slave, BF_SPACE_HOLDING, request, n, answer);
	case FUNCTION_WRITE_COILS:
		return slave_write_many(slave, BF_SPACE_COIL, request, n, answer);
	case FUNCTION_WRITE_REGISTERS:
		return slave_write_many(slave, BF_SPACE_HOLDING, request, n, answer);
	}
	return slave_refuse(request[0], SLAVE_ILLEGAL_FUNCTION, answer);
}

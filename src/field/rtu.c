/*
 * The search for frames, see rtu.h.  MODBUS Application Protocol V1.1b3, section 6; MODBUS over Serial Line V1.02, 2.5.
 *
 * At each byte a frame may begin.  Its second byte, the function, says which lengths it can have: an answer to a read
 * tells its own, a request has eight bytes, an exception five.  Where the checksum fits one of them, that is a frame;
 * what stood before it is noise.  Two frames without a pause between them are two frames, and bytes after a frame
 * change nothing about it.
 *
 * Chance: noise passes for a frame of a given unit, function and length once in 2^40 bytes, so it is never taken for an
 * answer; for any frame at all once in some million.
 *
 * Invariant: bytes[0, looked) hold no whole frame.
 */
#include "field/rtu.h"
#include "sdk/check.h"

#include <string.h>

#define SHORTEST   5
#define UNIT_MAX   247
#define COILS_MAX  2000
#define WORDS_MAX  125
#define ANSWER_MAX 250 /* bytes */

uint8_t rtu_function(enum bf_space space)
{
	static const uint8_t functions[BF_N_SPACES] = {
		[BF_SPACE_COIL] = 1, [BF_SPACE_DISCRETE] = 2, [BF_SPACE_HOLDING] = 3, [BF_SPACE_INPUT] = 4};
	return functions[space];
}

static size_t bytes_of(uint8_t function, unsigned count)
{
	return function <= 2 ? (count + 7) / 8 : (size_t)count * 2;
}

size_t rtu_answer_bytes(const struct bf_place *place)
{
	return bytes_of(rtu_function(place->space), place->count);
}

trust_shape rtu_shape(const struct bf_place *place)
{
	return TRUST_SHAPE(rtu_function(place->space), rtu_answer_bytes(place));
}

/* Puts the checksum behind n bytes.  The length with it. */
static size_t seal(uint8_t *frame, size_t n)
{
	uint16_t crc = bf_crc16_modbus(frame, n);
	frame[n++] = (uint8_t)crc;
	frame[n++] = (uint8_t)(crc >> 8);
	return n;
}

void rtu_request(uint8_t unit, const struct bf_place *place, uint8_t ret_request[static RTU_REQUEST_BYTES])
{
	const uint8_t request[6] = {unit, rtu_function(place->space), (uint8_t)(place->at >> 8), (uint8_t)place->at,
		(uint8_t)(place->count >> 8), (uint8_t)place->count};
	memcpy(ret_request, request, sizeof(request));
	seal(ret_request, sizeof(request));
}

static uint8_t write_function(const struct bf_place *place, bool many)
{
	bool one = place->count == 1 && !many;
	if (place->space == BF_SPACE_COIL)
		return one ? 5 : 15;
	return one ? 6 : 16;
}

size_t rtu_write_request(uint8_t unit, const struct bf_place *place, const uint8_t *cells, bool many,
	uint8_t ret_request[static RTU_FRAME_MAX])
{
	uint8_t function = write_function(place, many);
	size_t n = 4, n_bytes = rtu_answer_bytes(place);
	ret_request[0] = unit;
	ret_request[1] = function;
	ret_request[2] = (uint8_t)(place->at >> 8);
	ret_request[3] = (uint8_t)place->at;
	if (function == 5) {
		ret_request[n++] = cells[0] & 1 ? 0xFF : 0;
		ret_request[n++] = 0;
	} else {
		if (function != 6) {
			ret_request[n++] = (uint8_t)(place->count >> 8);
			ret_request[n++] = (uint8_t)place->count;
			ret_request[n++] = (uint8_t)n_bytes;
		}
		memcpy(ret_request + n, cells, n_bytes);
		n += n_bytes;
	}
	if (function == 15 && place->count % 8)
		ret_request[n - 1] &= (uint8_t)((1u << place->count % 8) - 1);
	return seal(ret_request, n);
}

/* The bytes of the last frame are let go of when the next is looked for. */
static void settle(struct rtu_search *search)
{
	if (search->gone == 0)
		return;
	memmove(search->bytes, search->bytes + search->gone, search->n - search->gone);
	search->n -= search->gone;
	search->gone = 0;
	search->looked = 0;
}

uint8_t *rtu_room(struct rtu_search *search, size_t *ret_n)
{
	settle(search);
	if (sizeof(search->bytes) - search->n < RTU_FRAME_MAX) { /* no frame begins so far back */
		search->gone = search->n - RTU_FRAME_MAX;
		search->n_lost += search->gone;
		settle(search);
	}
	*ret_n = sizeof(search->bytes) - search->n;
	return search->bytes + search->n;
}

void rtu_fed(struct rtu_search *search, size_t n)
{
	search->n += n;
}

size_t rtu_waiting(const struct rtu_search *search)
{
	return search->n - search->gone;
}

size_t rtu_clear(struct rtu_search *search)
{
	size_t n = rtu_waiting(search) + search->n_lost;
	search->n = search->gone = search->looked = search->n_lost = 0;
	return n;
}

static bool plausible_quantity(const uint8_t *frame)
{
	unsigned count = (unsigned)frame[4] << 8 | frame[5];
	return count >= 1 && count <= (frame[1] <= 2 ? COILS_MAX : WORDS_MAX);
}

/* The lengths that a frame which begins like this may have, at most two; 0 = none (yet). */
static void lengths_of(const uint8_t *frame, size_t n, size_t ret_lengths[static 2])
{
	uint8_t function = frame[1] & 0x7F;
	ret_lengths[0] = ret_lengths[1] = 0;
	if (frame[0] > UNIT_MAX)
		return;
	if (frame[1] & 0x80) {
		if (function >= 1 && function <= 43 && frame[2] >= 1 && frame[2] <= 11)
			ret_lengths[0] = SHORTEST;
		return;
	}
	switch (function) {
	case 1:
	case 2:
	case 3:
	case 4:
		if (frame[2] >= 1 && frame[2] <= ANSWER_MAX && (function <= 2 || frame[2] % 2 == 0))
			ret_lengths[0] = SHORTEST + (size_t)frame[2];
		if (n < 6 || plausible_quantity(frame))
			ret_lengths[1] = RTU_REQUEST_BYTES;
		break;
	case 5:
	case 6:
		ret_lengths[0] = RTU_REQUEST_BYTES;
		break;
	case 15:
	case 16:
		ret_lengths[0] = RTU_REQUEST_BYTES;
		if (n >= 7 && frame[6] <= ANSWER_MAX)
			ret_lengths[1] = 9 + (size_t)frame[6];
		break;
	default:
		break;
	}
}

static void describe(const uint8_t *frame, size_t n, bool is_answer, struct rtu_frame *ret_frame)
{
	bool is_read = frame[1] >= 1 && frame[1] <= 4;
	trust_shape asks = 0;
	if (is_read && n == RTU_REQUEST_BYTES)
		asks = TRUST_SHAPE(frame[1], bytes_of(frame[1], (unsigned)frame[4] << 8 | frame[5]) & 0xFF);
	*ret_frame = (struct rtu_frame){
		.unit = frame[0], .function = frame[1] & 0x7F, .bytes = frame, .n = n - 2, .kind = RTU_OTHER};
	if (frame[1] & 0x80) {
		ret_frame->kind = RTU_EXCEPTION;
		ret_frame->exception = frame[2];
		ret_frame->shape = TRUST_EXCEPTION(ret_frame->function);
	} else if (is_read && is_answer) {
		ret_frame->kind = RTU_ANSWER;
		ret_frame->ambiguous = n == RTU_REQUEST_BYTES && plausible_quantity(frame);
		ret_frame->shape = TRUST_SHAPE(frame[1], frame[2]);
		ret_frame->asks = asks;
	} else if (is_read) {
		ret_frame->kind = RTU_REQUEST;
		ret_frame->asks = asks;
	}
}

static bool begins_like(const uint8_t *bytes, size_t n, const struct rtu_head *awaited)
{
	return awaited && n < awaited->whole && memcmp(bytes, awaited->bytes, 3) == 0;
}

bool rtu_next(struct rtu_search *search, const struct rtu_head *awaited, struct rtu_frame *ret_frame)
{
	settle(search);
	size_t n = search->n;
	for (size_t at = 0; at + SHORTEST <= n; at++) {
		const uint8_t *frame = search->bytes + at;
		size_t lengths[2];
		lengths_of(frame, n - at, lengths);
		for (int i = 0; i < 2; i++) {
			if (lengths[i] == 0 || at + lengths[i] > n || at + lengths[i] <= search->looked)
				continue;
			if (bf_crc16_modbus(frame, lengths[i]) != 0)
				continue;
			describe(frame, lengths[i], i == 0, ret_frame);
			ret_frame->n_skipped = at + search->n_lost;
			search->n_lost = 0;
			search->gone = at + lengths[i];
			return true;
		}
		if (begins_like(frame, n - at, awaited))
			return false;
	}
	search->looked = n;
	return false;
}

bool rtu_is_spoilt(const uint8_t *bytes, size_t n, const struct rtu_head *awaited)
{
	uint8_t copy[RTU_FRAME_MAX];
	if (n != awaited->whole || n > sizeof(copy) || memcmp(bytes, awaited->bytes, 3) != 0)
		return false;
	memcpy(copy, bytes, n);
	for (unsigned unit = 1; unit <= UNIT_MAX; unit++) {
		copy[0] = (uint8_t)unit;
		if (bf_crc16_modbus(copy, n) == 0)
			return false;
	}
	return true;
}

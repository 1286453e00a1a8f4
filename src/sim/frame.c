/*
 * Frames of requests.
 *
 * An RTU frame ends by silence, which a pty does not carry: its bytes come in one piece or in
 * several, as the scheduler likes, and two frames may be read at once.  So a request is known by
 * the length that its function fixes and by its checksum; silence only decides when a beginning
 * will not be completed any more.  After bytes that are no frame the search goes on at the next
 * byte: noise in front of a request does not cost the request, since where the silence between them
 * was can't be known here.  A function of unknown length is a frame when silence has ended it.
 *
 * Modbus TCP carries its length, so nothing is ever searched: what has a wrong header means that
 * both sides have lost each other, and the connection with it.
 *
 * Invariant: bytes[start, end) is what has come and belongs to no request handed out yet.
 */
#include "sim/frame.h"
#include "base/clock.h"
#include "sdk/check.h"

#include <errno.h>
#include <string.h>

#define RTU_MIN   4 /* unit, function, checksum */
#define RTU_MAX   256
#define MBAP_HEAD 7

uint8_t *frame_room(struct frame_reader *reader, size_t *ret_n)
{
	if (reader->start > 0) {
		memmove(reader->bytes, reader->bytes + reader->start, reader->end - reader->start);
		reader->end -= reader->start;
		reader->start = 0;
	}
	*ret_n = sizeof(reader->bytes) - reader->end;
	return reader->bytes + reader->end;
}

void frame_fed(struct frame_reader *reader, size_t n, int64_t now_us)
{
	reader->end += n;
	reader->last_at = now_us;
}

/* Length of the request that begins here: 0 = its function has none that is known; beyond n when
 * it is not told yet. */
static size_t frame_rtu_length(const uint8_t *bytes, size_t n)
{
	if (n < 2)
		return 2;
	switch (bytes[1]) {
	case 1:
	case 2:
	case 3:
	case 4:
	case 5:
	case 6:
		return 8;
	case 15:
	case 16:
		return n < 7 ? 7 : (size_t)bytes[6] + 9;
	default:
		return 0;
	}
}

static int frame_take_rtu(struct frame_reader *reader, size_t length, struct frame_request *ret_request)
{
	const uint8_t *bytes = reader->bytes + reader->start;
	ret_request->unit = bytes[0];
	ret_request->transaction = 0;
	ret_request->wire_bytes = length;
	ret_request->n = length - 3;
	memcpy(ret_request->pdu, bytes + 1, length - 3);
	reader->start += length;
	return 1;
}

static int frame_next_rtu(struct frame_reader *reader, int64_t now_us, struct frame_request *ret_request)
{
	bool over = now_us - reader->last_at >= reader->gap_us;
	for (; reader->start < reader->end; reader->start++) {
		const uint8_t *bytes = reader->bytes + reader->start;
		size_t n = reader->end - reader->start;
		size_t length = frame_rtu_length(bytes, n);
		if (length > RTU_MAX)
			continue;
		if (length == 0) {
			if (n > RTU_MAX)
				continue;
			if (!over)
				return 0;
			if (n < RTU_MIN)
				continue;
			length = n;
		}
		if (length > n) {
			if (!over)
				return 0;
			continue;
		}
		if (bf_crc16_modbus(bytes, length) == 0)
			return frame_take_rtu(reader, length, ret_request);
	}
	return 0;
}

static int frame_next_mbap(struct frame_reader *reader, struct frame_request *ret_request)
{
	const uint8_t *bytes = reader->bytes + reader->start;
	size_t n = reader->end - reader->start;
	if (n < MBAP_HEAD)
		return 0;
	size_t length = (size_t)(bytes[4] << 8 | bytes[5]); /* unit and PDU */
	if (bytes[2] != 0 || bytes[3] != 0 || length < 2 || length > 1 + SLAVE_PDU_MAX)
		return -EPROTO;
	if (n < 6 + length)
		return 0;
	ret_request->transaction = (uint16_t)(bytes[0] << 8 | bytes[1]);
	ret_request->unit = bytes[6];
	ret_request->wire_bytes = 6 + length;
	ret_request->n = length - 1;
	memcpy(ret_request->pdu, bytes + MBAP_HEAD, length - 1);
	reader->start += 6 + length;
	return 1;
}

int frame_next(struct frame_reader *reader, int64_t now_us, struct frame_request *ret_request)
{
	return reader->kind == FRAME_RTU ? frame_next_rtu(reader, now_us, ret_request)
					 : frame_next_mbap(reader, ret_request);
}

int64_t frame_look_at(const struct frame_reader *reader)
{
	if (reader->kind != FRAME_RTU || reader->start == reader->end)
		return CLOCK_NEVER;
	return reader->last_at + reader->gap_us;
}

size_t frame_wrap(enum frame_kind kind, const struct frame_request *request, const uint8_t *pdu, size_t n,
	uint8_t frame[static FRAME_MAX])
{
	if (kind == FRAME_RTU) {
		frame[0] = request->unit;
		memcpy(frame + 1, pdu, n);
		uint16_t crc = bf_crc16_modbus(frame, 1 + n);
		frame[1 + n] = (uint8_t)crc;
		frame[2 + n] = (uint8_t)(crc >> 8);
		return 3 + n;
	}
	frame[0] = (uint8_t)(request->transaction >> 8);
	frame[1] = (uint8_t)request->transaction;
	frame[2] = 0;
	frame[3] = 0;
	frame[4] = (uint8_t)((1 + n) >> 8);
	frame[5] = (uint8_t)(1 + n);
	frame[6] = request->unit;
	memcpy(frame + MBAP_HEAD, pdu, n);
	return MBAP_HEAD + n;
}

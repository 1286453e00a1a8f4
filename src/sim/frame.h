/*
 * Frames of requests, seen from a device: Modbus RTU and Modbus TCP.  Finds them in a stream of
 * bytes and wraps answers.  No I/O; time comes from the caller.  One owner thread.
 */
#ifndef SIM_FRAME_H
#define SIM_FRAME_H

#include "sim/slave.h"

#include <stddef.h>
#include <stdint.h>

enum frame_kind {
	FRAME_RTU,  /* MODBUS over Serial Line V1.02, section 2.5.1 */
	FRAME_MBAP, /* MODBUS Messaging on TCP/IP Implementation Guide V1.0b, section 3.1.3 */
};

#define FRAME_MAX 260 /* MBAP header and PDU; an RTU frame has at most 256 */

struct frame_request {
	uint8_t unit;
	uint16_t transaction; /* FRAME_MBAP only */
	size_t wire_bytes;    /* length of the whole frame */
	size_t n;
	uint8_t pdu[SLAVE_PDU_MAX];
};

struct frame_reader {
	enum frame_kind kind;
	int64_t gap_us;  /* FRAME_RTU: silence that ends a frame */
	int64_t last_at; /* when the last bytes came */
	size_t start, end;
	uint8_t bytes[2048];
};

/* Where to put the next bytes, and how many fit; at least 1 once frame_next has said "none". */
uint8_t *frame_room(struct frame_reader *reader, size_t *ret_n);

/* n bytes have been put there.  They are taken to have come now. */
void frame_fed(struct frame_reader *reader, size_t n, int64_t now_us);

/*
 * The next request: 1 and *ret_request; 0 when there is none yet; -EPROTO when the stream can't be
 * Modbus TCP any more and the connection is to be closed (RTU never gives up: it resynchronises).
 */
int frame_next(struct frame_reader *reader, int64_t now_us, struct frame_request *ret_request);

/* When to call frame_next again although nothing comes; CLOCK_NEVER when no frame is begun. */
int64_t frame_look_at(const struct frame_reader *reader);

/* Wraps an answer to a request; returns its length. */
size_t frame_wrap(enum frame_kind kind, const struct frame_request *request, const uint8_t *pdu, size_t n,
	uint8_t frame[static FRAME_MAX]);

#endif

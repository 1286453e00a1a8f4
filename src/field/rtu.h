/*
 * Modbus RTU frames in a stream of bytes: whose end is not told by time (adapters, ptys and TCP change that) but by
 * their own length and checksum.  Finds each, in whatever stands between them.  No I/O, no clock; one owner thread.
 */
#ifndef FIELD_RTU_H
#define FIELD_RTU_H

#include "field/trust.h"
#include "sdk/driver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RTU_REQUEST_BYTES 8 /* of a read: unit, function, address, quantity, CRC */
#define RTU_WRITTEN_BYTES 6 /* that answer a write, without the CRC */
#define RTU_FRAME_MAX     256

enum rtu_kind {
	RTU_ANSWER,    /* to a read */
	RTU_EXCEPTION, /* to any request */
	RTU_REQUEST,   /* a read that somebody asks for */
	RTU_OTHER,     /* what belongs to writing: a request, its answer, or both */
};

struct rtu_frame {
	enum rtu_kind kind;
	bool ambiguous; /* an answer of 3 bytes of coils that could be a request as well, for `asks` */
	uint8_t unit, function;
	uint8_t exception;
	trust_shape shape;    /* of an answer or exception */
	trust_shape asks;     /* of a request: the shape of its answer */
	const uint8_t *bytes; /* the frame, without its checksum: until the next call */
	size_t n;
	size_t n_skipped; /* bytes before it that belong to no frame */
};

struct rtu_search {
	uint8_t bytes[1024];
	size_t n;      /* bytes that wait */
	size_t gone;   /* of them, handed out as a frame by the last call */
	size_t looked; /* as far as there is no whole frame */
	size_t n_lost; /* bytes that had to make room since the last frame */
};

/* What the answer to a question begins with, and how long it is with its checksum. */
struct rtu_head {
	uint8_t bytes[3]; /* unit, function; count of bytes, or the high byte of the address that was written */
	size_t whole;
};

uint8_t rtu_function(enum bf_space space);

/* How many bytes answer a read of this place. */
size_t rtu_answer_bytes(const struct bf_place *place);

trust_shape rtu_shape(const struct bf_place *place);

/* The request of a place, with its checksum. */
void rtu_request(uint8_t unit, const struct bf_place *place, uint8_t ret_request[static RTU_REQUEST_BYTES]);

/*
 * The request that writes a place: registers as on the wire, or bits, the first one lowest; with its checksum.  By
 * function 5 or 6 for one cell unless `many`, else by 15 or 16.  At most 123 registers or 1968 coils.  Returns its
 * length.  Its first RTU_WRITTEN_BYTES are the whole answer.
 */
size_t rtu_write_request(uint8_t unit, const struct bf_place *place, const uint8_t *cells, bool many,
	uint8_t ret_request[static RTU_FRAME_MAX]);

/* Where the next bytes go and how many fit, at least 256.  Then say how many came. */
uint8_t *rtu_room(struct rtu_search *search, size_t *ret_n);
void rtu_fed(struct rtu_search *search, size_t n);

/*
 * The next frame.  An unfinished one that begins like `awaited` is not looked into; NULL: nothing is awaited any more.
 * False when there is none yet.
 */
bool rtu_next(struct rtu_search *search, const struct rtu_head *awaited, struct rtu_frame *ret_frame);

/* How many bytes wait to be understood. */
size_t rtu_waiting(const struct rtu_search *search);

/* Throws them away; how many bytes since the last frame belong to none. */
size_t rtu_clear(struct rtu_search *search);

/*
 * What came instead of an answer is n bytes, damaged.  Can it be anything but that answer?  It can't when its head and
 * length are right and no other unit's address would make its checksum right.
 */
bool rtu_is_spoilt(const uint8_t *bytes, size_t n, const struct rtu_head *awaited);

#endif

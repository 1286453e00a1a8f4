/*
 * What is heard on a serial wire, a port's or a serial device server's: which of it is the answer, and what the rest
 * is. The half of line_modbus that looks at bytes; it reads the fd and never writes.  One owner thread.
 */
#ifndef FIELD_LINE_RTU_H
#define FIELD_LINE_RTU_H

#include "field/line.h"
#include "field/rtu.h"

#define LINE_RTU_WRITES 4

struct line_rtu {
	struct line *line;
	const struct plan_bus *bus;
	int64_t gap_us;
	int64_t rest_us; /* silence after which a frame will not grow any more */

	struct rtu_search search;
	int64_t heard_at;     /* when the last bytes were seen */
	int64_t others_at;    /* when another master was last heard; 0 = never */
	int64_t others_until; /* it is given so long for its answer */
	size_t n_babble;      /* bytes without sense since the last silence or frame */
	uint64_t used[4];     /* units that were asked */

	/* The question under way. */
	bool asking, writing;
	uint8_t unit;
	trust_shape shape; /* 0 when it writes */
	struct rtu_head head;
	uint8_t request[RTU_FRAME_MAX];
	size_t n_request;
	size_t n_garbled; /* bytes without sense since it was asked */
	bool echo_due;    /* it has not come back yet */

	bool echoes;      /* the adapter returns what is sent */
	unsigned n_plain; /* answers in a row without it, at most ECHO_PLAIN */
	uint8_t answer[RTU_FRAME_MAX];

	/* The last writes, the newest at n_writes - 1: their answers belong to no read. */
	struct line_rtu_write {
		uint8_t answer[RTU_WRITTEN_BYTES];
		bool open; /* not answered yet */
		int64_t asked_at;
	} writes[LINE_RTU_WRITES];
	unsigned n_writes;
};

void line_rtu_init(struct line_rtu *rtu, struct line *line, const struct plan_bus *bus);

/* The fd is open: what was heard before is over. */
void line_rtu_opened(struct line_rtu *rtu, int64_t now_us);

/* As line_ops.listen. */
int line_rtu_listen(struct line_rtu *rtu, int64_t now_us);

/* May be asked now?  Looks at what came first.  0; -EAGAIN: not before line->free_at; -ENODEV. */
int line_rtu_ready(struct line_rtu *rtu, int64_t now_us);

/* The frame that asks a question, with its checksum.  Its length. */
size_t line_rtu_request(const struct line_question *question, uint8_t ret_request[static RTU_FRAME_MAX]);

/* The question has been sent. */
void line_rtu_asked(struct line_rtu *rtu, const struct line_question *question, int64_t now_us);

/* As line_ops.answer. */
int line_rtu_answer(struct line_rtu *rtu, int64_t now_us, struct line_answer *ret_answer);

#endif

/*
 * A line: one way to devices, one transaction at a time, never blocking.  The seam between the scheduling of a bus and
 * what is really there: line_modbus is the real one, tests script theirs.
 *
 * One owner thread.  A line is asked, then its fd is waited for, then its answer is collected; what does not belong to
 * the question is thrown away and counted by the line itself.
 */
#ifndef FIELD_LINE_H
#define FIELD_LINE_H

#include "base/clock.h"
#include "model/plan.h"
#include "sdk/driver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line_question {
	uint8_t unit; /* unit address */
	struct bf_place place;
};

struct line_answer {
	const uint8_t
		*bytes; /* registers as on the wire, or bits, the first one lowest; the line's, until the next call */
	size_t n;
	uint8_t exception; /* set with -EREMOTEIO */
};

struct line {
	const struct line_ops *ops;
	int fd;             /* -1 = closed */
	short events;       /* what to poll the fd for; 0 = nothing: look again at look_at */
	int64_t look_at;    /* when to call again even if the fd stays silent; CLOCK_NEVER = no need */
	bool begun;         /* since the last question something came that may be its answer */
	uint64_t n_late;    /* answers to questions that had been given up */
	uint64_t n_foreign; /* frames of other units or functions */
};

struct line_ops {
	/*
	 * Opens, or goes on opening.  0 when it is open; -EINPROGRESS: wait as fd, events and look_at say and call
	 * again; else -errno of what failed, and the line is closed.
	 */
	int (*open)(struct line *line, int64_t now_us);
	void (*close)(struct line *line);
	/* Throws away what lies in the input, then sends. 0; -ENODEV when the port is gone. */
	int (*ask)(struct line *line, const struct line_question *question, int64_t now_us);
	/*
	 * 0 and the answer to the last question; -EAGAIN: not yet, wait on; -EREMOTEIO: the device answered with an
	 * exception; -EBADMSG: checksum or shape; -ENODEV: the port or connection is gone.
	 */
	int (*answer)(struct line *line, int64_t now_us, struct line_answer *ret_answer);
	void (*destroy)(struct line *line);
};

/* The line of a bus by libmodbus, RTU or TCP by the bus's wire.  Not open yet.  0 and *ret_line, or -ENOMEM. */
int line_modbus_init(const struct plan_bus *bus, struct line **ret_line);

/*
 * Opens the serial port of a bus: libserialport where it can, termios for what it can't (ptys); raw, non-blocking,
 * exclusively ours.  Returns the fd; -ENOENT, -EACCES, -EBUSY (somebody else has it), -EINVAL (its driver does
 * something else than these settings), -EOPNOTSUPP (nor can it switch the direction as `rs485` says), -errno.
 */
int line_serial_open(const struct plan_bus *bus);
void line_serial_close(int fd);

/* Throws away what lies in the input of any kind of fd, at most a few kB: 0; -ENODEV when the other end is gone. */
int line_drain(int fd);

/* A TCP connection under way: resolve, connect, try the next address. */
struct line_tcp {
	const char *host;
	uint16_t port;
	struct resolve *resolve;
	int64_t deadline;
};

/* As line_ops.open, with the fd in *fd. */
int line_tcp_open(struct line_tcp *tcp, int *fd, short *events, int64_t *look_at, int64_t now_us);
void line_tcp_abort(struct line_tcp *tcp);

#endif

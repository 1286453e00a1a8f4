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
#include "field/trust.h"
#include "model/plan.h"
#include "sdk/driver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line_question {
	uint8_t unit; /* unit address */
	struct bf_place place;
	const uint8_t *write; /* NULL: reads; else what the cells are to hold, as line_answer has it; for the call */
	bool many;            /* writes one cell too by function 15 or 16 */
};

struct line_answer {
	const uint8_t
		*bytes; /* registers as on the wire, or bits, the first one lowest; the line's, until the next call */
	size_t n;
	uint8_t exception; /* with -EREMOTEIO; with -ESTALE it may be one, else 0 */
};

/* The exceptions that are told apart.  MODBUS Application Protocol V1.1b3, section 7. */
enum line_exception {
	LINE_ILLEGAL_ADDRESS = 2,
	LINE_ILLEGAL_VALUE = 3,  /* to a read: there are not so many */
	LINE_ACKNOWLEDGE = 5,    /* it has begun, and takes a while */
	LINE_BUSY = 6,           /* ask again later */
	LINE_TARGET_SILENT = 11, /* a gateway had no answer from the device */
};

/* What is heard on a line and is no answer to the question under way. */
enum line_stray {
	LINE_LATE,    /* the answer to a question that had been given up */
	LINE_FOREIGN, /* a frame of, or for, somebody else */
	LINE_ECHO,    /* our own request, returned by the adapter */
	LINE_NOISE,   /* bytes that are no frame, while no question was under way */
};

/* Who wants to know.  Called on the line's thread. */
struct line_watch {
	/* unit: whose frame it is, 0 for noise; late_us: of LINE_LATE, after its question, 0 = not known. */
	void (*stray)(struct line_watch *watch, enum line_stray what, uint8_t unit, int64_t late_us);
};

struct line {
	const struct line_ops *ops;
	int fd;          /* -1 = closed */
	short events;    /* what to poll the fd for; 0 = nothing: look again at look_at */
	int64_t look_at; /* when to call again even if the fd stays silent; CLOCK_NEVER = no need */
	bool begun;      /* since the last question something came that may be the beginning of its answer */
	int64_t free_at; /* not before may be asked: others speak, or have just spoken */
	bool echo_known; /* whether what is sent comes back: if not, the answer to a write may be its echo */
	bool babbles;    /* for long somebody has been sending what nobody can read */
	/*
	 * By unit address, 256; which questions may still be answered.  NULL: each answer carries the number of its
	 * question (Modbus TCP).  The line notes what it asks and hears; who asks sees to it that answers can be told
	 * apart.
	 */
	struct trust *trusts;
	struct line_watch *watch; /* NULL = nobody */
};

struct line_ops {
	/*
	 * Opens, or goes on opening.  0 when it is open; -EINPROGRESS: wait as fd, events and look_at say and call
	 * again; else -errno of what failed, and the line is closed.
	 */
	int (*open)(struct line *line, int64_t now_us);
	void (*close)(struct line *line);
	/*
	 * Looks through what lies in the input, then sends.  0; -EAGAIN: not now, see free_at; -ENOBUFS: the port does
	 * not take it; -ENODEV when it is gone.
	 */
	int (*ask)(struct line *line, const struct line_question *question, int64_t now_us);
	/*
	 * 0 and the answer to the last question, to a write without bytes; -EAGAIN: not yet, wait on; -EREMOTEIO: the
	 * device answered with an exception; -EBADMSG: checksum or shape; -ESTALE: an answer came that may belong to
	 * another question; -ENODEV: the port or connection is gone.
	 */
	int (*answer)(struct line *line, int64_t now_us, struct line_answer *ret_answer);
	/*
	 * While no question is under way: looks at what others send.  0, then wait as fd, events and look_at say;
	 * -ENODEV.  NULL: nothing can come.
	 */
	int (*listen)(struct line *line, int64_t now_us);
	void (*destroy)(struct line *line);
};

/* The line of a bus by libmodbus, RTU or TCP by the bus's wire.  Not open yet.  0 and *ret_line, or -ENOMEM. */
int line_modbus_init(const struct plan_bus *bus, struct line **ret_line);

/*
 * Opens the serial port of a bus: libserialport where it can, termios for what it can't (ptys); raw, non-blocking,
 * exclusively ours.  Returns the fd; -ENOENT, -EACCES, -EBUSY (somebody else has it), -EINVAL (its driver does
 * something else than these settings), -EOPNOTSUPP (nor can it switch the direction as `rs485` says), -errno.
 * *told: that its driver hands over slowly was said before; else it is said, once.
 */
int line_serial_open(const struct plan_bus *bus, bool *told);
void line_serial_close(int fd);

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

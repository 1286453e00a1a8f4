/*
 * Errands: what another thread asks of a wire's thread.  Read or write a place of a unit, whether the map has it or
 * not, or poll a device at once.  A box of a few slots for each wire thread; the outcome comes by a callback.
 *
 * errand_put from any thread; the callback, and all else here, on the wire's thread.  No lock, nothing is allocated.
 */
#ifndef FIELD_ERRAND_H
#define FIELD_ERRAND_H

#include "model/reading.h"
#include "sdk/driver.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ERRAND_SLOTS     16
#define ERRAND_BYTES     250 /* of 125 registers, or 2000 bits */
#define ERRAND_NO_METRIC UINT32_MAX

/* What one request can write.  MODBUS Application Protocol V1.1b3, 6.11 and 6.12. */
#define ERRAND_WRITE_REGISTERS 123
#define ERRAND_WRITE_BITS      1968

enum errand_kind {
	ERRAND_READ,
	ERRAND_WRITE, /* and read back: only that says what the device has taken */
	ERRAND_POLL,  /* a device of the map: all that it is asked for is due now */
};

struct errand_outcome {
	/*
	 * 0: it was read, or written and read back (see same), or is due.  -ETIMEDOUT: no answer; a write may have been
	 * taken all the same.  -EREMOTEIO: the device refused, see exception.  -EBADMSG: what came is damaged.
	 * -ENODEV: the port or connection is gone.  -EHOSTDOWN: the device is silent, it was not asked.  -EAGAIN: its
	 * deadline passed before it could be asked.  -ECANCELED: the wire thread ends.
	 */
	int rc;
	uint8_t exception;
	bool taken;           /* a write was answered as done; with a failure it could not be read back */
	bool same;            /* what was read back is what was written */
	const uint8_t *bytes; /* what was read (back), as line_answer has it; valid during the call */
	size_t n;
	enum quality quality;  /* with a metric: what its reading says, … */
	struct bf_value value; /* … a text being valid during the call */
};

struct errand {
	enum errand_kind kind;
	uint32_t bus;    /* in plan->buses */
	uint32_t device; /* in plan->devices; POLL: that one; else that of `metric` */
	uint32_t metric; /* in plan->metrics: what is read (back) is told as its reading, and place covers
			    convert_place(metric); ERRAND_NO_METRIC */
	uint8_t unit;    /* unit address: 1..247, over TCP 0..255 */
	struct bf_place place;
	bool many;                   /* WRITE: by function 15 or 16 also when it is one coil or register */
	int64_t deadline_us;         /* monotonic; when the first question must have been asked */
	uint8_t bytes[ERRAND_BYTES]; /* WRITE: registers as on the wire, or bits, the first one lowest */

	/* Called once, on the wire's thread; must not block.  The errand is valid during the call. */
	void (*done)(void *user, const struct errand *errand, const struct errand_outcome *outcome);
	void *user;
};

struct errand_slot {
	_Atomic int state;
	_Atomic uint64_t ticket; /* in the order in which they were put */
	struct errand errand;
	struct errand_slot *next; /* whoever has taken it may queue it */
};

struct errand_box {
	struct errand_slot slots[ERRAND_SLOTS];
	_Atomic uint64_t tickets;
	_Atomic unsigned n_put; /* and not yet taken */
	_Atomic bool closed;
	int wake_fd; /* an eventfd; -1 = nobody is woken */
};

void errand_box_init(struct errand_box *box, int wake_fd);

/*
 * Copies the errand and wakes the wire's thread.  0: done() will be called.  Else it won't: -EBUSY all slots are taken;
 * -EINVAL no such place, unit or bytes can be; -ESHUTDOWN the box is closed.
 */
int errand_put(struct errand_box *box, const struct errand *errand);

/* Can there be one? */
static inline bool errand_waits(const struct errand_box *box)
{
	return atomic_load_explicit(&box->n_put, memory_order_relaxed) > 0;
}

/* The oldest that waits, the caller's until errand_end; NULL. */
struct errand_slot *errand_take(struct errand_box *box);

/* It is over: tells who asked, and frees the slot. */
void errand_end(struct errand_slot *slot, const struct errand_outcome *outcome);
void errand_fail(struct errand_slot *slot, int rc);

/* Takes no more; those that wait fail with -ECANCELED.  Also more than once. */
void errand_close(struct errand_box *box);

#endif

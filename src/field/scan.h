/*
 * A search for devices: every address with every line setting, one question each.  Waits, but only through the wire
 * that it is given.  One thread.
 */
#ifndef FIELD_SCAN_H
#define FIELD_SCAN_H

#include "field/line.h"

/* What a search needs of a wire. */
struct scan_wire {
	/* Opens it with these settings (NULL = it has none).  0; -EINVAL when it can't do them; -errno. */
	int (*open)(struct scan_wire *wire, const struct plan_line *settings);
	void (*close)(struct scan_wire *wire);
	/* As transact(); what lies in the input is thrown away first. */
	int (*ask)(struct scan_wire *wire, const struct line_question *question, int64_t timeout_us,
		struct line_answer *ret_answer);
	/* Frames so far that answered no question that was under way. */
	uint64_t (*strangers)(const struct scan_wire *wire);
	void (*rest)(struct scan_wire *wire, int64_t for_us);
	int64_t (*now_us)(const struct scan_wire *wire);
};

struct scan_found {
	uint8_t unit;
	const struct plan_line *settings; /* NULL = none */
	int64_t answer_us;
	bool any_unit;     /* it answers whatever the unit address is (Modbus TCP) */
	uint8_t exception; /* 0 = it answered with a value */
	uint16_t value;    /* the first register, or the first bit */
};

struct scan {
	const struct plan_line *lines; /* tried in this order; NULL = the wire has none */
	size_t n_lines;
	const uint8_t *units; /* asked in this order */
	size_t n_units;
	struct bf_place ask;   /* its first register or bit is asked for */
	int64_t turnaround_us; /* how long a device may think */

	/* A device: it may be asked more on the same wire.  false = stop. */
	bool (*found)(struct scan *scan, struct scan_wire *wire, const struct scan_found *found);
	/* Before each question.  false = stop. */
	bool (*goes_on)(
		struct scan *scan, size_t n_asked, size_t n_all, const struct plan_line *settings, uint8_t unit);

	/* What it has to tell in the end. */
	size_t n_found, n_damaged, n_refused; /* devices; units with damaged answers; settings that the port can't do */
	const struct plan_line *damaged_at;   /* the settings of the last damaged answer */
};

/* 0 when all is asked; -EINTR when it was stopped; -errno when the wire failed. */
int scan_run(struct scan *scan, struct scan_wire *wire);

/* How long to wait for an answer: both frames at this speed, the silence between, and the turnaround. */
int64_t scan_timeout_us(const struct plan_line *settings, const struct bf_place *place, int64_t turnaround_us);

#endif

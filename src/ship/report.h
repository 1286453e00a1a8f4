/*
 * Is this reading worth telling?  Takes batches of readings, tells those that are, as messages.
 *
 * One report serves all wire threads: the state of a metric belongs to the thread of its bus, so no lock is needed.
 * Rules (contract 1 "When a reading is told"): without deadband every good poll; each change of quality once, with
 * value null (json only); the first good value ends it.  Works on the caller's stack, allocates nothing after init.
 */
#ifndef SHIP_REPORT_H
#define SHIP_REPORT_H

#include "base/clock.h"
#include "model/message.h"
#include "model/plan.h"
#include "model/reading.h"

struct report;
struct payload_ids;

/* What a device's change of availability is told to (announce); may be NULL. */
struct report_listener {
	void (*availability)(struct report_listener *listener, uint32_t device, bool online);
};

/* Who hears of each reading as the report has judged it, good or not; on the wire's thread, must not block. */
struct report_tap {
	/*
	 * told: it was worth telling, by the rules above, whether there was room for it or not; a value is then that of
	 * its window (reduce).  The reading and its text are valid during the call.
	 */
	void (*judged)(struct report_tap *tap, const struct reading *reading, int64_t now_us, bool told);
	/* A device has come or gone, after the listener was told.  NULL = no matter. */
	void (*availability)(struct report_tap *tap, uint32_t device, bool online);
	/* At the end of each step of the thread.  NULL = no matter. */
	void (*rest)(struct report_tap *tap);
	struct report_tap *next; /* the report's */
};

/* 0 and *ret_report, or -ENOMEM.  plan, clock, messages and listener outlive it. */
int report_init(const struct plan *plan, const struct clock *clock, struct message_sink *messages,
	struct report_listener *listener, struct report **ret_report);
void report_destroy(struct report *report);

/* Before the first reading; a tap is of one report and outlives it. */
void report_add_tap(struct report *report, struct report_tap *tap);

/*
 * Whenever that number is another one than when a metric was told, its next reading is told whatever the deadband says:
 * somebody wants to know how things are.  Before the first reading; the number outlives the report.
 */
void report_tell_anew(struct report *report, const _Atomic unsigned *occasions);

/* Ids of readings are counted there, before the first.  ids outlive the report. */
void report_count_ids(struct report *report, struct payload_ids *ids);

/*
 * The metric is the same as one of an older report: what was told of it, and what is known of its values, holds on.
 * While no thread tells of either.
 */
void report_carry(struct report *report, size_t metric, const struct report *from, size_t from_metric);

struct reading_sink *report_sink(struct report *report);

#endif

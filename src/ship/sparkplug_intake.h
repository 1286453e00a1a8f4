/*
 * What Sparkplug tells: each reading that was worth telling and differs from the one before (report by exception)
 * becomes a small record in an outbox of its own, under the topic of its metric, and waits there as all readings do.
 *
 * One intake for each report.  Its tap runs on the wires' threads, the state of a metric on that of its bus only.
 */
#ifndef SHIP_SPARKPLUG_INTAKE_H
#define SHIP_SPARKPLUG_INTAKE_H

#include "model/message.h"
#include "model/plan.h"
#include "model/reading.h"
#include "ship/report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sparkplug_intake;

/* 0 and *ret_intake, or -ENOMEM.  plan and records outlive it.  news_fd: an eventfd, written when a device comes or
 * goes. */
int sparkplug_intake_init(
	const struct plan *plan, struct message_sink *records, int news_fd, struct sparkplug_intake **ret_intake);
void sparkplug_intake_destroy(struct sparkplug_intake *intake); /* NULL is fine */

/* For report_add_tap; before a board's, so that what waits is never newer than what the board shows. */
struct report_tap *sparkplug_intake_tap(struct sparkplug_intake *intake);

/* While on, each reading of the metric is told, whether it is worth it or not: somebody waits for it.  Any thread. */
void sparkplug_intake_watch(struct sparkplug_intake *intake, uint32_t metric, bool on);

/* The bytes of a record. */
#define SPARKPLUG_RECORD_MAX (3 + BF_STRING_MAX)
size_t sparkplug_record_pack(const struct reading *reading, uint8_t bytes[static SPARKPLUG_RECORD_MAX]);

/* Its value, quality and code; a text points into the bytes.  0, or -EBADMSG. */
int sparkplug_record_unpack(const void *bytes, size_t n, struct reading *ret_reading);

#endif

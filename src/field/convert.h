/*
 * From answered bytes to the value of one metric: decode, sentinel, bits, scale.  Pure; any thread.
 */
#ifndef FIELD_CONVERT_H
#define FIELD_CONVERT_H

#include "model/plan.h"
#include "model/reading.h"

/* The cells that must be read for a metric: its own, and the power of ten of scale_from. */
struct bf_place convert_place(const struct plan_metric *metric);

/*
 * bytes answer the read of `asked`, which covers convert_place(metric).  The value may point into text.
 * QUALITY_GOOD and *ret_value; else QUALITY_INVALID and a value without kind.
 */
enum quality convert_metric(const struct plan_metric *metric, const struct bf_place *asked, const uint8_t *bytes,
	char text[static BF_STRING_MAX + 1], struct bf_value *ret_value);

/*
 * The same for a raw value that a stream's driver has read: sentinel, bits, scale.  QUALITY_GOOD and *ret_value; else
 * QUALITY_INVALID and a value without kind.
 */
enum quality convert_value(const struct plan_metric *metric, const struct bf_value *raw, struct bf_value *ret_value);

/* The quality once the plausible range was looked at, as the report does: good only within min and max. */
enum quality convert_judge(const struct plan_metric *metric, enum quality quality, const struct bf_value *value);

#endif

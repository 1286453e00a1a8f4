/*
 * From the value of one metric to the bytes that are written: the inverse of convert.  Pure; any thread.
 */
#ifndef FIELD_ENCODE_H
#define FIELD_ENCODE_H

#include "model/plan.h"

#include <stddef.h>
#include <stdint.h>

/*
 * The cells of metric->place that convert_metric makes the value of: a number in scaled units, the number of an enum's
 * word, or a boolean.  What lies between two that the registers can hold goes to the nearer one.  Not for texts, bits
 * and scale_from.
 * How many bytes; -ERANGE the registers can't hold it; -EDOM it is one of the raw values that mean "no value"; -EINVAL
 * it is of the wrong kind, or size is too small.  bytes are untouched on failure.
 */
int encode_metric(const struct plan_metric *metric, const struct bf_value *value, uint8_t *bytes, size_t size);

#endif

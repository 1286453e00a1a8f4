/*
 * How a simulated value moves: what a plausible sensor of that unit would show at an instant.
 * Pure: the same metric at the same instant always shows the same.  Any thread.
 */
#ifndef SIM_MOTION_H
#define SIM_MOTION_H

#include "model/plan.h"
#include "sdk/value.h"

#include <stdint.h>

/*
 * The raw value (before scale and offset) of a metric at an instant, one that its type can carry:
 * BF_BOOLEAN for bits and bools, BF_TEXT for strings (a constant), BF_UNSIGNED for a metric that is
 * a few bits of a register (not yet shifted), else BF_FLOAT64, a whole number unless the type is a
 * float.  `seed` sets metrics of one unit apart (their index will do).  `exponent` is what the
 * register of a metric with scale_from shows.
 */
struct bf_value motion_raw(const struct plan_metric *metric, uint32_t seed, int exponent, int64_t now_us);

#endif

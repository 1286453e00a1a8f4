/*
 * What a payload on …/set asks for: the value that a metric is to have.  Any bytes may come.  Pure; any thread.
 */
#ifndef SHIP_WANTED_H
#define SHIP_WANTED_H

#include "model/plan.h"

#include <stdbool.h>
#include <stddef.h>

#define WANTED_MAX      64 /* bytes of a payload */
#define WANTED_WHY_SIZE 160

/*
 * Reads the payload by the `write` of the metric: true, false, on, off, 1, 0 for coils and bool; a word of an enum;
 * else a decimal number within the limits and on a step.  White space around it is no matter. 0 and *ret_value, which
 * encode_metric takes but for the range of the registers; else -EINVAL or -ERANGE and in ret_why what is wrong with it,
 * in ASCII and without a byte of the payload.
 */
int wanted_parse(const struct plan_metric *metric, const void *payload, size_t n, struct bf_value *ret_value,
	char ret_why[static WANTED_WHY_SIZE]);

/* Is a number of steps a whole one, but for what decimal fractions are off in binary? */
bool wanted_is_whole(double steps);

#endif

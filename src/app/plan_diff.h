/*
 * What of a plan is another one than before, when the map is read again: by value, wherever the two plans lie.
 *
 * What a wire's thread and the messages of its readings depend on makes its bus another one; the name of a device for
 * people, what may be written and the order of the buses do not.  tests/structure/plan_diff.sh sees to it that no field
 * of a plan's structs is forgotten here.
 *
 * Pure; any thread.
 */
#ifndef APP_PLAN_DIFF_H
#define APP_PLAN_DIFF_H

#include "model/plan.h"

#include <stdbool.h>
#include <stddef.h>

/* True when metric i of the one and j of the other differ, likewise devices (with all their metrics) and buses (with
 * all their devices, in their order). */
bool plan_diff_metric(const struct plan *a, size_t i, const struct plan *b, size_t j);
bool plan_diff_device(const struct plan *a, size_t i, const struct plan *b, size_t j);
bool plan_diff_bus(const struct plan *a, size_t i, const struct plan *b, size_t j);

/* True when every reading looks another way or goes to another place (also one more, or is now noted for a page): no
 * bus can go on. */
bool plan_diff_readings(const struct plan *a, const struct plan *b);

/* True when the connection to the broker must be another one: broker, who we are, and whether QoS 2 is spoken. */
bool plan_diff_connection(const struct plan *a, const struct plan *b);

/* True when Sparkplug is another one: switched on or off, or who the gateway is in it. */
bool plan_diff_sparkplug(const struct plan *a, const struct plan *b);

/* True when what is told of the gateway and its devices differs (info), which topics there are, or what may be written.
 */
bool plan_diff_info(const struct plan *a, const struct plan *b);

/* True when the page for browsers is another one, or shows another count of warnings. */
bool plan_diff_page(const struct plan *a, const struct plan *b);

/* The keys of `buffer` that differ. */
enum plan_diff_buffer {
	BUFFER_PATH = 1,
	BUFFER_MAX_SIZE = 2,
	BUFFER_MAX_AGE = 4,
	BUFFER_SYNC = 8,
	BUFFER_REPLAY = 16,
	BUFFER_WHEN_FULL = 32,
	BUFFER_ORDER = 64,
};
unsigned plan_diff_buffer(const struct plan_buffer *a, const struct plan_buffer *b);

#endif

/*
 * A payload that was written while the clock was not set gets its time once it is known.
 *
 * Pure; any thread.
 */
#ifndef SHIP_PAYLOAD_DATE_H
#define SHIP_PAYLOAD_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A payload may become longer by that much. */
#define PAYLOAD_DATE_GROWS 16

/*
 * Puts the time into the payload of a reading as payload.h writes it, and takes its mark away: json `"time"` and
 * `,"clock":"unset"`, with `line` the time at its end; a plain one has none.  What is not marked, or not of that shape,
 * stays as it is.  size: of its memory, at least PAYLOAD_DATE_GROWS more than n.  Returns its length.
 */
size_t payload_date(char *payload, size_t n, size_t size, bool json, bool line, int64_t time_ms);

#endif

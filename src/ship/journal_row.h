/*
 * A row of the journal and its columns.  The rule of validity: a row counts only if its CRC-32 fits all of the others.
 * Pure; any thread.
 */
#ifndef SHIP_JOURNAL_ROW_H
#define SHIP_JOURNAL_ROW_H

#include "ship/journal.h"

struct journal_columns {
	int64_t id; /* the sequence */
	/* Wall time of the reading, ms.  With `unset`: its monotonic instant, ms, in bits 0-39, the low 23 bits of the
	 * boot from bit 40. */
	int64_t ts;
	/* QoS in bits 0-1, retain 4, json 8, again 16, latest 32, unset 64, influx 128; the other 24 bits of the boot
	 * from bit 8; the expiry in seconds from bit 32. */
	int64_t flags;
	const char *topic;
	size_t topic_n;
	const void *body; /* never NULL when packed */
	size_t body_n;
	int64_t crc; /* over id, ts and flags as the machine has them, then topic and body */
};

void journal_row_pack(const struct journal_row *row, struct journal_columns *ret_columns);

/* False when the columns are not what was once packed. */
bool journal_row_unpack(const struct journal_columns *columns, struct journal_row *ret_row);

#endif

/*
 * A real wire for a search: the line of a bus, opened anew with each setting.  One thread.
 */
#ifndef FIELD_SCAN_LINE_H
#define FIELD_SCAN_LINE_H

#include "field/scan.h"

struct scan_line {
	struct scan_wire wire;
	struct plan_bus bus; /* with the settings that were opened last */
	struct line *line;   /* NULL = closed */
	struct line_watch watch;
	uint64_t n_strangers; /* late answers and frames of others */
	const struct clock *clock;
};

/* Opens nothing yet. */
void scan_line_init(struct scan_line *line, const struct plan_bus *bus, const struct clock *clock);

#endif

/*
 * What people are told when the map is read again, in the log.  Main thread.
 */
#ifndef APP_RELOAD_REPORT_H
#define APP_RELOAD_REPORT_H

#include "app/faults.h"
#include "app/generation.h"

#include <stdbool.h>

/* One line: what came of it. */
struct reload_report {
	char text[600];
};

/* Faults and warnings as `check` prints them; with faults, that everything stays as it is. */
void reload_report_faults(struct faults *faults);

/* A warning for each key of `buffer` (enum plan_diff_buffer) that only a restart brings into force. */
void reload_report_buffer(unsigned keys);

/* What next makes of present; buses of next that go on have their homes, the others are at home in next.  connects: the
 * connection to the broker is made anew. */
struct reload_report reload_report_of(const struct generation *present, const struct generation *next, bool connects);

/* Logs it. */
void reload_report_tell(const struct reload_report *report);

#endif

/*
 * The parts of `busferry ha`.  One thread.
 */
#ifndef CLI_HA_H
#define CLI_HA_H

#include "model/plan.h"

#include <stdbool.h>

/*
 * Clears at the broker every discovery message of this gateway, and of no one else, below plan->homeassistant.prefix,
 * and prints the topics; without `yes` they are only printed.  The exit code: 0; 64 when there would be something to
 * clear, 69 the broker is not there, 77 it does not let us, 130 interrupted.
 */
int ha_remove(const struct plan *plan, bool yes, bool as_json);

#endif

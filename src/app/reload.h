/*
 * Reading the map again while the gateway runs (contract, section 4, SIGHUP): with faults nothing is touched; without,
 * only what changed restarts.
 *
 *   IDLE ──asked, the map is sound and another one──► LEAVING ──wires closed──► TELLING ──► IDLE
 *
 * LEAVING: the wires of buses that are gone or changed are closed by their threads; all others go on.  Then the new
 * buses start.  TELLING: the publisher's thread takes what stands now, or, if the broker is another one, ends and is
 * replaced.
 *
 * Main thread, in steps that never wait.
 */
#ifndef APP_RELOAD_H
#define APP_RELOAD_H

#include "app/gateway.h"
#include "base/clock.h"

#include <stdbool.h>

struct reload;

/* The gateway outlives it; file: the map.  0 and *ret_reload, or -ENOMEM. */
int reload_init(struct gateway *gateway, const char *file, struct reload **ret_reload);

/* NULL is fine.  After gateway_stop when it is not idle. */
void reload_destroy(struct reload *reload);

/* The map is to be read again; while that is under way, once more afterwards. */
void reload_ask(struct reload *reload);

/* Does what can be done now.  Returns when it wants to be called again, CLOCK_NEVER when it is idle. */
int64_t reload_step(struct reload *reload, int64_t now_us);

/* Has it begun something that is not over?  For systemd. */
bool reload_busy(const struct reload *reload);

#endif

/*
 * Is the gateway well?  Tells systemd (ready, watchdog, one line of status) and the broker (stats, every minute).
 * Main thread.
 */
#ifndef APP_HEALTH_H
#define APP_HEALTH_H

#include "app/clock_watch.h"
#include "app/gateway.h"

struct health {
	struct gateway *gateway;
	int64_t watchdog_us; /* how often systemd wants to hear of us; 0 = never */
	int64_t fed_at, status_at, stats_at;
	char status[200];
	bool ready, reloading;
	struct clock_watch clock;
	struct complaint hang;
};

void health_init(struct health *health, struct gateway *gateway, int64_t now_us);

/* Does what is due.  Returns when it wants to be called again. */
int64_t health_step(struct health *health, int64_t now_us);

/* Tells systemd that the map is being read again, and that this is over (sd_notify(3)). */
void health_reloading(struct health *health, int64_t now_us);
void health_reloaded(struct health *health, int64_t now_us);

/* Tells systemd that we are on our way out. */
void health_stopping(void);

#endif

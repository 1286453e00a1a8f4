/*
 * Plays all devices of a plan until it is told to stop: the work of `busferry simulate`.
 */
#ifndef SIM_SIMULATE_H
#define SIM_SIMULATE_H

#include "base/clock.h"
#include "sim/station.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct simulate_options {
	/*
	 * Where serial buses are linked as FOLDER/NAME-OF-BUS; it must exist.  NULL: each at the
	 * very path of its `port`, so that the same map runs against the simulation, or, where that
	 * is a real port or can't be made, in a folder of our own in TMPDIR.
	 */
	const char *folder;
	bool shift_ports;    /* TCP buses listen on free ports whatever the map says */
	bool json;           /* one JSON object a line instead of text */
	int64_t duration_us; /* 0 = until told to stop */
	int stop_fd;         /* stops when it becomes readable; -1 = none */
	struct station_options station;
	const struct clock *clock;
	FILE *out; /* where the lines go that say what is where */
};

/*
 * Prints a line for each bus and "ready", then serves.  A serial bus is played on a pty, one behind
 *a device server and one of Modbus TCP on 127.0.0.1: at the map's own port if its host is this
 * machine, else at a free one.
 *
 *	rs485: /tmp/x/rs485 (pty, 3 devices)
 *	plc: 127.0.0.1:15020 (tcp, 1 device)
 *	ready
 *
 * 0 when it was told to stop or its time was over; -EADDRINUSE, -EEXIST, -EACCES or another -errno
 * when a bus can't be put where it belongs, which has been logged.  All links are removed again.
 */
int simulate_run(const struct plan *plan, const struct simulate_options *options);

#endif

/*
 * Stations on their wires, all served by one loop: a pty for a serial bus, a listening socket for a
 * TCP one.
 *
 *	station_set_init
 *	station_set_pty / station_set_listen, one for each bus
 *	for ever: poll station_set_fd until what station_set_step has returned, then step again
 *	station_set_destroy
 *
 * One owner thread; nothing here blocks.
 */
#ifndef SIM_STATION_SET_H
#define SIM_STATION_SET_H

#include "sim/station.h"

struct station_set;

/* 0 and *ret_set, or -errno. */
int station_set_init(struct station_set **ret_set);

/* Becomes readable when a step is due because of bytes or connections. */
int station_set_fd(const struct station_set *set);

/*
 * Puts a bus on a pty that is linked at `link`.  0; -EEXIST when something else is there; -errno.
 * The plan must outlive the set, here and below.
 */
int station_set_pty(struct station_set *set, const struct plan *plan, const struct plan_bus *bus,
	const struct station_options *options, const char *link);

/* Puts a bus on 127.0.0.1 and a TCP port (0 = a free one).  The port, or -errno. */
int station_set_listen(struct station_set *set, const struct plan *plan, const struct plan_bus *bus,
	const struct station_options *options, uint16_t port);

/* Puts a bus on a connected, non-blocking socket, which the set takes over even when it fails.  0;
 * -errno. */
int station_set_adopt(struct station_set *set, const struct plan *plan, const struct plan_bus *bus,
	const struct station_options *options, int fd);

/* Takes what has come, sends what is due.  Returns the instant of the next step even if nothing
 * comes; CLOCK_NEVER when there is none. */
int64_t station_set_step(struct station_set *set, int64_t now_us);

/* Logs for each bus how many requests its strict devices did not hear because they came too early. */
void station_set_tell_hasty(const struct station_set *set);

/* Closes all, removes the links.  NULL is fine. */
void station_set_destroy(struct station_set *set);

#endif

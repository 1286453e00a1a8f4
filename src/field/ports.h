/*
 * The serial ports of this machine, from /sys, /dev and /proc: which there are, what they are plugged into, who has
 * them, and what stands in their way.  Opens none of them.  Any thread; blocks for milliseconds.
 */
#ifndef FIELD_PORTS_H
#define FIELD_PORTS_H

#include "field/port_holder.h"

#include <stdbool.h>
#include <stddef.h>

#define PORTS_TEXT 128
#define PORTS_PATH 256

/* Where the machine is looked at; tests build their own. */
struct ports_roots {
	const char *sys, *dev, *proc;
};

struct port_info {
	char name[32];          /* ttyUSB0 */
	char path[PORTS_PATH];  /* /dev/ttyUSB0 */
	char by_id[PORTS_PATH]; /* links to it; "" = none */
	char by_path[PORTS_PATH];
	char driver[PORTS_TEXT];    /* "" = unknown, as all below */
	char vendor[8], product[8]; /* USB ids, four hex digits */
	char maker[PORTS_TEXT], model[PORTS_TEXT], serial[PORTS_TEXT];
	char group[32]; /* that may open it, as the file's mode says */
	int latency_ms; /* the driver's timer; -1 = it has none */
	bool allowed;   /* we may open it */
	bool console;   /* the kernel's */
	bool on_header; /* what a Raspberry Pi calls serial0 */
	bool held;
	struct port_holder holder;
};

/* An adapter that is plugged in and has no port. */
struct port_orphan {
	char vendor[8], product[8];
	char maker[PORTS_TEXT], model[PORTS_TEXT];
};

struct ports {
	struct port_info *ports; /* by name, ttyUSB2 before ttyUSB10 */
	size_t n_ports;
	struct port_orphan *orphans;
	size_t n_orphans;
	bool brltty, modem_manager; /* run */
	char model[PORTS_TEXT];     /* of the board, where a device tree tells it */
};

extern const struct ports_roots ports_here;

/* 0 and *ret_ports, to be freed with ports_destroy; -ENOMEM. */
int ports_find(const struct ports_roots *roots, struct ports *ret_ports);
void ports_destroy(struct ports *ports);

/* How long the driver of a port collects bytes before it hands them over, in ms; -ENOENT when it does not say. */
int ports_latency_ms(const char *sys, const char *name);

#define PORTS_HINTS     8
#define PORTS_HINT_SIZE 400

/* What stands in the way of using a port, each with what helps.  Returns how many. */
size_t ports_hints(
	const struct ports *ports, const struct port_info *port, char hints[static PORTS_HINTS][PORTS_HINT_SIZE]);

/* Why an adapter may have no port. */
void ports_orphan_hint(const struct ports *ports, const struct port_orphan *orphan, char hint[static PORTS_HINT_SIZE]);

#endif

/*
 * Buses: those of the map's group, and those that devices bring with a port of their own.  See compile.h.
 *
 * A port has one owner.  So buses are told apart by what they open, a serial port by the file that its path leads to
 * (a by-id link and /dev/ttyUSB0 may be the same), and devices that bring the same port share one bus.
 *
 * Invariant: bus_facts[i] belongs to buses[i]; the first n_named are those of the group `buses`.
 */
#include "app/compile.h"
#include "model/line_text.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BY_ID         "/dev/serial/by-id"
#define MODBUS_PORT   502
#define DEVICE_SERVER "tcp://"

struct compile_bus {
	const struct tree *at;          /* the group that tells of it */
	const struct bf_driver *driver; /* that is named there; NULL = none */
	const struct tree *way_by;      /* the first device, by which the way of the bus goes; NULL = none yet */
	bool named;
	bool line_given;
	const struct profile *line_by; /* the first profile on it that has a line */
	bool disagree;                 /* another one has another */
	int64_t gap_us;                /* the longest silence that a profile on it asks for */
};

const char *compile_by_id(const char *folder, const char *port, struct arena *arena)
{
	char target[PATH_MAX], other[PATH_MAX];
	DIR *links = realpath(port, target) ? opendir(folder) : NULL;
	const char *found = NULL;
	struct dirent *entry;
	while (links && (entry = readdir(links)) != NULL) {
		const char *link = arena_format(arena, "%s/%s", folder, entry->d_name);
		if (entry->d_name[0] != '.' && realpath(link, other) && strcmp(target, other) == 0 &&
			(!found || strcmp(link, found) < 0))
			found = link;
	}
	if (links)
		closedir(links);
	return found;
}

static void check_port(struct compile *compile, const struct tree *at, const char *port)
{
	struct stat status;
	if (stat(port, &status) < 0) {
		compile_warning(compile, at, "port", NULL, "the port \"%s\" is not there", port);
		return;
	}
	const char *link = strncmp(port, "/dev/tty", 8) == 0 ? compile_by_id(BY_ID, port, &compile->scratch) : NULL;
	if (link)
		compile_warning(compile, at, "port", arena_format(&compile->scratch, "write \"%s\"", link),
			"\"%s\" may be another adapter after the next start", port);
}

/* What is opened, as a text that is the same for the same port. */
static const char *identity(struct compile *compile, const struct plan_bus *bus)
{
	char path[PATH_MAX];
	if (bus->wire == WIRE_SERIAL)
		return arena_text(&compile->scratch, realpath(bus->port, path) ? path : bus->port);
	return arena_format(&compile->scratch, "tcp://%s:%u", bus->host, (unsigned)bus->tcp_port);
}

/* Its wire, from port or tcp.  False when there is none, which was told. */
static bool wire(struct compile *compile, const struct tree *at, const struct map_bus *map, struct plan_bus *bus)
{
	const char *wrong = NULL, *hint = NULL, *key = map->tcp ? "tcp" : "port";
	if (map->port && map->tcp) {
		compile_fault(compile, at, "tcp", NULL, "\"tcp\" is given beside \"port\": a bus has one of them");
		return false;
	}
	if (!map->port && !map->tcp) {
		/* a fault in the value has been told */
		if (!tree_get(at, "port") && !tree_get(at, "tcp"))
			compile_fault(compile, at, NULL, "write port: \"/dev/…\" or tcp: \"host:502\"",
				"the bus \"%s\" has neither port nor tcp", at->name);
		return false;
	}
	if (map->tcp) {
		bus->wire = WIRE_TCP;
		wrong = compile_host_port(map->tcp, MODBUS_PORT, compile->keep, &bus->host, &bus->tcp_port);
	} else if (strncmp(map->port, DEVICE_SERVER, strlen(DEVICE_SERVER)) == 0) {
		bus->wire = WIRE_SERIAL_TCP;
		wrong = compile_host_port(
			map->port + strlen(DEVICE_SERVER), 0, compile->keep, &bus->host, &bus->tcp_port);
	} else {
		bus->wire = WIRE_SERIAL;
		bus->port = arena_text(compile->keep, map->port);
		if (map->port[0] != '/')
			wrong = "is neither a path nor tcp://host:port";
		if (strncmp(map->port, "tty", 3) == 0)
			hint = arena_format(&compile->scratch, "write \"/dev/%s\"", map->port);
	}
	if (wrong) {
		compile_fault(compile, at, key, hint, "\"%s\": \"%s\" %s", key, map->tcp ? map->tcp : map->port, wrong);
		return false;
	}
	return true;
}

static size_t add(struct compile *compile, const struct tree *at, const char *name, const struct map_bus *map,
	struct plan_bus *bus)
{
	bus->name = arena_text(compile->keep, name);
	bus->timeout_us = map->timeout_us;
	bus->gap_us = map->gap_us == BF_UNSET ? PLAN_ADAPTIVE : map->gap_us;
	bus->retries = (unsigned)map->retries;
	bus->rs485 = (enum plan_rs485)map->rs485;
	size_t n = compile->plan->n_buses;
	compile->buses = compile_grow(compile->buses, n, &compile->buses_size, sizeof(*bus));
	compile->bus_facts = compile_grow(compile->bus_facts, n, &compile->bus_facts_size, sizeof(*compile->bus_facts));
	compile->buses[n] = *bus;
	compile->bus_facts[n] = (struct compile_bus){.at = at, .line_given = tree_get(at, "line") != NULL};
	return compile->plan->n_buses++;
}

const struct tree *compile_bus_at(const struct compile *compile, uint32_t index)
{
	return compile->bus_facts[index].at;
}

static void line_of(struct compile *compile, const struct tree *at, const char *text, struct plan_bus *bus)
{
	if (line_text_parse(text, &bus->line) < 0) {
		compile_fault(compile, at, "line",
			"write speed, data bits, parity (N, E or O) and stop bits: \"9600 8N1\"", "\"%s\" is no line",
			text);
		bus->line = (struct plan_line){9600, 8, 'N', 1};
	}
}

static void has_no_effect(struct compile *compile, const struct tree *at, const struct plan_bus *bus)
{
	static const char *const serial[] = {"line", "rs485", "gap"};
	for (size_t i = 0; bus->wire == WIRE_TCP && i < 3; i++)
		if (tree_get(at, serial[i]))
			compile_warning(compile, at, serial[i], NULL, "\"%s\" has no effect on Modbus TCP", serial[i]);
}

static void named_bus(struct compile *compile, const struct tree *at)
{
	char what[128];
	snprintf(what, sizeof(what), "bus \"%.100s\"", at->name);
	struct map_bus map;
	struct schema_part part = {schema_bus, &map};
	schema_read(what, at, &part, 1, &compile->scratch, compile->faults);
	struct plan_bus bus = {0};
	const struct bf_driver *driver = map.driver ? compile_driver_named(compile, at, map.driver) : NULL;
	line_of(compile, at, map.line, &bus);
	bool sound = wire(compile, at, &map, &bus);
	size_t index = add(compile, at, at->name, &map, &bus), other;
	compile->bus_facts[index].named = true;
	compile->bus_facts[index].driver = driver;
	if (!sound)
		return;
	has_no_effect(compile, at, &bus);
	const char *port = identity(compile, &bus);
	if (!names_put(&compile->names, SCOPE_PORTS, port, strlen(port), index, &other)) {
		const struct tree *first = compile->bus_facts[other].at;
		compile_fault(compile, at, map.tcp ? "tcp" : "port",
			arena_format(&compile->scratch, "also the port of bus \"%s\" at %s:%u:%u", first->name,
				first->key.file, first->key.line, first->key.column),
			"two buses on one port");
	} else if (bus.wire == WIRE_SERIAL) {
		check_port(compile, at, bus.port);
	}
}

void compile_buses(struct compile *compile, const struct tree *buses)
{
	for (const struct tree *at = buses ? buses->first : NULL; at; at = at->next) {
		if (at->type == TREE_GROUP)
			named_bus(compile, at);
		else
			faults_add(compile->faults, FAULT_ERROR, &at->at, "write NAME: { port: \"/dev/…\" }",
				"the bus \"%s\" is %s, it must be a group", at->name, tree_what(at));
	}
	compile->n_named = compile->plan->n_buses;
}

static bool same_line(const struct plan_line *a, const struct plan_line *b)
{
	return a->baud == b->baud && a->data_bits == b->data_bits && a->parity == b->parity &&
	       a->stop_bits == b->stop_bits;
}

/* The bus that a device brings with its port, line and driver; the same one for the same port. */
static int own_bus(struct compile *compile, const struct tree *device, const struct map_device *own)
{
	struct map_bus map;
	struct schema_part part = {schema_bus, &map};
	schema_read("bus", NULL, &part, 1, &compile->scratch, compile->faults);
	map.port = own->port;
	map.tcp = own->tcp;
	struct plan_bus bus = {0};
	const struct bf_driver *driver = own->driver ? compile_driver_named(compile, device, own->driver) : NULL;
	line_of(compile, device, own->line ? own->line : map.line, &bus);
	if (!wire(compile, device, &map, &bus))
		return -1;
	has_no_effect(compile, device, &bus);
	const char *port = identity(compile, &bus), *key = map.tcp ? "tcp" : "port";
	size_t index = compile->plan->n_buses, other;
	if (names_put(&compile->names, SCOPE_PORTS, port, strlen(port), index, &other)) {
		if (bus.wire == WIRE_SERIAL)
			check_port(compile, device, bus.port);
		const char *slash = bus.port ? strrchr(bus.port, '/') : NULL;
		bool usual = bus.wire == WIRE_TCP && bus.tcp_port == MODBUS_PORT;
		const char *name = slash   ? slash + 1
				   : usual ? bus.host
					   : arena_format(&compile->scratch, "%s:%u", bus.host, (unsigned)bus.tcp_port);
		index = add(compile, device, name, &map, &bus);
		compile->bus_facts[index].driver = driver;
		return (int)index;
	}
	const struct plan_bus *there = &compile->buses[other];
	const struct compile_bus *facts = &compile->bus_facts[other];
	if (facts->named) {
		compile_fault(compile, device, key, arena_format(&compile->scratch, "write bus: \"%s\"", there->name),
			"this is the port of bus \"%s\"", there->name);
		return -1;
	}
	if (!same_line(&there->line, &bus.line) || facts->driver != driver || there->wire != bus.wire)
		compile_fault(compile, device, own->line ? "line" : key,
			arena_format(&compile->scratch, "set otherwise at %s:%u:%u", facts->at->key.file,
				facts->at->key.line, facts->at->key.column),
			"one port with two lines or drivers");
	return (int)other;
}

const struct bf_driver *compile_bus_driver(const struct compile *compile, int bus)
{
	return bus < 0 ? NULL : compile->bus_facts[bus].driver;
}

void compile_bus_way(struct compile *compile, int index, const struct tree *device, const struct bf_driver *driver)
{
	struct plan_bus *bus = index < 0 ? NULL : &compile->buses[index];
	struct compile_bus *facts = index < 0 ? NULL : &compile->bus_facts[index];
	if (!bus)
		return;
	if (driver->way == BF_WAY_STREAM && bus->wire == WIRE_TCP)
		compile_fault(compile, device, NULL, "a serial device server is port: \"tcp://host:port\"",
			"the driver \"%s\" needs a serial port, the bus \"%s\" is Modbus TCP", driver->name, bus->name);
	else if (facts->way_by && bus->way != driver->way)
		compile_fault(compile, device, NULL,
			arena_format(&compile->scratch, "\"%s\" at %s:%u:%u is of the other kind", facts->way_by->name,
				facts->way_by->key.file, facts->way_by->key.line, facts->way_by->key.column),
			"devices that are asked for registers and others can't share the bus \"%s\"", bus->name);
	if (!facts->way_by) {
		facts->way_by = device;
		bus->way = driver->way;
	}
}

void compile_bus_profile(struct compile *compile, uint32_t bus, const struct profile *profile)
{
	struct compile_bus *facts = &compile->bus_facts[bus];
	struct plan_line line, first;
	if (profile->gap_us > facts->gap_us)
		facts->gap_us = profile->gap_us;
	if (!profile->line || facts->line_given)
		return;
	if (!facts->line_by)
		facts->line_by = profile;
	else if (line_text_parse(profile->line, &line) == 0 && line_text_parse(facts->line_by->line, &first) == 0 &&
		 !same_line(&line, &first))
		facts->disagree = true;
}

void compile_bus_settle(struct compile *compile)
{
	for (size_t i = 0; i < compile->plan->n_buses; i++) {
		struct compile_bus *facts = &compile->bus_facts[i];
		struct plan_bus *bus = &compile->buses[i];
		if (bus->wire == WIRE_TCP)
			continue;
		if (facts->disagree)
			compile_warning(compile, facts->at, NULL, "write line: \"…\" as the devices are set",
				"the profiles on bus \"%s\" come with different lines: it is taken as 9600 8N1",
				bus->name);
		else if (facts->line_by)
			line_text_parse(facts->line_by->line, &bus->line);
		if (!tree_get(facts->at, "gap") && facts->gap_us > plan_bus_gap_us(bus))
			bus->gap_us = facts->gap_us;
	}
}

static int bus_by_name(struct compile *compile, const struct tree *device, const char *name)
{
	size_t n = compile->n_named;
	for (size_t i = 0; i < n; i++)
		if (strcmp(compile->buses[i].name, name) == 0)
			return (int)i;
	const char **names = arena_array(&compile->scratch, n + 1, sizeof(*names));
	for (size_t i = 0; i < n; i++)
		names[i] = compile->buses[i].name;
	const char *near = faults_did_you_mean(name, names);
	const char *hint = near     ? arena_format(&compile->scratch, "did you mean \"%s\"?", near)
			   : n == 1 ? arena_format(&compile->scratch, "the only bus is \"%s\"", names[0])
			   : n == 0 ? "the map has no buses"
				    : NULL;
	compile_fault(compile, device, "bus", hint, "unknown bus \"%s\"", name);
	return -1;
}

int compile_bus_of(struct compile *compile, const struct tree *device, const char *name)
{
	/* Read before the device itself, since its driver's keys depend on it; wrong types are told there. */
	static const char *const keys[] = {"bus", "port", "tcp", "line", "driver"};
	const char *text[5] = {0};
	bool given[5] = {0};
	for (size_t i = 0; i < 5; i++) {
		const struct tree *setting = tree_get(device, keys[i]);
		given[i] = setting != NULL;
		text[i] = setting && setting->type == TREE_TEXT ? setting->text : NULL;
	}
	if (text[0] && (given[1] || given[2])) {
		compile_fault(compile, device, given[1] ? "port" : "tcp", NULL,
			"\"%s\" is given beside \"bus\": a device is on one bus", keys[given[1] ? 1 : 2]);
		return -1;
	}
	if (text[1] || text[2]) {
		struct map_device own = {.port = text[1], .tcp = text[2], .line = text[3], .driver = text[4]};
		return own_bus(compile, device, &own);
	}
	if (given[1] || given[2])
		return -1;
	for (size_t i = 3; i < 5; i++)
		if (given[i])
			compile_fault(compile, device, keys[i], "write it at the bus",
				"\"%s\" belongs to a bus, or to a device with a port of its own", keys[i]);
	if (given[0])
		return text[0] ? bus_by_name(compile, device, text[0]) : -1;
	if (compile->n_named == 1)
		return 0;
	if (compile->n_named == 0)
		compile_fault(compile, device, NULL, "write buses: { … }, or give the device a port or tcp of its own",
			"the device \"%s\" has no bus", name);
	else
		compile_fault(compile, device, NULL, "write bus: \"…\"",
			"the device \"%s\" does not say on which of %zu buses it is", name, compile->n_named);
	return -1;
}

void compile_bus_lists(struct compile *compile)
{
	struct plan *plan = compile->plan;
	uint32_t *lists = arena_array(compile->keep, plan->n_devices ? plan->n_devices : 1, sizeof(*lists));
	for (size_t i = 0; i < plan->n_devices; i++)
		plan->buses[plan->devices[i].bus].n_devices++;
	for (size_t i = 0; i < plan->n_buses; i++) {
		plan->buses[i].devices = lists;
		lists += plan->buses[i].n_devices;
		plan->buses[i].n_devices = 0;
	}
	for (uint32_t i = 0; i < plan->n_devices; i++) {
		struct plan_bus *bus = &plan->buses[plan->devices[i].bus];
		((uint32_t *)bus->devices)[bus->n_devices++] = i;
	}
}

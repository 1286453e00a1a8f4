/*
 * Wires named on the command line.
 */
#include "cli/wire.h"
#include "cli/cli.h"
#include "field/port_failure.h"
#include "model/line_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define MODBUS_PORT 502

int wire_parse(const char *command, const char *text, const char *line_text, bool rtu, struct wire_named *ret_wire)
{
	struct plan_bus *bus = &ret_wire->bus;
	*bus = (struct plan_bus){.name = text, .gap_us = PLAN_ADAPTIVE, .line = {9600, 8, 'N', 1}};
	if (line_text && line_text_parse(line_text, &bus->line) < 0)
		return cli_usage_error(command, "--line is like \"9600 8N1\", not \"%s\"", line_text);
	if (strncmp(text, "tcp://", 6) == 0) {
		bus->wire = rtu ? WIRE_SERIAL_TCP : WIRE_TCP;
		bus->host = ret_wire->host;
		if (host_text_parse(text + 6, rtu ? 0 : MODBUS_PORT, ret_wire->host, sizeof(ret_wire->host),
			    &bus->tcp_port) < 0 ||
			bus->tcp_port == 0)
			return cli_usage_error(command, "\"%s\" is no tcp://HOST%s", text,
				rtu ? ":PORT of a device server" : "[:PORT]");
		return -1;
	}
	if (rtu)
		return cli_usage_error(command, "--rtu is for tcp://HOST:PORT; a serial port speaks nothing else");
	bus->wire = WIRE_SERIAL;
	bus->port = text;
	return -1;
}

int wire_failed(const struct plan_bus *bus, int failure)
{
	char why[PORT_FAILURE_SIZE];
	fprintf(stderr, "busferry: error: %s: %s\n", bus->name,
		failure == -ENOENT && bus->port ? "no such port" : port_failure_text(bus->port, failure, why));
	switch (failure) {
	case -EACCES:
	case -EPERM:
		return EX_NOPERM;
	case -EBUSY:
		return EX_TEMPFAIL;
	case -ENOENT:
		return EX_NOINPUT;
	default:
		return EX_UNAVAILABLE;
	}
}

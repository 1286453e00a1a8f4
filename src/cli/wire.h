/*
 * The PORT of commands that need no map: a serial port, a Modbus TCP host, a serial device server.
 */
#ifndef CLI_WIRE_H
#define CLI_WIRE_H

#include "cli/cli.h"
#include "model/plan.h"

struct wire_named {
	struct plan_bus bus;
	char host[256];
};

/*
 * "/dev/ttyUSB0", "tcp://HOST[:PORT]"; with `rtu` the host speaks RTU over TCP and needs a port.  line_text may be
 * NULL. -1: go on; else the exit code, and the user was told.
 */
int wire_parse(const char *command, const char *text, const char *line_text, bool rtu, struct wire_named *ret_wire);

/* The rows of options for wire_parse; `of_` begins the help of --rtu. */
#define WIRE_OPTION_LINE(into_, help_)                                                                                 \
	{                                                                                                              \
		.name = "line", .argument = "\"9600 8N1\"", .kind = CLI_TEXT, .into = (into_), .help = (help_)         \
	}
#define WIRE_OPTION_RTU(into_, of_)                                                                                    \
	{                                                                                                              \
		.name = "rtu", .kind = CLI_FLAG, .into = (into_),                                                      \
		.help = of_ "tcp:// is a serial device server, which passes RTU frames on"                             \
	}

/* Tells why the wire can't be used; returns the exit code. */
int wire_failed(const struct plan_bus *bus, int failure);

#endif

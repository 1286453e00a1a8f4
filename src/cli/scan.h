/*
 * The parts of `busferry scan`: its operands, and what it tells of the devices that it finds.  One thread.
 */
#ifndef CLI_SCAN_H
#define CLI_SCAN_H

#include "app/fingerprint.h"
#include "cli/wire.h"
#include "field/convert.h"
#include "field/scan.h"

#include <stdio.h>

#define SCAN_LINES_MAX 32

/* "1-20,42": each once, in this order.  0; -EINVAL; -ERANGE for one that does not exist. */
int scan_parse_units(const char *text, bool tcp, uint8_t units[static 256], size_t *ret_n);

/* "9600 8N1,19200 8E1".  0; -EINVAL, -ERANGE. */
int scan_parse_lines(const char *text, struct plan_line lines[static SCAN_LINES_MAX], size_t *ret_n);

struct scan_probe {
	bool answered, fits;
	double value; /* NaN = none */
};

struct scan_device {
	struct scan_found found;
	struct scan_probe *probes; /* one a fingerprint */
};

struct scan_report {
	const struct plan_bus *bus;
	struct bf_place ask; /* what every address is asked for */
	bool json;
	struct fingerprints prints;
	struct scan_device *devices;
	size_t n_devices;
};

/* One more device; valid until the next one.  NULL when there is no memory. */
struct scan_device *scan_report_add(struct scan_report *report, const struct scan_found *found);

/* Prints a device with what its probes say. */
void scan_report_device(const struct scan_report *report, const struct scan_device *device);

/* Prints the lines for the map, unless there is nothing. */
void scan_report_paste(const struct scan_report *report, FILE *to);

/* What is to be searched, as it stands on the command line of `command`; NULL and 0 = as usual. */
struct scan_wanted {
	const char *command, *port, *lines, *units, *asked;
	int64_t turnaround_us;
	bool rtu, json;
};

/* The rows of its options that `init` has too; `of_` begins the help. */
#define SCAN_OPTION_LINES(wanted_, help_)                                                                              \
	{                                                                                                              \
		.name = "lines", .argument = "\"9600 8N1,...\"", .kind = CLI_TEXT, .into = &(wanted_)->lines,          \
		.help = (help_)                                                                                        \
	}
#define SCAN_OPTION_ADDRESSES(wanted_, of_)                                                                            \
	{                                                                                                              \
		.letter = 'a', .name = "addresses", .argument = "1-20,42", .kind = CLI_TEXT,                           \
		.into = &(wanted_)->units, .help = of_ "unit addresses to ask (all)"                                   \
	}

/* Searches and tells of each device on stdout, or not at all; the lines for the map go to `paste` (NULL: nowhere).  The
 * exit code: 69 nothing was found, 130 interrupted, … */
int scan_wire_for(const struct scan_wanted *wanted, FILE *paste);

void scan_report_destroy(struct scan_report *report);

#endif

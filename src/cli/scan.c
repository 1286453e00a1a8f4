/*
 * `busferry scan`: which devices are on a wire, with which settings, and what they may be.
 *
 * Devices are printed as they are found, so that an interrupted scan has told what it knew; the lines for the map come
 * in the end.  Profiles are suggested by their probes and stand in those lines as comments: what a device is, its type
 * plate tells, not a number that happens to be plausible.
 */
#include "cli/borrow.h"
#include "cli/cli.h"
#include "cli/scan.h"
#include "field/registry.h"
#include "field/scan_line.h"
#include "model/line_text.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define LINES_DEFAULT     "9600 8N1,19200 8E1,19200 8N1,9600 8E1,2400 8N1,4800 8N1,38400 8N1,57600 8N1,115200 8N1"
#define UNITS_DEFAULT     "1-247"
#define UNITS_DEFAULT_TCP "1,255,0,2-254"
#define TURNAROUND_US     100000
#define TURNAROUND_TCP_US 500000
#define ASKED_DEFAULT     "holding:0"
#define PROBE_US          1000000
#define PROGRESS_WIDTH    24

/* A search with what the command adds to it.  The first member, so that the search finds it. */
struct scan_command {
	struct scan scan;
	struct scan_report report;
	struct wire_named wire;
	struct plan_line lines[SCAN_LINES_MAX];
	uint8_t units[256];
	int stop_fd;
	bool progress; /* stderr is a terminal */
};

int scan_parse_units(const char *text, bool tcp, uint8_t units[static 256], size_t *ret_n)
{
	bool seen[256] = {false};
	size_t n = 0;
	for (const char *at = text;;) {
		char *end;
		if (*at < '0' || *at > '9')
			return -EINVAL;
		unsigned long first = strtoul(at, &end, 10), last = first;
		if (*end == '-') {
			at = end + 1;
			if (*at < '0' || *at > '9')
				return -EINVAL;
			last = strtoul(at, &end, 10);
		}
		if (first > last || last > (tcp ? 255 : 247) || (first == 0 && !tcp))
			return -ERANGE;
		for (unsigned long unit = first; unit <= last; unit++) {
			if (!seen[unit])
				units[n++] = (uint8_t)unit;
			seen[unit] = true;
		}
		if (*end == '\0')
			break;
		if (*end != ',')
			return -EINVAL;
		at = end + 1;
	}
	*ret_n = n;
	return 0;
}

int scan_parse_lines(const char *text, struct plan_line lines[static SCAN_LINES_MAX], size_t *ret_n)
{
	size_t n = 0;
	for (;;) {
		char one[LINE_TEXT_SIZE];
		while (*text == ' ')
			text++;
		size_t length = strcspn(text, ",");
		if (n == SCAN_LINES_MAX || length >= sizeof(one))
			return -EINVAL;
		memcpy(one, text, length);
		one[length] = '\0';
		int rc = line_text_parse(one, &lines[n]);
		if (rc < 0)
			return rc;
		n++;
		if (text[length] == '\0')
			break;
		text += length + 1;
	}
	*ret_n = n;
	return 0;
}

static void clear_progress(const struct scan_command *command)
{
	if (command->progress)
		fputs("\r\033[K", stderr);
}

static bool stopped(const struct scan_command *command)
{
	struct pollfd stop = {.fd = command->stop_fd, .events = POLLIN};
	return poll(&stop, 1, 0) == 1;
}

static bool goes_on(struct scan *scan, size_t n_asked, size_t n_all, const struct plan_line *settings, uint8_t unit)
{
	struct scan_command *command = (struct scan_command *)(void *)scan;
	char line[LINE_TEXT_SIZE + 8] = "", bar[PROGRESS_WIDTH + 1];
	if (stopped(command))
		return false;
	if (!command->progress)
		return true;
	size_t full = n_all ? n_asked * PROGRESS_WIDTH / n_all : 0;
	memset(bar, '.', PROGRESS_WIDTH);
	memset(bar, '#', full < PROGRESS_WIDTH ? full : PROGRESS_WIDTH);
	bar[PROGRESS_WIDTH] = '\0';
	if (settings)
		line_text_print(settings, line);
	fprintf(stderr, "\r\033[K[%s] %s%sunit %u, %zu found", bar, line, settings ? ", " : "", unit, scan->n_found);
	fflush(stderr);
	return true;
}

/*
 * Reads a probe into bytes.  After a silence its late answer could pass for that to a probe of the same shape, so none
 * of those is asked of this device any more.
 */
static bool ask_probe(struct scan_wire *wire, uint8_t unit, const struct bf_place *place, uint64_t *silent_shapes,
	uint8_t bytes[static BF_STRING_MAX])
{
	uint64_t shape = UINT64_C(1) << ((unsigned)place->space * 16 + (place->count < 16 ? place->count : 15));
	if (*silent_shapes & shape)
		return false;
	struct line_answer answer = {0};
	const struct line_question question = {.unit = unit, .place = *place};
	wire->rest(wire, 5000);
	int rc = wire->ask(wire, &question, PROBE_US, &answer);
	if (rc == -ETIMEDOUT)
		*silent_shapes |= shape;
	if (rc < 0 || answer.n > BF_STRING_MAX)
		return false;
	memcpy(bytes, answer.bytes, answer.n);
	return true;
}

static bool same_place(const struct bf_place *a, const struct bf_place *b)
{
	return a->space == b->space && a->at == b->at && a->count == b->count;
}

/* Asks for the probes of all profiles, each place once. */
static void take_fingerprints(struct scan_command *command, struct scan_wire *wire, struct scan_device *device)
{
	const struct fingerprints *prints = &command->report.prints;
	uint64_t silent_shapes = 0;
	for (size_t i = 0; i < prints->n_items && !stopped(command); i++) {
		struct bf_place place = convert_place(&prints->items[i].probe);
		bool asked = device->probes[i].answered;
		for (size_t j = 0; j < i && !asked; j++) {
			struct bf_place other = convert_place(&prints->items[j].probe);
			asked = same_place(&place, &other);
		}
		uint8_t bytes[BF_STRING_MAX];
		if (asked || !ask_probe(wire, device->found.unit, &place, &silent_shapes, bytes))
			continue;
		for (size_t j = i; j < prints->n_items; j++) {
			struct bf_place other = convert_place(&prints->items[j].probe);
			if (!same_place(&place, &other))
				continue;
			device->probes[j].answered = true;
			device->probes[j].fits = fingerprint_fits(&prints->items[j], bytes, &device->probes[j].value);
		}
	}
}

static bool found(struct scan *scan, struct scan_wire *wire, const struct scan_found *found)
{
	struct scan_command *command = (struct scan_command *)(void *)scan;
	struct scan_device *device = scan_report_add(&command->report, found);
	if (device)
		take_fingerprints(command, wire, device);
	clear_progress(command);
	if (device)
		scan_report_device(&command->report, device);
	return !stopped(command);
}

static void tell_what_was_odd(const struct scan *scan)
{
	char line[LINE_TEXT_SIZE];
	if (scan->n_damaged && scan->damaged_at) {
		line_text_print(scan->damaged_at, line);
		fprintf(stderr,
			"busferry: something answered, but damaged, the last time at %s: other line settings, two "
			"devices "
			"with one address, or a line without termination?\n",
			line);
	}
	if (scan->n_refused)
		fprintf(stderr,
			"busferry: %zu of the line settings were left out: the port's driver does not do them\n",
			scan->n_refused);
}

/* By the gateway that holds the port: at its settings only. */
static int scan_through(struct scan_command *command, struct borrow_wire *borrowed)
{
	char line[LINE_TEXT_SIZE];
	line_text_print(&borrowed->borrow.line, line);
	fprintf(stderr,
		"busferry: the gateway has %s: it asks, at %s only, and pauses between; its own polls come later "
		"meanwhile\n",
		command->wire.bus.name, line);
	command->lines[0] = borrowed->borrow.line;
	command->scan.n_lines = 1;
	int rc = scan_run(&command->scan, &borrowed->wire);
	borrow_close(&borrowed->borrow);
	return rc;
}

static int scan_and_tell(struct scan_command *command, FILE *paste)
{
	struct scan_line line;
	scan_line_init(&line, &command->wire.bus, &clock_system);
	command->stop_fd = cli_stop_fd();
	command->progress = isatty(STDERR_FILENO) == 1;
	registry_load();
	fingerprints_load(&command->report.prints);
	int rc = scan_run(&command->scan, &line.wire);
	line.wire.close(&line.wire);
	struct borrow_wire borrowed;
	if (rc == -EBUSY && command->wire.bus.wire == WIRE_SERIAL &&
		borrow_wire_open(command->wire.bus.port, &borrowed) == 0)
		rc = scan_through(command, &borrowed);
	clear_progress(command);
	tell_what_was_odd(&command->scan);
	if (paste)
		scan_report_paste(&command->report, paste);
	int code = rc == -EINTR ? EXIT_INTERRUPTED : rc < 0 ? wire_failed(&command->wire.bus, rc) : 0;
	if (rc == 0 && command->report.n_devices == 0) {
		fprintf(stderr, "busferry: error: nothing answers on %s%s\n", command->wire.bus.name,
			command->wire.bus.wire == WIRE_TCP ? "" : " (power, A and B swapped, termination?)");
		code = EX_UNAVAILABLE;
	}
	scan_report_destroy(&command->report);
	close(command->stop_fd);
	return code;
}

/* What is asked of every address, "holding:0". */
static int parse_ask(const char *command, const char *text, struct bf_place *ret_place)
{
	size_t n = strcspn(text, ":");
	enum bf_space space;
	if (plan_space_from_word(text, n, &space) && text[n] == ':' && text[n + 1] >= '0' && text[n + 1] <= '9') {
		char *end;
		unsigned long at = strtoul(text + n + 1, &end, 0);
		if (*end == '\0' && at <= 65535 - 64) {
			*ret_place = (struct bf_place){.space = space, .at = (uint16_t)at, .count = 1};
			return -1;
		}
	}
	return cli_usage_error(command, "--ask is like holding:0, not \"%s\"", text);
}

static int prepare(struct scan_command *command, const struct scan_wanted *wanted)
{
	const char *units = wanted->units, *lines = wanted->lines;
	int rc = wire_parse(wanted->command, wanted->port, NULL, wanted->rtu, &command->wire);
	if (rc >= 0)
		return rc;
	bool serial = command->wire.bus.wire == WIRE_SERIAL, tcp = command->wire.bus.wire == WIRE_TCP;
	if (lines && !serial)
		return cli_usage_error(wanted->command, "--lines is for serial ports");
	if (serial) {
		rc = scan_parse_lines(lines ? lines : LINES_DEFAULT, command->lines, &command->scan.n_lines);
		if (rc < 0)
			return cli_usage_error(wanted->command,
				"--lines is like \"9600 8N1,19200 8E1\", at most %d of them, not \"%s\"",
				SCAN_LINES_MAX, lines);
		command->scan.lines = command->lines;
	}
	rc = scan_parse_units(units ? units
			      : tcp ? UNITS_DEFAULT_TCP
				    : UNITS_DEFAULT,
		tcp, command->units, &command->scan.n_units);
	if (rc < 0)
		return cli_usage_error(wanted->command, "--addresses is like 1-20,42, of %s, not \"%s\"",
			tcp ? "0 to 255" : "1 to 247", units);
	command->scan.units = command->units;
	command->scan.turnaround_us = wanted->turnaround_us ? wanted->turnaround_us
				      : serial              ? TURNAROUND_US
							    : TURNAROUND_TCP_US;
	command->scan.found = found;
	command->scan.goes_on = goes_on;
	command->report.bus = &command->wire.bus;
	command->report.json = wanted->json;
	rc = parse_ask(wanted->command, wanted->asked ? wanted->asked : ASKED_DEFAULT, &command->scan.ask);
	command->report.ask = command->scan.ask;
	return rc;
}

int scan_wire_for(const struct scan_wanted *wanted, FILE *paste)
{
	struct scan_command command = {0};
	int rc = prepare(&command, wanted);
	return rc >= 0 ? rc : scan_and_tell(&command, paste);
}

int cli_scan(int argc, char **argv)
{
	struct scan_wanted wanted = {.command = "scan"};
	const struct cli_option options[] = {
		SCAN_OPTION_LINES(&wanted, "line settings to try, in this order (nine common ones)"),
		SCAN_OPTION_ADDRESSES(&wanted, ""),
		{.name = "ask",
			.argument = "TABLE:ADDRESS",
			.kind = CLI_TEXT,
			.into = &wanted.asked,
			.words = "holding: input: coil: discrete:",
			.help = "what to ask for (holding:0); an exception is an answer too"},
		{.name = "timeout",
			.argument = "TIME",
			.kind = CLI_DURATION,
			.into = &wanted.turnaround_us,
			.help = "how long a device may think (100ms, on TCP 500ms)"},
		WIRE_OPTION_RTU(&wanted.rtu, ""),
		{.name = "json", .kind = CLI_FLAG, .into = &wanted.json, .help = "one JSON object a device"}, {0}};
	int first;
	int rc = cli_parse("scan", argc, argv, options, &first);
	if (rc >= 0)
		return rc;
	if (argc - first != 1)
		return cli_usage_error("scan", "PORT is needed");
	wanted.port = argv[first];
	return scan_wire_for(&wanted, wanted.json ? NULL : stdout);
}

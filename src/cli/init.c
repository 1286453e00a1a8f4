/*
 * `busferry init`: a first map, with comments that say what to write where, and with what a scan has found.
 *
 * The map is written under its name only if there is nothing of that name, then read as `busferry check` reads it; with
 * a fault it is taken away again.
 */
#include "app/config.h"
#include "base/utf8.h"
#include "cli/cli.h"
#include "cli/ports_roots.h"
#include "cli/scan.h"
#include "field/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define TEXT_MAX_BYTES 1000

struct init_command {
	const char *map, *site, *broker;
	bool as_json;
	struct scan_wanted scan;
};

/* A text in the quotes of the map. */
static void print_text(FILE *to, const char *text)
{
	fputc('"', to);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', to);
		fputc(*text, to);
	}
	fputc('"', to);
}

static bool can_be_text(const char *text)
{
	size_t n = strlen(text);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return n > 0 && n <= TEXT_MAX_BYTES && utf8_valid(text, n);
}

/* The ports of this machine as lines that a # has to be taken from. */
static void print_ports(FILE *to)
{
	struct ports ports;
	size_t n = 0;
	if (ports_find(ports_roots(), &ports) < 0)
		return;
	for (size_t i = 0; i < ports.n_ports; i++) {
		const struct port_info *port = &ports.ports[i];
		if (port->console || !port->vendor[0])
			continue;
		n++;
		if (n == 1)
			fputs("  # rs485: { port: ", to);
		else
			fprintf(to, "  # rs485_%zu: { port: ", n);
		print_text(to, port->by_id[0] ? port->by_id : port->path);
		fputs("  line: \"9600 8N1\" }\n", to);
	}
	if (n == 0)
		fputs("  # rs485: { port: \"/dev/ttyUSB0\"  line: \"9600 8N1\" }\n", to);
	fputs("  # net:   { tcp: \"192.168.1.40\" }\n", to);
	ports_destroy(&ports);
}

static void print_map(FILE *to, const struct init_command *init, const char *found)
{
	fputs("# The device map of busferry.\n#\n"
	      "#   busferry check                 tells every mistake in it, and what will be asked when\n"
	      "#   busferry check --explain KEY   what a key is; all of them: man busferry.conf\n"
	      "#   busferry profiles list         the devices that are known\n"
	      "#   systemctl reload busferry      makes the service read it again\n\n"
	      "# The first part of every topic: SITE/floor/device/metric.\nsite: ",
		to);
	print_text(to, init->site);
	fputs("\n\n# Where the readings go.\nbroker: ", to);
	print_text(to, init->broker);
	fputs("\n\n# With a user, TLS, several brokers to try in turn:\n"
	      "# broker: {\n"
	      "#   url: [\"mqtts://broker.example:8883\", \"mqtt://localhost\"]\n"
	      "#   user: \"gateway\"  password_file: \"/etc/busferry/password\"   # chmod 640, chown root:busferry\n"
	      "# }\n\n"
	      "# How often everything is read, unless a floor, a device or a metric has an \"every\" of its own.\n"
	      "every: \"10s\"\n",
		to);
	if (found) {
		fputs(found, to);
		return;
	}
	fputs("\n# The wires, by names of yours. busferry ports shows the ports of this machine; what stands in\n"
	      "# /dev/serial/by-id/ keeps its name. busferry scan PORT finds the devices on one.\n"
	      "buses: {\n",
		to);
	print_ports(to);
	fputs("}\n\n"
	      "# The tree of topics: levels as you like, then devices, each with a profile or with metrics of its "
	      "own.\n"
	      "floors: {\n"
	      "  # ground: {\n"
	      "  #   meter:   { bus: \"rs485\"  address: 1  profile: \"eastron-sdm120\" }\n"
	      "  #   climate: { bus: \"rs485\"  address: 2  profile: \"xy-md02\"  every: \"30s\" }\n"
	      "  # }\n"
	      "  # cellar: {\n"
	      "  #   heatpump: { bus: \"net\"  address: 1  metrics: {\n"
	      "  #     flow_temp: { input: 100  type: \"s16\"  scale: 0.1  unit: \"°C\" }\n"
	      "  #     pump:      { coil: 3 }\n"
	      "  #   } }\n"
	      "  #   dust: { port: \"/dev/ttyUSB1\"  profile: \"sds011\" }   # a sensor that sends by itself\n"
	      "  # }\n"
	      "}\n\n"
	      "# Where readings wait while the broker is away (this is how it is when nothing is said).\n"
	      "# buffer: { path: \"/var/lib/busferry/buffer.db\"  max_size: \"256MB\"  max_age: \"7d\" }\n",
		to);
}

static int failed(const char *map)
{
	int error = errno;
	fprintf(stderr, "busferry: error: %s: %s\n", map,
		error == EEXIST ? "is there already, and is not overwritten; -c FILE writes another" : strerror(error));
	return EX_CANTCREAT;
}

/* Is it a map?  Faults are told; they come of what was given on the command line. */
static int check(const char *map)
{
	struct faults faults = {0};
	struct plan plan = {0};
	registry_load();
	int rc = config_load(map, &faults, &plan);
	faults_print(&faults, stderr, cli_colour(STDERR_FILENO));
	faults_destroy(&faults);
	plan_destroy(&plan);
	if (rc == 0)
		return 0;
	unlink(map);
	fprintf(stderr, "busferry: error: so %s is not written\n", map);
	return EX_USAGE;
}

static int write_map(const struct init_command *init, const char *found)
{
	int fd = open(init->map, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	FILE *to = fd < 0 ? NULL : fdopen(fd, "w");
	if (!to)
		return failed(init->map);
	print_map(to, init, found);
	bool bad = ferror(to) != 0;
	if (fclose(to) != 0 || bad) {
		failed(init->map);
		unlink(init->map);
		return EX_IOERR;
	}
	int code = check(init->map);
	if (code)
		return code;
	if (init->as_json)
		return cli_print_file("map", init->map);
	puts(init->map);
	fprintf(stderr, "busferry: a first map is written; edit it, then: busferry check -c %s\n", init->map);
	return 0;
}

static int scan_and_write(struct init_command *init)
{
	char *found = NULL;
	size_t n = 0;
	if (access(init->map, F_OK) == 0) { /* before a search of minutes */
		errno = EEXIST;
		return failed(init->map);
	}
	FILE *paste = open_memstream(&found, &n);
	if (!paste)
		return EX_OSERR;
	int code = scan_wire_for(&init->scan, paste);
	fclose(paste);
	if (code == 0)
		code = write_map(init, found);
	else if (code != EX_USAGE)
		fprintf(stderr, "busferry: %s is not written\n", init->map);
	free(found);
	return code;
}

int cli_init(int argc, char **argv)
{
	struct init_command init = {
		.map = CLI_DEFAULT_MAP, .site = "home", .broker = "mqtt://localhost", .scan = {.command = "init"}};
	const struct cli_option options[] = {CLI_OPTION_MAP(&init.map),
		{.name = "site",
			.argument = "NAME",
			.kind = CLI_TEXT,
			.into = &init.site,
			.help = "the first part of every topic (home)"},
		{.name = "broker",
			.argument = "URL",
			.kind = CLI_TEXT,
			.into = &init.broker,
			.help = "where the readings go (mqtt://localhost)"},
		{.name = "scan",
			.argument = "PORT",
			.kind = CLI_TEXT,
			.into = &init.scan.port,
			.help = "look for devices there, and write them down",
			.source = CLI_PORTS},
		SCAN_OPTION_LINES(&init.scan, "of --scan: line settings to try (nine common ones)"),
		SCAN_OPTION_ADDRESSES(&init.scan, "of --scan: "), WIRE_OPTION_RTU(&init.scan.rtu, "of --scan: "),
		{.name = "json",
			.kind = CLI_FLAG,
			.into = &init.as_json,
			.help = "one JSON object with the name of the file; of --scan one a device"},
		{0}};
	int first;
	int rc = cli_parse("init", argc, argv, options, &first);
	if (rc >= 0)
		return rc;
	if (first < argc)
		return cli_usage_error("init", "unexpected \"%s\"", argv[first]);
	if (!can_be_text(init.site) || !can_be_text(init.broker))
		return cli_usage_error("init", "--%s is empty, too long, or no text in UTF-8",
			can_be_text(init.site) ? "broker" : "site");
	if (!init.scan.port && (init.scan.lines || init.scan.units || init.scan.rtu))
		return cli_usage_error("init", "--lines, --addresses and --rtu are of --scan");
	init.scan.json = init.as_json;
	return init.scan.port ? scan_and_write(&init) : write_map(&init, NULL);
}

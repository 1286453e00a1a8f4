/*
 * `busferry manual`: the manual pages, from the same tables as --help and from those that read the map.  It prints the
 * names of the pages, or one page; docs/man holds them, and a test says when they are stale.
 *
 * The pages are roff with the macros of man(7).  What the tables say is text: its backslashes, its hyphens, which
 * people copy to a command line, and what a line begins with are written so that they stay what they are.
 */
#include "app/explain.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define MAP_PAGE  "busferry.conf.5"
#define MAIN_PAGE "busferry.1"

/* The text up to its end or the n-th byte; at the beginning of a line unless it goes on. */
static void print_n(const char *text, size_t n, bool goes_on)
{
	if (!goes_on && n && (*text == '.' || *text == '\''))
		fputs("\\&", stdout);
	for (size_t i = 0; i < n && text[i]; i++) {
		switch (text[i]) {
		case '\\':
			fputs("\\e", stdout);
			break;
		case '-':
			fputs("\\-", stdout);
			break;
		case '\'':
			fputs("\\(aq", stdout);
			break;
		case '`':
			fputs("\\(ga", stdout);
			break;
		case '^':
			fputs("\\(ha", stdout);
			break;
		case '~':
			fputs("\\(ti", stdout);
			break;
		default:
			putchar(text[i]);
		}
	}
}

static void print(const char *text)
{
	print_n(text, strlen(text), true);
}

static void line(const char *text)
{
	print_n(text, strlen(text), false);
	putchar('\n');
}

static void header(const char *name, int section, const char *summary)
{
	puts(".\\\" Made from the tables of the program: busferry manual.  Change those, not this.");
	fputs(".TH ", stdout);
	for (const char *c = name; *c; c++)
		if (*c == '-')
			fputs("\\-", stdout);
		else
			putchar(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
	printf(" %d \"\" \"Busferry\" \"%s\"\n.SH NAME\n", section, section == 5 ? "File formats" : "User commands");
	print(name);
	fputs(" \\- ", stdout);
	print(summary);
	putchar('\n');
}

/* Paragraphs; lines that begin with two blanks stand as they are. */
static void paragraphs(const char *text)
{
	bool as_is = false, begins = true;
	while (*text) {
		size_t n = strcspn(text, "\n");
		bool indented = strncmp(text, "  ", 2) == 0;
		if (n == 0) {
			begins = true;
		} else if (indented != as_is || (begins && !indented)) {
			puts(indented ? ".PP\n.RS 4\n.nf" : as_is ? ".fi\n.RE\n.PP" : ".PP");
			as_is = indented;
		} else if (begins) {
			puts(".sp");
		}
		if (n) {
			print_n(text + (indented ? 2 : 0), n - (indented ? 2 : 0), false);
			putchar('\n');
			begins = false;
		}
		text += n + (text[n] == '\n');
	}
	if (as_is)
		puts(".fi\n.RE");
}

static void options(void *user, const struct cli_option *table)
{
	(void)user;
	puts(".SH OPTIONS");
	for (const struct cli_option *option = table; option->name; option++) {
		fputs(".TP\n", stdout);
		if (option->letter)
			printf("\\fB\\-%c\\fR, ", option->letter);
		fputs("\\fB\\-\\-", stdout);
		print(option->name);
		fputs("\\fR", stdout);
		if (option->argument) {
			fputs(" \\fI", stdout);
			print(option->argument);
			fputs("\\fR", stdout);
		}
		putchar('\n');
		line(option->help);
	}
	puts(".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nThe usage and the options");
}

static void exit_codes(void)
{
	static const char *const codes[][2] = {{"0", "it is done"}, {"64", "wrong usage"},
		{"65", "a data file is damaged"}, {"66", "a file is missing"},
		{"69", "a device, the broker or the gateway does not answer"}, {"70", "a fault of the program"},
		{"73", "a file can't be created, or is there already"}, {"74", "reading or writing failed"},
		{"75", "busy, try again"}, {"77", "not allowed for this user"}, {"78", "faults in the map"},
		{"130", "interrupted"}};
	puts(".SH EXIT STATUS");
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		printf(".TP\n.B %s\n%s\n", codes[i][0], codes[i][1]);
}

static void pairs(const char *title, const char *const (*rows)[2], size_t n)
{
	printf(".SH %s\n", title);
	for (size_t i = 0; i < n; i++) {
		fputs(".TP\n.B ", stdout);
		line(rows[i][0]);
		line(rows[i][1]);
	}
}

static void page_of_command(const struct cli_command *command)
{
	char name[64];
	snprintf(name, sizeof(name), "busferry-%s", command->name);
	header(name, 1, command->summary);
	printf(".SH SYNOPSIS\n.B busferry %s\n", command->name);
	line(command->usage);
	if (command->more) {
		puts(".SH DESCRIPTION");
		paragraphs(command->more);
	}
	cli_reveal(command, options, NULL);
	exit_codes();
	puts(".SH SEE ALSO\n.BR busferry (1),\n.BR busferry.conf (5)");
}

static void page_of_program(void)
{
	static const char *const environment[][2] = {
		{"BUSFERRY_PASSWORD",
			"The password at the broker, where the map names no file and systemd no credential"},
		{"BUSFERRY_PROFILES", "A folder with profiles that are taken before the installed ones"},
		{"BUSFERRY_DRIVERS", "A folder with driver modules, instead of the installed one"},
		{"RUNTIME_DIRECTORY", "Where the control socket is; of systemd"},
		{"STATE_DIRECTORY", "Where what was learnt of devices is kept; of systemd"},
		{"NO_COLOR", "When it is not empty there are no colours on a terminal either"},
	};
	static const char *const files[][2] = {
		{CLI_DEFAULT_MAP, "The device map, see busferry.conf(5)"},
		{"/etc/busferry/conf.d/*.conf", "Further parts of it, in the order of their names"},
		{"/var/lib/busferry/buffer.db", "What waits for the broker"},
	};
	header("busferry", 1, "carries readings from serial buses to any MQTT broker");
	puts(".SH SYNOPSIS\n.B busferry\n.I COMMAND\n[\\fIOPTIONS\\fR]\n.SH DESCRIPTION\n"
	     "A daemon that polls devices on serial buses and over Modbus TCP, hears sensors that send by themselves, "
	     "and\n"
	     "publishes each value under its place in the building: site/floor/device/metric.  A message is forgotten\n"
	     "only when the broker has acknowledged it.\n.PP\n"
	     "What there is to read is written in the device map,\n.BR busferry.conf (5).\n.SH COMMANDS");
	for (const struct cli_command *command = cli_commands; command->name; command++) {
		if (!command->summary)
			continue;
		printf(".TP\n.BR busferry\\-%s (1)\n", command->name);
		line(command->summary);
	}
	puts(".SH OPTIONS\n.TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nThe commands\n"
	     ".TP\n\\fB\\-V\\fR, \\fB\\-\\-version\\fR\nThe version");
	exit_codes();
	pairs("ENVIRONMENT", environment, sizeof(environment) / sizeof(environment[0]));
	pairs("FILES", files, sizeof(files) / sizeof(files[0]));
	puts(".SH SEE ALSO\n.BR busferry.conf (5),\n.BR mosquitto_sub (1)");
}

static void print_key(const struct bf_key *key)
{
	char type[EXPLAIN_SIZE], fallback[EXPLAIN_SIZE], required[EXPLAIN_SIZE];
	explain_type(key, type);
	explain_default(key, fallback);
	explain_required(key, required);
	fputs(".TP\n.B ", stdout);
	line(key->name);
	print_n(key->help, strlen(key->help), false);
	fputs(".\n.br\n", stdout);
	print_n(type, strlen(type), false);
	if (required[0] || fallback[0]) {
		fputs(required[0] ? "; it " : "; default ", stdout);
		print(required[0] ? required : fallback);
	}
	putchar('\n');
}

static void page_of_map(void)
{
	struct explain_row row, before = {0};
	header("busferry.conf", 5, "the device map of busferry");
	puts(".SH DESCRIPTION");
	paragraphs(
		"The map says where the broker is, which buses there are, and what is to be read of which device. It "
		"is "
		"written in\nthe syntax of libconfig, in the way of YAML with braces: key: value, groups in { }, texts "
		"in "
		"double quotes, # before\na comment. Files conf.d/*.conf beside it are merged with it in the order of "
		"their names: groups grow together, a\nvalue may stand in one file only.\n\n"
		"The tree under floors is the tree of topics. A group in it is a device when it has a profile, an "
		"address, "
		"a bus, a\nport, tcp or metrics; each other group is a level.\n\n"
		"Durations and sizes are texts with a unit (\"500ms\", \"10s\", \"7d\", \"256MB\"); a bare number is "
		"seconds or bytes.\n\n"
		"busferry check tells every fault of a map with its place, busferry check --explain KEY what a key is. "
		"SIGHUP makes\na running gateway read its map again.");
	puts(".SH EXAMPLE");
	paragraphs("  site:   \"home\"\n  broker: \"mqtt://localhost\"\n\n"
		   "  buses: { rs485: { port: \"/dev/ttyUSB0\"  line: \"9600 8N1\" } }\n\n"
		   "  floors: {\n    ground: {\n"
		   "      meter:   { profile: \"eastron-sdm120\"  address: 1 }\n"
		   "      boiler:  { address: 5  metrics: { flow_temp: { input: 100  type: \"s16\"  scale: 0.1 } } }\n"
		   "    }\n  }");
	puts(".SH KEYS");
	for (size_t i = 0; explain_row_at(i, &row); i++) {
		bool same_driver = row.driver == before.driver ||
				   (row.driver && before.driver && strcmp(row.driver, before.driver) == 0);
		if (!before.group || strcmp(row.group, before.group) != 0 || !same_driver) {
			fputs(".SS Keys of ", stdout);
			print(row.group);
			if (row.driver)
				printf(", driver %s", row.driver);
			putchar('\n');
		}
		print_key(row.key);
		before = row;
	}
	puts(".SH FILES\n.TP\n.B " CLI_DEFAULT_MAP "\nThe map that is read when no other is named");
	puts(".SH SEE ALSO\n.BR busferry (1),\n.BR busferry\\-check (1),\n.BR busferry\\-profiles (1)");
}

static void print_names(void)
{
	puts(MAIN_PAGE);
	for (const struct cli_command *command = cli_commands; command->name; command++)
		if (command->summary)
			printf("busferry-%s.1\n", command->name);
	puts(MAP_PAGE);
}

static int page(const char *name)
{
	char of_command[64];
	if (strcmp(name, MAIN_PAGE) == 0) {
		page_of_program();
		return 0;
	}
	if (strcmp(name, MAP_PAGE) == 0) {
		page_of_map();
		return 0;
	}
	for (const struct cli_command *command = cli_commands; command->name; command++) {
		snprintf(of_command, sizeof(of_command), "busferry-%s.1", command->name);
		if (!command->summary || strcmp(name, of_command) != 0)
			continue;
		page_of_command(command);
		return 0;
	}
	return cli_usage_error("manual", "there is no page \"%s\"", name);
}

int cli_manual(int argc, char **argv)
{
	const struct cli_option options_of_it[] = {{0}};
	int first;
	int rc = cli_parse("manual", argc, argv, options_of_it, &first);
	if (rc >= 0)
		return rc;
	if (argc - first > 1)
		return cli_usage_error("manual", "unexpected \"%s\"", argv[first + 1]);
	if (first < argc)
		return page(argv[first]);
	print_names();
	return 0;
}

/*
 * Dispatch, option tables, help.  One thread.
 */
#include "cli/cli.h"
#include "app/faults.h"
#include "base/json.h"
#include "sdk/key.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#define OPTIONS_MAX  24
#define COMMANDS_MAX 32

/* While cli_reveal asks for the options of a command. */
static struct {
	void (*take)(void *user, const struct cli_option *options);
	void *user;
} revealing;

const struct cli_operand cli_operands[] = {
	{"scan", 1, NULL, CLI_PORTS, NULL},
	{"read", 1, NULL, CLI_PORTS, NULL},
	{"read", 2, NULL, CLI_ANYTHING, "input: holding: coil: discrete:"},
	{"write", 1, NULL, CLI_PORTS, NULL},
	{"write", 2, NULL, CLI_ANYTHING, "holding: coil:"},
	{"write", 3, NULL, CLI_ANYTHING, "on off"},
	{"listen", 1, NULL, CLI_PORTS, NULL},
	{"listen", 1, NULL, CLI_FILES, NULL},
	{"buffer", 1, NULL, CLI_ANYTHING, "status export drop"},
	{"profiles", 1, NULL, CLI_ANYTHING, "list show check new"},
	{"profiles", 2, "show", CLI_PROFILES, NULL},
	{"profiles", 2, "check", CLI_FILES, NULL},
	{"ha", 1, NULL, CLI_ANYTHING, "show remove"},
	{"completion", 1, NULL, CLI_ANYTHING, "bash zsh fish"},
	{0},
};

const struct cli_command cli_commands[] = {
	{"run", "[-c FILE] [--once] [--stdout]", "the gateway, in the foreground",
		"Polls the devices of the map and publishes their readings until SIGTERM or SIGINT.\n"
		"With --once it may run beside the gateway itself: \"-once\" is added to its client id.",
		cli_run},
	{"check", "[-c FILE] [--topics] [--explain KEY] [--json]", "reads the map and prints the plan",
		"Every fault of the map is told with its place. Exit code 78 when there is one.", cli_check},
	{"init", "[-c FILE] [--site NAME] [--broker URL] [--scan PORT]", "writes a first map, with comments",
		"Never over another file: exit code 73. With --scan what is found on a port or a host stands in it.\n\n"
		"  busferry init -c plant.conf --site home --scan /dev/ttyUSB0",
		cli_init},
	{"ports", "[--json]", "the serial ports of this machine, who has them, and what helps", NULL, cli_ports},
	{"scan", "PORT [OPTIONS]", "finds the devices on a wire, and says what they may be",
		"PORT is a serial port, tcp://HOST[:PORT] of Modbus TCP, or, with --rtu, tcp://HOST:PORT of a serial\n"
		"device server. The first addresses are asked with all line settings before the others are. Nothing "
		"is\n"
		"written to a device. Ctrl-C ends it with what was found so far.\n\n"
		"  busferry scan /dev/ttyUSB0\n"
		"  busferry scan /dev/ttyUSB0 --lines \"9600 8N1,19200 8E1\" --addresses 1-20\n"
		"  busferry scan tcp://192.168.1.5",
		cli_scan},
	{"read", "PORT TABLE:ADDRESS [OPTIONS]", "one-off reads without a map",
		"PORT is a serial port (with --line) or tcp://HOST[:PORT]. TABLE is input, holding, coil or discrete,\n"
		"ADDRESS zero-based or the manual's number.\n\n"
		"  busferry read /dev/ttyUSB0 --line \"9600 8N1\" -a 1 input:0 -t f32 -n 4\n"
		"  busferry read tcp://192.168.1.5 holding:40001 --orders",
		cli_read},
	{"write", "PORT TABLE:ADDRESS VALUE [--yes] [OPTIONS]", "writes one value without a map, and reads it back",
		"PORT and TABLE:ADDRESS as for read; TABLE is holding or coil. VALUE is a number, also 0x..., on or "
		"off "
		"for\n"
		"coils and bool, a text for strings. Without --yes it shows what is there and what would be there, and "
		"ends\n"
		"with 64. A write is sent once; exit code 74 when the device shows another value then.\n\n"
		"  busferry write /dev/ttyUSB0 --line \"9600 8N1\" -a 1 holding:300 -t s16 21 --yes\n"
		"  busferry write tcp://192.168.1.5 coil:3 on",
		cli_write},
	{"listen", "PORT [OPTIONS]", "what a sensor says on a serial port, and which profiles understand it",
		"PORT is a serial port, tcp://HOST:PORT of a serial device server, or a recording. What comes is "
		"shown,\n"
		"and all profiles of sensors that send messages try themselves on it. Without --line the settings "
		"that\n"
		"profiles have are tried in turn, until something is understood. Ctrl-C ends it.\n\n"
		"Nothing is sent unless --profile or --ask says so: those requests go to a device that nobody knows "
		"yet,\n"
		"and what reads one device may set another. Exit code 69 when nothing was understood.\n\n"
		"  busferry listen /dev/ttyUSB0\n"
		"  busferry listen /dev/ttyUSB0 --line \"9600 8N1\" --seconds 30 --record sensor.rec\n"
		"  busferry listen sensor.rec",
		cli_listen},
	{"watch", "[FILTER] [-c FILE] [--seconds N] [--json]", "what arrives at the broker, as it arrives",
		"On a terminal a table of all topics that match the MQTT filter (all of the site), with the value, its "
		"age "
		"and\n"
		"how it went; else a line a message. It is a client of its own: what it shows is what others get. "
		"Ctrl-C "
		"ends it.\n\n"
		"  busferry watch\n"
		"  busferry watch 'home/cellar/#' --json --seconds 60",
		cli_watch},
	{"status", "[-c FILE] [--json]", "how the running gateway is: broker, buffer, buses, devices",
		"Asks the gateway that runs the map over its control socket. Exit code 69 when none runs.", cli_status},
	{"simulate", "[-c FILE] [OPTIONS]", "plays the devices of a map, for trying it without hardware",
		"Serial buses become ptys, TCP hosts listen on the loopback. Faults, and how often they come by "
		"default:\n\n"
		"  late 5%        the answer comes 1.1 to 4.5 time-outs later, and those behind it too\n"
		"  slow 5%        it comes late but in time\n"
		"  lost 5%        it does not come\n"
		"  truncated 5%   it is cut off; on TCP the connection ends there\n"
		"  noisy 5%       one to three bits, or a burst within two bytes, are wrong; serial wires only\n"
		"  foreign 5%     another master's question and its answer come before it\n"
		"  wrong-unit 5%  it bears another unit address\n"
		"  exception 5%   exception 4, 5, 6 or 11 instead\n"
		"  dead 100%      the device never answers; the share is that of devices that are dead\n"
		"  echoing 100%   the bus returns each request to the master; the share is that of buses\n"
		"  unplugged 1%   at a request the port or connection goes away for 1 to 5 s\n\n"
		"  busferry simulate -c plant.conf --faults late,dead@cellar/boiler,noisy@rs485:20% --seed 7",
		cli_simulate},
	{"buffer", "status | export | drop [-c FILE] [--topic FILTER] [--yes] [--json]", "what waits for the broker",
		"status tells how much waits, since when, and what was dropped; export prints it, one JSON object a "
		"line,\n"
		"and leaves it where it is; drop throws it away, but for what is on its way to the broker.\n"
		"The gateway that runs the map is asked, or, when none runs, the buffer file is read: exit code 66 "
		"when\n"
		"there is none, 65 when it is damaged, 75 when a gateway has it that can't be asked, 69 when the map "
		"has\n"
		"no buffer file and no gateway runs. drop without --yes says what it would do and ends with 64.\n\n"
		"  busferry buffer export --topic 'home/cellar/#' > cellar.jsonl",
		cli_buffer},
	{"ha", "show [DEVICE] | remove [-c FILE] [--prefix PREFIX] [--yes] [--json]",
		"what Home Assistant is told of the devices",
		"show prints the discovery messages of the map, of one device (ground/meter) or of all, as topic and "
		"payload.\n"
		"remove clears at the broker every message of this gateway, also of devices that the map no longer "
		"has; "
		"without\n"
		"--yes it says which and ends with 64. A gateway that runs and is to tell Home Assistant does so again "
		"at its "
		"next\n"
		"connect: take homeassistant out of its map before.\n\n"
		"  busferry ha show ground/meter",
		cli_ha},
	{"profiles", "list | show ID | check FILE | new ID [--transport DRIVER] [--json]",
		"the devices that are known, and what is known of them",
		"list shows all, show one with its metrics; check tells every fault of a profile and replays its "
		"vectors:\n"
		"exit code 78 for faults, 65 when a vector gives other readings than it should. new prints one to "
		"begin with.\n\n"
		"  busferry profiles new acme-t1 --transport frame > acme-t1.conf",
		cli_profiles},
	{"drivers", "[--json]", "the drivers and their keys", NULL, cli_drivers},
	{"report", "[-c FILE] [-o FILE | --stdout] [--full] [--lines N]",
		"what somebody who helps wants to know, in one file",
		"A text with the version, the machine, the map, what check, ports, status and buffer say, the unit and "
		"the "
		"last\n"
		"lines of its log. Passwords never stand in it, comments of the map neither; user names and client ids "
		"only with\n"
		"--full. Read it before you send it: it names hosts, topics and devices.",
		cli_report},
	{"completion", "bash | zsh | fish", "what a shell needs to complete these commands",
		"Prints a script. Packages install it; else, for the shell that runs and for the next ones:\n\n"
		"  source <(busferry completion bash)\n"
		"  busferry completion bash > ~/.local/share/bash-completion/completions/busferry\n"
		"  busferry completion zsh > ~/.zfunc/_busferry         (a folder of your fpath)\n"
		"  busferry completion fish > ~/.config/fish/completions/busferry.fish\n\n"
		"The scripts ask for what changes: completion ports, profiles, drivers or keys prints one a line.",
		cli_completion},
	{"manual", "[PAGE]", NULL, NULL, cli_manual}, /* hidden */
	{0},
};

int cli_signal_fd(const int *signals)
{
	sigset_t set;
	sigemptyset(&set);
	for (; *signals; signals++)
		sigaddset(&set, *signals);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int cli_stop_fd(void)
{
	static const int stops[] = {SIGTERM, SIGINT, 0};
	return cli_signal_fd(stops);
}

int cli_print_file(const char *key, const char *file)
{
	static char text[8 * PATH_MAX];
	struct json json = json_into(text, sizeof(text));
	json_object(&json, NULL);
	json_text(&json, key, file);
	json_object_end(&json);
	if (json_end(&json) < 0)
		return EX_SOFTWARE;
	puts(text);
	return 0;
}

bool cli_colour(int fd)
{
	const char *no_color = getenv("NO_COLOR");
	return isatty(fd) && !(no_color && *no_color);
}

int cli_usage_error(const char *command, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("busferry: error: ", stderr);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nTry: busferry %s%s--help\n", command ? command : "", command ? " " : "");
	return EX_USAGE;
}

static const struct cli_command *find_command(const char *name)
{
	for (const struct cli_command *command = cli_commands; command->name; command++)
		if (strcmp(command->name, name) == 0)
			return command;
	return NULL;
}

static void print_overview(FILE *to)
{
	fputs("busferry " BUSFERRY_VERSION
	      " - carries readings from serial buses to any MQTT broker, and loses none on the way\n\n"
	      "Usage: busferry COMMAND [OPTIONS]\n\nCommands:\n",
		to);
	for (const struct cli_command *command = cli_commands; command->name; command++)
		if (command->summary)
			fprintf(to, "  %-10s %s\n", command->name, command->summary);
	fputs("\nbusferry COMMAND --help tells more. The map is " CLI_DEFAULT_MAP " unless -c FILE says otherwise.\n",
		to);
}

static void print_options(const struct cli_option *options)
{
	puts("\nOptions:");
	for (const struct cli_option *option = options; option->name; option++) {
		char names[64];
		char letter[8] = "    ";
		if (option->letter)
			snprintf(letter, sizeof(letter), "-%c, ", option->letter);
		snprintf(names, sizeof(names), "%s--%s%s%s", letter, option->name, option->argument ? " " : "",
			option->argument ? option->argument : "");
		printf("  %-28s %s\n", names, option->help);
	}
	puts("  -h, --help                   this text");
}

static int print_help(const char *name, const struct cli_option *options)
{
	const struct cli_command *command = find_command(name);
	if (!command)
		return EX_SOFTWARE;
	printf("busferry %s%s%s\n\nUsage: busferry %s %s\n", name, command->summary ? " - " : "",
		command->summary ? command->summary : "", name, command->usage);
	if (command->more)
		printf("\n%s\n", command->more);
	print_options(options);
	return 0;
}

static int take_number(const char *command, const struct cli_option *option, const char *text)
{
	char *end;
	errno = 0;
	long number = strtol(text, &end, 0);
	if (errno || end == text || *end || number < option->min || number > option->max)
		return cli_usage_error(command, "--%s takes a number from %ld to %ld, not \"%s\"", option->name,
			option->min, option->max, text);
	*(long *)option->into = number;
	return -1;
}

static int take(const char *command, const struct cli_option *option, const char *text)
{
	switch (option->kind) {
	case CLI_FLAG:
		*(bool *)option->into = true;
		return -1;
	case CLI_TEXT:
		*(const char **)option->into = text;
		return -1;
	case CLI_NUMBER:
		return take_number(command, option, text);
	case CLI_DURATION:
		if (bf_duration_parse(text, option->into) < 0)
			return cli_usage_error(command, "--%s takes a duration like \"10s\" or \"500ms\", not \"%s\"",
				option->name, text);
		return -1;
	}
	return -1;
}

void cli_reveal(const struct cli_command *command, void (*to)(void *user, const struct cli_option *options), void *user)
{
	char name[] = "reveal", *argv[] = {name, NULL};
	revealing.take = to;
	revealing.user = user;
	command->run(1, argv);
	revealing.take = NULL;
}

int cli_parse(const char *command, int argc, char **argv, const struct cli_option *options, int *ret_first)
{
	struct option names[OPTIONS_MAX + 2] = {0};
	char letters[2 * OPTIONS_MAX + 3] = ":h";
	size_t n = 0, at = 2;
	if (revealing.take) {
		revealing.take(revealing.user, options);
		return 0;
	}
	for (; n < OPTIONS_MAX && options[n].name; n++) {
		bool takes = options[n].kind != CLI_FLAG;
		names[n] =
			(struct option){options[n].name, takes ? required_argument : no_argument, NULL, (int)(256 + n)};
		if (options[n].letter) {
			letters[at++] = options[n].letter;
			if (takes)
				letters[at++] = ':';
		}
	}
	names[n] = (struct option){"help", no_argument, NULL, 'h'};
	letters[at] = '\0';
	optind = 0; /* GNU: start anew */
	opterr = 0;
	int c;
	while ((c = getopt_long(argc, argv, letters, names, NULL)) != -1) {
		size_t which;
		if (c == 'h')
			return print_help(command, options);
		if (c == ':')
			return cli_usage_error(command, "%s needs a value", argv[optind - 1]);
		if (c == '?')
			return cli_usage_error(command, "unknown option %s", argv[optind - 1]);
		if (c >= 256)
			which = (size_t)c - 256;
		else
			for (which = 0; options[which].letter != c; which++)
				;
		int rc = take(command, &options[which], optarg);
		if (rc >= 0)
			return rc;
	}
	*ret_first = optind;
	return -1;
}

int cli_main(int argc, char **argv)
{
	if (argc < 2) {
		print_overview(stderr);
		return EX_USAGE;
	}
	const char *name = argv[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		print_overview(stdout);
		return 0;
	}
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		puts("busferry " BUSFERRY_VERSION);
		return 0;
	}
	const struct cli_command *command = find_command(name);
	if (command) {
		int code = command->run(argc - 1, argv + 1);
		if (fflush(stdout) != 0 && code == 0)
			return EX_IOERR;
		return code;
	}
	const char *known[COMMANDS_MAX] = {0};
	size_t n_known = 0;
	for (size_t i = 0; cli_commands[i].name && n_known + 1 < COMMANDS_MAX; i++)
		if (cli_commands[i].summary)
			known[n_known++] = cli_commands[i].name;
	const char *meant = faults_did_you_mean(name, known);
	return cli_usage_error(NULL, "unknown command \"%s\"%s%s%s", name, meant ? " (did you mean \"" : "",
		meant ? meant : "", meant ? "\"?)" : "");
}

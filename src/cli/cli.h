/*
 * The command line: a table of commands, each with a table of options from which parsing, --help, the manual pages and
 * the completion of shells are fed.
 * Exit codes are those of sysexits.h, and 130 for interrupted.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#define EXIT_INTERRUPTED 130

enum cli_kind {
	CLI_FLAG,     /* bool * */
	CLI_TEXT,     /* const char ** */
	CLI_NUMBER,   /* long *, within min … max */
	CLI_DURATION, /* int64_t * in µs; a bare number is seconds */
};

/* What may stand for a value or an operand, for completion. */
enum cli_source {
	CLI_ANYTHING, /* or one of `words` */
	CLI_FILES,
	CLI_FOLDERS,
	CLI_PORTS,
	CLI_PROFILES,
	CLI_DRIVERS,
	CLI_KEYS, /* of the map */
};

struct cli_option {
	char letter; /* 0 = none */
	const char *name;
	const char *argument; /* as shown in the help; NULL for flags */
	enum cli_kind kind;
	void *into;
	long min, max;
	const char *help;
	enum cli_source source;
	const char *words; /* "big little" */
};

/* What may stand at a place behind the options, for completion. */
struct cli_operand {
	const char *command;
	unsigned nth;      /* from 1 on */
	const char *after; /* only behind this first operand; NULL = whatever that is */
	enum cli_source source;
	const char *words;
};

struct cli_command {
	const char *name;
	const char *usage;   /* what follows "busferry NAME" */
	const char *summary; /* one line; NULL: it is not for people, and stands in no list */
	const char *more;    /* further paragraphs of the help; NULL = none */
	int (*run)(int argc, char **argv);
};

extern const struct cli_command cli_commands[]; /* ends with a row without name */

/* Those of one command stand together, in the order of their places; ends with a row without command. */
extern const struct cli_operand cli_operands[];

/* Dispatches argv to a command.  Returns the exit code. */
int cli_main(int argc, char **argv);

/*
 * Parses the options of a command (argv[0] is its name); --help prints it.  Options end with a row without name.
 * -1: go on, *ret_first is the first operand; else the exit code to end with (0 after --help, 64 for bad usage).
 */
int cli_parse(const char *command, int argc, char **argv, const struct cli_option *options, int *ret_first);

/* Hands the table of a command's options to `to`, for the time of the call.  The command does nothing. */
void cli_reveal(
	const struct cli_command *command, void (*to)(void *user, const struct cli_option *options), void *user);

/* Prints "busferry: error: …" with how to get help; returns EX_USAGE. */
int cli_usage_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* May this stream have colours?  Only a terminal, never with NO_COLOR. */
bool cli_colour(int fd);

/* These signals, up to a 0, from now on make this fd readable instead of what they do.  -1 when there is none to be
 * had.
 */
int cli_signal_fd(const int *signals);
int cli_stop_fd(void); /* SIGTERM and SIGINT */

/* With --json, of a command that has made a file: prints an object with its name under that key.  The exit code. */
int cli_print_file(const char *key, const char *file);

/* The map of -c, or the default one. */
#define CLI_DEFAULT_MAP "/etc/busferry/busferry.conf"
#define CLI_OPTION_MAP(into_)                                                                                          \
	{                                                                                                              \
		.letter = 'c', .name = "config", .argument = "FILE", .kind = CLI_TEXT, .into = (into_),                \
		.help = "the map (" CLI_DEFAULT_MAP ")", .source = CLI_FILES                                           \
	}

int cli_run(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_simulate(int argc, char **argv);
int cli_buffer(int argc, char **argv);
int cli_ports(int argc, char **argv);
int cli_scan(int argc, char **argv);
int cli_read(int argc, char **argv);
int cli_write(int argc, char **argv);
int cli_listen(int argc, char **argv);
int cli_profiles(int argc, char **argv);
int cli_drivers(int argc, char **argv);
int cli_init(int argc, char **argv);
int cli_watch(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_ha(int argc, char **argv);
int cli_report(int argc, char **argv);
int cli_completion(int argc, char **argv);
int cli_manual(int argc, char **argv);

#endif

/*
 * `busferry listen`: what a sensor says, and which of the profiles understands it.
 *
 * Ends with Ctrl-C, after --seconds, or when all that was to be asked was asked.  Instead of a port it takes a
 * recording that was made with --record.
 */
#include "cli/listen.h"
#include "cli/cli.h"
#include "cli/wire.h"
#include "field/registry.h"
#include "model/line_text.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

struct listen_command {
	const char *line_text, *profile, *record;
	int64_t for_us;
	bool asks, as_json;
	struct wire_named wire;
	struct candidates all;
	struct listener listener;
	struct listen_report report;
	int stop_fd;
	bool stopped;
};

static int milliseconds(int64_t until_us, int64_t now_us)
{
	if (until_us == CLOCK_NEVER)
		return -1;
	int64_t ms = until_us <= now_us ? 0 : (until_us - now_us + 999) / 1000;
	return ms < 60000 ? (int)ms : 60000;
}

/* Until it is over.  Returns when that was. */
static int64_t run(struct listen_command *command)
{
	struct listener *listener = &command->listener;
	int64_t now_us = clock_now(&clock_system);
	bool ready = false;
	while (!command->stopped && listener->state != LISTENER_OVER) {
		int64_t wake = listener_step(listener, ready, now_us);
		int64_t shows_at = listen_report_step(&command->report, now_us);
		if (listener->state == LISTENER_OVER || command->report.failure || ferror(stdout))
			break;
		struct pollfd fds[] = {{.fd = command->stop_fd, .events = POLLIN},
			{.fd = listener_events(listener) ? listener->port->fd : -1,
				.events = listener_events(listener)}};
		poll(fds, 2, milliseconds(wake < shows_at ? wake : shows_at, now_us));
		command->stopped = fds[0].revents != 0;
		ready = fds[1].revents != 0;
		now_us = clock_now(&clock_system);
	}
	listener_end(listener);
	return now_us;
}

static int record_failed(const struct listen_command *command, int failure)
{
	fprintf(stderr, "busferry: error: %s: %s\n", command->record,
		failure == -EEXIST ? "is there already, and is not overwritten" : strerror(-failure));
	switch (failure) {
	case -EIO:
	case -ENOSPC:
		return EX_IOERR;
	default:
		return EX_CANTCREAT;
	}
}

/* Shows what was found; the exit code. */
static int conclude(struct listen_command *command, int64_t now_us)
{
	bool understood = command->report.n_opened && listen_report_end(&command->report, now_us);
	int failure = listen_report_destroy(&command->report);
	if (failure)
		return record_failed(command, failure);
	if (command->listener.failure == -ENODEV && command->report.n_opened) {
		fprintf(stderr, "busferry: error: %s is gone\n", command->wire.bus.name);
		return EX_UNAVAILABLE;
	}
	if (command->listener.failure)
		return wire_failed(&command->wire.bus, command->listener.failure);
	if (command->stopped)
		return EXIT_INTERRUPTED;
	return understood ? 0 : EX_UNAVAILABLE;
}

static void prepare(struct listen_command *command, struct stream_port *port)
{
	listener_init(&command->listener, &command->wire.bus, port, &command->all, &clock_system,
		&command->report.watch, command->line_text != NULL);
	command->listener.asks = command->asks;
	command->listener.alone = command->profile != NULL;
	if (command->for_us)
		command->listener.ends_at = clock_now(&clock_system) + command->for_us;
}

static int listen_on_port(struct listen_command *command)
{
	struct stream_port *port;
	if (stream_port_init(&command->wire.bus, &port) < 0)
		return EX_OSERR;
	command->stop_fd = cli_stop_fd();
	prepare(command, port);
	int code = conclude(command, run(command));
	port->ops->destroy(port);
	close(command->stop_fd);
	return code;
}

static int listen_to_recording(struct listen_command *command, const char *file)
{
	struct arena arena = {0};
	struct faults faults = {0};
	const struct recording_chunk *chunks;
	size_t n;
	int code = EX_DATAERR, rc = recording_read(file, &arena, &faults, &chunks, &n);
	if (rc == 0) {
		int64_t now_us = clock_now(&clock_system);
		command->report.replays = true;
		prepare(command, NULL);
		listener_play(&command->listener, chunks, n, now_us);
		code = conclude(command, now_us + (n ? chunks[n - 1].at_ms * 1000 : 0));
	} else {
		listen_report_destroy(&command->report);
		if (faults.n_errors == 0)
			code = wire_failed(&command->wire.bus, rc);
	}
	faults_print(&faults, stderr, cli_colour(STDERR_FILENO));
	faults_destroy(&faults);
	arena_free(&arena);
	return code;
}

static int load(struct listen_command *command)
{
	struct faults faults = {0};
	struct arena arena = {0};
	registry_load();
	int rc = candidates_load(&command->all, command->profile, &faults), code = -1;
	faults_print(&faults, stderr, cli_colour(STDERR_FILENO));
	faults_destroy(&faults);
	if (rc == -ENOENT) {
		const char *near = faults_did_you_mean(command->profile, profile_ids(&arena));
		fprintf(stderr, "busferry: error: unknown profile \"%s\"%s%s%s\n", command->profile,
			near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
		code = EX_NOINPUT;
	} else if (rc == -EOPNOTSUPP) {
		code = cli_usage_error("listen",
			"\"%s\" is asked for registers: busferry read and busferry scan do that", command->profile);
	} else if (rc < 0) {
		code = EX_CONFIG;
	}
	arena_free(&arena);
	return code;
}

static bool is_file(const char *path)
{
	struct stat about;
	return stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

static int listen_to(struct listen_command *command, const char *port)
{
	bool tcp = strncmp(port, "tcp://", 6) == 0, replays = !tcp && is_file(port);
	int rc = wire_parse("listen", port, command->line_text, tcp, &command->wire);
	if (rc >= 0)
		return rc;
	if (replays && (command->record || command->asks || command->line_text))
		return cli_usage_error("listen", "%s is a recording: --record, --ask and --line are for ports", port);
	rc = load(command);
	if (rc >= 0)
		return rc;
	log_set_level(LOG_LEVEL_ERROR); /* that one of many profiles hears nothing is no news */
	if (listen_report_init(&command->report, &command->listener, command->as_json, command->record) < 0)
		return EX_OSERR;
	rc = replays ? listen_to_recording(command, port) : listen_on_port(command);
	candidates_destroy(&command->all);
	return rc;
}

int cli_listen(int argc, char **argv)
{
	static struct listen_command command;
	const struct cli_option options[] = {
		WIRE_OPTION_LINE(&command.line_text, "settings of the port (those of the profiles in turn)"),
		{.name = "profile",
			.argument = "ID",
			.kind = CLI_TEXT,
			.into = &command.profile,
			.source = CLI_PROFILES,
			.help = "this profile only, and its requests are sent"},
		{.name = "ask",
			.kind = CLI_FLAG,
			.into = &command.asks,
			.help = "send the requests of all profiles that ask, one after the other"},
		{.name = "seconds",
			.argument = "N",
			.kind = CLI_DURATION,
			.into = &command.for_us,
			.help = "how long (until Ctrl-C; with --ask until all was asked)"},
		{.name = "record",
			.argument = "FILE",
			.kind = CLI_TEXT,
			.into = &command.record,
			.source = CLI_FILES,
			.help = "write down what came and was sent, as a text"},
		{.name = "json", .kind = CLI_FLAG, .into = &command.as_json, .help = "one JSON object a line"}, {0}};
	int first;
	int rc = cli_parse("listen", argc, argv, options, &first);
	if (rc >= 0)
		return rc;
	if (argc - first != 1)
		return cli_usage_error("listen", "PORT is needed");
	return listen_to(&command, argv[first]);
}

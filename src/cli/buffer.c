/*
 * `busferry buffer`: what waits for the broker.  status tells how much, export prints it, drop throws it away.
 */
#include "base/clock.h"
#include "base/json_find.h"
#include "base/log.h"
#include "cli/buffer_source.h"
#include "cli/cli.h"
#include "cli/map.h"
#include "model/topic.h"
#include "sdk/key.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define FILTER_MAX 1024
#define OUT_BYTES  65536

struct buffer_command {
	const char *file, *filter;
	bool yes, as_json;
	struct buffer_source *source;
	int64_t messages, in_flight; /* that count or drop has told */
};

static bool print_line(void *user, const char *line, size_t n)
{
	(void)user;
	return fwrite(line, 1, n, stdout) == n && putchar('\n') != EOF;
}

/* A number of a status, 0 where there is none. */
static int64_t number(const char *line, size_t n, const char *key)
{
	int64_t found = 0;
	json_find_int(line, n, key, &found);
	return found;
}

static int64_t number_in(const char *line, size_t n, const char *group, const char *key)
{
	struct json_value value;
	return json_find(line, n, group, &value) ? number(value.text, value.n, key) : 0;
}

#define SIZE_TEXT 24

static const char *size_text(int64_t bytes, char text[static SIZE_TEXT])
{
	if (bytes < 1000)
		snprintf(text, SIZE_TEXT, "%lld B", (long long)bytes);
	else if (bytes < 1000000)
		snprintf(text, SIZE_TEXT, "%.1f kB", (double)bytes / 1e3);
	else
		snprintf(text, SIZE_TEXT, "%.1f MB", (double)bytes / 1e6);
	return text;
}

static void print_oldest(int64_t oldest_ms)
{
	char when[32], length[LOG_LENGTH_SIZE];
	time_t seconds = (time_t)(oldest_ms / 1000);
	struct tm tm;
	int64_t age_us = (clock_system.wall_ms(&clock_system) - oldest_ms) * 1000;
	if (!localtime_r(&seconds, &tm) || strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm) == 0)
		return;
	printf("oldest    %s%s%s%s\n", when, age_us > 0 ? " (" : "", age_us > 0 ? log_length(age_us, length) : "",
		age_us > 0 ? " ago)" : "");
}

static void print_dropped(const char *line, size_t n)
{
	static const struct {
		const char *key, *meaning;
	} causes[] = {{"full", "the buffer was full"}, {"offline", "QoS 0 without a broker"},
		{"refused", "refused by the broker"}, {"expired", "too old"},
		{"superseded", "a newer one took their place"}, {"damaged", "their rows on disk could not be read"},
		{"command", "by command"}};
	struct json_value dropped;
	int64_t sum = 0;
	if (!json_find(line, n, "dropped", &dropped) || dropped.text[0] != '{')
		return;
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		sum += number(dropped.text, dropped.n, causes[i].key);
	printf("dropped   %lld since the start\n", (long long)sum);
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		int64_t count = number(dropped.text, dropped.n, causes[i].key);
		if (count)
			printf("          %lld %s\n", (long long)count, causes[i].meaning);
	}
}

static void print_limits(const char *line, size_t n)
{
	char age[BF_DURATION_SIZE], rule[16] = "";
	struct json_value limits;
	int64_t max_age_s = number_in(line, n, "limits", "max_age_s");
	if (json_find(line, n, "limits", &limits))
		json_find_text(limits.text, limits.n, "when_full", rule, sizeof(rule));
	bf_duration_print(max_age_s * 1000000, age);
	printf("limits    %s%s, when it is full the %s go\n",
		max_age_s ? "messages older than " : "messages of any age", max_age_s ? age : "",
		strcmp(rule, "drop_newest") == 0 ? "newest" : "oldest");
}

static void print_room(const char *line, size_t n, bool running)
{
	char used[SIZE_TEXT], room[SIZE_TEXT], file[4096];
	bool durable = false;
	json_find_bool(line, n, "durable", &durable);
	if (running) {
		printf("memory    %s of %s\n", size_text(number(line, n, "memory_bytes"), used),
			size_text(number_in(line, n, "limits", "memory"), room));
	}
	if (!json_find_text(line, n, "file", file, sizeof(file))) {
		puts("disk      none: what waits is lost with the gateway's end");
		return;
	}
	printf("disk      %s of %s in %s%s\n", size_text(number(line, n, "disk_bytes"), used),
		size_text(number_in(line, n, "limits", "max_size"), room), file,
		durable ? "" : ", which does not work now: messages wait in memory only");
}

static bool print_status(void *user, const char *line, size_t n)
{
	(void)user;
	bool running = false;
	json_find_bool(line, n, "running", &running);
	int64_t in_flight = number(line, n, "in_flight"), oldest_ms = number(line, n, "oldest"),
		damaged = number(line, n, "damaged");
	printf("gateway   %s\n", running ? "runs" : "does not run; this is the file's content");
	printf("waiting   %lld messages", (long long)number(line, n, "waiting"));
	if (in_flight)
		printf(", %lld of them on their way to the broker", (long long)in_flight);
	putchar('\n');
	if (oldest_ms)
		print_oldest(oldest_ms);
	print_room(line, n, running);
	print_limits(line, n);
	if (damaged)
		printf("damaged   %lld messages on disk were not what had been written\n", (long long)damaged);
	print_dropped(line, n);
	return true;
}

static bool take_sums(void *user, const char *line, size_t n)
{
	struct buffer_command *command = user;
	command->messages = number(line, n, "messages");
	command->in_flight = number(line, n, "in_flight");
	return true;
}

static int status(struct buffer_command *command)
{
	return buffer_source_ask(
		command->source, "status", NULL, command->as_json ? print_line : print_status, command);
}

static int export(struct buffer_command *command)
{
	if (!isatty(STDOUT_FILENO))
		setvbuf(stdout, NULL, _IOFBF, OUT_BYTES); /* a backlog may have millions of lines */
	int code = buffer_source_ask(command->source, "export", command->filter, print_line, command);
	return code == 0 && (fflush(stdout) != 0 || ferror(stdout)) ? EX_IOERR : code;
}

static int drop(struct buffer_command *command)
{
	int code = buffer_source_ask(
		command->source, command->yes ? "drop" : "count", command->filter, take_sums, command);
	if (!command->yes) {
		if (code)
			return code;
		fprintf(stderr, "busferry: error: this would drop %lld messages%s%s; say --yes to do it\n",
			(long long)command->messages, command->filter ? " of the topic " : "",
			command->filter ? command->filter : "");
		return EX_USAGE;
	}
	if (command->as_json)
		printf("{\"dropped\":%lld,\"in_flight\":%lld}\n", (long long)command->messages,
			(long long)command->in_flight);
	else
		printf("%lld messages dropped\n", (long long)command->messages);
	if (command->in_flight)
		fprintf(stderr, "busferry: %lld more are on their way to the broker and were left\n",
			(long long)command->in_flight);
	return code;
}

static const struct {
	const char *name;
	bool filters; /* takes --topic */
	int (*run)(struct buffer_command *command);
} actions[] = {{"status", false, status}, {"export", true, export}, {"drop", true, drop}};

static int run(struct buffer_command *command, int (*action)(struct buffer_command *command))
{
	struct plan plan = {0};
	int code = map_load(command->file, &plan);
	if (code >= 0)
		return code;
	code = buffer_source_open(&plan, &command->source);
	if (code < 0) {
		code = action(command);
		buffer_source_close(command->source);
	}
	plan_destroy(&plan);
	return code;
}

int cli_buffer(int argc, char **argv)
{
	struct buffer_command command = {.file = CLI_DEFAULT_MAP};
	const struct cli_option options[] = {CLI_OPTION_MAP(&command.file),
		{.letter = 't',
			.name = "topic",
			.argument = "FILTER",
			.kind = CLI_TEXT,
			.into = &command.filter,
			.help = "export, drop: only messages whose topic matches this MQTT filter"},
		{.name = "yes", .kind = CLI_FLAG, .into = &command.yes, .help = "drop: do it"},
		{.name = "json",
			.kind = CLI_FLAG,
			.into = &command.as_json,
			.help = "one JSON object (export always prints one a line)"},
		{0}};
	int first;
	int code = cli_parse("buffer", argc, argv, options, &first);
	if (code >= 0)
		return code;
	if (first == argc)
		return cli_usage_error("buffer", "what is to be done? status, export or drop");
	if (first + 1 < argc)
		return cli_usage_error("buffer", "unexpected \"%s\"", argv[first + 1]);
	const char *fault = command.filter ? topic_filter_fault(command.filter) : NULL;
	if (command.filter && strlen(command.filter) > FILTER_MAX)
		fault = "is too long";
	if (fault)
		return cli_usage_error("buffer", "the filter of --topic %s", fault);
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(argv[first], actions[i].name) != 0)
			continue;
		if (command.filter && !actions[i].filters)
			return cli_usage_error("buffer", "%s takes no --topic", actions[i].name);
		return run(&command, actions[i].run);
	}
	return cli_usage_error("buffer", "\"%s\" is none of status, export, drop", argv[first]);
}

/*
 * `busferry report`: all that somebody who helps wants to know, in one text.
 *
 * Why a text and no archive: who sends it reads it first, an issue takes it as it is, and nothing has to be unpacked to
 * answer.  Each part is told by the program that knows it best, mostly by this one, in a process of its own with a
 * bound on its time and its length: a report is wanted when something does not work.
 *
 * Invariant: nothing reaches the text but through redact_print and redact_print_map.
 */
#include "app/config.h"
#include "app/maptext.h"
#include "app/redact.h"
#include "cli/capture.h"
#include "cli/cli.h"
#include "ship/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define PART_SECONDS 20
#define PART_BYTES   ((size_t)1024 * 1024)
#define LINES_MOST   100000
#define SELF         "/proc/self/exe"

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

static const char unit_properties[] = "LoadState,ActiveState,SubState,Result,NRestarts,ExecMainStatus,"
				      "ActiveEnterTimestamp,MemoryCurrent,CPUUsageNSec,"
				      "FragmentPath,DropInPaths,StatusText";

struct report_command {
	const char *map, *output;
	bool to_stdout, full, as_json;
	long lines;
	struct redact redact;
	const char *const *maps; /* with its conf.d */
	size_t n_maps;
	char program[PATH_MAX];
	FILE *to;
};

static void title(struct report_command *report, const char *text)
{
	fprintf(report->to, "\n== %s ==\n", text);
}

static void say(struct report_command *report, const char *key, const char *text)
{
	fprintf(report->to, "%-12s", key);
	redact_print(&report->redact, text, strlen(text), report->to);
	fputc('\n', report->to);
}

/* Takes comments out of the lines of a map that faults are told with: "    12 | every: 10s  # …". */
static void cut_comments(struct captured *captured)
{
	char *to = captured->text;
	for (char *at = captured->text; *at;) {
		size_t n = strcspn(at, "\n"), digits = strspn(at, " 0123456789"), keep = n;
		bool of_map = digits > 0 && digits < n && at[digits] == '|';
		for (size_t i = digits; of_map && i < keep; i++)
			if (at[i] == '#' ||
				(at[i] == '/' && (at[i + 1] == '*' || (at[i + 1] == '/' && at[i - 1] != ':'))))
				keep = i;
		memmove(to, at, keep);
		to += keep;
		at += n;
		if (*at)
			*to++ = *at++;
	}
	*to = '\0';
	captured->n = (size_t)(to - captured->text);
}

/* What a program says. */
static void part(struct report_command *report, const char *name, const char *const *argv)
{
	struct captured captured;
	title(report, name);
	int rc = capture(argv, PART_SECONDS, PART_BYTES, &captured);
	if (rc < 0) {
		fprintf(report->to, "(%s: %s)\n", argv[0], strerror(-rc));
		return;
	}
	if (argv[0] == report->program)
		cut_comments(&captured);
	redact_print(&report->redact, captured.text, captured.n, report->to);
	if (captured.n && captured.text[captured.n - 1] != '\n')
		fputc('\n', report->to);
	if (captured.code < 0)
		fputs("(it did not end by itself)\n", report->to);
	else if (captured.code)
		fprintf(report->to, "(exit code %d)\n", captured.code);
	captured_free(&captured);
}

/* The first line of a file, or the one that begins with `key`. */
static void say_line(struct report_command *report, const char *name, const char *file, const char *key)
{
	char line[512];
	FILE *from = fopen(file, "re");
	while (from && fgets(line, sizeof(line), from)) {
		if (key && strncmp(line, key, strlen(key)) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		say(report, name, line + (key ? strlen(key) : 0));
		break;
	}
	if (from)
		fclose(from);
}

static int say_library(struct dl_phdr_info *info, size_t size, void *user)
{
	(void)size;
	char *real = info->dlpi_name[0] == '/' ? realpath(info->dlpi_name, NULL) : NULL;
	if (real)
		say(user, "library", real);
	free(real);
	return 0;
}

static void machine(struct report_command *report)
{
	struct utsname name;
	char text[1024], when[64];
	time_t now = time(NULL);
	struct tm tm;
	title(report, "program and machine");
	say(report, "version", "busferry " BUSFERRY_VERSION);
	snprintf(text, sizeof(text), "%s, %s, %zu bit", COMPILER, BUSFERRY_BUILD, sizeof(void *) * CHAR_BIT);
	say(report, "built with", text);
	say(report, "glibc", gnu_get_libc_version());
	say(report, "program", report->program);
	dl_iterate_phdr(say_library, report);
	say_line(report, "system", "/etc/os-release", "PRETTY_NAME=");
	if (uname(&name) == 0) {
		snprintf(text, sizeof(text), "%s %s %s", name.sysname, name.release, name.machine);
		say(report, "kernel", text);
	}
	say_line(report, "board", "/proc/device-tree/model", NULL);
	say_line(report, "board", "/sys/class/dmi/id/product_name", NULL);
	say_line(report, "memory", "/proc/meminfo", "MemTotal:");
	say_line(report, "free", "/proc/meminfo", "MemAvailable:");
	say_line(report, "uptime", "/proc/uptime", NULL);
	snprintf(text, sizeof(text), "uid %u, gid %u", (unsigned)getuid(), (unsigned)getgid());
	say(report, "user", text);
	if (localtime_r(&now, &tm) && strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S %z", &tm))
		say(report, "time", when);
}

static void disk(struct report_command *report, const char *folder)
{
	struct statvfs about;
	char text[PATH_MAX + 128];
	if (statvfs(folder, &about) < 0)
		return;
	snprintf(text, sizeof(text), "%s: %llu of %llu MB free%s", folder,
		(unsigned long long)about.f_bavail * about.f_frsize / 1000000,
		(unsigned long long)about.f_blocks * about.f_frsize / 1000000,
		about.f_flag & ST_RDONLY ? ", read-only" : "");
	say(report, "disk", text);
}

static void each_map(struct report_command *report, bool learns)
{
	for (size_t i = 0; i < report->n_maps; i++) {
		struct arena arena = {0};
		const char *file = report->maps[i], *text;
		size_t n;
		int rc = maptext_load(file, &arena, &text, &n);
		if (learns && rc == 0)
			redact_learn_map(&report->redact, file, text, n);
		if (!learns) {
			title(report, file);
			if (rc == 0)
				redact_print_map(&report->redact, file, text, n, report->to);
			else
				fprintf(report->to, "(%s)\n", strerror(-rc));
		}
		arena_free(&arena);
	}
}

/* Passwords that come another way than by the map. */
static void learn_others(struct report_command *report)
{
	static char secret[SECRET_MAX];
	char path[CREDENTIAL_PATH_MAX];
	if (secret_environment("BUSFERRY_PASSWORD", secret) == 0)
		redact_learn(&report->redact, secret, "********");
	if (secret_credential("mqtt-password", path) == 0 && secret_read(path, secret) == 0)
		redact_learn(&report->redact, secret, "********");
	secret_wipe(secret);
}

static void write_all(struct report_command *report)
{
	char lines[24];
	snprintf(lines, sizeof(lines), "%ld", report->lines);
	const char *self = report->program, *map = report->map;
	const struct {
		const char *name, *argv[6];
	} ours[] = {{"check", {self, "check", "-c", map}}, {"drivers", {self, "completion", "drivers"}},
		{"ports", {self, "ports"}}, {"status", {self, "status", "-c", map}},
		{"status as JSON", {self, "status", "-c", map, "--json"}},
		{"buffer", {self, "buffer", "status", "-c", map}}};
	const char *const unit[] = {"systemctl", "show", "busferry.service", "--no-pager", "-p", unit_properties, NULL};
	const char *const log[] = {
		"journalctl", "-u", "busferry.service", "--no-pager", "-o", "short-iso", "-n", lines, NULL};
	const char *const packages[] = {"dpkg-query", "-W", "-f", "${Package} ${Version} ${Status}\n", "busferry*",
		"libmodbus5", "libserialport0", "libmosquitto1", "libsqlite3-0", "libconfig9", "libcjson1", "libssl3*",
		"libmicrohttpd12*", "libprotobuf-c1", "libc6", NULL};
	fputs("A report of busferry, for who helps with a fault. Passwords are left out, and so are the comments of "
	      "the "
	      "map",
		report->to);
	fputs(report->full ? ".\n" : ", user names and client ids.\n", report->to);
	fputs("It names hosts, topics and devices: read it before you send it.\n", report->to);
	machine(report);
	disk(report, "/");
	disk(report, "/var/lib/busferry");
	disk(report, "/tmp");
	part(report, "packages", packages);
	each_map(report, false);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		part(report, ours[i].name, ours[i].argv);
	part(report, "unit", unit);
	part(report, "log", log);
}

/* Makes the file; its name if none is given. */
static int open_file(struct report_command *report, char name[static PATH_MAX])
{
	time_t now = time(NULL);
	struct tm tm;
	if (report->output)
		snprintf(name, PATH_MAX, "%s", report->output);
	else if (!localtime_r(&now, &tm) || !strftime(name, PATH_MAX, "busferry-report-%Y%m%d-%H%M%S.txt", &tm))
		return EX_OSERR;
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	report->to = fd < 0 ? NULL : fdopen(fd, "w");
	if (report->to)
		return -1;
	fprintf(stderr, "busferry: error: %s: %s\n", name,
		errno == EEXIST ? "is there already, and is not overwritten" : strerror(errno));
	return EX_CANTCREAT;
}

static int make(struct report_command *report)
{
	char name[PATH_MAX] = "";
	if (readlink(SELF, report->program, sizeof(report->program) - 1) < 0)
		snprintf(report->program, sizeof(report->program), "%s", SELF);
	int code = report->to_stdout ? -1 : open_file(report, name);
	if (code >= 0)
		return code;
	if (report->to_stdout)
		report->to = stdout;
	setenv("LC_ALL", "C.UTF-8", 1); /* of the programs that are asked */
	setenv("NO_COLOR", "1", 1);
	setenv("SYSTEMD_COLORS", "0", 1);
	report->redact.names_too = !report->full;
	report->maps = config_files(report->map, &report->redact.arena, &report->n_maps);
	each_map(report, true);
	learn_others(report);
	unsetenv("BUSFERRY_PASSWORD"); /* none of them needs it */
	write_all(report);
	redact_destroy(&report->redact);
	bool failed = ferror(report->to) != 0;
	if (!report->to_stdout)
		failed |= fclose(report->to) != 0;
	if (failed) {
		fprintf(stderr, "busferry: error: %s: %s\n", report->to_stdout ? "stdout" : name, strerror(errno));
		return EX_IOERR;
	}
	if (report->to_stdout)
		return 0;
	fputs("busferry: read it before you send it\n", stderr);
	return report->as_json ? cli_print_file("file", name) : puts(name) < 0 ? EX_IOERR : 0;
}

int cli_report(int argc, char **argv)
{
	static struct report_command report = {.map = CLI_DEFAULT_MAP, .lines = 500};
	const struct cli_option options[] = {CLI_OPTION_MAP(&report.map),
		{.letter = 'o',
			.name = "output",
			.argument = "FILE",
			.kind = CLI_TEXT,
			.into = &report.output,
			.help = "where it goes (busferry-report-DATE.txt)",
			.source = CLI_FILES},
		{.name = "stdout", .kind = CLI_FLAG, .into = &report.to_stdout, .help = "print it instead"},
		{.name = "full", .kind = CLI_FLAG, .into = &report.full, .help = "with user names and client ids"},
		{.name = "lines",
			.argument = "N",
			.kind = CLI_NUMBER,
			.into = &report.lines,
			.min = 0,
			.max = LINES_MOST,
			.help = "how many lines of the log (500)"},
		{.name = "json",
			.kind = CLI_FLAG,
			.into = &report.as_json,
			.help = "one JSON object with the name of the file"},
		{0}};
	int first;
	int rc = cli_parse("report", argc, argv, options, &first);
	if (rc >= 0)
		return rc;
	if (first < argc)
		return cli_usage_error("report", "unexpected \"%s\"", argv[first]);
	if (report.to_stdout && report.as_json)
		return cli_usage_error("report", "--stdout prints a text, no JSON");
	if (report.to_stdout && report.output)
		return cli_usage_error("report", "--stdout and --output exclude each other");
	return make(&report);
}

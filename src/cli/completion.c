/*
 * `busferry completion`: the scripts for shells, and the words that those ask for while somebody types: ports,
 * profiles, drivers, keys of the map.
 *
 * The scripts are made of the tables when the program is packaged; what a machine has is asked for each time, so a new
 * profile or a port that was just plugged in is offered at once.  Ports are listed by their names in /dev only: nothing
 * is opened or looked up for a press of the TAB key.
 */
#include "cli/completion.h"
#include "app/explain.h"
#include "app/profile.h"
#include "base/log.h"
#include "field/registry.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static void bash(void)
{
	completion_bash(stdout);
}

static void zsh(void)
{
	completion_zsh(stdout);
}

static void fish(void)
{
	completion_fish(stdout);
}

static void ports(void)
{
	static const char *const patterns[] = {
		"/dev/serial/by-id/*", "/dev/ttyUSB*", "/dev/ttyACM*", "/dev/ttyAMA*", "/dev/ttyS0"};
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		glob_t found = {0};
		if (glob(patterns[i], 0, NULL, &found) == 0)
			for (size_t j = 0; j < found.gl_pathc; j++)
				puts(found.gl_pathv[j]);
		globfree(&found);
	}
	puts("tcp://");
}

static void profiles(void)
{
	struct arena arena = {0};
	for (const char *const *id = profile_ids(&arena); *id; id++)
		puts(*id);
	arena_free(&arena);
}

static void load_drivers(void)
{
	log_set_level(LOG_LEVEL_ERROR); /* that a module can't be used is not for the line that somebody is typing */
	registry_load();
}

static void drivers(void)
{
	load_drivers();
	for (size_t i = 0; registry_at(i); i++)
		puts(registry_at(i)->name);
}

/* "broker.keepalive", "metric.scale", "frame.check.kind" for a key of a driver. */
static void keys(void)
{
	struct explain_row row;
	load_drivers();
	for (size_t i = 0; explain_row_at(i, &row); i++)
		printf("%s.%s\n", row.driver ? row.driver : explain_group_word(row.group), row.key->name);
}

static const struct {
	const char *name;
	void (*print)(void);
} what[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}, {"ports", ports}, {"profiles", profiles},
	{"drivers", drivers}, {"keys", keys}};

const char *completion_word(enum cli_source source)
{
	switch (source) {
	case CLI_PORTS:
		return "ports";
	case CLI_PROFILES:
		return "profiles";
	case CLI_DRIVERS:
		return "drivers";
	case CLI_KEYS:
		return "keys";
	default:
		return NULL;
	}
}

int cli_completion(int argc, char **argv)
{
	const struct cli_option options[] = {{0}};
	int first;
	int rc = cli_parse("completion", argc, argv, options, &first);
	if (rc >= 0)
		return rc;
	if (argc - first != 1)
		return cli_usage_error("completion", "which shell? bash, zsh or fish");
	for (size_t i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
		if (strcmp(what[i].name, argv[first]) != 0)
			continue;
		what[i].print();
		return 0;
	}
	return cli_usage_error("completion", "\"%s\" is none of bash, zsh, fish", argv[first]);
}

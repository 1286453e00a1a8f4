/*
 * `busferry simulate`: plays the devices of a map.  The work is done in sim/.
 */
#include "sim/simulate.h"
#include "cli/cli.h"
#include "cli/map.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

static int exit_code(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case -EADDRINUSE:
	case -EBUSY:
		return EX_TEMPFAIL;
	case -EACCES:
	case -EPERM:
		return EX_NOPERM;
	default:
		return EX_CANTCREAT;
	}
}

static int simulate_map(const struct plan *plan, struct simulate_options how, const char *faults, uint64_t seed)
{
	struct mishaps mishaps = {0};
	struct arena arena = {0};
	char complaint[160];
	if (faults && mishaps_parse(faults, plan, seed, &arena, &mishaps, complaint) < 0) {
		arena_free(&arena);
		return cli_usage_error("simulate", "--faults: %s", complaint);
	}
	if (faults)
		how.station.mishaps = &mishaps;
	how.stop_fd = cli_stop_fd();
	int code = exit_code(simulate_run(plan, &how));
	close(how.stop_fd);
	arena_free(&arena);
	return code;
}

int cli_simulate(int argc, char **argv)
{
	const char *file = CLI_DEFAULT_MAP, *faults = NULL;
	long seed = 1;
	struct simulate_options how = {.stop_fd = -1, .clock = &clock_system, .out = stdout};
	bool holes = false;
	const struct cli_option options[] = {CLI_OPTION_MAP(&file),
		{.name = "folder",
			.argument = "DIR",
			.kind = CLI_TEXT,
			.into = &how.folder,
			.source = CLI_FOLDERS,
			.help = "link the ptys of serial buses as DIR/BUS instead of at their own port"},
		{.name = "free-ports",
			.kind = CLI_FLAG,
			.into = &how.shift_ports,
			.help = "let TCP buses listen on free ports, whatever the map says"},
		{.name = "pace",
			.kind = CLI_FLAG,
			.into = &how.station.pace,
			.help = "answer no faster than the line's speed allows"},
		{.name = "strict",
			.kind = CLI_FLAG,
			.into = &how.station.strict,
			.help = "paced, and deaf to what comes before 3.5 characters of silence or at another speed"},
		{.name = "holes",
			.kind = CLI_FLAG,
			.into = &holes,
			.help = "registers that the map does not use answer with exception 2"},
		{.name = "faults",
			.argument = "LIST",
			.kind = CLI_TEXT,
			.into = &faults,
			.words = "late slow lost truncated noisy foreign wrong-unit exception dead echoing unplugged",
			.help = "what goes wrong: KIND[@DEVICE or @BUS][:SHARE],... (see above)"},
		{.name = "seed",
			.argument = "N",
			.kind = CLI_NUMBER,
			.into = &seed,
			.max = LONG_MAX,
			.help = "of the chance in --faults (1)"},
		{.name = "seconds",
			.argument = "TIME",
			.kind = CLI_DURATION,
			.into = &how.duration_us,
			.help = "end by itself after that time"},
		{.name = "json", .kind = CLI_FLAG, .into = &how.json, .help = "one JSON object a line"}, {0}};
	int first;
	int rc = cli_parse("simulate", argc, argv, options, &first);
	if (rc >= 0)
		return rc;
	if (first < argc)
		return cli_usage_error("simulate", "unexpected \"%s\"", argv[first]);
	how.station.fill_gaps = !holes;
	struct plan plan = {0};
	rc = map_load(file, &plan);
	if (rc >= 0)
		return rc;
	rc = simulate_map(&plan, how, faults, (uint64_t)seed);
	plan_destroy(&plan);
	return rc;
}

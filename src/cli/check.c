/*
 * `busferry check`: reads the map, tells every fault, prints the plan.
 */
#include "app/remember.h"
#include "cli/cli.h"
#include "cli/explain.h"
#include "cli/map.h"
#include "cli/plan_text.h"
#include "field/registry.h"

#include <stdio.h>
#include <sysexits.h>

int cli_check(int argc, char **argv)
{
	const char *file = CLI_DEFAULT_MAP;
	const char *explain = NULL;
	bool topics = false, as_json = false;
	const struct cli_option options[] = {CLI_OPTION_MAP(&file),
		{.name = "topics",
			.kind = CLI_FLAG,
			.into = &topics,
			.help = "every topic with QoS, retain and interval"},
		{.name = "explain",
			.argument = "KEY",
			.kind = CLI_TEXT,
			.into = &explain,
			.source = CLI_KEYS,
			.help = "what a key of the map is: every, metric.scale, broker.inflight"},
		{.name = "json", .kind = CLI_FLAG, .into = &as_json, .help = "one JSON object"}, {0}};
	int first;
	int rc = cli_parse("check", argc, argv, options, &first);
	if (rc >= 0)
		return rc;
	if (first < argc)
		return cli_usage_error("check", "unexpected \"%s\"", argv[first]);
	if (explain) {
		registry_load();
		return explain_print(explain, as_json);
	}
	struct plan plan = {0};
	rc = map_load(file, &plan);
	if (rc >= 0)
		return rc;
	rc = 0;
	struct learnt learnt;
	struct arena arena = {0};
	remember_load(&plan, &learnt, &arena);
	if (as_json)
		rc = plan_text_print_json(&plan, &learnt) < 0 ? EX_SOFTWARE : 0;
	else if (topics)
		plan_text_print_topics(&plan);
	else
		plan_text_print(&plan, &learnt);
	arena_free(&arena);
	plan_destroy(&plan);
	return rc;
}

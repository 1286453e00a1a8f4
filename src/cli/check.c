/*
 * `busferry check`: reads the map, tells every fault, prints the plan.
 */
#include "app/remember.h"
#include "cli/cli.h"
#include "cli/explain.h"
#include "cli/fault_text.h"
#include "cli/map.h"
#include "cli/plan_text.h"
#include "field/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

/* The plan's exit code. */
static int print_plan(const struct plan *plan, struct faults *faults, bool topics, bool as_json)
{
	int rc = 0;
	struct learnt learnt;
	struct arena arena = {0};
	remember_load(plan, &learnt, &arena);
	if (as_json)
		rc = plan_text_print_json(plan, &learnt, faults) < 0 ? EX_SOFTWARE : 0;
	else if (topics)
		plan_text_print_topics(plan);
	else
		plan_text_print(plan, &learnt);
	arena_free(&arena);
	return rc;
}

/* A map that can't be used. */
static int print_faults(struct faults *faults, int code)
{
	size_t size = fault_text_size(faults);
	char *text = malloc(size);
	if (!text)
		return EX_SOFTWARE;
	struct json json = json_into(text, size);
	json_object(&json, NULL);
	fault_text_json(&json, faults);
	json_object_end(&json);
	if (json_end(&json) >= 0)
		puts(text);
	free(text);
	return code;
}

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
	struct faults faults = {0};
	rc = map_load_faults(file, &faults, &plan);
	if (rc >= 0 && as_json)
		rc = print_faults(&faults, rc);
	if (rc < 0)
		rc = print_plan(&plan, &faults, topics, as_json);
	faults_destroy(&faults);
	plan_destroy(&plan);
	return rc;
}

/*
 * `busferry ha`: what Home Assistant is told of the devices of the map, and taking all of it back.
 */
#include "cli/ha.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/map.h"
#include "model/topic.h"
#include "ship/discovery.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static int print_message(const struct plan *plan, size_t item, unsigned part, bool as_json)
{
	static char payload[DISCOVERY_MAX], line[DISCOVERY_MAX + (size_t)7 * MESSAGE_TOPIC_MAX];
	char topic[MESSAGE_TOPIC_MAX + 1];
	int n = discovery_print(plan, item, part, payload, sizeof(payload));
	if (n < 0 || discovery_topic_of(plan, item, part, topic) < 0)
		return EX_SOFTWARE;
	if (!as_json) {
		printf("%s %s\n", topic, payload);
		return 0;
	}
	struct json json = json_into(line, sizeof(line));
	json_object(&json, NULL);
	json_text(&json, "topic", topic);
	json_raw(&json, "payload", payload, (size_t)n);
	json_object_end(&json);
	if (json_end(&json) < 0)
		return EX_SOFTWARE;
	puts(line);
	return 0;
}

/* device NULL: all, and the gateway. */
static int show(const struct plan *plan, const char *device, bool as_json)
{
	int code = 0;
	bool found = !device;
	for (size_t item = 0; item < discovery_items(plan) && code == 0; item++) {
		if (device && (item == 0 || strcmp(plan->devices[item - 1].path, device) != 0))
			continue;
		found = true;
		unsigned n_parts = discovery_parts(plan, item);
		for (unsigned part = 0; part < n_parts && code == 0; part++)
			code = print_message(plan, item, part, as_json);
	}
	if (!found)
		return cli_usage_error(
			"ha", "the map has no device \"%s\"; devices are named as in ground/meter", device);
	return code;
}

int cli_ha(int argc, char **argv)
{
	const char *file = CLI_DEFAULT_MAP, *prefix = NULL;
	bool yes = false, as_json = false;
	const struct cli_option options[] = {CLI_OPTION_MAP(&file),
		{.name = "prefix",
			.argument = "PREFIX",
			.kind = CLI_TEXT,
			.into = &prefix,
			.help = "the discovery prefix, if not the map's"},
		{.name = "yes", .kind = CLI_FLAG, .into = &yes, .help = "remove: do it"},
		{.name = "json", .kind = CLI_FLAG, .into = &as_json, .help = "one JSON object a message"}, {0}};
	int first;
	int code = cli_parse("ha", argc, argv, options, &first);
	if (code >= 0)
		return code;
	if (first == argc)
		return cli_usage_error("ha", "what is to be done? show or remove");
	bool removes = strcmp(argv[first], "remove") == 0;
	if (!removes && strcmp(argv[first], "show") != 0)
		return cli_usage_error("ha", "\"%s\" is none of show, remove", argv[first]);
	if (argc - first > (removes ? 1 : 2))
		return cli_usage_error("ha", "unexpected \"%s\"", argv[argc - 1]);
	const char *fault = prefix ? topic_text_fault(prefix) : NULL;
	if (fault || (prefix && strlen(prefix) > MESSAGE_TOPIC_MAX / 2))
		return cli_usage_error("ha", "the prefix \"%s\" %s", prefix, fault ? fault : "is too long");
	struct plan plan = {0};
	code = map_load(file, &plan);
	if (code >= 0)
		return code;
	if (!discovery_is_on(&plan) && !removes)
		fputs("busferry: the map does not say homeassistant: { enabled: true }: nothing of this is told\n",
			stderr);
	if (prefix || !discovery_is_on(&plan))
		plan.homeassistant.prefix = prefix ? prefix : "homeassistant";
	code = removes ? ha_remove(&plan, yes, as_json) : show(&plan, argv[first + 1], as_json);
	plan_destroy(&plan);
	return code;
}

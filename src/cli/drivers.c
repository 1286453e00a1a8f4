/*
 * `busferry drivers`: the drivers, where they come from, and their keys, from the drivers' own tables.
 */
#include "base/json.h"
#include "cli/cli.h"
#include "field/registry.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static void print_keys(const char *title, const struct bf_key *keys)
{
	if (!keys || !keys->name)
		return;
	int width = 12;
	for (const struct bf_key *key = keys; key->name; key++)
		width = (int)strlen(key->name) > width ? (int)strlen(key->name) : width;
	printf("  %s\n", title);
	for (const struct bf_key *key = keys; key->name; key++)
		printf("    %-*s %s%s%s%s\n", width, key->name, key->help, key->fallback ? " (default " : "",
			key->fallback ? key->fallback : "", key->fallback ? ")" : "");
}

static void json_keys(struct json *json, const char *name, const struct bf_key *keys)
{
	json_array(json, name);
	for (const struct bf_key *key = keys; key && key->name; key++) {
		json_object(json, NULL);
		json_text(json, "key", key->name);
		if (key->fallback)
			json_text(json, "default", key->fallback);
		json_text(json, "help", key->help);
		json_object_end(json);
	}
	json_array_end(json);
}

/* One at a time, since nobody knows how many modules there are. */
static int print_json(void)
{
	static char text[64 * 1024];
	fputs("{\"drivers\":[", stdout);
	for (size_t i = 0; registry_at(i); i++) {
		const struct bf_driver *driver = registry_at(i);
		struct json json = json_into(text, sizeof(text));
		json_object(&json, NULL);
		json_text(&json, "name", driver->name);
		json_text(&json, "summary", driver->summary);
		json_text(&json, "way", driver->way == BF_WAY_STREAM ? "stream" : "registers");
		if (registry_file(i))
			json_text(&json, "module", registry_file(i));
		else
			json_null(&json, "module");
		json_keys(&json, "device_keys", driver->device_keys);
		json_keys(&json, "message_keys", driver->message_keys);
		json_keys(&json, "metric_keys", driver->metric_keys);
		json_object_end(&json);
		if (json_end(&json) < 0)
			return EX_SOFTWARE;
		printf("%s%s", i ? "," : "", text);
	}
	puts("]}");
	return 0;
}

int cli_drivers(int argc, char **argv)
{
	bool as_json = false;
	const struct cli_option options[] = {
		{.name = "json", .kind = CLI_FLAG, .into = &as_json, .help = "one JSON object"}, {0}};
	int first;
	int rc = cli_parse("drivers", argc, argv, options, &first);
	if (rc >= 0)
		return rc;
	if (first < argc)
		return cli_usage_error("drivers", "unexpected \"%s\"", argv[first]);
	registry_load();
	if (as_json)
		return print_json();
	for (size_t i = 0; registry_at(i); i++) {
		const struct bf_driver *driver = registry_at(i);
		printf("%s - %s\n  %s%s\n", driver->name, driver->summary, registry_file(i) ? "from " : "built in",
			registry_file(i) ? registry_file(i) : "");
		print_keys("keys of a device", driver->device_keys);
		print_keys("keys of a message", driver->message_keys);
		print_keys("keys of a metric", driver->metric_keys);
	}
	return 0;
}

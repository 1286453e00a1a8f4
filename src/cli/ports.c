/*
 * `busferry ports`: the serial ports of this machine, and what stands in their way.
 *
 * BUSFERRY_ROOT in the environment names a folder with sys, dev and proc that are looked at instead (for tests).
 */
#include "cli/ports_roots.h"
#include "base/json.h"
#include "cli/cli.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define JSON_SIZE ((size_t)256 * 1024)

static void print_row(const char *key, const char *text)
{
	if (text[0])
		printf("  %-8s %s\n", key, text);
}

static void print_port(const struct ports *ports, const struct port_info *port)
{
	char text[3 * PORTS_TEXT + 32] = "", hints[PORTS_HINTS][PORTS_HINT_SIZE];
	printf("%s\n", port->path);
	print_row("link", port->by_id[0] ? port->by_id : port->by_path);
	if (port->vendor[0])
		snprintf(text, sizeof(text), "%s%s%s (%s:%s%s%s)", port->maker,
			port->maker[0] && port->model[0] ? " " : "", port->model, port->vendor, port->product,
			port->serial[0] ? ", serial " : "", port->serial);
	print_row("adapter", text);
	print_row("driver", port->driver);
	if (port->held) {
		snprintf(text, sizeof(text), "%s, pid %ld", port->holder.name[0] ? port->holder.name : "a program",
			(long)port->holder.pid);
		print_row("held by", text);
	}
	size_t n = ports_hints(ports, port, hints);
	for (size_t i = 0; i < n; i++)
		print_row("hint", hints[i]);
}

static void print_text(const struct ports *ports)
{
	for (size_t i = 0; i < ports->n_ports; i++)
		print_port(ports, &ports->ports[i]);
	for (size_t i = 0; i < ports->n_orphans; i++) {
		const struct port_orphan *orphan = &ports->orphans[i];
		char hint[PORTS_HINT_SIZE];
		printf("%s%s%s (%s:%s): plugged in, but it has no port\n", orphan->maker,
			orphan->maker[0] && orphan->model[0] ? " " : "", orphan->model, orphan->vendor,
			orphan->product);
		ports_orphan_hint(ports, orphan, hint);
		print_row("hint", hint);
	}
	if (ports->n_ports == 0 && ports->n_orphans == 0)
		fputs("busferry: no serial ports\n", stderr);
}

static void json_known(struct json *json, const char *key, const char *text)
{
	if (text[0])
		json_text(json, key, text);
}

static void json_port(struct json *json, const struct ports *ports, const struct port_info *port)
{
	char hints[PORTS_HINTS][PORTS_HINT_SIZE];
	json_object(json, NULL);
	json_text(json, "path", port->path);
	json_known(json, "by_id", port->by_id);
	json_known(json, "by_path", port->by_path);
	json_known(json, "driver", port->driver);
	if (port->vendor[0]) {
		json_object(json, "adapter");
		json_text(json, "vendor", port->vendor);
		json_text(json, "product", port->product);
		json_known(json, "maker", port->maker);
		json_known(json, "model", port->model);
		json_known(json, "serial", port->serial);
		json_object_end(json);
	}
	if (port->latency_ms >= 0)
		json_int(json, "latency_ms", port->latency_ms);
	json_bool(json, "allowed", port->allowed);
	json_bool(json, "console", port->console);
	if (port->held) {
		json_object(json, "held_by");
		json_int(json, "pid", (int64_t)port->holder.pid);
		json_known(json, "name", port->holder.name);
		json_object_end(json);
	}
	json_array(json, "hints");
	size_t n = ports_hints(ports, port, hints);
	for (size_t i = 0; i < n; i++)
		json_text(json, NULL, hints[i]);
	json_array_end(json);
	json_object_end(json);
}

static int print_json(const struct ports *ports)
{
	char *text = malloc(JSON_SIZE);
	if (!text)
		return EX_OSERR;
	struct json json = json_into(text, JSON_SIZE);
	json_object(&json, NULL);
	json_array(&json, "ports");
	for (size_t i = 0; i < ports->n_ports; i++)
		json_port(&json, ports, &ports->ports[i]);
	json_array_end(&json);
	json_array(&json, "without_port");
	for (size_t i = 0; i < ports->n_orphans; i++) {
		const struct port_orphan *orphan = &ports->orphans[i];
		char hint[PORTS_HINT_SIZE];
		ports_orphan_hint(ports, orphan, hint);
		json_object(&json, NULL);
		json_text(&json, "vendor", orphan->vendor);
		json_text(&json, "product", orphan->product);
		json_known(&json, "maker", orphan->maker);
		json_known(&json, "model", orphan->model);
		json_text(&json, "hint", hint);
		json_object_end(&json);
	}
	json_array_end(&json);
	json_object_end(&json);
	int rc = json_end(&json) < 0 ? EX_SOFTWARE : 0;
	if (rc == 0)
		puts(text);
	free(text);
	return rc;
}

const struct ports_roots *ports_roots(void)
{
	static char sys[PATH_MAX], dev[PATH_MAX], proc[PATH_MAX];
	static const struct ports_roots elsewhere = {sys, dev, proc};
	const char *root = getenv("BUSFERRY_ROOT");
	if (!root || !*root)
		return &ports_here;
	snprintf(sys, sizeof(sys), "%s/sys", root);
	snprintf(dev, sizeof(dev), "%s/dev", root);
	snprintf(proc, sizeof(proc), "%s/proc", root);
	return &elsewhere;
}

int cli_ports(int argc, char **argv)
{
	bool as_json = false;
	const struct cli_option options[] = {
		{.name = "json", .kind = CLI_FLAG, .into = &as_json, .help = "one JSON object"}, {0}};
	int first;
	int rc = cli_parse("ports", argc, argv, options, &first);
	if (rc >= 0)
		return rc;
	if (first < argc)
		return cli_usage_error("ports", "unexpected \"%s\"", argv[first]);
	struct ports ports;
	if (ports_find(ports_roots(), &ports) < 0)
		return EX_OSERR;
	rc = 0;
	if (as_json)
		rc = print_json(&ports);
	else
		print_text(&ports);
	ports_destroy(&ports);
	return rc;
}

/*
 * What a scan tells.
 */
#include "base/json.h"
#include "cli/scan.h"
#include "field/ports.h"
#include "model/line_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_SIZE 65536
#define NUMBER    24

struct scan_device *scan_report_add(struct scan_report *report, const struct scan_found *found)
{
	struct scan_device *more = reallocarray(report->devices, report->n_devices + 1, sizeof(*more));
	if (!more)
		return NULL;
	report->devices = more;
	struct scan_device *device = &more[report->n_devices];
	*device = (struct scan_device){
		.found = *found, .probes = calloc(report->prints.n_items + 1, sizeof(*device->probes))};
	if (!device->probes)
		return NULL;
	report->n_devices++;
	return device;
}

void scan_report_destroy(struct scan_report *report)
{
	for (size_t i = 0; i < report->n_devices; i++)
		free(report->devices[i].probes);
	free(report->devices);
	fingerprints_destroy(&report->prints);
}

static const char *meaning_of(uint8_t exception)
{
	static const char *const meanings[] = {[1] = "illegal function",
		[2] = "illegal data address",
		[3] = "illegal data value",
		[4] = "server device failure",
		[5] = "acknowledge",
		[6] = "server device busy"};
	const char *meaning = exception < sizeof(meanings) / sizeof(meanings[0]) ? meanings[exception] : NULL;
	return meaning ? meaning : "unknown";
}

static void number_text(double value, char text[static NUMBER])
{
	snprintf(text, NUMBER, "%.6g", value);
}

static void print_probes(const struct scan_report *report, const struct scan_device *device)
{
	bool any = false;
	for (int fits = 1; fits >= 0; fits--) {
		for (size_t i = 0; i < report->prints.n_items; i++) {
			const struct fingerprint *print = &report->prints.items[i];
			const struct scan_probe *probe = &device->probes[i];
			char value[NUMBER], min[NUMBER], max[NUMBER];
			if (!probe->answered || probe->fits != (fits == 1) || isnan(probe->value))
				continue;
			any |= probe->fits;
			number_text(probe->value, value);
			number_text(print->probe.min, min);
			number_text(print->probe.max, max);
			printf("  %-8s %-20s %s %s: %s %u is %s (%s to %s)\n", probe->fits ? "may be" : "hardly",
				print->id, print->maker, print->device, plan_space_word(print->probe.place.space),
				print->probe.place.at, value, min, max);
		}
	}
	if (!any)
		puts("  no profile's probe fits");
}

static void print_device(const struct scan_report *report, const struct scan_device *device)
{
	const struct scan_found *found = &device->found;
	char line[LINE_TEXT_SIZE] = "";
	if (found->settings)
		line_text_print(found->settings, line);
	if (found->any_unit)
		printf("any unit");
	else
		printf("unit %u", found->unit);
	printf("%s%s answers", found->settings ? " at " : "", line);
	if (found->exception)
		printf(" with exception %u, %s,", found->exception, meaning_of(found->exception));
	printf(" after %lld ms\n", (long long)(found->answer_us / 1000));
	print_probes(report, device);
}

static void json_probes(struct json *json, const struct scan_report *report, const struct scan_device *device)
{
	char number[NUMBER];
	json_array(json, "probes");
	for (size_t i = 0; i < report->prints.n_items; i++) {
		const struct fingerprint *print = &report->prints.items[i];
		const struct scan_probe *probe = &device->probes[i];
		if (!probe->answered)
			continue;
		json_object(json, NULL);
		json_text(json, "profile", print->id);
		json_text(json, "table", plan_space_word(print->probe.place.space));
		json_int(json, "start", print->probe.place.at);
		number_text(probe->value, number);
		if (isnan(probe->value))
			json_null(json, "value");
		else
			json_raw(json, "value", number, strlen(number));
		json_bool(json, "fits", probe->fits);
		json_object_end(json);
	}
	json_array_end(json);
	json_array(json, "profiles");
	for (size_t i = 0; i < report->prints.n_items; i++)
		if (device->probes[i].fits)
			json_text(json, NULL, report->prints.items[i].id);
	json_array_end(json);
}

static void print_json(const struct scan_report *report, const struct scan_device *device)
{
	static char text[JSON_SIZE];
	const struct scan_found *found = &device->found;
	char line[LINE_TEXT_SIZE];
	struct json json = json_into(text, sizeof(text));
	json_object(&json, NULL);
	json_text(&json, "port", report->bus->name);
	json_int(&json, "unit", found->unit);
	if (found->settings) {
		line_text_print(found->settings, line);
		json_text(&json, "line", line);
	}
	if (report->bus->wire == WIRE_TCP)
		json_bool(&json, "any_unit", found->any_unit);
	json_int(&json, "answer_ms", found->answer_us / 1000);
	if (found->exception)
		json_int(&json, "exception", found->exception);
	else
		json_int(&json, "value", found->value);
	json_probes(&json, report, device);
	json_object_end(&json);
	if (json_end(&json) > 0)
		puts(text);
}

void scan_report_device(const struct scan_report *report, const struct scan_device *device)
{
	if (report->json)
		print_json(report, device);
	else
		print_device(report, device);
	fflush(stdout);
}

/* The name of a port that stays its own. */
static void lasting_name(const char *port, char name[static PORTS_PATH])
{
	struct ports ports;
	char *real = realpath(port, NULL);
	snprintf(name, PORTS_PATH, "%s", port);
	if (real && strncmp(port, "/dev/tty", 8) == 0 && ports_find(&ports_here, &ports) == 0) {
		for (size_t i = 0; i < ports.n_ports; i++)
			if (strcmp(ports.ports[i].path, real) == 0 && ports.ports[i].by_id[0])
				snprintf(name, PORTS_PATH, "%s", ports.ports[i].by_id);
		ports_destroy(&ports);
	}
	free(real);
}

static void paste_device(const struct scan_report *report, const struct scan_device *device, const char *bus, FILE *to)
{
	const struct scan_found *found = &device->found;
	char where[160];
	if (bus)
		snprintf(where, sizeof(where), "bus: \"%s\"  address: %u", bus, found->unit);
	else
		snprintf(where, sizeof(where), "tcp: \"%.100s\"  address: %u", report->bus->name + 6, found->unit);
	for (size_t i = 0; i < report->prints.n_items; i++)
		if (device->probes[i].fits)
			fprintf(to, "    # unit%u: { profile: \"%s\"  %s }\n", found->unit, report->prints.items[i].id,
				where);
	const char *table = plan_space_word(report->ask.space);
	fprintf(to, "    unit%u: { %s  metrics: { %s_%u: { %s: %u } } }\n", found->unit, where, table, report->ask.at,
		table, report->ask.at);
}

static void paste_bus(const struct scan_report *report, const char *name, const struct plan_line *settings, FILE *to)
{
	char line[LINE_TEXT_SIZE], port[PORTS_PATH];
	lasting_name(report->bus->name, port);
	fprintf(to, "buses: { %s: { port: \"%s\"", name, port);
	if (settings) {
		line_text_print(settings, line);
		fprintf(to, "  line: \"%s\"", line);
	}
	fputs(" } }\n", to);
}

/* Devices with the settings of the first one share its bus; others can't be on the same wire with it. */
void scan_report_paste(const struct scan_report *report, FILE *to)
{
	if (report->n_devices == 0)
		return;
	const struct plan_line *settings = report->devices[0].found.settings;
	const char *bus = report->bus->wire == WIRE_TCP ? NULL : "found";
	bool others = false;
	fputs("\n# For the map. A line with a profile replaces the one below it once the type plate says so too.\n",
		to);
	if (bus)
		paste_bus(report, bus, settings, to);
	fputs("floors: {\n  found: {\n", to);
	for (size_t i = 0; i < report->n_devices; i++) {
		bool same = report->devices[i].found.settings == settings;
		if (same)
			paste_device(report, &report->devices[i], bus, to);
		others |= !same;
	}
	fputs("  }\n}\n", to);
	for (size_t i = 0; i < report->n_devices && others; i++) {
		char line[LINE_TEXT_SIZE];
		if (report->devices[i].found.settings == settings)
			continue;
		line_text_print(report->devices[i].found.settings, line);
		fprintf(to,
			"# unit %u has other line settings, %s: set it to those of the bus, or give it a port of its "
			"own\n",
			report->devices[i].found.unit, line);
	}
}

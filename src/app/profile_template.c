/*
 * A profile to begin with: see profile_template.h.
 *
 * The examples are sound, so that who changes one thing after the other can try each with `profiles check`; a test
 * checks them.  Drivers without an example are told by their tables of keys.
 */
#include "app/profile_template.h"
#include "field/registry.h"

#include <errno.h>
#include <string.h>

struct example {
	const char *transport, *head, *body;
};

static const struct example examples[] = {
	{"modbus",
		"quirks: { max_registers: 60 }   # what it needs: words, bytes, max_registers, max_gap, timeout, gap\n",
		"# A value by which a scan knows the device: as a metric, with what to expect.\n"
		"# probe: { input: 0  type: \"s16\"  scale: 0.1  min: -40  max: 85 }\n"
		"\n"
		"metrics: {\n"
		"  temperature: { input: 0    type: \"s16\"  scale: 0.1  unit: \"°C\"  invalid: 0x8000 }\n"
		"  energy:      { holding: 10  type: \"u32\"  unit: \"kWh\"  monotonic: true }\n"
		"}\n"
		"\n"
		"# Registers, and the readings that must come of them. Each metric is expected at least once.\n"
		"# The origin begins with \"document\" (page, example), \"capture\" (device, firmware) or "
		"\"synthetic\".\n"
		"vectors: {\n"
		"  example: {\n"
		"    origin: \"synthetic: made up\"\n"
		"    registers: ( { input: 0  values: [0x00D7] }, { holding: 10  values: [0x0001, 0x86A0] } )\n"
		"    expect: { temperature: 21.5  energy: 100000 }\n"
		"  }\n"
		"}\n"},
	{"frame",
		"# A message on the line: its first bytes, its length, its check.\n"
		"frame: { start: \"AA 55\"  length: 7  check: { kind: \"sum8\"  from: 2 } }\n",
		"# A sensor that is asked: a message for each request, with its metrics.\n"
		"# messages: { read: { request: \"AA 01\"  metrics: { temperature: { at: 2  type: \"s16be\" } } } }\n"
		"# init: [ \"AA 02\" ]        # sent when the port was opened\n"
		"# quirks: { timeout: \"15s\" }   # the longest silence that is no fault; of one that is asked: wait "
		"for "
		"an answer\n"
		"\n"
		"metrics: {\n"
		"  temperature: { at: 2  type: \"s16be\"  scale: 0.1  unit: \"°C\" }\n"
		"  humidity:    { at: 4  type: \"u16be\"  scale: 0.1  unit: \"%\"  invalid: 0xFFFF }\n"
		"}\n"
		"\n"
		"# Bytes, and the readings that must come of them. Each metric is expected at least once.\n"
		"# The origin begins with \"document\" (page, example), \"capture\" (device, firmware) or "
		"\"synthetic\".\n"
		"# From a device: busferry listen PORT --record recordings/NAME.rec, then recording: \"NAME.rec\".\n"
		"vectors: {\n"
		"  example: {\n"
		"    origin: \"synthetic: made up\"\n"
		"    input: [ \"AA 55 00 D7 01 C2 9A\" ]   # of a sensor that is asked: one item an answer\n"
		"    expect: { temperature: 21.5  humidity: 45 }\n"
		"  }\n"
		"}\n"},
	{"text",
		"# How lines are taken apart: here NAME=VALUE with blanks between.\n"
		"text: { keys: \"pairs\"  assign: \"=\"  first: \"read\" }\n",
		"# quirks: { timeout: \"15s\" }   # the longest silence that is no fault\n"
		"\n"
		"metrics: {\n"
		"  temperature: { key: \"T\"  unit: \"°C\" }\n"
		"  humidity:    { key: \"H\"  unit: \"%\" }\n"
		"}\n"
		"\n"
		"# What comes, and the readings that must come of it. Each metric is expected at least once.\n"
		"# The origin begins with \"document\" (page, example), \"capture\" (device, firmware) or "
		"\"synthetic\".\n"
		"# From a device: busferry listen PORT --record recordings/NAME.rec, then recording: \"NAME.rec\".\n"
		"vectors: {\n"
		"  example: {\n"
		"    origin: \"synthetic: made up\"\n"
		"    text: [ \"T=21.5 H=45\\r\\n\" ]\n"
		"    expect: { temperature: 21.5  humidity: 45 }\n"
		"  }\n"
		"}\n"},
};

/* "#   NAME   what it is", for each key. */
static void list_keys(FILE *to, const char *indent, const struct bf_key *keys)
{
	for (; keys && keys->name; keys++)
		fprintf(to, "%s#   %-14s %s%s%s%s\n", indent, keys->name, keys->help,
			keys->fallback ? " (default " : "", keys->fallback ? keys->fallback : "",
			keys->fallback ? ")" : "");
}

static void from_tables(FILE *to, const char *id, const struct bf_driver *driver)
{
	if (driver->device_keys && driver->device_keys->name) {
		fputs("# Keys of the device:\n", to);
		list_keys(to, "", driver->device_keys);
	}
	if (driver->message_keys && driver->message_keys->name) {
		fputs("# Keys of a message, messages: { NAME: { … } }:\n", to);
		list_keys(to, "", driver->message_keys);
	}
	fputs("\nmetrics: {\n  # NAME: { …  unit: \"°C\"  scale: 0.1 }, with\n", to);
	list_keys(to, "  ", driver->metric_keys);
	fprintf(to,
		"}\n\n"
		"# What comes, and the readings that must come of it. Each metric is expected at least once.\n"
		"# From a device: busferry listen PORT --record recordings/%s.rec.\n"
		"vectors: {\n"
		"  # example: { origin: \"capture: device, firmware\"  recording: \"%s.rec\"  expect: { NAME: 21.5 } "
		"}\n"
		"}\n",
		id, id);
}

int profile_template(FILE *to, const char *id, const char *transport)
{
	const struct bf_driver *driver = registry_find(transport);
	const struct example *example = NULL;
	if (!driver)
		return -ENOENT;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
		if (strcmp(examples[i].transport, transport) == 0)
			example = &examples[i];
	fprintf(to,
		"# What is known of one kind of device. Replace what is made up, keep the file as %s.conf, and try "
		"it:\n"
		"#   busferry profiles check %s.conf\n"
		"# At the top belongs who confirms it: two sources, or the maker's document.\n"
		"profile: {\n"
		"  id: \"%s\"   # the name of the file\n"
		"  maker: \"Acme\"  device: \"T1 thermometer\"\n"
		"  document: \"T1 manual\"  revision: \"1.0\"   # from where this is\n"
		"  transport: \"%s\"   # the driver; busferry drivers lists all, with their keys\n"
		"  # note: \"What else one should know\"\n"
		"}\n"
		"line: \"9600 8N1\"   # as it comes from its maker\n",
		id, id, id, transport);
	fputs(example ? example->head : "", to);
	if (example)
		fprintf(to, "\n%s", example->body);
	else
		from_tables(to, id, driver);
	return 0;
}

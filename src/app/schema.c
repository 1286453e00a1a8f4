/*
 * The tables of the device map: every key that the core knows, its type, its range, what it is when it is not given,
 * and one sentence about it.  See schema.h.
 *
 * These rows are the only place where a key is named: the reader, the messages with their "did you mean" and the
 * reference of the map are all fed from them.
 */
#include "app/schema.h"

#define EVERY_HELP "How often it is read: a duration, \"0s\" as often as the wire has time, \"start\" once"
#define AS_ABOVE   EVERY_HELP "; as the group above when not given"
#define TIMES      0, 864000 /* up to ten days */

#define ROW(struct_, field_) offsetof(struct struct_, field_)

const struct bf_key schema_top[] = {
	{"site", BF_KEY_TEXT, ROW(map_top, site), 0, 0, NULL, NULL, BF_KEY_REQUIRED, "The first part of every topic"},
	{"broker", BF_KEY_NODE, ROW(map_top, broker), 0, 0, NULL, "group|text", BF_KEY_REQUIRED,
		"The MQTT broker: a URL such as \"mqtt://localhost\", or a group"},
	{"gateway", BF_KEY_NODE, ROW(map_top, gateway), 0, 0, NULL, NULL, 0, "The gateway itself"},
	{"every", BF_KEY_DURATION, ROW(map_top, every_us), TIMES, "10s", "start", 0, EVERY_HELP},
	{"buses", BF_KEY_NODE, ROW(map_top, buses), 0, 0, NULL, NULL, 0, "The wires, by name"},
	{"floors", BF_KEY_NODE, ROW(map_top, floors), 0, 0, NULL, NULL, 0, "The tree of levels and devices"},
	{"topics", BF_KEY_NODE, ROW(map_top, topics), 0, 0, NULL, NULL, 0, "Rules for how readings are published"},
	{"buffer", BF_KEY_NODE, ROW(map_top, buffer), 0, 0, NULL, NULL, 0,
		"Where readings wait while the broker is away"},
	{"control", BF_KEY_NODE, ROW(map_top, control), 0, 0, NULL, NULL, 0,
		"What may be asked of the gateway through the broker"},
	{"homeassistant", BF_KEY_NODE, ROW(map_top, homeassistant), 0, 0, NULL, NULL, 0,
		"Announces devices to Home Assistant"},
	{"sparkplug", BF_KEY_NODE, ROW(map_top, sparkplug), 0, 0, NULL, NULL, 0, "The gateway as a Sparkplug B node"},
	{"status_page", BF_KEY_NODE, ROW(map_top, status_page), 0, 0, NULL, NULL, 0, "A page for browsers: how all is"},
	{0},
};

const struct bf_key schema_gateway[] = {
	{"id", BF_KEY_TEXT, ROW(map_gateway, id), 0, 0, NULL, NULL, 0,
		"The name in site/gateway/ID; the host name when not given"},
	{"ids", BF_KEY_BOOL, ROW(map_gateway, ids), 0, 0, "false", NULL, 0, "Adds an id to each json reading"},
	{0},
};

const struct bf_key schema_broker[] = {
	{"url", BF_KEY_NODE, ROW(map_broker, url), 0, 0, NULL, "text|list", BF_KEY_REQUIRED,
		"mqtt://host:port or mqtts://host:port, or a list of them that is tried in order"},
	{"protocol", BF_KEY_INT, ROW(map_broker, protocol), 4, 5, "4", NULL, 0, "4 is MQTT 3.1.1, 5 is MQTT 5"},
	{"client_id", BF_KEY_TEXT, ROW(map_broker, client_id), 0, 0, NULL, NULL, 0,
		"The client id; made from the machine and the gateway id when not given"},
	{"user", BF_KEY_TEXT, ROW(map_broker, user), 0, 0, NULL, NULL, 0, "The user name at the broker"},
	{"password_file", BF_KEY_TEXT, ROW(map_broker, password_file), 0, 0, NULL, NULL, 0,
		"A file with the password, which others cannot read, or \"credential:NAME\" of systemd; when not given "
		"the "
		"credential mqtt-password, or BUSFERRY_PASSWORD of the environment, is taken"},
	{"ca_file", BF_KEY_TEXT, ROW(map_broker, ca_file), 0, 0, NULL, NULL, 0,
		"Certificates of trusted authorities; the system's when not given"},
	{"cert_file", BF_KEY_TEXT, ROW(map_broker, cert_file), 0, 0, NULL, NULL, 0, "The gateway's own certificate"},
	{"key_file", BF_KEY_TEXT, ROW(map_broker, key_file), 0, 0, NULL, NULL, 0,
		"The key of cert_file, which others cannot read"},
	{"keepalive", BF_KEY_DURATION, ROW(map_broker, keepalive_us), 5, 64800, "30s", NULL, 0,
		"Within that a broker that no longer answers is given up; a silent one is asked before"},
	{"prefer_first", BF_KEY_DURATION, ROW(map_broker, prefer_first_us), 10, 86400, NULL, NULL, 0,
		"How often the first of several brokers is looked at while another serves, to go back to it; never "
		"when not "
		"given"},
	{"inflight", BF_KEY_INT, ROW(map_broker, inflight), 1, 65535, NULL, NULL, 0,
		"Messages that may await their acknowledgement: 100, at QoS 2 never more than 10 (20 if set)"},
	{"max_qos", BF_KEY_INT, ROW(map_broker, max_qos), 0, 2, "2", NULL, 0,
		"The highest QoS that this broker is sent"},
	{0},
};

const struct bf_key schema_buffer[] = {
	{"path", BF_KEY_TEXT, ROW(map_buffer, path), 0, 0, NULL, NULL, 0,
		"The file, /var/lib/busferry/buffer.db when not given; \":none:\" keeps readings in memory only"},
	{"max_size", BF_KEY_SIZE, ROW(map_buffer, max_size), 64000, 1e12, "256MB", NULL, 0,
		"The most that it may hold"},
	{"max_age", BF_KEY_DURATION, ROW(map_buffer, max_age_us), 1, 864000000, "7d", NULL, 0,
		"Older readings are dropped"},
	{"when_full", BF_KEY_CHOICE, ROW(map_buffer, when_full), 0, 0, "drop_oldest", "drop_oldest|drop_newest", 0,
		"What goes when it is full"},
	{"sync", BF_KEY_DURATION, ROW(map_buffer, sync_us), 0, 3600, "1s", NULL, 0,
		"The most that a power cut may take; \"0s\" puts readings on disk before they are published"},
	{"replay", BF_KEY_INT, ROW(map_buffer, replay), 0, 1000000, "0", NULL, 0,
		"Messages a second after an outage; 0 is as fast as the broker takes them"},
	{"order", BF_KEY_CHOICE, ROW(map_buffer, order), 0, 0, "oldest_first", "oldest_first|live_first", 0,
		"Whether present readings wait for the backlog or go beside it"},
	{0},
};

const struct bf_key schema_rule[] = {
	{"match", BF_KEY_TEXT, ROW(map_rule, match), 0, 0, NULL, NULL, 0, "An MQTT filter on the metric's topic"},
	{"metric", BF_KEY_TEXT, ROW(map_rule, metric), 0, 0, NULL, NULL, 0, "A shell pattern on the metric's name"},
	{"qos", BF_KEY_INT, ROW(map_rule, qos), 0, 2, NULL, NULL, 0, "1 when no rule says else"},
	{"retain", BF_KEY_BOOL, ROW(map_rule, retain), 0, 0, NULL, NULL, 0, "true when no rule says else"},
	{"payload", BF_KEY_CHOICE, ROW(map_rule, payload), 0, 0, NULL, "json|plain|influx", 0,
		"\"json\" when no rule says else"},
	{"per", BF_KEY_CHOICE, ROW(map_rule, per), 0, 0, NULL, "metric|device", 0,
		"One message a metric, or one a device and round"},
	{"expire", BF_KEY_DURATION, ROW(map_rule, expire_us), 1, 864000000, NULL, NULL, 0,
		"After this time the broker forgets the message (MQTT 5)"},
	{"buffer", BF_KEY_BOOL, ROW(map_rule, buffer), 0, 0, NULL, NULL, 0,
		"false: waits in memory only, never on disk"},
	{"backlog", BF_KEY_CHOICE, ROW(map_rule, backlog), 0, 0, NULL, "all|latest", 0,
		"What is sent of what waited during an outage"},
	{0},
};

const struct bf_key schema_bus[] = {
	{"driver", BF_KEY_TEXT, ROW(map_bus, driver), 0, 0, NULL, NULL, 0, "How its devices speak; \"modbus\""},
	{"port", BF_KEY_TEXT, ROW(map_bus, port), 0, 0, NULL, NULL, 0,
		"A serial port, best its /dev/serial/by-id/ link, or tcp://host:port of a serial device server"},
	{"line", BF_KEY_TEXT, ROW(map_bus, line), 0, 0, "9600 8N1", NULL, 0, "Speed, data bits, parity, stop bits"},
	{"tcp", BF_KEY_TEXT, ROW(map_bus, tcp), 0, 0, NULL, NULL, 0, "host:port of Modbus TCP"},
	{"timeout", BF_KEY_DURATION, ROW(map_bus, timeout_us), 0.001, 60, "1s", NULL, 0,
		"The longest wait for an answer; the wait itself is learnt"},
	{"gap", BF_KEY_DURATION, ROW(map_bus, gap_us), 0, 1, NULL, NULL, 0,
		"The silence between frames; 3.5 characters when not given"},
	{"retries", BF_KEY_INT, ROW(map_bus, retries), 0, 10, "1", NULL, 0,
		"Further attempts after a checksum error or the exceptions 5 and 6"},
	{"rs485", BF_KEY_CHOICE, ROW(map_bus, rs485), 0, 0, "auto", "auto|kernel|rts", 0,
		"Who switches the direction of the transceiver"},
	{0},
};

const struct bf_key schema_level[] = {
	{"every", BF_KEY_DURATION, ROW(map_level, every_us), TIMES, NULL, "start", 0, AS_ABOVE},
	{"topic", BF_KEY_TEXT, ROW(map_level, topic), 0, 0, NULL, NULL, 0, "Its part of the topic, if not its key"},
	{"name", BF_KEY_TEXT, ROW(map_level, name), 0, 0, NULL, NULL, 0, "Its name for people"},
	{0},
};

const struct bf_key schema_device[] = {
	{"bus", BF_KEY_TEXT, ROW(map_device, bus), 0, 0, NULL, NULL, 0,
		"The bus at which it is; may be left out when there is one"},
	{"driver", BF_KEY_TEXT, ROW(map_device, driver), 0, 0, NULL, NULL, 0, "How it speaks, with a port of its own"},
	{"port", BF_KEY_TEXT, ROW(map_device, port), 0, 0, NULL, NULL, 0, "A port of its own, as for a bus"},
	{"tcp", BF_KEY_TEXT, ROW(map_device, tcp), 0, 0, NULL, NULL, 0, "host:port of its own, as for a bus"},
	{"line", BF_KEY_TEXT, ROW(map_device, line), 0, 0, NULL, NULL, 0, "The line of its own port"},
	{"profile", BF_KEY_TEXT, ROW(map_device, profile), 0, 0, NULL, NULL, 0, "The profile that names its metrics"},
	{"address", BF_KEY_INT, ROW(map_device, address), 0, 255, NULL, NULL, 0,
		"Unit address: 1 to 247 on a serial line, 0 to 255 over TCP, where it is 1 when not given"},
	{"every", BF_KEY_DURATION, ROW(map_device, every_us), TIMES, NULL, "start", 0, AS_ABOVE},
	{"timeout", BF_KEY_DURATION, ROW(map_device, timeout_us), 0.001, 60, NULL, NULL, 0,
		"The longest wait for its answer; the bus's when not given"},
	{"name", BF_KEY_TEXT, ROW(map_device, name), 0, 0, NULL, NULL, 0, "Its name for people"},
	{"topic", BF_KEY_TEXT, ROW(map_device, topic), 0, 0, NULL, NULL, 0, "Its part of the topic, if not its key"},
	{"enabled", BF_KEY_BOOL, ROW(map_device, enabled), 0, 0, "true", NULL, 0, "false leaves it out"},
	{"only", BF_KEY_TEXTS, ROW(map_device, only), 0, 0, NULL, NULL, 0,
		"Patterns: only the metrics of the profile that match one are read"},
	{"skip", BF_KEY_TEXTS, ROW(map_device, skip), 0, 0, NULL, NULL, 0,
		"Patterns: the metrics of the profile that match one are not read"},
	{"publish", BF_KEY_NODE, ROW(map_device, publish), 0, 0, NULL, NULL, 0,
		"Changes to single metrics of the profile: { METRIC: { every: \"1m\" } }"},
	{"metrics", BF_KEY_NODE, ROW(map_device, metrics), 0, 0, NULL, NULL, 0, "What it measures, by name"},
	{0},
};

const struct bf_key schema_registers[] = {
	{"words", BF_KEY_CHOICE, ROW(map_registers, words), 0, 0, "big", "big|little", 0,
		"Order of the words of 32 and 64 bit values: \"big\" is ABCD, \"little\" CDAB"},
	{"bytes", BF_KEY_CHOICE, ROW(map_registers, bytes), 0, 0, "big", "big|little", 0,
		"\"little\" swaps the bytes of each word"},
	{"max_registers", BF_KEY_INT, ROW(map_registers, max_registers), 1, 125, "125", NULL, 0,
		"The longest block that it answers"},
	{"max_gap", BF_KEY_INT, ROW(map_registers, max_gap), 0, 124, NULL, NULL, 0,
		"Unused registers that may be read over; by wire time when not given"},
	{0},
};

const struct bf_key schema_stream[] = {
	{"messages", BF_KEY_NODE, ROW(map_stream, messages), 0, 0, NULL, NULL, 0,
		"Its kinds of messages, by name; one without a name when not given"},
	{"init", BF_KEY_TEXTS, ROW(map_stream, init), 0, 0, NULL, NULL, 0,
		"Bytes that are sent when the port was opened: \"7E 00 00 02 01 03 F9 7E\""},
	{"stop", BF_KEY_TEXTS, ROW(map_stream, stop), 0, 0, NULL, NULL, 0, "Bytes that are sent at the end"},
	{"ignore_first", BF_KEY_DURATION, ROW(map_stream, ignore_first_us), 0, 3600, "0s", NULL, 0,
		"What comes so soon after the port was opened is not told: the sensor warms up"},
	{"reduce", BF_KEY_CHOICE, ROW(map_stream, reduce), 0, 0, "last", "last|mean|min|max", 0,
		"For those of its metrics that do not say"},
	{0},
};

const struct bf_key schema_message[] = {
	{"request", BF_KEY_BYTES, ROW(map_message, request), 0, 0, NULL, NULL, 0,
		"What asks for it, such as \"FF 01 86 00 00 00 00 00 79\"; without it the message comes by itself"},
	{0},
};

const struct bf_key schema_metric[] = {
	{"scale", BF_KEY_NUMBER, ROW(map_metric, scale), 0, 0, NULL, NULL, 0, "value = raw × scale + offset"},
	{"offset", BF_KEY_NUMBER, ROW(map_metric, offset), 0, 0, NULL, NULL, 0, "value = raw × scale + offset"},
	{"decimals", BF_KEY_INT, ROW(map_metric, decimals), 0, 12, NULL, NULL, 0,
		"Digits behind the point; as many as scale has when not given"},
	{"unit", BF_KEY_TEXT, ROW(map_metric, unit), 0, 0, NULL, NULL, 0, "The unit, such as \"°C\" or \"kWh\""},
	{"enum", BF_KEY_NODE, ROW(map_metric, words_of), 0, 0, NULL, "list", 0,
		"The words of the numbers from 0, or \"number=word\""},
	{"bits", BF_KEY_NODE, ROW(map_metric, bits), 0, 0, NULL, NULL, 0,
		"Names of single bits (3) or ranges (\"8-10\"); each is a metric of its own"},
	{"invalid", BF_KEY_NODE, ROW(map_metric, invalid), 0, 0, NULL, "value|text|list", 0,
		"Raw values that mean that there is none"},
	{"min", BF_KEY_NUMBER, ROW(map_metric, min), 0, 0, NULL, NULL, 0, "A lower value is not plausible"},
	{"max", BF_KEY_NUMBER, ROW(map_metric, max), 0, 0, NULL, NULL, 0, "A higher value is not plausible"},
	{"monotonic", BF_KEY_BOOL, ROW(map_metric, monotonic), 0, 0, "false", NULL, 0, "It only ever grows"},
	{"max_step", BF_KEY_NUMBER, ROW(map_metric, max_step), 0, 1e300, NULL, NULL, 0,
		"A greater change from one reading to the next is not plausible"},
	{"deadband", BF_KEY_SCALAR, ROW(map_metric, deadband), 0, 0, NULL, NULL, 0,
		"Only a change by more is told: 0.2, or \"2%\"; 0 is any change"},
	{"heartbeat", BF_KEY_DURATION, ROW(map_metric, heartbeat_us), TIMES, "15m", NULL, 0,
		"With a deadband, the longest time without telling"},
	{"reduce", BF_KEY_CHOICE, ROW(map_metric, reduce), 0, 0, "last", "last|mean|min|max", 0,
		"What is made of several values within every, for sensors that push"},
	{"every", BF_KEY_DURATION, ROW(map_metric, every_us), TIMES, NULL, "start", 0, AS_ABOVE},
	{"topic", BF_KEY_TEXT, ROW(map_metric, topic), 0, 0, NULL, NULL, 0, "Its part of the topic, if not its key"},
	{"qos", BF_KEY_INT, ROW(map_metric, qos), 0, 2, NULL, NULL, 0, "Instead of what the rules say"},
	{"retain", BF_KEY_BOOL, ROW(map_metric, retain), 0, 0, NULL, NULL, 0, "Instead of what the rules say"},
	{"payload", BF_KEY_CHOICE, ROW(map_metric, payload), 0, 0, NULL, "json|plain|influx", 0,
		"Instead of what the rules say"},
	{"write", BF_KEY_NODE, ROW(map_metric, write), 0, 0, NULL, NULL, 0,
		"It may be written through TOPIC/set, if control.allow is true as well"},
	{0},
};

const struct bf_key schema_write[] = {
	{"min", BF_KEY_NUMBER, ROW(map_write, min), 0, 0, NULL, NULL, 0,
		"A lower value is refused; what the type can hold when not given"},
	{"max", BF_KEY_NUMBER, ROW(map_write, max), 0, 0, NULL, NULL, 0,
		"A higher value is refused; what the type can hold when not given"},
	{"step", BF_KEY_NUMBER, ROW(map_write, step), 0, 0, NULL, NULL, 0,
		"Only min (or 0) and whole steps from there are taken; what the scale can resolve when not given"},
	{"function", BF_KEY_INT, ROW(map_write, function), 5, 16, NULL, NULL, 0,
		"The MODBUS function: 6 or 16, of coils 5 or 15; when not given 6 and 5, and 16 for more than one "
		"register"},
	{0},
};

const struct bf_key schema_control[] = {
	{"allow", BF_KEY_BOOL, ROW(map_control, allow), 0, 0, "false", NULL, 0,
		"true: metrics with write may be set, devices may be polled at once"},
	{0},
};

const struct bf_key schema_homeassistant[] = {
	{"enabled", BF_KEY_BOOL, ROW(map_homeassistant, enabled), 0, 0, "false", NULL, 0,
		"true: devices and metrics appear in Home Assistant by themselves"},
	{"prefix", BF_KEY_TEXT, ROW(map_homeassistant, prefix), 0, 0, "homeassistant", NULL, 0,
		"The discovery prefix that is set in Home Assistant"},
	{0},
};

const struct bf_key schema_sparkplug[] = {
	{"enabled", BF_KEY_BOOL, ROW(map_sparkplug, enabled), 0, 0, "false", NULL, 0,
		"true: readings are told in Sparkplug B as well, on a connection of its own"},
	{"group", BF_KEY_TEXT, ROW(map_sparkplug, group), 0, 0, NULL, NULL, 0, "The group id; the site when not given"},
	{"node", BF_KEY_TEXT, ROW(map_sparkplug, node), 0, 0, NULL, NULL, 0,
		"The edge node id; the gateway's id when not given"},
	{"host", BF_KEY_TEXT, ROW(map_sparkplug, host), 0, 0, NULL, NULL, 0,
		"The id of the primary host: while it is not online readings wait; none when not given"},
	{0},
};

const struct bf_key schema_status_page[] = {
	{"listen", BF_KEY_TEXT, ROW(map_status_page, listen), 0, 0, NULL, NULL, 0,
		"Address and port, such as \"127.0.0.1:8088\"; no page when not given"},
	{"allow_remote", BF_KEY_BOOL, ROW(map_status_page, allow_remote), 0, 0, "false", NULL, 0,
		"true: other machines may look, with a password"},
	{"password_file", BF_KEY_TEXT, ROW(map_status_page, password_file), 0, 0, NULL, NULL, 0,
		"A file with the password for the page, which others cannot read, or \"credential:NAME\" of systemd"},
	{0},
};

const struct bf_key schema_register_metric[] = {
	{"type", BF_KEY_CHOICE, ROW(map_register_metric, type), 0, 0, NULL,
		"u16|u8|s8|s16|u24|u32|s32|u64|s64|f16|f32|f64|bcd16|bcd32|string|bool", 0,
		"What the registers hold: u without sign, s with sign, f float, and how many bits; \"u16\" when not "
		"given"},
	{"length", BF_KEY_INT, ROW(map_register_metric, length), 1, 250, NULL, NULL, 0, "Bytes of a string"},
	{"words", BF_KEY_CHOICE, ROW(map_register_metric, words), 0, 0, NULL, "big|little", 0,
		"Order of its words, \"big\" is ABCD, \"little\" CDAB; the device's when not given"},
	{"bytes", BF_KEY_CHOICE, ROW(map_register_metric, bytes), 0, 0, NULL, "big|little", 0,
		"\"little\" swaps the bytes of each word; the device's when not given"},
	{"scale_from", BF_KEY_SCALAR, ROW(map_register_metric, scale_from), 0, 0, NULL, NULL, 0,
		"The register that holds the power of ten, in the same table and written in the same way"},
	{"model", BF_KEY_NODE, ROW(map_register_metric, models), 0, 0, NULL, "value|list", 0,
		"SunSpec: its registers count from the id of this model, or of the first of these that the device has"},
	{0},
};

const struct bf_key schema_stream_metric[] = {
	{"message", BF_KEY_TEXT, ROW(map_stream_metric, message), 0, 0, NULL, NULL, 0,
		"The message that has it; the first one when not given"},
	{"event", BF_KEY_BOOL, ROW(map_stream_metric, event), 0, 0, "false", NULL, 0,
		"It is told whenever it comes, and its absence is no fault"},
	{"repeat.count", BF_KEY_INT, ROW(map_stream_metric, repeat), 1, 256, NULL, NULL, BF_KEY_REQUIRED,
		"It stands there so often: NAME_1, NAME_2, …"},
	{0},
};

const struct schema_group schema_groups[] = {
	{"the map", schema_top},
	{"gateway", schema_gateway},
	{"broker", schema_broker},
	{"buffer", schema_buffer},
	{"control", schema_control},
	{"homeassistant", schema_homeassistant},
	{"sparkplug", schema_sparkplug},
	{"status_page", schema_status_page},
	{"a rule", schema_rule},
	{"a bus", schema_bus},
	{"a level", schema_level},
	{"a device", schema_device},
	{"a register device", schema_registers},
	{"a stream device", schema_stream},
	{"a message", schema_message},
	{"a metric", schema_metric},
	{"write", schema_write},
	{"a register metric", schema_register_metric},
	{"a stream metric", schema_stream_metric},
	{NULL, NULL},
};

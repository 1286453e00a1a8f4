/*
 * `busferry read`: one-off reads without a map, with every byte order side by side on request.
 */
#include "base/json.h"
#include "cli/cli.h"
#include "cli/wire.h"
#include "field/transact.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define VALUES_MAX 125

struct read_order {
	const char *name, *meaning;
	enum bf_order words, bytes;
};

static const struct read_order orders[] = {{"ABCD", "the default", BF_BIG, BF_BIG},
	{"CDAB", "words: \"little\"", BF_LITTLE, BF_BIG}, {"BADC", "bytes: \"little\"", BF_BIG, BF_LITTLE},
	{"DCBA", "words: \"little\"  bytes: \"little\"", BF_LITTLE, BF_LITTLE}};
#define N_ORDERS (sizeof(orders) / sizeof(orders[0]))

struct read_command {
	const char *line_text, *type_text, *words_text, *bytes_text;
	long unit, n, length;
	int64_t timeout_us;
	bool all_orders, as_json, rtu;
	struct wire_named wire;
	struct bf_shape shape;
	struct bf_place place;
};

static int parse_order(const char *name, const char *text, enum bf_order *ret_order)
{
	if (!text || strcmp(text, "big") == 0)
		*ret_order = BF_BIG;
	else if (strcmp(text, "little") == 0)
		*ret_order = BF_LITTLE;
	else
		return cli_usage_error("read", "--%s is big or little, not \"%s\"", name, text);
	return -1;
}

static int parse_type(struct read_command *command)
{
	bool bits = command->place.space == BF_SPACE_COIL || command->place.space == BF_SPACE_DISCRETE;
	int type = bits ? BF_TYPE_BOOL : command->type_text ? bf_type_from_name(command->type_text) : BF_TYPE_U16;
	if (type < 0)
		return cli_usage_error("read",
			"unknown type \"%s\"; types are u8 s8 u16 s16 u24 u32 s32 u64 s64 f16 f32 "
			"f64 bcd16 bcd32 string bool",
			command->type_text);
	command->shape.type = (enum bf_type)type;
	if (type == BF_TYPE_STRING)
		command->shape.length = (uint16_t)(command->length ? command->length : 16);
	unsigned each = bits ? 1 : bf_shape_registers(&command->shape);
	unsigned long count = (unsigned long)command->n * each;
	if (!bits && count > 125)
		return cli_usage_error("read", "%ld values of %s are %lu registers; one request carries 125",
			command->n, bf_type_name(command->shape.type), count);
	if (command->place.at + count > 65536)
		return cli_usage_error("read", "this would pass register 65535");
	command->place.count = (uint16_t)count;
	int rc = parse_order("words", command->words_text, &command->shape.words);
	return rc >= 0 ? rc : parse_order("bytes", command->bytes_text, &command->shape.bytes);
}

/* "input:0", "holding:40001", "coil:3" */
static int parse_place(struct read_command *command, const char *text)
{
	static const char *const tables[BF_N_SPACES] = {[BF_SPACE_COIL] = "coil",
		[BF_SPACE_DISCRETE] = "discrete",
		[BF_SPACE_INPUT] = "input",
		[BF_SPACE_HOLDING] = "holding"};
	static const char digits[BF_N_SPACES] = {
		[BF_SPACE_COIL] = '0', [BF_SPACE_DISCRETE] = '1', [BF_SPACE_INPUT] = '3', [BF_SPACE_HOLDING] = '4'};
	const char *colon = strchr(text, ':');
	if (!colon)
		return cli_usage_error("read", "\"%s\" is no TABLE:ADDRESS, like input:0", text);
	for (size_t space = 0; space < BF_N_SPACES; space++) {
		if (strlen(tables[space]) != (size_t)(colon - text) ||
			memcmp(tables[space], text, (size_t)(colon - text)) != 0)
			continue;
		char *end;
		const char *number = colon + 1;
		size_t n = strlen(number);
		unsigned long at = strtoul(number, &end, 0);
		if (*number == '\0' || *end || number[0] == '-')
			return cli_usage_error("read", "\"%s\" is no register number", number);
		/* The manual's way: a digit for the table, then the number from 1. */
		if ((n == 5 || n == 6) && number[0] == digits[space] && strncmp(number, "0x", 2) != 0) {
			at = strtoul(number + 1, NULL, 10);
			if (at == 0)
				return cli_usage_error("read", "\"%s\": manuals count from 1", number);
			at--;
		}
		if (at > 65535)
			return cli_usage_error("read", "register %lu is past 65535", at);
		command->place = (struct bf_place){.space = (enum bf_space)space, .at = (uint16_t)at};
		return -1;
	}
	return cli_usage_error(
		"read", "\"%.*s\" is no table; tables are input, holding, coil, discrete", (int)(colon - text), text);
}

static int parse_port(struct read_command *command, const char *text)
{
	int rc = wire_parse("read", text, command->line_text, command->rtu, &command->wire);
	if (rc >= 0)
		return rc;
	if (command->wire.bus.wire != WIRE_TCP && (command->unit < 1 || command->unit > 247))
		return cli_usage_error("read", "a serial unit address is 1 to 247, not %ld", command->unit);
	return -1;
}

static void decode_text(const struct read_command *command, const struct bf_shape *shape, const uint8_t *bytes,
	size_t i, char *text, size_t size)
{
	struct bf_value value = {.kind = BF_BOOLEAN, .yes = bytes[i / 8] >> (i % 8) & 1};
	char string[BF_STRING_MAX + 1], number[BF_NUMBER_SIZE];
	if (command->place.space == BF_SPACE_INPUT || command->place.space == BF_SPACE_HOLDING) {
		size_t n = (size_t)bf_shape_registers(shape) * 2;
		if (bf_decode(shape, bytes + i * n, n, string, &value) < 0) {
			snprintf(text, size, "-");
			return;
		}
	}
	if (value.kind == BF_TEXT)
		snprintf(text, size, "%.*s", (int)value.text.n, value.text.at);
	else if (bf_value_print(&value, -1, number) >= 0)
		snprintf(text, size, "%s", number);
	else
		snprintf(text, size, "-");
}

static unsigned address_of(const struct read_command *command, size_t i)
{
	bool bits = command->place.space == BF_SPACE_COIL || command->place.space == BF_SPACE_DISCRETE;
	return command->place.at + (unsigned)(i * (bits ? 1 : bf_shape_registers(&command->shape)));
}

static void print_values(const struct read_command *command, const uint8_t *bytes)
{
	char text[BF_STRING_MAX + 1];
	if (command->all_orders) {
		printf("%-8s", "address");
		for (size_t o = 0; o < N_ORDERS; o++)
			printf("  %-20s", orders[o].name);
		putchar('\n');
	}
	for (size_t i = 0; i < (size_t)command->n; i++) {
		printf("%-8u", address_of(command, i));
		for (size_t o = 0; o < (command->all_orders ? N_ORDERS : 1); o++) {
			struct bf_shape shape = command->shape;
			if (command->all_orders) {
				shape.words = orders[o].words;
				shape.bytes = orders[o].bytes;
			}
			decode_text(command, &shape, bytes, i, text, sizeof(text));
			printf(command->all_orders ? "  %-20s" : "  %s", text);
		}
		putchar('\n');
	}
	if (command->all_orders)
		for (size_t o = 0; o < N_ORDERS; o++)
			printf("%s%s is %s in the map\n", o == 0 ? "\n" : "", orders[o].name, orders[o].meaning);
}

static void json_value(struct json *json, const char *key, const struct read_command *command,
	const struct bf_shape *shape, const uint8_t *bytes, size_t i)
{
	char text[BF_STRING_MAX + 1];
	decode_text(command, shape, bytes, i, text, sizeof(text));
	if (strcmp(text, "-") == 0 && shape->type != BF_TYPE_STRING)
		json_null(json, key);
	else if (shape->type == BF_TYPE_STRING)
		json_text(json, key, text);
	else
		json_raw(json, key, text, strlen(text));
}

static int print_json(const struct read_command *command, const uint8_t *bytes)
{
	static char out[256 * 1024];
	struct json json = json_into(out, sizeof(out));
	json_object(&json, NULL);
	json_int(&json, "unit", command->unit);
	json_text(&json, "type", bf_type_name(command->shape.type));
	json_array(&json, "values");
	for (size_t i = 0; i < (size_t)command->n; i++) {
		json_object(&json, NULL);
		json_int(&json, "address", address_of(command, i));
		json_value(&json, "value", command, &command->shape, bytes, i);
		for (size_t o = 0; command->all_orders && o < N_ORDERS; o++) {
			struct bf_shape shape = command->shape;
			shape.words = orders[o].words;
			shape.bytes = orders[o].bytes;
			json_value(&json, orders[o].name, command, &shape, bytes, i);
		}
		json_object_end(&json);
	}
	json_array_end(&json);
	json_object_end(&json);
	if (json_end(&json) < 0)
		return EX_SOFTWARE;
	puts(out);
	return 0;
}

static int explain(const struct read_command *command, int failure, uint8_t exception)
{
	static const char *const meanings[] = {[1] = "illegal function: the device has no such table",
		[2] = "illegal data address: the device has no such register",
		[3] = "illegal data value: too many registers at once, or a value split",
		[4] = "server device failure",
		[6] = "server device busy",
		[10] = "gateway path unavailable",
		[11] = "gateway target device failed to respond"};
	const char *meaning = exception < sizeof(meanings) / sizeof(meanings[0]) ? meanings[exception] : NULL;
	switch (failure) {
	case -EREMOTEIO:
		fprintf(stderr, "busferry: error: unit %ld answers with exception %u%s%s\n", command->unit, exception,
			meaning ? ", " : "", meaning ? meaning : "");
		return EX_UNAVAILABLE;
	case -ETIMEDOUT:
		fprintf(stderr, "busferry: error: unit %ld does not answer on %s%s\n", command->unit,
			command->wire.bus.name,
			command->wire.bus.wire != WIRE_TCP ? " (address, line settings, A and B swapped?)" : "");
		return EX_UNAVAILABLE;
	case -EAGAIN:
		fprintf(stderr, "busferry: error: %s: the line is never silent (another master?)\n",
			command->wire.bus.name);
		return EX_TEMPFAIL;
	case -EBADMSG:
		fprintf(stderr,
			"busferry: error: the answer of unit %ld is damaged (line settings? two devices with one "
			"address?)\n",
			command->unit);
		return EX_UNAVAILABLE;
	default:
		return wire_failed(&command->wire.bus, failure);
	}
}

static int read_and_print(struct read_command *command)
{
	struct line *line = NULL;
	struct line_answer answer = {0};
	struct line_question question = {.unit = (uint8_t)command->unit, .place = command->place};
	int rc = line_modbus_init(&command->wire.bus, &line);
	if (rc == 0)
		rc = transact_open(line, &clock_system);
	bool opened = rc == 0;
	if (opened)
		rc = transact(line, &question, command->timeout_us, &clock_system, &answer);
	int code;
	if (!opened)
		code = wire_failed(&command->wire.bus, rc);
	else if (rc != 0)
		code = explain(command, rc, answer.exception);
	else if (command->as_json)
		code = print_json(command, answer.bytes);
	else
		code = 0, print_values(command, answer.bytes);
	if (line)
		line->ops->destroy(line);
	return code;
}

int cli_read(int argc, char **argv)
{
	struct read_command command = {.unit = 1, .n = 1, .timeout_us = 1000000};
	const struct cli_option options[] = {{.letter = 'a',
						     .name = "address",
						     .argument = "UNIT",
						     .kind = CLI_NUMBER,
						     .into = &command.unit,
						     .max = 255,
						     .help = "unit address (1)"},
		{.letter = 't',
			.name = "type",
			.argument = "TYPE",
			.kind = CLI_TEXT,
			.into = &command.type_text,
			.help = "u16, s16, u32, f32, ... (u16)"},
		{.letter = 'n',
			.name = "count",
			.argument = "N",
			.kind = CLI_NUMBER,
			.into = &command.n,
			.min = 1,
			.max = 2000,
			.help = "how many values (1)"},
		{.name = "line",
			.argument = "\"9600 8N1\"",
			.kind = CLI_TEXT,
			.into = &command.line_text,
			.help = "settings of a serial port (9600 8N1)"},
		{.name = "rtu",
			.kind = CLI_FLAG,
			.into = &command.rtu,
			.help = "tcp:// is a serial device server, which passes RTU frames on"},
		{.name = "words",
			.argument = "ORDER",
			.kind = CLI_TEXT,
			.into = &command.words_text,
			.help = "big or little: order of the words of a value (big)"},
		{.name = "bytes",
			.argument = "ORDER",
			.kind = CLI_TEXT,
			.into = &command.bytes_text,
			.help = "big or little: order of the bytes in a word (big)"},
		{.name = "orders",
			.kind = CLI_FLAG,
			.into = &command.all_orders,
			.help = "every byte order side by side"},
		{.name = "length",
			.argument = "BYTES",
			.kind = CLI_NUMBER,
			.into = &command.length,
			.min = 1,
			.max = BF_STRING_MAX,
			.help = "of a string (16)"},
		{.name = "timeout",
			.argument = "TIME",
			.kind = CLI_DURATION,
			.into = &command.timeout_us,
			.help = "how long to wait for the answer (1s)"},
		{.name = "json", .kind = CLI_FLAG, .into = &command.as_json, .help = "one JSON object"}, {0}};
	int first;
	int rc = cli_parse("read", argc, argv, options, &first);
	if (rc >= 0)
		return rc;
	if (argc - first != 2)
		return cli_usage_error("read", "PORT and TABLE:ADDRESS are needed");
	rc = parse_port(&command, argv[first]);
	if (rc < 0)
		rc = parse_place(&command, argv[first + 1]);
	if (rc < 0)
		rc = parse_type(&command);
	return rc >= 0 ? rc : read_and_print(&command);
}

/*
 * Cells named on the command line, see cells.h.
 */
#include "cli/cells.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static bool are_bits(const struct cells *cells)
{
	return cells->place.space == BF_SPACE_COIL || cells->place.space == BF_SPACE_DISCRETE;
}

static int parse_order(const struct cells *cells, const char *name, const char *text, enum bf_order *ret_order)
{
	if (!text || strcmp(text, "big") == 0)
		*ret_order = BF_BIG;
	else if (strcmp(text, "little") == 0)
		*ret_order = BF_LITTLE;
	else
		return cli_usage_error(cells->command, "--%s is big or little, not \"%s\"", name, text);
	return -1;
}

static int parse_type(struct cells *cells)
{
	bool bits = are_bits(cells);
	int type = bits ? BF_TYPE_BOOL : cells->type_text ? bf_type_from_name(cells->type_text) : BF_TYPE_U16;
	if (type < 0)
		return cli_usage_error(cells->command, "unknown type \"%s\"; types are " CELLS_TYPES, cells->type_text);
	cells->shape.type = (enum bf_type)type;
	if (type == BF_TYPE_STRING)
		cells->shape.length = (uint16_t)(cells->length ? cells->length : 16);
	unsigned each = bits ? 1 : bf_shape_registers(&cells->shape);
	unsigned long count = (unsigned long)cells->n * each;
	if (!bits && count > 125)
		return cli_usage_error(cells->command, "%ld values of %s are %lu registers; one request carries 125",
			cells->n, bf_type_name(cells->shape.type), count);
	if (cells->place.at + count > 65536)
		return cli_usage_error(cells->command, "this would pass register 65535");
	cells->place.count = (uint16_t)count;
	int rc = parse_order(cells, "words", cells->words_text, &cells->shape.words);
	return rc >= 0 ? rc : parse_order(cells, "bytes", cells->bytes_text, &cells->shape.bytes);
}

/* "input:0", "holding:40001", "coil:3" */
static int parse_place(struct cells *cells, const char *text)
{
	static const char digits[BF_N_SPACES] = {
		[BF_SPACE_COIL] = '0', [BF_SPACE_DISCRETE] = '1', [BF_SPACE_INPUT] = '3', [BF_SPACE_HOLDING] = '4'};
	const char *colon = strchr(text, ':');
	enum bf_space space;
	if (!colon)
		return cli_usage_error(cells->command, "\"%s\" is no TABLE:ADDRESS, like input:0", text);
	if (!plan_space_from_word(text, (size_t)(colon - text), &space))
		return cli_usage_error(cells->command,
			"\"%.*s\" is no table; tables are input, holding, coil, discrete", (int)(colon - text), text);
	char *end;
	const char *number = colon + 1;
	size_t n = strlen(number);
	unsigned long at = strtoul(number, &end, 0);
	if (*number == '\0' || *end || number[0] == '-')
		return cli_usage_error(cells->command, "\"%s\" is no register number", number);
	/* The manual's way: a digit for the table, then the number from 1. */
	if ((n == 5 || n == 6) && number[0] == digits[space] && strncmp(number, "0x", 2) != 0) {
		at = strtoul(number + 1, NULL, 10);
		if (at == 0)
			return cli_usage_error(cells->command, "\"%s\": manuals count from 1", number);
		at--;
	}
	if (at > 65535)
		return cli_usage_error(cells->command, "register %lu is past 65535", at);
	cells->place = (struct bf_place){.space = space, .at = (uint16_t)at};
	return -1;
}

static int parse_port(struct cells *cells, const char *text)
{
	int rc = wire_parse(cells->command, text, cells->line_text, cells->rtu, &cells->wire);
	if (rc >= 0)
		return rc;
	if (cells->wire.bus.wire != WIRE_TCP && (cells->unit < 1 || cells->unit > 247))
		return cli_usage_error(cells->command, "a serial unit address is 1 to 247, not %ld", cells->unit);
	return -1;
}

void cells_text(const struct cells *cells, const struct bf_shape *shape, const uint8_t *bytes, size_t i, char *text,
	size_t size)
{
	struct bf_value value = {.kind = BF_BOOLEAN, .yes = bytes[i / 8] >> (i % 8) & 1};
	char string[BF_STRING_MAX + 1], number[BF_NUMBER_SIZE];
	if (!are_bits(cells)) {
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

unsigned cells_address(const struct cells *cells, size_t i)
{
	return cells->place.at + (unsigned)(i * (are_bits(cells) ? 1 : bf_shape_registers(&cells->shape)));
}

int cells_failed(const struct cells *cells, int failure, uint8_t exception)
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
		fprintf(stderr, "busferry: error: unit %ld answers with exception %u%s%s\n", cells->unit, exception,
			meaning ? ", " : "", meaning ? meaning : "");
		return EX_UNAVAILABLE;
	case -ETIMEDOUT:
		fprintf(stderr, "busferry: error: unit %ld does not answer on %s%s\n", cells->unit,
			cells->wire.bus.name,
			cells->wire.bus.wire != WIRE_TCP ? " (address, line settings, A and B swapped?)" : "");
		return EX_UNAVAILABLE;
	case -EAGAIN:
		fprintf(stderr, "busferry: error: %s: the line is never silent (another master?)\n",
			cells->wire.bus.name);
		return EX_TEMPFAIL;
	case -EBADMSG:
		fprintf(stderr,
			"busferry: error: the answer of unit %ld is damaged (line settings? two devices with one "
			"address?)\n",
			cells->unit);
		return EX_UNAVAILABLE;
	default:
		return wire_failed(&cells->wire.bus, failure);
	}
}

int cells_parse(struct cells *cells, const char *port, const char *place)
{
	int rc = parse_port(cells, port);
	if (rc < 0)
		rc = parse_place(cells, place);
	return rc >= 0 ? rc : parse_type(cells);
}

int cells_ask(
	const struct cells *cells, struct line *line, const uint8_t *write, bool many, struct line_answer *ret_answer)
{
	const struct line_question question = {
		.unit = (uint8_t)cells->unit, .place = cells->place, .write = write, .many = many};
	return transact(line, &question, cells->timeout_us, &clock_system, ret_answer);
}

int cells_open(const struct cells *cells, struct line **ret_line)
{
	int rc = line_modbus_init(&cells->wire.bus, ret_line);
	return rc < 0 ? rc : transact_open(*ret_line, &clock_system);
}

void cells_json_value(struct json *json, const char *key, const struct cells *cells, const struct bf_shape *shape,
	const uint8_t *bytes, size_t i)
{
	char text[BF_STRING_MAX + 1];
	cells_text(cells, shape, bytes, i, text, sizeof(text));
	if (strcmp(text, "-") == 0 && shape->type != BF_TYPE_STRING)
		json_null(json, key);
	else if (shape->type == BF_TYPE_STRING)
		json_text(json, key, text);
	else
		json_raw(json, key, text, strlen(text));
}

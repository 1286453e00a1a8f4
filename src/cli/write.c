/*
 * `busferry write`: one value into a device without a map: what is there, what is to be there, and after --yes what is
 * there then.
 *
 * It is read before it is written: what can't be read can't be confirmed either, and on a line that echoes only a read
 * tells the answer to a write from its echo.  The write is sent once, whatever becomes of it.
 */
#include "cli/cells.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#define CELLS_BYTES (BF_STRING_MAX + 2)
#define ESCAPED     6 /* bytes that one of a text takes in JSON */

struct write_command {
	struct cells cells;
	const char *value_text;
	long function;
	bool yes, as_json, many;
	uint8_t before[CELLS_BYTES], wanted[CELLS_BYTES], after[CELLS_BYTES];
	size_t n_bytes;
};

static bool is_whole(enum bf_type type)
{
	return type != BF_TYPE_F16 && type != BF_TYPE_F32 && type != BF_TYPE_F64;
}

static int parse_boolean(const char *text, struct bf_value *ret_value)
{
	static const char *const words[] = {"false", "off", "0", "true", "on", "1"};
	for (size_t i = 0; i < 6; i++)
		if (strcasecmp(text, words[i]) == 0) {
			*ret_value = (struct bf_value){.kind = BF_BOOLEAN, .yes = i >= 3};
			return 0;
		}
	return -EINVAL;
}

/* Whole numbers also as 0x…. */
static int parse_number(const char *text, bool whole, struct bf_value *ret_value)
{
	char *end;
	size_t sign = text[0] == '-';
	if (text[sign] < '0' || text[sign] > '9')
		return -EINVAL;
	errno = 0;
	bool hex = strncasecmp(text + sign, "0x", 2) == 0;
	if (!whole) {
		double number = strtod(text, &end);
		*ret_value = (struct bf_value){.kind = BF_FLOAT64, .f64 = number};
	} else if (sign) {
		*ret_value = (struct bf_value){.kind = BF_SIGNED, .i = strtoll(text, &end, hex ? 16 : 10)};
	} else {
		*ret_value = (struct bf_value){.kind = BF_UNSIGNED, .u = strtoull(text, &end, hex ? 16 : 10)};
	}
	if (end == text || *end || (hex && !whole))
		return -EINVAL;
	return errno == ERANGE && whole ? -ERANGE : 0;
}

static int parse_value(struct write_command *command)
{
	struct cells *cells = &command->cells;
	const char *text = command->value_text, *type = bf_type_name(cells->shape.type);
	struct bf_value value = {.kind = BF_TEXT, .text = {text, strlen(text)}};
	int rc = 0;
	if (cells->shape.type == BF_TYPE_BOOL)
		rc = parse_boolean(text, &value);
	else if (cells->shape.type != BF_TYPE_STRING)
		rc = parse_number(text, is_whole(cells->shape.type), &value);
	if (rc == -EINVAL)
		return cli_usage_error("write", "\"%s\" is no value of type %s", text, type);
	if (rc == 0 && cells->place.space == BF_SPACE_COIL) {
		command->wanted[0] = value.yes;
		command->n_bytes = 1;
		return -1;
	}
	if (rc == 0)
		rc = bf_encode(&cells->shape, &value, command->wanted, sizeof(command->wanted));
	if (rc < 0)
		return cli_usage_error("write", "%s does not fit the type %s", text, type);
	command->n_bytes = (size_t)rc;
	return -1;
}

static int check(struct write_command *command)
{
	struct cells *cells = &command->cells;
	bool coil = cells->place.space == BF_SPACE_COIL;
	enum bf_type type = cells->shape.type;
	if (!coil && cells->place.space != BF_SPACE_HOLDING)
		return cli_usage_error("write", "only holding registers and coils can be written");
	if (type == BF_TYPE_U8 || type == BF_TYPE_S8 || type == BF_TYPE_U24)
		return cli_usage_error("write",
			"%s does not fill its registers: the rest would be written too; write all of it, as u16 or u32",
			bf_type_name(type));
	long one = coil ? 5 : 6, several = coil ? 15 : 16;
	if (command->function && command->function != one && command->function != several)
		return cli_usage_error("write", "%s are written by function %ld or %ld",
			coil ? "coils" : "holding registers", one, several);
	if (command->function == one && cells->place.count > 1)
		return cli_usage_error(
			"write", "a value of %u registers is written by function 16", cells->place.count);
	command->many = command->function == several;
	return parse_value(command);
}

static bool is_same(const struct write_command *command)
{
	if (command->cells.place.space == BF_SPACE_COIL)
		return (command->wanted[0] & 1) == (command->after[0] & 1);
	return memcmp(command->wanted, command->after, command->n_bytes) == 0;
}

static void print_json(const struct write_command *command, bool written)
{
	char out[3 * ESCAPED * BF_STRING_MAX + 256];
	const struct cells *cells = &command->cells;
	struct json json = json_into(out, sizeof(out));
	json_object(&json, NULL);
	json_int(&json, "unit", cells->unit);
	json_text(&json, "type", bf_type_name(cells->shape.type));
	json_int(&json, "address", cells->place.at);
	cells_json_value(&json, "before", cells, &cells->shape, command->before, 0);
	cells_json_value(&json, "wanted", cells, &cells->shape, command->wanted, 0);
	if (written) {
		cells_json_value(&json, "after", cells, &cells->shape, command->after, 0);
		json_bool(&json, "ok", is_same(command));
	}
	json_object_end(&json);
	if (json_end(&json) > 0)
		puts(out);
}

static void print_row(const struct write_command *command, const char *name, const uint8_t *bytes)
{
	char text[BF_STRING_MAX + 1];
	cells_text(&command->cells, &command->cells.shape, bytes, 0, text, sizeof(text));
	printf("%-8s%s\n", name, text);
}

static int read_into(const struct write_command *command, struct line *line, uint8_t *bytes, uint8_t *ret_exception)
{
	struct line_answer answer = {0};
	int rc = cells_ask(&command->cells, line, NULL, false, &answer);
	*ret_exception = answer.exception;
	if (rc == 0)
		memcpy(bytes, answer.bytes, command->n_bytes);
	return rc;
}

/* What was answered to the write says nothing that reading it back does not say better. */
static int write_and_print(struct write_command *command, struct line *line)
{
	const struct cells *cells = &command->cells;
	struct line_answer answer = {0};
	uint8_t exception;
	int rc = cells_ask(cells, line, command->wanted, command->many, &answer);
	if (rc == -EREMOTEIO && answer.exception != 5) /* 5: it takes a while */
		return cells_failed(cells, rc, answer.exception);
	if (rc == -ENODEV || rc == -EAGAIN)
		return cells_failed(cells, rc, 0);
	if (rc != 0)
		fprintf(stderr, "busferry: warning: the write was not answered, it may have been taken all the same\n");
	rc = read_into(command, line, command->after, &exception);
	if (rc < 0)
		return cells_failed(cells, rc, exception);
	if (command->as_json)
		print_json(command, true);
	else
		print_row(command, "after", command->after);
	if (is_same(command))
		return 0;
	fprintf(stderr, "busferry: error: unit %ld shows another value than the one that was written\n", cells->unit);
	return EX_IOERR;
}

static int run(struct write_command *command)
{
	struct cells *cells = &command->cells;
	struct line *line = NULL;
	uint8_t exception = 0;
	int rc = cells_open(cells, &line), code;
	bool opened = rc == 0;
	if (opened)
		rc = read_into(command, line, command->before, &exception);
	if (!opened) {
		code = wire_failed(&cells->wire.bus, rc);
	} else if (rc != 0) {
		code = cells_failed(cells, rc, exception);
		fprintf(stderr, "Nothing was written: what can't be read can't be confirmed.\n");
	} else {
		if (!command->as_json) {
			print_row(command, "before", command->before);
			print_row(command, "wanted", command->wanted);
			fflush(stdout);
		} else if (!command->yes) {
			print_json(command, false);
		}
		code = EX_USAGE;
		if (command->yes)
			code = write_and_print(command, line);
		else
			fprintf(stderr, "busferry: nothing was written; add --yes to write it\n");
	}
	if (line)
		line->ops->destroy(line);
	return code;
}

int cli_write(int argc, char **argv)
{
	struct write_command command = {.cells = CELLS_INIT("write")};
	const struct cli_option options[] = {CELLS_OPTIONS_WHAT(&command.cells),
		{.name = "yes", .kind = CLI_FLAG, .into = &command.yes, .help = "write it; without, only show it"},
		CELLS_OPTIONS_HOW(&command.cells), CELLS_OPTION_LENGTH(&command.cells, BF_STRING_MAX - 4),
		{.name = "function",
			.argument = "N",
			.kind = CLI_NUMBER,
			.into = &command.function,
			.min = 5,
			.max = 16,
			.help = "6 or 16, of coils 5 or 15 (6 and 5; 16 for more than one register)"},
		CELLS_OPTION_TIMEOUT(&command.cells, "an answer"),
		{.name = "json", .kind = CLI_FLAG, .into = &command.as_json, .help = "one JSON object"}, {0}};
	int first;
	int rc = cli_parse("write", argc, argv, options, &first);
	if (rc >= 0)
		return rc;
	if (argc - first != 3)
		return cli_usage_error(
			"write", "PORT, TABLE:ADDRESS and VALUE are needed; a value below 0 comes after --");
	command.value_text = argv[first + 2];
	rc = cells_parse(&command.cells, argv[first], argv[first + 1]);
	if (rc < 0)
		rc = check(&command);
	return rc >= 0 ? rc : run(&command);
}

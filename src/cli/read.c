/*
 * `busferry read`: one-off reads without a map, with every byte order side by side on request.
 */
#include "cli/borrow.h"
#include "cli/cells.h"
#include "cli/cli.h"
#include "model/line_text.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

struct read_order {
	const char *name, *meaning;
	enum bf_order words, bytes;
};

static const struct read_order orders[] = {{"ABCD", "the default", BF_BIG, BF_BIG},
	{"CDAB", "words: \"little\"", BF_LITTLE, BF_BIG}, {"BADC", "bytes: \"little\"", BF_BIG, BF_LITTLE},
	{"DCBA", "words: \"little\"  bytes: \"little\"", BF_LITTLE, BF_LITTLE}};
#define N_ORDERS (sizeof(orders) / sizeof(orders[0]))

struct read_command {
	struct cells cells;
	bool all_orders, as_json;
};

static void print_values(const struct read_command *command, const uint8_t *bytes)
{
	char text[BF_STRING_MAX + 1];
	if (command->all_orders) {
		printf("%-8s", "address");
		for (size_t o = 0; o < N_ORDERS; o++)
			printf("  %-20s", orders[o].name);
		putchar('\n');
	}
	for (size_t i = 0; i < (size_t)command->cells.n; i++) {
		printf("%-8u", cells_address(&command->cells, i));
		for (size_t o = 0; o < (command->all_orders ? N_ORDERS : 1); o++) {
			struct bf_shape shape = command->cells.shape;
			if (command->all_orders) {
				shape.words = orders[o].words;
				shape.bytes = orders[o].bytes;
			}
			cells_text(&command->cells, &shape, bytes, i, text, sizeof(text));
			printf(command->all_orders ? "  %-20s" : "  %s", text);
		}
		putchar('\n');
	}
	if (command->all_orders)
		for (size_t o = 0; o < N_ORDERS; o++)
			printf("%s%s is %s in the map\n", o == 0 ? "\n" : "", orders[o].name, orders[o].meaning);
}

static int print_json(const struct read_command *command, const uint8_t *bytes)
{
	static char out[256 * 1024];
	struct json json = json_into(out, sizeof(out));
	json_object(&json, NULL);
	json_int(&json, "unit", command->cells.unit);
	json_text(&json, "type", bf_type_name(command->cells.shape.type));
	json_array(&json, "values");
	for (size_t i = 0; i < (size_t)command->cells.n; i++) {
		json_object(&json, NULL);
		json_int(&json, "address", cells_address(&command->cells, i));
		cells_json_value(&json, "value", &command->cells, &command->cells.shape, bytes, i);
		for (size_t o = 0; command->all_orders && o < N_ORDERS; o++) {
			struct bf_shape shape = command->cells.shape;
			shape.words = orders[o].words;
			shape.bytes = orders[o].bytes;
			cells_json_value(&json, orders[o].name, &command->cells, &shape, bytes, i);
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

/* By the gateway that holds the port. */
static int read_through(const struct read_command *command, struct borrow *borrow, struct line_answer *ret_answer)
{
	const struct cells *cells = &command->cells;
	char settings[LINE_TEXT_SIZE];
	line_text_print(&borrow->line, settings);
	bool other = !line_text_same(&borrow->line, &cells->wire.bus.line);
	fprintf(stderr, "busferry: the gateway has %s, and reads there%s%s\n", cells->wire.bus.name,
		other ? " at " : "", other ? settings : "");
	int rc = borrow_ask(borrow, (uint8_t)cells->unit, &cells->place);
	borrow_close(borrow);
	*ret_answer = (struct line_answer){.bytes = borrow->bytes, .n = borrow->n, .exception = borrow->exception};
	return rc;
}

static int read_and_print(struct read_command *command)
{
	struct line *line = NULL;
	struct line_answer answer = {0};
	struct borrow borrow;
	int rc = cells_open(&command->cells, &line), code;
	bool opened = rc == 0;
	if (opened)
		rc = cells_ask(&command->cells, line, NULL, false, &answer);
	if (rc == -EBUSY && !opened && borrow_open(command->cells.wire.bus.port, &borrow) == 0) {
		rc = read_through(command, &borrow, &answer);
		opened = rc != -EBUSY;
	}
	if (!opened)
		code = wire_failed(&command->cells.wire.bus, rc);
	else if (rc != 0)
		code = cells_failed(&command->cells, rc, answer.exception);
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
	struct read_command command = {.cells = CELLS_INIT("read")};
	const struct cli_option options[] = {CELLS_OPTIONS_WHAT(&command.cells),
		{.letter = 'n',
			.name = "count",
			.argument = "N",
			.kind = CLI_NUMBER,
			.into = &command.cells.n,
			.min = 1,
			.max = 2000,
			.help = "how many values (1)"},
		CELLS_OPTIONS_HOW(&command.cells),
		{.name = "orders",
			.kind = CLI_FLAG,
			.into = &command.all_orders,
			.help = "every byte order side by side"},
		CELLS_OPTION_LENGTH(&command.cells, BF_STRING_MAX), CELLS_OPTION_TIMEOUT(&command.cells, "the answer"),
		{.name = "json", .kind = CLI_FLAG, .into = &command.as_json, .help = "one JSON object"}, {0}};
	int first;
	int rc = cli_parse("read", argc, argv, options, &first);
	if (rc >= 0)
		return rc;
	if (argc - first != 2)
		return cli_usage_error("read", "PORT and TABLE:ADDRESS are needed");
	rc = cells_parse(&command.cells, argv[first], argv[first + 1]);
	return rc >= 0 ? rc : read_and_print(&command);
}

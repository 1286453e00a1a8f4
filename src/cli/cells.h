/*
 * Cells of a device without a map, as `read` and `write` name them: a wire, a unit address, a place, a type.
 */
#ifndef CLI_CELLS_H
#define CLI_CELLS_H

#include "base/json.h"
#include "cli/wire.h"
#include "field/transact.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cells {
	const char *command; /* for messages */

	/* As options give them. */
	const char *line_text, *type_text, *words_text, *bytes_text;
	long unit, n, length;
	int64_t timeout_us;
	bool rtu;

	/* What follows from that. */
	struct wire_named wire;
	struct bf_shape shape;
	struct bf_place place;
};

/* What holds unless an option says otherwise. */
#define CELLS_INIT(command_)                                                                                           \
	{                                                                                                              \
		.command = (command_), .unit = 1, .n = 1, .timeout_us = 1000000                                        \
	}

#define CELLS_TYPES "u8 s8 u16 s16 u24 u32 s32 u64 s64 f16 f32 f64 bcd16 bcd32 string bool"

/* The rows of options that `read` and `write` share, in their order. */
#define CELLS_OPTIONS_WHAT(cells_)                                                                                     \
	{.letter = 'a',                                                                                                \
		.name = "address",                                                                                     \
		.argument = "UNIT",                                                                                    \
		.kind = CLI_NUMBER,                                                                                    \
		.into = &(cells_)->unit,                                                                               \
		.max = 255,                                                                                            \
		.help = "unit address (1)"},                                                                           \
	{                                                                                                              \
		.letter = 't', .name = "type", .argument = "TYPE", .kind = CLI_TEXT, .into = &(cells_)->type_text,     \
		.words = CELLS_TYPES, .help = "u16, s16, u32, f32, ... (u16)"                                          \
	}
#define CELLS_OPTIONS_HOW(cells_)                                                                                      \
	WIRE_OPTION_LINE(&(cells_)->line_text, "settings of a serial port (9600 8N1)"),                                \
		WIRE_OPTION_RTU(&(cells_)->rtu, ""),                                                                   \
		{.name = "words",                                                                                      \
			.argument = "ORDER",                                                                           \
			.kind = CLI_TEXT,                                                                              \
			.into = &(cells_)->words_text,                                                                 \
			.words = "big little",                                                                         \
			.help = "big or little: order of the words of a value (big)"},                                 \
	{                                                                                                              \
		.name = "bytes", .argument = "ORDER", .kind = CLI_TEXT, .into = &(cells_)->bytes_text,                 \
		.words = "big little", .help = "big or little: order of the bytes in a word (big)"                     \
	}
#define CELLS_OPTION_LENGTH(cells_, max_)                                                                              \
	{                                                                                                              \
		.name = "length", .argument = "BYTES", .kind = CLI_NUMBER, .into = &(cells_)->length, .min = 1,        \
		.max = (max_), .help = "of a string (16)"                                                              \
	}
#define CELLS_OPTION_TIMEOUT(cells_, answer_)                                                                          \
	{                                                                                                              \
		.name = "timeout", .argument = "TIME", .kind = CLI_DURATION, .into = &(cells_)->timeout_us,            \
		.help = "how long to wait for " answer_ " (1s)"                                                        \
	}

/* The port and "TABLE:ADDRESS" with the options.  -1: go on; else the exit code, and the user was told. */
int cells_parse(struct cells *cells, const char *port, const char *place);

/* The line, open: 0 or -errno; it is the caller's in both cases, unless NULL.  Then a question as transact asks it: a
 * read, or a write of these cells. */
int cells_open(const struct cells *cells, struct line **ret_line);
int cells_ask(
	const struct cells *cells, struct line *line, const uint8_t *write, bool many, struct line_answer *ret_answer);

/* Tells why it failed, as transact says; returns the exit code. */
int cells_failed(const struct cells *cells, int failure, uint8_t exception);

/* The i-th value as text; "-" when it is none. */
void cells_text(const struct cells *cells, const struct bf_shape *shape, const uint8_t *bytes, size_t i, char *text,
	size_t size);
void cells_json_value(struct json *json, const char *key, const struct cells *cells, const struct bf_shape *shape,
	const uint8_t *bytes, size_t i);

/* Where the i-th value lies. */
unsigned cells_address(const struct cells *cells, size_t i);

#endif

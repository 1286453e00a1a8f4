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

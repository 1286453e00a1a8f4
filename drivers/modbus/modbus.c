/*
 * The Modbus driver: where in the four tables a metric lies.
 *
 * There is so little of it because the core reads registers and bits, merges neighbours and decodes; what is Modbus's
 * own here is the two ways of writing a register: the number on the wire, from 0, and the manual's, from 1 with the
 * table as its first digit (Modicon notation: "30013", "3x0013", "400123").  Mixing the two up is the commonest mistake
 * of all, so a number whose first digit belongs to another table is refused, not guessed at.
 */
#include "sdk/driver.h"

#include <stdio.h>
#include <string.h>

#define REGISTERS 65536

struct modbus_metric {
	struct bf_scalar at[BF_N_SPACES];
};

struct table {
	const char *key, *what;
	char digit;
};

static const struct table tables[BF_N_SPACES] = {
	[BF_SPACE_COIL] = {"coil", "a coil", '0'},
	[BF_SPACE_DISCRETE] = {"discrete", "a discrete input", '1'},
	[BF_SPACE_INPUT] = {"input", "an input register", '3'},
	[BF_SPACE_HOLDING] = {"holding", "a holding register", '4'},
};

#define PLACE_HELP(table_, example_) table_ " from 0 as on the wire, or the manual's number in quotes, \"" example_ "\""

static const struct bf_key device_keys[] = {{0}};

static const struct bf_key metric_keys[] = {
	{"input", BF_KEY_SCALAR, offsetof(struct modbus_metric, at[BF_SPACE_INPUT]), 0, 65535, NULL, NULL, 0,
		PLACE_HELP("Input register (function 4),", "30013")},
	{"holding", BF_KEY_SCALAR, offsetof(struct modbus_metric, at[BF_SPACE_HOLDING]), 0, 65535, NULL, NULL, 0,
		PLACE_HELP("Holding register (function 3),", "40013")},
	{"coil", BF_KEY_SCALAR, offsetof(struct modbus_metric, at[BF_SPACE_COIL]), 0, 65535, NULL, NULL, 0,
		PLACE_HELP("Coil (function 1),", "00013")},
	{"discrete", BF_KEY_SCALAR, offsetof(struct modbus_metric, at[BF_SPACE_DISCRETE]), 0, 65535, NULL, NULL, 0,
		PLACE_HELP("Discrete input (function 2),", "10013")},
	{0},
};

/* "30013", "300013", "3x0013": the table's digit, then 4 or 5 digits that count from 1. */
static int from_manual(const char *text, enum bf_space space, unsigned *ret_at, struct bf_complaint *complaint)
{
	const char *key = tables[space].key;
	size_t n = strlen(text), skip = n > 1 && (text[1] == 'x' || text[1] == 'X') ? 2 : 1;
	unsigned number = 0;
	bool sound = n >= skip && (n - skip == 4 || n - skip == 5) && text[0] >= '0' && text[0] <= '9';
	for (size_t i = skip; sound && i < n; i++) {
		sound = text[i] >= '0' && text[i] <= '9';
		number = number * 10 + (unsigned)(text[i] - '0');
	}
	if (!sound) {
		snprintf(complaint->hint, sizeof(complaint->hint),
			"write a number from 0, or such as \"%c0013\" or \"%cx0013\"", tables[space].digit,
			tables[space].digit);
		return bf_refuse(complaint, key, NULL, "is no register number of five or six digits");
	}
	if (text[0] != tables[space].digit) {
		for (unsigned i = 0; i < BF_N_SPACES; i++)
			if (text[0] == tables[i].digit) {
				snprintf(complaint->hint, sizeof(complaint->hint), "write %s: \"%.16s\"", tables[i].key,
					text);
				return bf_refuse(complaint, key, NULL, "is %s by its first digit", tables[i].what);
			}
		return bf_refuse(complaint, key, NULL, "starts with %c; the manual's number of %s starts with %c",
			text[0], tables[space].what, tables[space].digit);
	}
	if (number < 1 || number > REGISTERS) {
		if (number < 1)
			snprintf(complaint->hint, sizeof(complaint->hint),
				"the first one is \"%c0001\", on the wire %s: 0", tables[space].digit, key);
		return bf_refuse(complaint, key, NULL, "is out of range: the manual's numbers count from 1 to 65536");
	}
	*ret_at = number - 1;
	return 0;
}

static int place(const void *device, const void *metric, struct bf_shape *shape, struct bf_place *ret_place,
	struct bf_complaint *ret_complaint)
{
	(void)device;
	const struct modbus_metric *keys = metric;
	int space = -1;
	for (int i = 0; i < BF_N_SPACES; i++) {
		if (keys->at[i].kind == BF_SCALAR_NONE)
			continue;
		if (space >= 0)
			return bf_refuse(ret_complaint, tables[i].key, NULL,
				"is given beside \"%s\": a metric has one place", tables[space].key);
		space = i;
	}
	if (space < 0)
		return bf_refuse(
			ret_complaint, NULL, "give it one of input, holding, coil, discrete", "has no register");
	const struct bf_scalar *at = &keys->at[space];
	const char *key = tables[space].key;
	unsigned number = 0;
	if (at->kind == BF_SCALAR_TEXT) {
		int err = from_manual(at->text, (enum bf_space)space, &number, ret_complaint);
		if (err < 0)
			return err;
	} else if (at->kind == BF_SCALAR_NUMBER) {
		return bf_refuse(ret_complaint, key, NULL, "must be a whole number");
	} else if (at->i < 0 || at->i >= REGISTERS) {
		snprintf(ret_complaint->hint, sizeof(ret_complaint->hint),
			"the manual's numbers, such as \"%c00123\", stand in quotes", tables[space].digit);
		return bf_refuse(ret_complaint, key, NULL, "is out of range: registers count from 0 to 65535");
	} else {
		number = (unsigned)at->i;
	}
	bool single = space == BF_SPACE_COIL || space == BF_SPACE_DISCRETE;
	unsigned count = 1;
	if (single)
		shape->type = BF_TYPE_BOOL;
	else
		count = bf_shape_registers(shape);
	if (number + count > REGISTERS)
		return bf_refuse(ret_complaint, key, NULL, "would pass register 65535");
	*ret_place = (struct bf_place){(enum bf_space)space, (uint16_t)number, (uint16_t)count};
	return 0;
}

BF_DRIVER(modbus) = {
	.abi = BF_DRIVER_ABI,
	.name = "modbus",
	.summary = "Modbus RTU and TCP: coils, discrete inputs, input and holding registers",
	.way = BF_WAY_REGISTERS,
	.device_keys = device_keys,
	.metric_keys = metric_keys,
	.device_size = 0,
	.metric_size = sizeof(struct modbus_metric),
	.place = place,
};

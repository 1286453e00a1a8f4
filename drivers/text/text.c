/*
 * The text driver: sensors that speak in lines or blocks of characters, told by a table of what parts them and what
 * checks them.
 *
 * One driver for all of them, as they differ in few things: whether a message is a line or a block, whether its fields
 * are known by place or by name, and what is summed up.  What does not fit is read by a regular expression.  See text.h
 * for where what lies.  The wire's thread, but for check and shape, which the checker of maps calls.
 */
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEVICE(field)  offsetof(struct text_device, field)
#define MESSAGE(field) offsetof(struct text_message, field)
#define METRIC(field)  offsetof(struct text_metric, field)
#define COLUMNS_MAX    255
#define PAIRS_HINT     "write text: { keys: \"pairs\" }"

static const struct bf_key device_keys[] = {
	{"text.start", BF_KEY_TEXT, DEVICE(start), 0, 0, NULL, NULL, 0,
		"Characters one of which begins each line; the last one in a line counts"},
	{"text.end", BF_KEY_TEXT, DEVICE(end), 0, 0, NULL, NULL, 0,
		"Characters one of which ends each line; without it CR and LF"},
	{"text.first", BF_KEY_CHOICE, DEVICE(first), 0, 0, "skip", "skip|read", 0,
		"The first line after the port was opened, which may be the rest of one, where nothing begins or "
		"checks it"},
	{"text.split", BF_KEY_TEXT, DEVICE(split), 0, 0, NULL, NULL, 0,
		"Characters between fields, a comma (a blank with keys: \"pairs\") without it; with a blank among "
		"them, several in "
		"a row part once"},
	{"text.assign", BF_KEY_TEXT, DEVICE(assign), 0, 0, NULL, NULL, 0,
		"Characters between a name and its value, where a line has several pairs: \"=\""},
	{"text.keys", BF_KEY_CHOICE, DEVICE(keys), 0, 0, NULL, "pairs|obis|json", 0,
		"How fields are named; without it they are columns, from 0"},
	{"text.ignore", BF_KEY_TEXT, DEVICE(ignore), 0, 0, NULL, NULL, 0,
		"Characters that begin a line that says nothing; within a block with end_key also in the midst of a "
		"line"},
	{"text.decimal", BF_KEY_CHOICE, DEVICE(decimal), 0, 0, "point", "point|comma", 0, "What parts the decimals"},
	{"text.longest", BF_KEY_INT, DEVICE(longest), 8, BF_INPUT_MAX, NULL, NULL, 0,
		"The most bytes of a message, 1024 of a line and 4096 of a block without it"},
	{"text.block.begin", BF_KEY_TEXT, DEVICE(block_begin), 0, 0, NULL, NULL, 0,
		"A message is a block of lines that begins with this character"},
	{"text.block.end", BF_KEY_TEXT, DEVICE(block_end), 0, 0, NULL, NULL, 0, "and ends with this one"},
	{"text.block.end_key", BF_KEY_TEXT, DEVICE(block_end_key), 0, 0, NULL, NULL, 0,
		"A message is a block of lines that ends with the line of this key and one byte as its value"},
	{"text.block.begin_key", BF_KEY_TEXTS, DEVICE(block_begin_key), 0, 0, NULL, NULL, 0,
		"The keys of the first lines of such blocks, by which one is found again behind damage"},
	{"text.check.kind", BF_KEY_CHOICE, DEVICE(check_kind), 0, 0, NULL,
		"xor8|sum8|sum8-zero|crc16-arc|crc16-modbus|bcc|teleinfo", BF_KEY_REQUIRED, "How a message is checked"},
	{"text.check.after", BF_KEY_TEXT, DEVICE(check_after), 0, 0, NULL, NULL, 0,
		"The character behind which a line's sum begins, its start without it"},
	{"text.check.until", BF_KEY_TEXT, DEVICE(check_until), 0, 0, NULL, NULL, 0,
		"The character in front of which a line's sum ends; the check stands behind it"},
	{"text.check.coding", BF_KEY_CHOICE, DEVICE(check_coding), 0, 0, "hex", "hex|bin", 0,
		"The check as hexadecimal digits, or of blocks also as bytes, the low one first"},
	{"text.check.each", BF_KEY_CHOICE, DEVICE(check_each), 0, 0, "message", "message|line", 0,
		"Whether a block has one check or one for each line"},
	{0},
};

static const struct bf_key message_keys[] = {
	{"match.column", BF_KEY_INT, MESSAGE(column), 0, COLUMNS_MAX, NULL, NULL, 0,
		"The column that tells what the message is, from 0"},
	{"match.key", BF_KEY_TEXT, MESSAGE(key), 0, 0, NULL, NULL, 0, "The key that only this message has"},
	{"match.like", BF_KEY_TEXT, MESSAGE(like), 0, 0, NULL, NULL, 0,
		"A shell pattern for the column or key, or for all of the message: \"G?GGA\""},
	{"match.columns", BF_KEY_INT, MESSAGE(columns), 1, COLUMNS_MAX, NULL, NULL, 0,
		"How many columns the message has"},
	{0},
};

static const struct bf_key metric_keys[] = {
	{"column", BF_KEY_INT, METRIC(column), 0, COLUMNS_MAX, NULL, NULL, 0,
		"Column, from 0; beside a key of \"pairs\" the field of its line, the key being 0"},
	{"step", BF_KEY_INT, METRIC(step), 1, COLUMNS_MAX, "1", NULL, 0, "Columns from one to the next with repeat"},
	{"key", BF_KEY_TEXT, METRIC(key), 0, 0, NULL, NULL, 0,
		"Name of a pair, OBIS code (\"1-0:1.8.0\" or \"1.8.0\") or path in JSON (\"h.x\", \"list.0\")"},
	{"bracket", BF_KEY_INT, METRIC(bracket), 0, COLUMNS_MAX, NULL, NULL, 0,
		"Which of the values in brackets of an OBIS code, from 0; the last one without it"},
	{"in", BF_KEY_TEXT, METRIC(in), 0, 0, NULL, NULL, 0,
		"The unit in which the value of an OBIS code is wanted: kW and MW are converted, in another unit it is "
		"no value"},
	{"pattern", BF_KEY_TEXT, METRIC(pattern), 0, 0, NULL, NULL, 0,
		"POSIX extended regular expression; the value is its first group"},
	{"type", BF_KEY_CHOICE, METRIC(type), 0, 0, "dec", "dec|int|hex|text|hex_text|bool|nmea_angle|nmea_speed", 0,
		"dec any number, int a whole one to its last digit, hex a number in hexadecimal digits, text, hex_text "
		"a text in "
		"hexadecimal digits, bool, nmea_angle degrees and minutes, nmea_speed in m/s"},
	{"sign", BF_KEY_INT, METRIC(sign), 0, COLUMNS_MAX, NULL, NULL, 0,
		"The column with the N, S, E or W of an nmea_angle"},
	{"letter", BF_KEY_INT, METRIC(letter), 0, COLUMNS_MAX, NULL, NULL, 0,
		"The column with the unit of an nmea_speed: K, N, M or S"},
	{0},
};

static bool in_blocks(const struct text_device *keys)
{
	return keys->block_begin || keys->block_end || keys->block_end_key;
}

static int check_block(const struct text_device *keys, struct bf_complaint *complaint)
{
	if (keys->block_begin_key.n > 0 && !keys->block_end_key)
		return bf_refuse(complaint, "text.block.begin_key", NULL, "needs \"end_key\" beside it");
	if (!in_blocks(keys))
		return 0;
	if (keys->block_end_key && (keys->block_begin || keys->block_end))
		return bf_refuse(complaint, keys->block_begin ? "text.block.begin" : "text.block.end", NULL,
			"is given beside \"end_key\": such a block begins where the one before ended");
	if (!keys->block_end_key && (!keys->block_begin || !keys->block_end))
		return bf_refuse(complaint, keys->block_begin ? "text.block.begin" : "text.block.end",
			"write block: { begin: \"/\"  end: \"!\" }", "is only one end of the block");
	const char *of_lines = keys->start ? "text.start" : keys->end ? "text.end" : NULL;
	return of_lines ? bf_refuse(complaint, of_lines, NULL, "is of lines, not of blocks") : 0;
}

static int check_check(const struct text_device *keys, struct bf_complaint *complaint)
{
	bool whole = keys->check_kind != TEXT_CHECK_BCC && keys->check_kind != TEXT_CHECK_TELEINFO &&
		     keys->check_kind != TEXT_CHECK_SUM8_ZERO;
	if (keys->check_kind == BF_UNSET)
		return 0;
	if (keys->block_end_key)
		return keys->check_kind == TEXT_CHECK_SUM8_ZERO
			       ? 0
			       : bf_refuse(complaint, "text.check.kind", NULL, "is no check of blocks that a key ends");
	if (!keys->block_end && keys->check_coding == TEXT_BIN)
		return bf_refuse(complaint, "text.check.coding", NULL,
			"is \"bin\", but such a byte could be the end of the line");
	if (keys->block_end && keys->check_each == TEXT_EACH_LINE)
		return whole || keys->check_kind == TEXT_CHECK_TELEINFO
			       ? 0
			       : bf_refuse(complaint, "text.check.kind", NULL, "is no check of the lines of a block");
	if (!keys->block_end)
		return whole ? 0 : bf_refuse(complaint, "text.check.kind", NULL, "is no check of lines");
	return whole || keys->check_kind == TEXT_CHECK_BCC
		       ? 0
		       : bf_refuse(complaint, "text.check.kind",
				 keys->check_kind == TEXT_CHECK_TELEINFO ? "write each: \"line\"" : NULL,
				 "is no check of whole blocks");
}

/* Is a column or a key what this text has?  names: "match.column" and "match.key", or those of a metric. */
static int check_place(const struct text_device *keys, bool column, bool key, const char *const names[2],
	struct bf_complaint *complaint)
{
	if (key && keys->keys == BF_UNSET)
		return bf_refuse(complaint, names[1], PAIRS_HINT, "is a name, but this text has columns");
	if (column && keys->keys != BF_UNSET && !(key && keys->keys == TEXT_PAIRS && !keys->assign)) {
		snprintf(complaint->hint, sizeof(complaint->hint), "write %s: \"…\"", names[1]);
		return bf_refuse(complaint, names[0], NULL, "is a column, but this text has names");
	}
	return 0;
}

static int check(const struct bf_device *device, struct bf_complaint *ret_complaint)
{
	static const char *const names[] = {"match.column", "match.key"};
	const struct text_device *keys = device->keys;
	if (keys->assign && keys->keys != TEXT_PAIRS)
		return bf_refuse(ret_complaint, "text.assign", PAIRS_HINT, "is of names, but this text has none");
	int err = check_block(keys, ret_complaint);
	if (err == 0)
		err = check_check(keys, ret_complaint);
	for (size_t i = 0; err == 0 && i < device->n_messages; i++) {
		const struct text_message *match = device->messages[i].keys;
		err = check_place(keys, match->column != BF_UNSET || match->columns != BF_UNSET, match->key != NULL,
			names, ret_complaint);
		if (err < 0)
			ret_complaint->message = device->messages[i].name;
	}
	return err;
}

static int shape_place(const struct text_device *keys, const struct text_metric *metric, struct bf_complaint *complaint)
{
	static const char *const names[] = {"column", "key"};
	bool column = metric->column != BF_UNSET, key = metric->key != NULL;
	char why[100];
	if (metric->in && (keys->keys != TEXT_OBIS || metric->type != TEXT_DEC || metric->pattern))
		return bf_refuse(complaint, "in", NULL, "is of numbers with an OBIS code");
	if (metric->pattern && (column || key))
		return bf_refuse(complaint, column ? "column" : "key", NULL,
			"is given beside \"pattern\": a metric has one place");
	if (metric->pattern) {
		int err = text_pattern_compile(metric->pattern, why, sizeof(why));
		if (err == -EINVAL)
			return bf_refuse(complaint, "pattern", NULL, "is no regular expression: %s", why);
		return err < 0 ? -EINVAL : 0;
	}
	if (!column && !key)
		return bf_refuse(complaint, NULL, "give it one of column, key, pattern", "has no place in the text");
	return check_place(keys, column, key, names, complaint);
}

static int shape(const struct bf_device *device, unsigned kind, const void *metric, struct bf_shape *ret_shape,
	struct bf_complaint *ret_complaint)
{
	static const enum bf_type types[] = {
		[TEXT_DEC] = BF_TYPE_F64,
		[TEXT_INT] = BF_TYPE_S64,
		[TEXT_HEX_NUMBER] = BF_TYPE_U64,
		[TEXT_TEXT] = BF_TYPE_STRING,
		[TEXT_HEX_TEXT] = BF_TYPE_STRING,
		[TEXT_BOOL] = BF_TYPE_BOOL,
		[TEXT_NMEA_ANGLE] = BF_TYPE_F64,
		[TEXT_NMEA_SPEED] = BF_TYPE_F64,
	};
	(void)kind;
	const struct text_device *keys = device->keys;
	const struct text_metric *of = metric;
	int err = shape_place(keys, of, ret_complaint);
	if (err < 0)
		return err;
	bool angle = of->type == TEXT_NMEA_ANGLE, speed = of->type == TEXT_NMEA_SPEED;
	if ((angle && of->sign == BF_UNSET) || (speed && of->letter == BF_UNSET))
		return bf_refuse(ret_complaint, "type", angle ? "write sign: N" : "write letter: N",
			"needs the column of its letter");
	*ret_shape = (struct bf_shape){.type = types[of->type]};
	if (ret_shape->type == BF_TYPE_STRING)
		ret_shape->length = BF_STRING_MAX;
	return 0;
}

static size_t longest(const struct bf_device *device)
{
	return text_longest(device->keys);
}

static enum bf_find find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	const struct text_device *keys = device->keys;
	struct text_memory *memory = device->memory;
	if (memory->skip > 0) {
		size_t skip = memory->skip < n ? memory->skip : n;
		memory->skip -= skip;
		return text_skip(ret_found, skip);
	}
	/* Fewer than before: the core gave up the beginning of what is there. */
	if (n < memory->shown)
		memory->begun = false;
	memory->shown = 0;
	if (keys->block_end_key)
		return text_keyed_find(device, input, n, body, ret_found);
	if (keys->block_end)
		return text_block_find(device, input, n, body, ret_found);
	return text_line_find(device, input, n, ret_found);
}

BF_DRIVER(text) = {
	.abi = BF_DRIVER_ABI,
	.name = "text",
	.summary =
		"Lines and blocks of text: CSV, names and values, NMEA 0183, OBIS, Teleinfo, VE.Direct, JSON, patterns",
	.way = BF_WAY_STREAM,
	.device_keys = device_keys,
	.metric_keys = metric_keys,
	.device_size = sizeof(struct text_device),
	.metric_size = sizeof(struct text_metric),
	.message_keys = message_keys,
	.message_size = sizeof(struct text_message),
	.memory_size = sizeof(struct text_memory),
	.check = check,
	.shape = shape,
	.longest = longest,
	.find = find,
	.value = text_value,
};

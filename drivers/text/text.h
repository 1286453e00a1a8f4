/*
 * What the files of the text driver share: the structs that its tables of keys fill, what it keeps of each device, and
 * the doors between its subjects.
 *
 *   text.c          the tables, and whether the keys make sense together
 *   text_line.c     messages that are lines          text_check.c    their checksums
 *   text_block.c    … blocks between two characters  text_keyed.c    … blocks that a key ends (VE.Direct)
 *   text_place.c    where in a message a metric is: columns and pairs
 *   text_obis.c     … data sets of meters            text_json.c     … JSON
 *   text_pattern.c  … regular expressions            text_number.c   numbers without a locale
 *   text_value.c    the value of a metric
 *
 * Nothing here keeps state but struct text_memory, which belongs to one device and so to one thread, and the compiled
 * patterns.
 */
#ifndef TEXT_H
#define TEXT_H

#include "sdk/driver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum text_keys { TEXT_PAIRS, TEXT_OBIS, TEXT_JSON }; /* BF_UNSET = columns */
enum text_check {
	TEXT_CHECK_XOR8,
	TEXT_CHECK_SUM8,
	TEXT_CHECK_SUM8_ZERO,
	TEXT_CHECK_CRC16_ARC,
	TEXT_CHECK_CRC16_MODBUS,
	TEXT_CHECK_BCC,
	TEXT_CHECK_TELEINFO,
};
enum text_coding { TEXT_HEX, TEXT_BIN };
enum text_each { TEXT_EACH_MESSAGE, TEXT_EACH_LINE };
enum text_decimal { TEXT_POINT, TEXT_COMMA };
enum text_first { TEXT_FIRST_SKIP, TEXT_FIRST_READ };
enum text_type {
	TEXT_DEC,
	TEXT_INT,
	TEXT_HEX_NUMBER,
	TEXT_TEXT,
	TEXT_HEX_TEXT,
	TEXT_BOOL,
	TEXT_NMEA_ANGLE,
	TEXT_NMEA_SPEED,
};

struct text_device {
	const char *start, *end, *split, *assign, *ignore; /* sets of characters; NULL = not given */
	const char *block_begin, *block_end, *block_end_key;
	struct bf_texts block_begin_key;
	const char *check_after, *check_until;
	int keys, longest, decimal, first;
	int check_kind, check_coding, check_each;
};

struct text_message {
	int column, columns; /* BF_UNSET = not given */
	const char *key, *like;
};

struct text_metric {
	int column, step, sign, letter, bracket; /* BF_UNSET = not given, but step */
	const char *key, *pattern, *in;
	int type;
};

/* What is kept of a device between two calls of find.  All zero = the port was opened just now. */
struct text_memory {
	size_t skip;  /* bytes of a damaged message that are still to be dropped */
	size_t shown; /* bytes that were shown when more were asked for; 0 = none */
	bool begun;   /* what comes next is the beginning of a line, not the rest of one */
	bool salvage; /* the block whose first byte was dropped has sound lines */
};

/* A piece of a message. */
struct text_span {
	const char *at;
	size_t n;
};

/* The characters between which fields stand, where the map names none. */
const char *text_split(const struct text_device *keys);

/* The most bytes of a message. */
size_t text_longest(const struct text_device *keys);

/* Is the character one of the set?  A NUL never is, nor is anything one of NULL. */
bool text_is(const char *set, uint8_t c);

/* The number of a hexadecimal digit, or -1. */
int text_nibble(uint8_t c);

/* Without blanks and NULs at both ends. */
struct text_span text_trim(struct text_span span);

/* The next line of *rest, without its end; false when there is none.  Lines end with CR, LF or both. */
bool text_next_line(struct text_span *rest, struct text_span *ret_line);

/* A message that failed: its first byte is counted by the core, the n - 1 others will be skipped. */
enum bf_find text_damaged(struct text_memory *memory, size_t n);
enum bf_find text_skip(struct bf_found *found, size_t n);

/* What a sound message is: MESSAGE with its kind, or OTHER. */
enum bf_find text_told(const struct bf_device *device, struct text_span content, size_t n, struct bf_found *ret_found);

/* The three searches; see bf_driver.find. */
enum bf_find text_line_find(const struct bf_device *device, const uint8_t *input, size_t n, struct bf_found *ret_found);
enum bf_find text_block_find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found);
enum bf_find text_keyed_find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found);

/* Of a line without its start and end: is its check sound?  *ret_content is what it protects. */
bool text_check_line(const struct text_device *keys, struct text_span line, struct text_span *ret_content);

/* Of a block: how many bytes the check takes behind its end, and is it sound?  block: from begin to end, both
 * included. */
size_t text_check_size(const struct text_device *keys);
bool text_check_block(const struct text_device *keys, struct text_span block, const uint8_t *check);

/* Of one line of a block whose lines are checked each.  *ret_content is the line without its check. */
bool text_check_each(const struct text_device *keys, struct text_span line, struct text_span *ret_content);

/* Where something is.  0 with *ret_span as it stands in the message; -ENOENT it is not there. */
int text_place_column(
	const struct text_device *keys, struct text_span content, size_t column, struct text_span *ret_span);
size_t text_place_columns(const struct text_device *keys, struct text_span content); /* how many */
int text_place_pair(const struct text_device *keys, struct text_span content, const char *key, size_t column,
	struct text_span *ret_span);

/* A value of a data set without its unit, which goes to *ret_unit; bracket from 0, BF_UNSET = the last. */
int text_obis_find(
	struct text_span content, const char *key, int bracket, struct text_span *ret_span, struct text_span *ret_unit);
/* What a number in that unit must be multiplied or, below 0, divided by to be in the wanted one; 0 = it is another. */
double text_obis_factor(struct text_span unit, const char *wanted);

/* Is the whole of it one JSON object? */
bool text_json_sound(struct text_span content);
/* The token at a path ("h.x", "list.0"); a text with its quotes.  Of a sound object. */
int text_json_find(struct text_span content, const char *path, struct text_span *ret_token);
/* A text token without quotes and escapes, written to text.  0; -EDOM: too long, or holds what is no character. */
int text_json_text(struct text_span token, char text[static BF_STRING_MAX + 1], struct text_span *ret_span);

/*
 * Compiles a pattern, once in the life of the process.  0; -EINVAL: what is wrong is written to why; -ENOMEM.
 * Any thread.
 */
int text_pattern_compile(const char *pattern, char *why, size_t why_size);
/* The first group of the first match, or all of it when there is no group.  0; -ENOENT: no match; -ENOMEM. */
int text_pattern_find(const char *pattern, struct text_span content, struct text_span *ret_span);

/* Numbers: all of the span, blanks at its ends apart.  0; -EDOM: it is none, or too big. */
int text_number_dec(struct text_span span, char point, double *ret_number);
int text_number_int(struct text_span span, int64_t *ret_number);
int text_number_hex(struct text_span span, uint64_t *ret_number);

/* See bf_driver.value. */
int text_value(const struct bf_device *device, const void *metric, unsigned index, const struct bf_message *message,
	char text[static BF_STRING_MAX + 1], struct bf_value *ret_value);

#endif

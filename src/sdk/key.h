/*
 * Keys of the device map, declared as tables: the checker, the fault messages with their "did you mean", the
 * `drivers` command, `check --explain` and the reference in docs are all fed from these rows.
 *
 * A table describes the keys of one group.  The core reads the group, checks each value against its row and writes it
 * to `offset` of a struct whose fields the row's type names.  A key that is not given leaves what `fallback` says;
 * without a fallback the field is left "not given" (second column).
 *
 *   type              field          not given     what the map says
 *   BF_KEY_TEXT       const char *   NULL          "text"
 *   BF_KEY_BOOL       int            BF_UNSET      true / false
 *   BF_KEY_INT        int            BF_UNSET      a number within min … max
 *   BF_KEY_NUMBER     double         NaN           a number within min … max, with or without a fraction
 *   BF_KEY_DURATION   int64_t (µs)   BF_UNSET      "500ms", "10s", "5m", "2h", "7d"; a bare number is seconds
 *   BF_KEY_SIZE       int64_t        BF_UNSET      "64kB", "256MB", "1GB" (powers of 1000); a bare number is bytes
 *   BF_KEY_CHOICE     int            BF_UNSET      one of `choices`, as its index
 *   BF_KEY_TEXTS      struct bf_texts  n = 0       "text" or ["text", "text"]
 *   BF_KEY_SCALAR     struct bf_scalar BF_NONE     a number or a text that the owner of the table reads itself
 *   BF_KEY_BYTES      struct bf_bytes  n = 0       "42 4D": bytes as pairs of hexadecimal digits; blanks are free
 *   BF_KEY_PAIRS      struct bf_pairs  n = 0       a group of names and whole numbers within min … max
 *   BF_KEY_NODE       const void *   NULL          any group or list, handed on as it is; for the core's own tables
 *
 * A key of a group within the group is a row of its own, with a point in its name: "check.kind" stands in the map as
 * check: { kind: … }.  Such a row is required only where its group is there.  A name may be both: with the rows
 * "length" and "length.at" the map may say length: 9 or length: { at: 2 }.
 */
#ifndef BF_SDK_KEY_H
#define BF_SDK_KEY_H

#include <stddef.h>
#include <stdint.h>

enum bf_key_type {
	BF_KEY_TEXT,
	BF_KEY_BOOL,
	BF_KEY_INT,
	BF_KEY_NUMBER,
	BF_KEY_DURATION,
	BF_KEY_SIZE,
	BF_KEY_CHOICE,
	BF_KEY_TEXTS,
	BF_KEY_SCALAR,
	BF_KEY_BYTES,
	BF_KEY_PAIRS,
	BF_KEY_NODE,
};

#define BF_UNSET (-1)

enum bf_key_flags {
	BF_KEY_REQUIRED = 1,
};

struct bf_key {
	const char *name;
	enum bf_key_type type;
	size_t offset;
	double min, max;      /* of numbers, of durations in seconds, of sizes in bytes; both 0 = not bounded */
	const char *fallback; /* as it would stand in the map, without quotes; NULL = not given */
	const char *choices;  /* "one|two|three" */
	unsigned flags;
	const char *help; /* one sentence, no full stop */
};

struct bf_texts {
	const char *const *at;
	size_t n;
};

/* A number or a text as the map has it.  Text is NUL-terminated and lives as long as the plan. */
struct bf_scalar {
	enum { BF_SCALAR_NONE, BF_SCALAR_INT, BF_SCALAR_NUMBER, BF_SCALAR_TEXT } kind;
	int64_t i;
	double number; /* also set for an int */
	const char *text;
};

/* Bytes; they live as long as the plan. */
struct bf_bytes {
	const uint8_t *at;
	size_t n;
};

/* Names and numbers, in the order of the map; they live as long as the plan. */
struct bf_pairs {
	const char *const *names;
	const int *numbers;
	size_t n;
};

/*
 * "42 4D", "424d" → bytes, at most `size` of them.  Blanks may stand between the pairs.
 * The number of bytes; -EINVAL when it is something else; -ENOSPC when there are more.
 */
int bf_bytes_parse(const char *text, uint8_t *bytes, size_t size);

/*
 * "1.5s" → µs, "64kB" → bytes.  Units ms s m h d (and us); B kB MB GB.  A fraction is allowed, a sign is not.
 * 0; -EINVAL when it is not a number with a known unit; -ERANGE beyond 10 000 days or 1000 TB.
 */
int bf_duration_parse(const char *text, int64_t *ret_us);
int bf_size_parse(const char *text, int64_t *ret_bytes);

/* "1.5s", "500ms", "7d": the largest unit that needs no more than three decimals.  Returns the length. */
#define BF_DURATION_SIZE 24
int bf_duration_print(int64_t us, char text[static BF_DURATION_SIZE]);

/* "64kB", "1.5MB": likewise. */
#define BF_SIZE_SIZE 24
int bf_size_print(int64_t bytes, char text[static BF_SIZE_SIZE]);

#endif

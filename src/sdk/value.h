/*
 * One value of a sensor, as it travels from a decoder to a payload: by value, with its own width, so that it can be
 * printed exactly as wide as it was read (a 16 or 32 bit float prints as one, a 64 bit counter to its last digit).
 */
#ifndef BF_SDK_VALUE_H
#define BF_SDK_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bf_kind {
	BF_NONE, /* no value: the reading is not good */
	BF_BOOLEAN,
	BF_SIGNED,
	BF_UNSIGNED,
	BF_FLOAT16, /* in f32, which holds each of them */
	BF_FLOAT32,
	BF_FLOAT64,
	BF_TEXT, /* UTF-8, not terminated; owned by the caller, valid during the call that hands it over */
};

struct bf_value {
	enum bf_kind kind;
	union {
		bool yes;
		int64_t i;
		uint64_t u;
		float f32;
		double f64;
		struct {
			const char *at;
			size_t n;
		} text;
	};
};

/* Longest text of a number, with its terminating NUL: sign, 1 digit, point, 16 digits, "e-308"; or 20 digits. */
#define BF_NUMBER_SIZE 32

/* The most decimals that a rounded number is printed with. */
#define BF_DECIMALS_MAX 12

/*
 * Prints a number or a boolean as the shortest text that reads back equal in its own width; with decimals >= 0 a
 * float is rounded to that many first.  No trailing zeros, never a comma whatever the locale, "-0" prints as "0".
 * Plain digits between 1e-5 and 1e15, outside with an exponent as JSON has it.
 * Returns the length, the text is NUL-terminated; -EINVAL for BF_NONE, BF_TEXT, NaN and infinity (text untouched).
 * Any thread; allocates nothing.
 */
int bf_value_print(const struct bf_value *value, int decimals, char text[static BF_NUMBER_SIZE]);

/* The number as a double (a boolean as 0 or 1); 0.0 for BF_NONE and BF_TEXT.  64 bit counters may lose low digits. */
double bf_value_number(const struct bf_value *value);

/* True when both are of one kind and equal; texts by their bytes. */
bool bf_value_equal(const struct bf_value *a, const struct bf_value *b);

/* How many decimals the shortest text of a finite number has: 0.1 has 1, 0.025 has 3, 10 has 0; at most
 * BF_DECIMALS_MAX. */
int bf_decimals_of(double number);

#endif

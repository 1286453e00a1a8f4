/*
 * Values of M-Bus.  See mbus_value.h.
 *
 * Numbers are whole ones times a power of ten, and are told as the double that this decimal reads as: 4616 hundredths
 * are 46.16 and nothing beside it.  A 32 bit float is told by its own shortest decimal, times its power of ten.  All
 * numbers and dates begin with their lowest byte, texts with their last character.
 */
#include "mbus_value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTEGER_MAX 8 /* bytes */
#define BCD_MAX     8

enum mbus_as mbus_value_usual(enum mbus_quantity quantity)
{
	switch (quantity) {
	case MBUS_DATE:
	case MBUS_DATE_TIME:
		return MBUS_AS_DATE;
	case MBUS_FABRICATION_NUMBER:
	case MBUS_IDENTIFICATION:
	case MBUS_LOCATION:
	case MBUS_CUSTOMER:
		return MBUS_AS_TEXT;
	case MBUS_ERROR_FLAGS:
	case MBUS_DIGITAL_OUTPUT:
	case MBUS_DIGITAL_INPUT:
		return MBUS_AS_FLAGS;
	default:
		return MBUS_AS_NUMBER;
	}
}

static uint64_t bits_of(const uint8_t *bytes, size_t n)
{
	uint64_t bits = 0;
	while (n-- > 0)
		bits = bits << 8 | bytes[n];
	return bits;
}

size_t mbus_value_digits(const uint8_t *bytes, size_t n, char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < n; i++) {
		text[2 * i] = digits[bytes[n - 1 - i] >> 4];
		text[2 * i + 1] = digits[bytes[n - 1 - i] & 15];
	}
	text[2 * n] = '\0';
	return 2 * n;
}

/* Two's complement of any width; the lowest number of each stands for none. */
static int integer_of(const struct mbus_record *record, int64_t *ret_number)
{
	if (record->n == 0 || record->n > INTEGER_MAX)
		return -EDOM;
	uint64_t bits = bits_of(record->data, record->n), sign = UINT64_C(1) << (8 * record->n - 1);
	if (bits == sign)
		return -EDOM;
	bits = (bits ^ sign) - sign;
	memcpy(ret_number, &bits, sizeof(bits));
	return 0;
}

/* Decimal digits; an F in the place of the highest is a minus.  Any other letter says that there is no value. */
static int bcd_of(const struct mbus_record *record, int64_t *ret_number)
{
	char text[2 * BCD_MAX + 1];
	if (record->n == 0 || record->n > BCD_MAX)
		return -EDOM;
	mbus_value_digits(record->data, record->n, text);
	bool negative = record->negative || text[0] == 'F';
	if (text[0] == 'F')
		text[0] = '0';
	if (text[strspn(text, "0123456789")] != '\0')
		return -EDOM;
	*ret_number = strtoll(text, NULL, 10);
	if (negative)
		*ret_number = -*ret_number;
	return 0;
}

/* The shortest decimal of a float as digits and a power of ten. */
static int real_of(const struct mbus_record *record, int64_t *ret_number, int *ret_power)
{
	struct bf_value value = {.kind = BF_FLOAT32};
	uint32_t bits = (uint32_t)bits_of(record->data, record->n);
	char text[BF_NUMBER_SIZE];
	memcpy(&value.f32, &bits, sizeof(bits));
	if (bf_value_print(&value, -1, text) < 0)
		return -EDOM;
	int64_t number = 0;
	int power = 0;
	bool behind = false;
	const char *c = text + (*text == '-');
	for (; *c && *c != 'e'; c++) {
		behind = behind || *c == '.';
		if (*c == '.')
			continue;
		number = number * 10 + (*c - '0'); /* 15 of them at most */
		power -= behind;
	}
	*ret_power = power + (*c == 'e' ? (int)strtol(c + 1, NULL, 10) : 0);
	*ret_number = *text == '-' ? -number : number;
	return 0;
}

static int number_of(const struct mbus_record *record, struct bf_value *ret_value)
{
	int64_t number = 0;
	int power = 0, err = -EDOM;
	if (record->kind == MBUS_INTEGER)
		err = integer_of(record, &number);
	else if (record->kind == MBUS_BCD)
		err = bcd_of(record, &number);
	else if (record->kind == MBUS_REAL)
		err = real_of(record, &number, &power);
	if (err < 0 || __builtin_mul_overflow(number, record->factor, &number))
		return -EDOM;
	char text[40];
	snprintf(text, sizeof(text), "%llde%d", (long long)number, power + record->power);
	*ret_value = (struct bf_value){.kind = BF_FLOAT64, .f64 = strtod(text, NULL) / record->divisor};
	return 0;
}

static int flags_of(const struct mbus_record *record, struct bf_value *ret_value)
{
	int64_t number;
	if (record->kind == MBUS_INTEGER && record->n >= 1 && record->n <= INTEGER_MAX)
		*ret_value = (struct bf_value){.kind = BF_UNSIGNED, .u = bits_of(record->data, record->n)};
	else if (record->kind == MBUS_BCD && bcd_of(record, &number) == 0 && number >= 0)
		*ret_value = (struct bf_value){.kind = BF_UNSIGNED, .u = (uint64_t)number};
	else
		return -EDOM;
	return 0;
}

/* The length; -EDOM. */
static int text_of(const struct mbus_record *record, char text[static BF_STRING_MAX + 1])
{
	int64_t number;
	if (record->kind == MBUS_BCD)
		return record->n <= BCD_MAX ? (int)mbus_value_digits(record->data, record->n, text) : -EDOM;
	if (record->kind == MBUS_INTEGER && integer_of(record, &number) == 0)
		return snprintf(text, BF_STRING_MAX + 1, "%lld", (long long)number);
	if (record->kind != MBUS_TEXT)
		return -EDOM;
	size_t n = 0;
	for (size_t i = record->n; i-- > 0;) {
		if (record->data[i] < 0x20 || record->data[i] > 0x7E)
			return -EDOM;
		text[n++] = (char)record->data[i];
	}
	while (n > 0 && text[n - 1] == ' ')
		n--;
	return n > 0 ? (int)n : -EDOM;
}

/* Types G (2 bytes: a date), F (4: with hour and minute) and I (6: with the second). */
static int date_of(const struct mbus_record *record, char text[static BF_STRING_MAX + 1])
{
	const uint8_t *at = record->data;
	if (record->kind != MBUS_INTEGER || (record->n != 2 && record->n != 4 && record->n != 6))
		return -EDOM;
	const uint8_t *date = at + (record->n == 6 ? 3 : record->n - 2), *minute = at + (record->n == 6);
	int year = date[0] >> 5 | date[1] >> 4 << 3, month = date[1] & 15, day = date[0] & 31;
	if (year > 99 || month < 1 || month > 12 || day < 1)
		return -EDOM;
	int century = record->n == 4 ? at[1] >> 5 & 3 : 0; /* 0: a year of these times */
	year += century ? 1900 + 100 * century : year > 80 ? 1900 : 2000;
	if (record->n == 2)
		return snprintf(text, BF_STRING_MAX + 1, "%04d-%02d-%02d", year, month, day);
	int second = record->n == 6 ? at[0] & 63 : 0;
	if (minute[0] & 0x80 || (minute[0] & 63) > 59 || (minute[1] & 31) > 23 || second > 59)
		return -EDOM;
	return snprintf(text, BF_STRING_MAX + 1, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day, minute[1] & 31,
		minute[0] & 63, second);
}

int mbus_value_of(const struct mbus_record *record, enum mbus_as as, char text[static BF_STRING_MAX + 1],
	struct bf_value *ret_value)
{
	if (as == MBUS_AS_NUMBER)
		return number_of(record, ret_value);
	if (as == MBUS_AS_FLAGS)
		return flags_of(record, ret_value);
	int n = as == MBUS_AS_DATE ? date_of(record, text) : text_of(record, text);
	if (n < 0)
		return n;
	*ret_value = (struct bf_value){.kind = BF_TEXT, .text = {text, (size_t)n}};
	return 0;
}

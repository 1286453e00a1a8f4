/*
 * Durations, sizes and bytes as people write them.  See key.h.
 *
 * In integers throughout: "0.1s" is 100000 µs, not what is nearest to it in binary.  A fraction is
 * folded in from its last digit, so it may be of any length; what is finer than a µs or a byte is
 * cut off.  Pure; any thread.
 */
#include "sdk/key.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	int64_t size;
};

/* Largest first: printing takes the first that fits. */
static const struct unit durations[] = {
	{"d", 86400 * INT64_C(1000000)},
	{"h", 3600 * INT64_C(1000000)},
	{"m", 60 * INT64_C(1000000)},
	{"s", 1000000},
	{"ms", 1000},
	{"us", 1},
};
static const struct unit sizes[] = {{"GB", 1000000000}, {"MB", 1000000}, {"kB", 1000}, {"B", 1}};

#define N_DURATIONS   (sizeof(durations) / sizeof(durations[0]))
#define N_SIZES       (sizeof(sizes) / sizeof(sizes[0]))
#define DURATION_MAX  (INT64_C(10000) * 86400 * 1000000)
#define SIZE_MOST     INT64_C(1000000000000000)
#define DURATION_BARE 1000000
#define SIZE_BARE     1

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *text)
{
	while (digit(*text))
		text++;
	return text;
}

static int64_t unit_of(const char *name, const struct unit *units, size_t n, int64_t bare)
{
	if (*name == '\0')
		return bare;
	for (size_t i = 0; i < n; i++)
		if (strcmp(units[i].name, name) == 0)
			return units[i].size;
	return 0;
}

/* digits[.digits][unit] → whole numbers of the smallest unit, at most `most`. */
static int quantity_parse(
	const char *text, const struct unit *units, size_t n_units, int64_t bare, int64_t most, int64_t *ret_quantity)
{
	const char *point = skip_digits(text), *end = point;
	if (point == text)
		return -EINVAL;
	if (*point == '.') {
		end = skip_digits(point + 1);
		if (end == point + 1)
			return -EINVAL;
	}
	int64_t unit = unit_of(end, units, n_units, bare), whole = 0, part = 0;
	if (unit == 0)
		return -EINVAL;
	for (const char *c = text; c < point; c++) {
		whole = whole * 10 + (*c - '0');
		if (whole > most / unit)
			return -ERANGE;
	}
	for (const char *c = end - 1; c > point; c--)
		part = (part + (*c - '0') * unit) / 10;
	if (whole * unit > most - part)
		return -ERANGE;
	*ret_quantity = whole * unit + part;
	return 0;
}

int bf_duration_parse(const char *text, int64_t *ret_us)
{
	return quantity_parse(text, durations, N_DURATIONS, DURATION_BARE, DURATION_MAX, ret_us);
}

int bf_size_parse(const char *text, int64_t *ret_bytes)
{
	return quantity_parse(text, sizes, N_SIZES, SIZE_BARE, SIZE_MOST, ret_bytes);
}

/* The first unit of which there is at least one and that needs no more than three decimals; for zero the bare one. */
static const struct unit *unit_for(uint64_t quantity, const struct unit *units, size_t n_units, int64_t bare)
{
	for (size_t i = 0; i + 1 < n_units; i++) {
		uint64_t unit = (uint64_t)units[i].size;
		if (quantity == 0 ? units[i].size == bare : quantity >= unit && quantity % (unit / 1000) == 0)
			return &units[i];
	}
	return &units[n_units - 1];
}

static int quantity_print(
	int64_t quantity, const struct unit *units, size_t n_units, int64_t bare, char *text, size_t size)
{
	uint64_t left = quantity < 0 ? 0 - (uint64_t)quantity : (uint64_t)quantity;
	const struct unit *chosen = unit_for(left, units, n_units, bare);
	uint64_t unit = (uint64_t)chosen->size;
	uint64_t thousandths = unit >= 1000 ? left % unit / (unit / 1000) : 0;
	int n = snprintf(text, size, "%s%" PRIu64, quantity < 0 ? "-" : "", left / unit);
	if (thousandths) {
		text[n++] = '.';
		for (uint64_t place = 100; thousandths; place /= 10) {
			text[n++] = (char)('0' + thousandths / place);
			thousandths %= place;
		}
	}
	size_t length = strlen(chosen->name);
	memcpy(text + n, chosen->name, length + 1);
	return n + (int)length;
}

int bf_duration_print(int64_t us, char text[static BF_DURATION_SIZE])
{
	return quantity_print(us, durations, N_DURATIONS, DURATION_BARE, text, BF_DURATION_SIZE);
}

int bf_size_print(int64_t bytes, char text[static BF_SIZE_SIZE])
{
	return quantity_print(bytes, sizes, N_SIZES, SIZE_BARE, text, BF_SIZE_SIZE);
}

static int nibble(char c)
{
	if (digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int bf_bytes_parse(const char *text, uint8_t *bytes, size_t size)
{
	size_t n = 0;
	for (const char *c = text; *c;) {
		if (*c == ' ') {
			c++;
			continue;
		}
		int high = nibble(c[0]), low = high < 0 ? -1 : nibble(c[1]);
		if (low < 0)
			return -EINVAL;
		if (n == size)
			return -ENOSPC;
		bytes[n++] = (uint8_t)(high << 4 | low);
		c += 2;
	}
	return (int)n;
}

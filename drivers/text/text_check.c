/*
 * The checks of lines and blocks of text.
 *
 * A line's check is two or four hexadecimal digits at its very end, behind a character that ends the sum ("*" of NMEA
 * 0183) or just behind the text; nothing may follow them, so that a line that ran into another one does not pass.
 * A block's check stands behind its last character.  Teleinfo (Enedis, NOI-CPT-02E and -54E) checks each line by one
 * character: the sum of what is in front, its six low bits, plus a blank; where fields are parted by HT, the last HT
 * is in the sum, where they are parted by blanks it is not.
 * Pure; any thread.
 */
#include "text.h"

#include "sdk/check.h"

#include <string.h>

static unsigned sum_of(int kind, struct text_span span)
{
	const uint8_t *bytes = (const uint8_t *)span.at;
	switch (kind) {
	case TEXT_CHECK_XOR8:
	case TEXT_CHECK_BCC:
		return bf_xor8(bytes, span.n);
	case TEXT_CHECK_CRC16_ARC:
		return bf_crc16_arc(bytes, span.n);
	case TEXT_CHECK_CRC16_MODBUS:
		return bf_crc16_modbus(bytes, span.n);
	default:
		return bf_sum8(bytes, span.n);
	}
}

static size_t width(int kind)
{
	return kind == TEXT_CHECK_CRC16_ARC || kind == TEXT_CHECK_CRC16_MODBUS ? 2 : 1;
}

/* Exactly n hexadecimal digits. */
static bool digits(const char *at, size_t n, unsigned *ret_number)
{
	unsigned number = 0;
	for (size_t i = 0; i < n; i++) {
		int nibble = text_nibble((uint8_t)at[i]);
		if (nibble < 0)
			return false;
		number = number << 4 | (unsigned)nibble;
	}
	*ret_number = number;
	return true;
}

bool text_check_line(const struct text_device *keys, struct text_span line, struct text_span *ret_content)
{
	size_t n_digits = 2 * width(keys->check_kind), from = 0;
	while (line.n > 0 && (line.at[line.n - 1] == ' ' || line.at[line.n - 1] == '\0'))
		line.n--;
	if (line.n < n_digits)
		return false;
	size_t end = line.n - n_digits;
	unsigned check;
	if (!digits(line.at + end, n_digits, &check))
		return false;
	if (keys->check_until) {
		if (end == 0 || !text_is(keys->check_until, (uint8_t)line.at[end - 1]))
			return false;
		end--;
	}
	if (keys->check_after)
		while (from < end && !text_is(keys->check_after, (uint8_t)line.at[from]))
			from++;
	/* The start of the line is gone already: `after` means another character only where there is one. */
	from = keys->check_after && from < end ? from + 1 : 0;
	struct text_span summed = {line.at + from, end - from};
	if (sum_of(keys->check_kind, summed) != check)
		return false;
	*ret_content = (struct text_span){line.at, end};
	return true;
}

size_t text_check_size(const struct text_device *keys)
{
	if (keys->check_kind == BF_UNSET || keys->check_each == TEXT_EACH_LINE)
		return 0;
	bool binary = keys->check_coding == TEXT_BIN || keys->check_kind == TEXT_CHECK_BCC;
	return width(keys->check_kind) * (binary ? 1 : 2);
}

bool text_check_block(const struct text_device *keys, struct text_span block, const uint8_t *check)
{
	size_t n = text_check_size(keys), wide = width(keys->check_kind);
	if (n == 0)
		return true;
	unsigned told = check[0];
	if (n == 2 * wide) {
		if (!digits((const char *)check, n, &told))
			return false;
	} else if (wide == 2) {
		told = (unsigned)check[1] << 8 | check[0];
	}
	if (keys->check_kind == TEXT_CHECK_BCC)
		block = (struct text_span){block.at + 1, block.n - 1};
	return sum_of(keys->check_kind, block) == told;
}

bool text_check_each(const struct text_device *keys, struct text_span line, struct text_span *ret_content)
{
	if (keys->check_kind != TEXT_CHECK_TELEINFO)
		return text_check_line(keys, line, ret_content);
	if (line.n < 3 || !text_is(text_split(keys), (uint8_t)line.at[line.n - 2]))
		return false;
	struct text_span content = {line.at, line.n - 2};
	struct text_span summed = {line.at, line.at[line.n - 2] == '\t' ? line.n - 1 : line.n - 2};
	if ((bf_sum8((const uint8_t *)summed.at, summed.n) & 0x3F) + 0x20 != (uint8_t)line.at[line.n - 1])
		return false;
	*ret_content = content;
	return true;
}

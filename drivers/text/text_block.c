/*
 * Messages that are blocks of lines between two characters: "/" … "!" of meters, STX … ETX of Teleinfo.
 *
 * Neither character stands within a block (IEC 62056-21, 6.2; NOI-CPT-54E), so of several begins in front of an end the
 * last one counts, and the others are blocks that lost their end.
 * Where each line has a check of its own, a damaged one is left out and what is around it is used.  As a message can't
 * be counted as damaged and read at once, its first byte is reported as damage, and what is left of the block is the
 * message that comes next.
 *
 * Invariant: a message begins at the first byte of the input and ends within `longest`.  The wire's thread.
 */
#include "text.h"

#include <string.h>

static size_t first_of(const char *set, const uint8_t *input, size_t from, size_t n)
{
	while (from < n && !text_is(set, input[from]))
		from++;
	return from;
}

/* The place of the last begin in front of the end. */
static size_t last_begin(const char *set, const uint8_t *input, size_t end)
{
	size_t at = 0;
	for (size_t i = 1; i < end; i++)
		if (text_is(set, input[i]))
			at = i;
	return at;
}

/* Copies the lines whose check is sound, without it.  How many bytes they are; *ret_n_bad: how many were left out. */
static size_t sound_lines(const struct text_device *keys, struct text_span content, uint8_t *body, size_t *ret_n_bad)
{
	struct text_span line, sound;
	size_t n = 0;
	*ret_n_bad = 0;
	while (text_next_line(&content, &line)) {
		if (text_trim(line).n == 0)
			continue;
		if (!text_check_each(keys, line, &sound)) {
			++*ret_n_bad;
			continue;
		}
		memcpy(body + n, sound.at, sound.n); /* no longer than the line and its end: it fits */
		n += sound.n;
		body[n++] = '\n';
	}
	return n;
}

/* A block of checked lines that ends at `end`; from: where its content begins. */
static enum bf_find checked_lines(const struct bf_device *device, const uint8_t *input, size_t from, size_t end,
	uint8_t *body, struct bf_found *ret_found)
{
	struct text_memory *memory = device->memory;
	size_t n_bad;
	struct text_span content = {(const char *)input + from, end - from};
	size_t n = sound_lines(device->keys, content, body, &n_bad);
	if (from > 0 && n_bad > 0) {
		memory->salvage = n > 0;
		return text_damaged(memory, n > 0 ? 1 : end + 1);
	}
	return text_told(device, (struct text_span){(const char *)body, n}, end + 1, ret_found);
}

enum bf_find text_block_find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	const struct text_device *keys = device->keys;
	struct text_memory *memory = device->memory;
	bool salvage = memory->salvage;
	size_t longest = text_longest(keys);
	memory->salvage = false;
	if (!salvage && !text_is(keys->block_begin, input[0]))
		return text_skip(ret_found, first_of(keys->block_begin, input, 0, n));
	if (n > longest)
		n = longest;
	size_t end = first_of(keys->block_end, input, salvage ? 0 : 1, n);
	if (end == n) {
		if (n == longest)
			return text_skip(ret_found, first_of(keys->block_begin, input, 1, n));
		memory->salvage = salvage;
		return BF_FIND_MORE;
	}
	if (salvage)
		return checked_lines(device, input, 0, end, body, ret_found);
	size_t begin = last_begin(keys->block_begin, input, end);
	if (begin > 0)
		return text_damaged(memory, begin);
	if (keys->check_kind != BF_UNSET && keys->check_each == TEXT_EACH_LINE)
		return checked_lines(device, input, 1, end, body, ret_found);
	size_t n_check = text_check_size(keys);
	if (end + 1 + n_check > n)
		return n == longest ? text_damaged(memory, end + 1) : BF_FIND_MORE;
	struct text_span block = {(const char *)input, end + 1};
	if (!text_check_block(keys, block, input + end + 1))
		return text_damaged(memory, end + 1);
	struct text_span content = {block.at + 1, end - 1};
	return text_told(device, content, end + 1 + n_check, ret_found);
}

/*
 * Blocks that have no begin but a last line, known by its key: VE.Direct (Victron, VE.Direct Protocol 3.33), where the
 * value of the line "Checksum" is one byte of any value that makes the sum of all the block's bytes 0.
 *
 * A block begins with the end of line that stands right behind the one before, whatever its first line is.  If its sum
 * is wrong, something may stand in front of it, or the last line of the one before was lost and two blocks are there:
 * then the last line with one of the keys with which blocks begin is the next that is tried.  Not each line is, as that
 * would be some twenty guesses at 8 bits.
 * Between and within blocks stand records of another protocol, from ":" to the end of the line; they are not in the
 * sum.
 *
 * Invariant: a message begins at the first byte of the input and ends within `longest`.  The wire's thread.
 */
#include "text.h"

#include <string.h>

/* The block without the records that are to be ignored. */
struct keyed {
	uint8_t *body;
	size_t n;    /* bytes of it */
	size_t last; /* where its last line, the one with the check, begins */
	size_t end;  /* of the input, behind the check; 0 = not there yet */
};

/* Where the record at `from` ends, or n.  It ends with LF; a CR in it is not its own: it was cut short. */
static size_t behind_record(const uint8_t *input, size_t from, size_t n)
{
	while (from < n && input[from] != '\r' && input[from] != '\n')
		from++;
	return from < n && input[from] == '\n' ? from + 1 : from;
}

/* Does the body end with the last line's key and the character behind it?  Where that line begins, or 0. */
static size_t last_line(const struct text_device *keys, const uint8_t *body, size_t n)
{
	if (!text_is(text_split(keys), body[n - 1]))
		return 0;
	size_t n_key = strlen(keys->block_end_key);
	if (n < n_key + 2)
		return 0;
	size_t at = n - 1 - n_key;
	bool begins = body[at - 1] == '\n' || body[at - 1] == '\r';
	return begins && memcmp(body + at, keys->block_end_key, n_key) == 0 ? at : 0;
}

/* Unpacks what is there, at most to the end of the block; or up to as many bytes of the body as `enough` says, and then
 * the end is the place of that byte in the input. */
static struct keyed unpack(const struct text_device *keys, const uint8_t *input, size_t n, uint8_t *body, size_t enough)
{
	struct keyed block = {.body = body};
	for (size_t i = 0; i < n; i++) {
		if (text_is(keys->ignore, input[i])) {
			i = behind_record(input, i, n) - 1;
			continue;
		}
		if (enough && block.n == enough) {
			block.end = i;
			break;
		}
		body[block.n++] = input[i];
		block.last = last_line(keys, body, block.n);
		if (block.last && i + 1 < n) {
			body[block.n++] = input[i + 1];
			block.end = i + 2;
			break;
		}
	}
	return block;
}

static bool begins_block(const struct text_device *keys, struct text_span line)
{
	for (size_t i = 0; i < keys->block_begin_key.n; i++) {
		const char *key = keys->block_begin_key.at[i];
		size_t n = strlen(key);
		if (line.n > n && memcmp(line.at, key, n) == 0 && text_is(text_split(keys), (uint8_t)line.at[n]))
			return true;
	}
	return false;
}

/* Where in what is not sound a block may begin: the end of line in front of it; 0 = nowhere. */
static size_t second_begin(const struct text_device *keys, const struct keyed *block)
{
	struct text_span rest = {(const char *)block->body, block->last}, line;
	size_t begin = 0;
	for (bool first = true; text_next_line(&rest, &line); first = false) {
		size_t at = (size_t)((const uint8_t *)line.at - block->body) - 1;
		if (!first && begins_block(keys, line))
			begin = block->body[at] == '\n' && block->body[at - 1] == '\r' ? at - 1 : at;
	}
	return begin;
}

static bool sound(const struct text_device *keys, const struct keyed *block)
{
	unsigned sum = 0;
	for (size_t i = 0; i < block->n; i++)
		sum += block->body[i];
	return keys->check_kind != TEXT_CHECK_SUM8_ZERO || (sum & 0xFF) == 0;
}

enum bf_find text_keyed_find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	const struct text_device *keys = device->keys;
	struct text_memory *memory = device->memory;
	size_t longest = text_longest(keys), from = 0;
	if (text_is(keys->ignore, input[0])) {
		size_t end = behind_record(input, 0, n);
		bool ended = end < n || input[n - 1] == '\n';
		return ended || n >= longest ? text_skip(ret_found, end) : BF_FIND_MORE;
	}
	while (from < n && input[from] != '\r' && input[from] != '\n' && !text_is(keys->ignore, input[from]))
		from++;
	if (from > 0)
		return text_skip(ret_found, from);
	/* Of several line ends the last one belongs to the block, and is in its sum. */
	while (from < n && (input[from] == '\r' || input[from] == '\n'))
		from++;
	size_t own = from > 1 && input[from - 2] == '\r' && input[from - 1] == '\n' ? 2 : 1;
	if (from < n && from > own)
		return text_skip(ret_found, from - own);
	if (n > longest)
		n = longest;
	struct keyed block = unpack(keys, input, n, body, 0);
	if (!block.end) {
		if (n < longest)
			return BF_FIND_MORE;
		from = 1;
		while (from < n && input[from] != '\r' && input[from] != '\n')
			from++;
		return text_skip(ret_found, from);
	}
	bool begun = memory->begun;
	memory->begun = true;
	if (sound(keys, &block)) {
		struct text_span content = {(const char *)body, block.last};
		return text_told(device, content, block.end, ret_found);
	}
	/* Where the check byte was lost, what seems to be one is the end of line with which the next block begins. */
	uint8_t check = body[block.n - 1];
	size_t to = check == '\r' || check == '\n' ? block.end - 1 : block.end;
	size_t second = second_begin(keys, &block);
	if (second)
		to = unpack(keys, input, n, body, second).end;
	return begun ? text_damaged(memory, to) : text_skip(ret_found, to);
}

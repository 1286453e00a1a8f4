/*
 * Blocks that have no begin but a last line, known by its key: VE.Direct (Victron, VE.Direct Protocol 3.33), where the
 * value of the line "Checksum" is one byte of any value that makes the sum of all the block's bytes 0.
 *
 * A block begins with the end of line that stands right behind the one before.  If its sum is wrong it is skipped as a
 * whole, as to try each of its lines as a beginning would be some twenty guesses at 8 bits; but if the last line of the
 * one before was what got lost, two blocks stand there, and the second must be found.  It is known by its first line:
 * its key is that of the first line of a sound block before, or of this one.
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

/* Where the record at `from` ends, or n. */
static size_t behind_record(const uint8_t *input, size_t from, size_t n)
{
	const uint8_t *end = memchr(input + from, '\n', n - from);
	return end ? (size_t)(end + 1 - input) : n;
}

/* Does the body end with the last line's key and the character behind it?  Where that line begins, or 0. */
static size_t last_line(const struct text_device *keys, const uint8_t *body, size_t n)
{
	size_t n_key = strlen(keys->block_end_key);
	if (n < n_key + 2 || !text_is(text_split(keys), body[n - 1]))
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

static uint32_t label_of(const struct text_device *keys, struct text_span line)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	for (size_t i = 0; i < line.n && !text_is(text_split(keys), (uint8_t)line.at[i]); i++)
		hash = (hash ^ (uint8_t)line.at[i]) * 16777619u;
	return hash;
}

static bool known(const struct text_memory *memory, uint32_t label)
{
	for (size_t i = 0; i < TEXT_N_LABELS && i < memory->n_labels; i++)
		if (memory->labels[i] == label)
			return true;
	return false;
}

/* Where in a damaged block another one may begin: the end of line in front of it; 0 = nowhere. */
static size_t second_begin(const struct text_device *keys, const struct text_memory *memory, const struct keyed *block)
{
	struct text_span rest = {(const char *)block->body, block->n}, line;
	uint32_t first = 0;
	for (size_t i = 0; text_next_line(&rest, &line); i++) {
		uint32_t label = label_of(keys, line);
		size_t at = (size_t)((const uint8_t *)line.at - block->body);
		if (i > 0 && at < block->last && (label == first || known(memory, label))) {
			at--;
			return at > 0 && block->body[at] == '\n' && block->body[at - 1] == '\r' ? at - 1 : at;
		}
		if (i == 0)
			first = label;
	}
	return 0;
}

static void remember(const struct text_device *keys, struct text_memory *memory, struct text_span content)
{
	struct text_span line;
	if (!text_next_line(&content, &line))
		return;
	uint32_t label = label_of(keys, line);
	if (!known(memory, label))
		memory->labels[memory->n_labels++ % TEXT_N_LABELS] = label;
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
		return end < n || input[n - 1] == '\n' || n >= longest ? text_skip(ret_found, end) : BF_FIND_MORE;
	}
	while (from < n && input[from] != '\r' && input[from] != '\n' && !text_is(keys->ignore, input[from]))
		from++;
	if (from > 0)
		return text_skip(ret_found, from);
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
		remember(keys, memory, content);
		return text_told(device, content, block.end, ret_found);
	}
	size_t second = second_begin(keys, memory, &block);
	size_t to = second ? unpack(keys, input, n, body, second).end : block.end;
	return begun ? text_damaged(memory, to) : text_skip(ret_found, to);
}

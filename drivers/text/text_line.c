/*
 * Messages that are lines.
 *
 * Where lines begin with a character of their own ("$" of NMEA 0183), the last one in a line counts: what stands in
 * front of it is a line that lost its end.  Elsewhere a line begins behind the end of the one before; the first that
 * comes after the port was opened may be the rest of one, and without a check a rest such as "1.4" for "21.4" can't be
 * told from a line, so it is passed over; not so of a device that is asked, which says nothing before.
 * A damaged line is skipped as a whole: to try its middle as a beginning would be one more guess at its check for each
 * byte.
 *
 * Invariant: a message begins at the first byte of the input and ends within `longest`.  The wire's thread.
 */
#include "text.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#define LONGEST_LINE  1024
#define LONGEST_BLOCK 4096

size_t text_longest(const struct text_device *keys)
{
	if (keys->longest != BF_UNSET)
		return (size_t)keys->longest;
	return keys->block_end || keys->block_end_key ? LONGEST_BLOCK : LONGEST_LINE;
}

enum bf_find text_damaged(struct text_memory *memory, size_t n)
{
	memory->skip = n - 1;
	return BF_FIND_DAMAGED;
}

enum bf_find text_skip(struct bf_found *found, size_t n)
{
	found->n = n;
	return BF_FIND_SKIP;
}

/* Does the part of the message that `match` names look as it says? */
static bool matches(const struct text_device *keys, const struct text_message *match, struct text_span content)
{
	struct text_span span = content;
	char text[BF_STRING_MAX + 1], plain[BF_STRING_MAX + 1];
	if (match->columns != BF_UNSET && text_place_columns(keys, content) != (size_t)match->columns)
		return false;
	if (match->key) {
		int err = keys->keys == TEXT_OBIS   ? text_obis_find(content, match->key, BF_UNSET, &span)
			  : keys->keys == TEXT_JSON ? text_json_find(content, match->key, &span)
						    : text_place_pair(keys, content, match->key, 1, &span);
		if (err < 0)
			return false;
		if (keys->keys == TEXT_JSON && span.n > 0 && *span.at == '"' && text_json_text(span, text, &span) < 0)
			return false;
	} else if (match->column != BF_UNSET) {
		if (text_place_column(keys, content, (size_t)match->column, &span) < 0)
			return false;
	}
	if (!match->like)
		return true;
	span = text_trim(span);
	if (span.n > BF_STRING_MAX || memchr(span.at, '\0', span.n))
		return false;
	memcpy(plain, span.at, span.n);
	plain[span.n] = '\0';
	return fnmatch(match->like, plain, 0) == 0;
}

enum bf_find text_told(const struct bf_device *device, struct text_span content, size_t n, struct bf_found *ret_found)
{
	ret_found->n = n;
	for (unsigned kind = 0; kind < device->n_messages; kind++)
		if (matches(device->keys, device->messages[kind].keys, content)) {
			ret_found->message = (struct bf_message){kind, (const uint8_t *)content.at, content.n};
			return BF_FIND_MESSAGE;
		}
	return BF_FIND_OTHER;
}

static bool asked(const struct bf_device *device)
{
	for (size_t i = 0; i < device->n_messages; i++)
		if (device->messages[i].request.n > 0)
			return true;
	return false;
}

static bool line_end(const struct text_device *keys, uint8_t c)
{
	return text_is(keys->end ? keys->end : "\r\n", c);
}

/* The place of the last start character, or n. */
static size_t last_start(const struct text_device *keys, const uint8_t *input, size_t n)
{
	for (size_t i = n; i > 0; i--)
		if (text_is(keys->start, input[i - 1]))
			return i - 1;
	return n;
}

/* Nothing ends the line yet, n bytes are there. */
static enum bf_find unended(const struct bf_device *device, const uint8_t *input, size_t n, struct bf_found *ret_found)
{
	const struct text_device *keys = device->keys;
	struct text_memory *memory = device->memory;
	if (keys->start) {
		size_t start = last_start(keys, input, n);
		if (start > 0 && text_is(keys->start, input[0]))
			return text_damaged(memory, start);
		if (start > 0)
			return text_skip(ret_found, start);
	}
	if (n >= text_longest(keys)) {
		memory->begun = false;
		return text_skip(ret_found, n);
	}
	memory->shown = n;
	return BF_FIND_MORE;
}

enum bf_find text_line_find(const struct bf_device *device, const uint8_t *input, size_t n, struct bf_found *ret_found)
{
	const struct text_device *keys = device->keys;
	struct text_memory *memory = device->memory;
	size_t lead = 0, end = 0, longest = text_longest(keys);
	while (lead < n && (input[lead] == '\0' || line_end(keys, input[lead])))
		memory->begun |= input[lead++] != '\0';
	if (lead > 0)
		return text_skip(ret_found, lead);
	if (n > longest)
		n = longest;
	while (end < n && !line_end(keys, input[end]))
		end++;
	if (end == n)
		return unended(device, input, n, ret_found);

	bool begun = memory->begun || keys->start || asked(device);
	size_t start = keys->start ? last_start(keys, input, end) : 0;
	if (start > 0 && start < end && text_is(keys->start, input[0]))
		return text_damaged(memory, start);
	if (start > 0)
		return text_skip(ret_found, start);
	memory->begun = true; /* from its end on */
	if (text_is(keys->ignore, input[0]))
		return text_skip(ret_found, end);

	size_t from = keys->start ? 1 : 0;
	struct text_span content = {(const char *)input + from, end - from};
	if (keys->check_kind != BF_UNSET) {
		if (!text_check_line(keys, content, &content))
			return begun ? text_damaged(memory, end) : text_skip(ret_found, end);
	} else if (!begun && keys->first != TEXT_FIRST_READ) {
		return text_skip(ret_found, end);
	}
	if (keys->keys == TEXT_JSON) {
		if (input[from] != '{')
			return text_skip(ret_found, end);
		if (!text_json_sound(content))
			return text_damaged(memory, end);
	}
	return text_told(device, content, end, ret_found);
}

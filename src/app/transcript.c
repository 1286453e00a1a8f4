/*
 * Bytes as people look at them: see transcript.h.
 *
 * A serial port hands bytes out as it likes, one by one or in bunches of its latency timer; what belongs together shows
 * in the silence behind it only.
 *
 * Invariant: the chunks, one behind the other, are what was taken.
 */
#include "app/transcript.h"
#include "base/clock.h"

#include <string.h>

#define GAP_US   INT64_C(20000) /* longer than the latency timer of an adapter */
#define GAP_CHAR 10
#define AGE_US   INT64_C(250000) /* of what never is silent */

void transcript_init(struct transcript *transcript, struct transcript_reader *reader)
{
	transcript->reader = reader;
	transcript->gap_us = GAP_US;
	transcript->n = 0;
}

void transcript_line(struct transcript *transcript, const struct plan_line *line)
{
	int64_t gap_us = GAP_CHAR * plan_line_char_ns(line) / 1000;
	transcript->gap_us = gap_us > GAP_US ? gap_us : GAP_US;
}

void transcript_flush(struct transcript *transcript)
{
	size_t n = transcript->n;
	transcript->n = 0;
	if (n)
		transcript->reader->chunk(
			transcript->reader, transcript->sent, transcript->first_at, transcript->bytes, n);
}

static int64_t due_at(const struct transcript *transcript)
{
	int64_t silent_at = transcript->last_at + transcript->gap_us, old_at = transcript->first_at + AGE_US;
	int64_t oldest_at = transcript->first_at + 2 * transcript->gap_us;
	if (old_at < oldest_at)
		old_at = oldest_at;
	return silent_at < old_at ? silent_at : old_at;
}

void transcript_take(struct transcript *transcript, bool sent, const uint8_t *bytes, size_t n, int64_t now_us)
{
	if (transcript->n && (sent != transcript->sent || now_us >= due_at(transcript)))
		transcript_flush(transcript);
	while (n > 0) {
		if (transcript->n == 0) {
			transcript->sent = sent;
			transcript->first_at = now_us;
		}
		size_t room = TRANSCRIPT_CHUNK - transcript->n, part = n < room ? n : room;
		memcpy(transcript->bytes + transcript->n, bytes, part);
		transcript->n += part;
		transcript->last_at = now_us;
		bytes += part;
		n -= part;
		if (transcript->n == TRANSCRIPT_CHUNK)
			transcript_flush(transcript);
	}
}

int64_t transcript_step(struct transcript *transcript, int64_t now_us)
{
	if (transcript->n && now_us >= due_at(transcript))
		transcript_flush(transcript);
	return transcript->n ? due_at(transcript) : CLOCK_NEVER;
}

static bool printable(uint8_t byte)
{
	return byte >= 0x20 && byte < 0x7f;
}

bool transcript_is_text(const uint8_t *bytes, size_t n)
{
	size_t n_text = 0;
	for (size_t i = 0; i < n; i++)
		n_text += printable(bytes[i]) || bytes[i] == '\r' || bytes[i] == '\n' || bytes[i] == '\t';
	return n > 0 && n_text * 10 >= n * 9;
}

size_t transcript_row(const uint8_t *bytes, size_t n, bool text)
{
	size_t most = n < TRANSCRIPT_ROW ? n : TRANSCRIPT_ROW;
	for (size_t i = 0; text && i < most; i++) {
		bool pair = bytes[i] == '\r' && i + 1 < n && bytes[i + 1] == '\n';
		if (pair && i + 1 < most)
			return i + 2;
		if (bytes[i] == '\n' || (bytes[i] == '\r' && !pair))
			return i + 1;
	}
	return most;
}

void transcript_hex(const uint8_t *bytes, size_t n, char text[static TRANSCRIPT_HEX_SIZE])
{
	static const char digits[] = "0123456789ABCDEF";
	char *to = text;
	for (size_t i = 0; i < n && i < TRANSCRIPT_ROW; i++) {
		if (i)
			*to++ = ' ';
		*to++ = digits[bytes[i] >> 4];
		*to++ = digits[bytes[i] & 15];
	}
	*to = '\0';
}

void transcript_text(const uint8_t *bytes, size_t n, char text[static TRANSCRIPT_TEXT_SIZE])
{
	size_t i = 0;
	for (; i < n && i < TRANSCRIPT_ROW; i++)
		text[i] = printable(bytes[i]) ? (char)bytes[i] : '.';
	text[i] = '\0';
}

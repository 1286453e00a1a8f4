/*
 * Correcting the time of a payload.
 *
 * Why in the text: what waits lies as it will be published, in memory and on disk, so that a changed map orphans
 * nothing; only readings of the time before the clock was set are ever touched, once, on their way out.
 *
 * Invariant: all that is not the time or its mark stays byte for byte.  Any thread.
 */
#include "ship/payload_date.h"
#include "base/json_find.h"

#include <stdio.h>
#include <string.h>

static const char mark[] = ",\"clock\":\"unset\"";

/* Puts other bytes in the place of some.  Returns the new length. */
static size_t replace(char *payload, size_t n, size_t at, size_t n_old, const char *text, size_t n_text)
{
	memmove(payload + at + n_text, payload + at + n_old, n - at - n_old);
	if (n_text)
		memcpy(payload + at, text, n_text);
	return n - n_old + n_text;
}

static size_t date_json(char *payload, size_t n, const char *time, size_t n_time)
{
	struct json_value clock, old;
	const size_t n_word = strlen("\"unset\""), n_mark = sizeof(mark) - 1;
	if (!json_find(payload, n, "clock", &clock) || !json_find(payload, n, "time", &old))
		return n;
	size_t end = (size_t)(clock.text - payload) + clock.n, old_at = (size_t)(old.text - payload);
	if (payload[n - 1] != '}' || clock.n != n_word || end < n_mark ||
		memcmp(payload + end - n_mark, mark, n_mark) != 0 || old_at > end - n_mark)
		return n;
	n = replace(payload, n, end - n_mark, n_mark, "", 0);
	return replace(payload, n, old_at, old.n, time, n_time);
}

static size_t date_line(char *payload, size_t n, const char *time, size_t n_time)
{
	size_t at = n;
	while (at > 0 && payload[at - 1] >= '0' && payload[at - 1] <= '9')
		at--;
	if (at > 0 && at < n && payload[at - 1] == '-')
		at--;
	if (at == 0 || at == n || payload[at - 1] != ' ')
		return n;
	return replace(payload, n, at, n - at, time, n_time);
}

size_t payload_date(char *payload, size_t n, size_t size, bool json, bool line, int64_t time_ms)
{
	char text[32];
	if (size < n + PAYLOAD_DATE_GROWS || (!json && !line))
		return n;
	size_t n_text = (size_t)snprintf(text, sizeof(text), "%lld%s", (long long)time_ms, json ? "" : "000000");
	return json ? date_json(payload, n, text, n_text) : date_line(payload, n, text, n_text);
}

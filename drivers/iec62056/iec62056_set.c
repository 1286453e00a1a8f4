/*
 * Data sets and OBIS codes of IEC 62056-21.  See iec62056_set.h.
 *
 * Meters are free in what they leave out: one writes 1-0:1.8.0*255, another 1.8.0, a third 32.7 for 32.7.0, and heat
 * meters write several sets in a line.  So a code is six numbers, and what is not there is what the standard has for
 * it.
 *
 * Invariant: no byte outside the text is looked at.
 */
#include "iec62056_set.h"

#include <errno.h>
#include <string.h>

#define OPEN (-1)

/* A number of up to three digits, or a letter that stands for one; -1. */
static int part_of(const char *text, size_t n)
{
	static const char letters[] = "CFLP";
	int number = 0;
	if (n == 1 && text[0] && strchr(letters, text[0]))
		return 96 + (int)(strchr(letters, text[0]) - letters);
	if (n < 1 || n > 3)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		number = number * 10 + text[i] - '0';
	}
	return number <= 255 ? number : -1;
}

/* May that character stand behind that part? */
static bool may_follow(char c, int which)
{
	if (c == '-' || c == ':')
		return which == (c == ':');
	return c == '.' ? which == 2 || which == 3 : which == 3 || which == 4;
}

int iec62056_obis_parse(const char *text, size_t n, struct iec62056_obis *ret_obis)
{
	struct iec62056_obis obis = {{OPEN, OPEN, OPEN, OPEN, 0, 255}};
	bool has_medium = memchr(text, ':', n) != NULL;
	int which = has_medium ? 0 : 2;
	size_t start = 0;
	for (size_t i = 0; i <= n; i++) {
		char c = '\0';
		if (i < n)
			c = text[i];
		if (c && !strchr("-:.*&", c))
			continue;
		int part = part_of(text + start, i - start);
		if (part < 0 || which > 5)
			return -EINVAL;
		obis.part[which] = part;
		if (i == n)
			break;
		if (!may_follow(c, which))
			return -EINVAL;
		which = c == '*' || c == '&' ? 5 : which + 1;
		start = i + 1;
	}
	if (obis.part[3] == OPEN)
		return -EINVAL;
	*ret_obis = obis;
	return 0;
}

int iec62056_set_next(const char *text, size_t n, size_t *at, struct iec62056_set *set)
{
	size_t start = *at;
	for (size_t i = start; i < n; i++) {
		if (text[i] == '\r' || text[i] == '\n' || text[i] == ')') { /* an address begins behind it */
			start = i + 1;
			continue;
		}
		if (text[i] != '(')
			continue;
		const char *end = memchr(text + i, ')', n - i);
		if (!end)
			return 0;
		bool goes_on = i == *at && i > 0 && text[i - 1] == ')';
		set->bracket = goes_on ? set->bracket + 1 : 1;
		if (!goes_on) {
			set->address = text + start;
			set->n_address = i - start;
		}
		set->value = text + i + 1;
		set->n_value = (size_t)(end - set->value);
		*at = (size_t)(end + 1 - text);
		return 1;
	}
	return 0;
}

bool iec62056_set_is(const struct iec62056_set *set, const struct iec62056_obis *obis)
{
	struct iec62056_obis has;
	if (iec62056_obis_parse(set->address, set->n_address, &has) < 0)
		return false;
	for (int i = 0; i < 6; i++)
		if (has.part[i] != obis->part[i] && (i > 1 || (has.part[i] != OPEN && obis->part[i] != OPEN)))
			return false;
	return true;
}

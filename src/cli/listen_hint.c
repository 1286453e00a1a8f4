/*
 * Hints of `listen`: see listen_hint.h.
 *
 * What garbage looks like says a little of where it comes from: text with a parity bit has an even (or odd) number of
 * ones in each byte and is text without bit 7; text that nobody knows is still text.
 */
#include "cli/listen_hint.h"
#include "model/line_text.h"

#include <stdio.h>

#define FEW 16 /* bytes that say nothing */

static void tell(const char *hint)
{
	fprintf(stderr, "  hint: %s\n", hint);
}

static bool any_asks(const struct listener *listener)
{
	for (size_t i = 0; i < listener->all->n; i++)
		if (listener->all->items[i].asks)
			return true;
	return false;
}

static bool named_before(const struct candidates *all, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (all->items[j].has_line && line_text_same(&all->items[j].line, &all->items[i].line))
			return true;
	return false;
}

static void tell_lines(const struct candidates *all)
{
	const char *before = "  hint: other line settings? profiles have ";
	for (size_t i = 0; i < all->n; i++) {
		char line[LINE_TEXT_SIZE];
		if (!all->items[i].has_line || named_before(all, i))
			continue;
		line_text_print(&all->items[i].line, line);
		fprintf(stderr, "%s%s", before, line);
		before = ", ";
	}
	fputs(*before == ',' ? "\n" : "  hint: other line settings? try --line\n", stderr);
}

static void nothing_came(const struct listener *listener)
{
	if (listener->asks || listener->alone)
		tell("nothing answers: power, RX and TX crossed, ground connected, the voltage of the adapter (3.3 or "
		     "5 V)?");
	else
		tell("nothing came: power, its TX at the adapter's RX, ground connected?");
	if (!listener->asks && !listener->alone && any_asks(listener))
		tell("some sensors speak only when asked: --profile ID, or --ask for all that are known");
}

void listen_hint_print(const struct listener *listener)
{
	const struct listener_seen *seen = &listener->seen;
	if (listener->n_bytes == 0) {
		nothing_came(listener);
		return;
	}
	uint64_t n = seen->n_bytes;
	bool text_below = n >= FEW && seen->n_text_below * 20 >= n * 19, text = n >= FEW && seen->n_text * 10 >= n * 9;
	if (text_below && seen->n_high && (seen->n_even == n || seen->n_even == 0))
		tell(seen->n_even ? "these are 7 bits with even parity: --line \"… 7E1\""
				  : "these are 7 bits with odd parity: --line \"… 7O1\"");
	else if (text)
		tell("this is text; busferry profiles new ID --transport text begins a profile for it");
	else
		tell_lines(listener->all);
}

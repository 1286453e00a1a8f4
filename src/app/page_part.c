/*
 * Words and numbers as the page has them everywhere.  See page_part.h.
 */
#include "app/page_part.h"

#include <inttypes.h>

const char *page_length(int64_t us, char text[static LOG_LENGTH_SIZE])
{
	return log_length(us < 0 ? 0 : us, text);
}

void page_ago(struct sheet *sheet, const struct page_facts *facts, int64_t at_us)
{
	char text[LOG_LENGTH_SIZE];
	int64_t us = facts->now_us - at_us;
	if (us < 1000000)
		sheet_add(sheet, "now");
	else
		sheet_print(sheet, "%s ago", page_length(us, text));
}

void page_state(struct sheet *sheet, const char *class, const char *words)
{
	sheet_print(sheet, "<span class=\"state %s\">%s</span>", class, words);
}

void page_count(struct sheet *sheet, int64_t n, const char *what, const char *plural)
{
	if (n)
		sheet_print(sheet, "<li>%" PRId64 " %s%s</li>", n, what, n == 1 ? "" : plural);
}

void page_bytes(struct sheet *sheet, int64_t n)
{
	if (n < 1000)
		sheet_print(sheet, "%" PRId64 " B", n);
	else if (n < 1000000)
		sheet_print(sheet, "%.1f kB", (double)n / 1e3);
	else
		sheet_print(sheet, "%.1f MB", (double)n / 1e6);
}

void page_milliseconds(struct sheet *sheet, int64_t us)
{
	sheet_print(sheet, "%.*f ms", us < 10000 ? 1 : 0, (double)us / 1e3);
}

/*
 * The growing text.  See sheet.h.
 *
 * Everything that comes from a map or a device goes through sheet_html or sheet_label, so no name can be more than a
 * text.  What is no UTF-8 can't come so far: maps, units and texts of devices are checked where they come in.
 */
#include "app/sheet.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(struct sheet *sheet, size_t n)
{
	size_t size = sheet->size ? sheet->size : 16384;
	while (size - sheet->n < n)
		size *= 2;
	if (sheet->broken || size == sheet->size)
		return !sheet->broken;
	char *text = realloc(sheet->text, size);
	if (!text) {
		sheet_drop(sheet);
		sheet->broken = true;
		return false;
	}
	sheet->text = text;
	sheet->size = size;
	return true;
}

void sheet_put(struct sheet *sheet, const char *text, size_t n)
{
	if (n == 0 || !make_room(sheet, n))
		return;
	memcpy(sheet->text + sheet->n, text, n);
	sheet->n += n;
}

void sheet_add(struct sheet *sheet, const char *text)
{
	sheet_put(sheet, text, strlen(text));
}

void sheet_print(struct sheet *sheet, const char *format, ...)
{
	char line[1024];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n > 0)
		sheet_put(sheet, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

/* What is not special goes over in runs. */
static void escape(
	struct sheet *sheet, const char *text, size_t n, const char *special, void (*put)(struct sheet *sheet, char c))
{
	size_t from = 0;
	for (size_t i = 0; i < n; i++) {
		if (!strchr(special, text[i]))
			continue;
		sheet_put(sheet, text + from, i - from);
		put(sheet, text[i]);
		from = i + 1;
	}
	sheet_put(sheet, text + from, n - from);
}

static void put_entity(struct sheet *sheet, char c)
{
	sheet_print(sheet, "&#%d;", c);
}

static void put_backslash(struct sheet *sheet, char c)
{
	sheet_print(sheet, "\\%c", c == '\n' ? 'n' : c);
}

void sheet_html_part(struct sheet *sheet, const char *text, size_t n)
{
	escape(sheet, text, n, "<>&\"'", put_entity);
}

void sheet_html(struct sheet *sheet, const char *text)
{
	sheet_html_part(sheet, text, strlen(text));
}

void sheet_label(struct sheet *sheet, const char *text, size_t n)
{
	escape(sheet, text, n, "\"\\\n", put_backslash);
}

void sheet_drop(struct sheet *sheet)
{
	free(sheet->text);
	*sheet = (struct sheet){0};
}

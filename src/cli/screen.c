/*
 * Text on a terminal.  See screen.h.
 *
 * How many columns a character takes is asked of wcwidth, in a locale of our own: under a service or over ssh there is
 * often none, and the text is UTF-8 all the same.  Which thread asks does not matter, as commands have one.
 */
#include "cli/screen.h"
#include "base/utf8.h"

#include <locale.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define DEFAULT_COLUMNS 80
#define DEFAULT_ROWS    24
#define LARGEST         1000 /* nobody has more, but a terminal can say so */
#define MARKS_MAX       2    /* that stand on one character */
#define CELL_BYTES      1024

#define CUT     "…"
#define REPLACE "\xef\xbf\xbd"

bool screen_size(int fd, unsigned *ret_columns, unsigned *ret_rows)
{
	struct winsize size = {0};
	*ret_columns = 0;
	*ret_rows = DEFAULT_ROWS;
	if (!isatty(fd))
		return false;
	*ret_columns = DEFAULT_COLUMNS;
	if (ioctl(fd, TIOCGWINSZ, &size) == 0) {
		if (size.ws_col)
			*ret_columns = size.ws_col < LARGEST ? size.ws_col : LARGEST;
		if (size.ws_row)
			*ret_rows = size.ws_row < LARGEST ? size.ws_row : LARGEST;
	}
	return true;
}

static uint32_t code_of(const char *text, size_t n)
{
	const unsigned char *at = (const unsigned char *)text;
	uint32_t code = n == 1 ? at[0] : at[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++)
		code = code << 6 | (at[i] & 0x3f);
	return code;
}

/* Characters that are not seen and change what is: directions, joiners, tags. */
static bool moves_others(uint32_t code)
{
	return code == 0xad || code == 0x61c || code == 0x180e || (code >= 0x200b && code <= 0x200f) ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) || code == 0xfeff ||
	       (code >= 0xfff9 && code <= 0xfffb) || (code >= 0xe0000 && code <= 0xe0fff);
}

static int width_of(uint32_t code)
{
	static locale_t utf8;
	if (!utf8) {
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
		if (utf8)
			uselocale(utf8);
	}
	int width = wcwidth((wchar_t)code);
	return width < 0 && !utf8 ? 1 : width;
}

/* What is shown for the character at the beginning of the text, at most 8 bytes with the NUL; *ret_n bytes of the text
 * are told by it.  Its columns. */
static unsigned shown(const char *text, size_t n, char piece[static 8], size_t *ret_n)
{
	size_t length = utf8_length(text, n);
	uint32_t code = length ? code_of(text, length) : 0;
	*ret_n = length ? length : 1;
	if (utf8_is_control(text, length)) {
		snprintf(piece, 8, "\\x%02x", (unsigned)code);
		return 4;
	}
	int width = length && !moves_others(code) ? width_of(code) : -1;
	if (width < 0) {
		memcpy(piece, REPLACE, sizeof(REPLACE));
		return 1;
	}
	memcpy(piece, text, length);
	piece[length] = '\0';
	return (unsigned)width;
}

unsigned screen_text(char *to, size_t size, const char *text, size_t n, unsigned columns)
{
	size_t used = 0, cut_at = 0; /* where "…" would go */
	unsigned width = 0, cut_width = 0, marks = 0;
	size_t room = size - sizeof(CUT);
	for (size_t at = 0, step; at < n; at += step) {
		char piece[8];
		unsigned more = shown(text + at, n - at, piece, &step);
		size_t length = strlen(piece);
		marks = more == 0 ? marks + 1 : 0;
		if (marks > MARKS_MAX)
			continue;
		if ((columns && width + more > columns) || used + length > room) {
			memcpy(to + cut_at, CUT, sizeof(CUT));
			return cut_width + 1;
		}
		memcpy(to + used, piece, length);
		used += length;
		width += more;
		if (!columns || width < columns) {
			cut_at = used;
			cut_width = width;
		}
	}
	to[used] = '\0';
	return width;
}

void screen_cell(FILE *to, const char *text, unsigned columns, enum screen_side side)
{
	char cell[CELL_BYTES];
	unsigned width = screen_text(cell, sizeof(cell), text, strlen(text), columns);
	int pad = width < columns ? (int)(columns - width) : 0;
	if (side == SCREEN_RIGHT)
		fprintf(to, "%*s", pad, "");
	fputs(cell, to);
	if (side == SCREEN_LEFT)
		fprintf(to, "%*s", pad, "");
}

const char *screen_begin(enum screen_colour colour, bool coloured)
{
	static const char *const codes[] = {[SCREEN_PLAIN] = "",
		[SCREEN_GOOD] = "\x1b[32m",
		[SCREEN_BAD] = "\x1b[31m",
		[SCREEN_ODD] = "\x1b[33m",
		[SCREEN_FAINT] = "\x1b[2m",
		[SCREEN_BOLD] = "\x1b[1m"};
	return coloured ? codes[colour] : "";
}

const char *screen_end(enum screen_colour colour, bool coloured)
{
	return coloured && colour != SCREEN_PLAIN ? "\x1b[0m" : "";
}

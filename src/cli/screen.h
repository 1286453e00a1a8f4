/*
 * Text on a terminal: how large that is, and how a text of which nothing is known is shown on it.
 *
 * What a broker or a device sends may hold escape sequences, half characters, characters that turn the direction of
 * writing.  None of them reaches the terminal.
 */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Its columns and rows; 80 and 24 for a terminal that does not say.  False when it is none, with *ret_columns 0. */
bool screen_size(int fd, unsigned *ret_columns, unsigned *ret_rows);

/*
 * Writes the text as it can be shown in at most so many columns, 0 = any number: what does not fit is cut off with "…".
 * A control character becomes \xNN, what is not UTF-8 or would move others U+FFFD.  NUL-terminated; at least 8 bytes.
 * Returns the columns.
 */
unsigned screen_text(char *to, size_t size, const char *text, size_t n, unsigned columns);

/* Prints it in a cell of that width, 0 = as wide as it is. */
enum screen_side { SCREEN_LEFT, SCREEN_RIGHT };
void screen_cell(FILE *to, const char *text, unsigned columns, enum screen_side side);

/* What begins a colour and ends it again; empty texts when the stream should have none. */
enum screen_colour { SCREEN_PLAIN, SCREEN_GOOD, SCREEN_BAD, SCREEN_ODD, SCREEN_FAINT, SCREEN_BOLD };
const char *screen_begin(enum screen_colour colour, bool coloured);
const char *screen_end(enum screen_colour colour, bool coloured);

#endif

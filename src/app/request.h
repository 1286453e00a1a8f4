/*
 * A line of words, as it comes over the control socket.
 *
 * Words stand between blanks; one in double quotes may hold blanks, and quotes and backslashes behind a backslash.
 * Nothing else is special.  Pure; any thread.
 */
#ifndef APP_REQUEST_H
#define APP_REQUEST_H

#include <stddef.h>

#define REQUEST_LINE_MAX  4096 /* bytes, with the newline */
#define REQUEST_WORDS_MAX 16

/*
 * Splits a line of n bytes, without its newline, into words that point into it; the line is changed.
 * The number of words; -EBADMSG it is not UTF-8, has a control character, or quotes that are not closed or begin or end
 * within a word; -E2BIG too many words.
 */
int request_words(char *line, size_t n, const char *words[static REQUEST_WORDS_MAX]);

/* Puts the words into a line with its newline, NUL-terminated, quoting what needs it.  Its length, or -ENOSPC. */
int request_line(const char *const *words, size_t n_words, char *line, size_t size);

#endif

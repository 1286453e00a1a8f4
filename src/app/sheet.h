/*
 * A text that grows: what the status page answers with.  When there is no memory it is `broken`, and what is added to
 * it goes nowhere; checked once, at the end.
 */
#ifndef APP_SHEET_H
#define APP_SHEET_H

#include <stdbool.h>
#include <stddef.h>

struct sheet {
	char *text;
	size_t n, size;
	bool broken;
};

void sheet_put(struct sheet *sheet, const char *text, size_t n);
void sheet_add(struct sheet *sheet, const char *text);
void sheet_print(struct sheet *sheet, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* With a backslash form or entity for what would end a text: in HTML, also within quotes, and within quotes of a label
 * of Prometheus.  n: bytes, without a NUL among them. */
void sheet_html(struct sheet *sheet, const char *text);
void sheet_html_part(struct sheet *sheet, const char *text, size_t n);
void sheet_label(struct sheet *sheet, const char *text, size_t n);

/* Frees what it has. */
void sheet_drop(struct sheet *sheet);

#endif

/*
 * Line settings and hosts as people write them: "9600 8N1", "host:502", "[::1]:502".  Pure; any thread.
 */
#ifndef MODEL_LINE_TEXT_H
#define MODEL_LINE_TEXT_H

#include "model/plan.h"

/* 0; -EINVAL when it is not like "9600 8N1"; -ERANGE for a speed of 0 or above 4 000 000. */
int line_text_parse(const char *text, struct plan_line *ret_line);

#define LINE_TEXT_SIZE 24
void line_text_print(const struct plan_line *line, char text[static LINE_TEXT_SIZE]);

bool line_text_same(const struct plan_line *a, const struct plan_line *b);

/* Splits HOST[:PORT]; an IPv6 address with a port needs brackets. 0; -EINVAL; -ERANGE for a port outside 1..65535. */
int host_text_parse(const char *text, uint16_t default_port, char *host, size_t size, uint16_t *ret_port);

#endif

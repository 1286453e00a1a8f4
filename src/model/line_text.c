/*
 * Line settings and hosts as people write them.
 */
#include "model/line_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAUD_MAX 4000000

int line_text_parse(const char *text, struct plan_line *ret_line)
{
	char *end;
	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	unsigned long baud = strtoul(text, &end, 10);
	if (*end != ' ' && *end != ',')
		return -EINVAL;
	while (*end == ' ' || *end == ',')
		end++;
	char parity = (char)toupper((unsigned char)(*end ? end[1] : 0));
	if ((end[0] != '7' && end[0] != '8') || !strchr("NEO", parity) || !parity || (end[2] != '1' && end[2] != '2') ||
		end[3] != '\0')
		return -EINVAL;
	if (baud == 0 || baud > BAUD_MAX)
		return -ERANGE;
	*ret_line = (struct plan_line){.baud = (uint32_t)baud,
		.data_bits = (uint8_t)(end[0] - '0'),
		.parity = parity,
		.stop_bits = (uint8_t)(end[2] - '0')};
	return 0;
}

void line_text_print(const struct plan_line *line, char text[static LINE_TEXT_SIZE])
{
	snprintf(text, LINE_TEXT_SIZE, "%u %u%c%u", line->baud, line->data_bits, line->parity, line->stop_bits);
}

bool line_text_same(const struct plan_line *a, const struct plan_line *b)
{
	return a->baud == b->baud && a->data_bits == b->data_bits && a->parity == b->parity &&
	       a->stop_bits == b->stop_bits;
}

int host_text_parse(const char *text, uint16_t default_port, char *host, size_t size, uint16_t *ret_port)
{
	const char *end, *port = NULL;
	if (*text == '[') {
		end = strchr(++text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		if (end[1] == ':')
			port = end + 2;
	} else {
		end = strchr(text, ':');
		if (end && strchr(end + 1, ':')) /* a bare IPv6 address */
			end = NULL;
		if (end)
			port = end + 1;
		else
			end = text + strlen(text);
	}
	size_t n = (size_t)(end - text);
	if (n == 0 || n >= size || strpbrk(text, " /@"))
		return -EINVAL;
	unsigned long number = default_port;
	if (port) {
		char *rest;
		if (!isdigit((unsigned char)*port))
			return -EINVAL;
		number = strtoul(port, &rest, 10);
		if (*rest)
			return -EINVAL;
		if (number < 1 || number > 65535)
			return -ERANGE;
	}
	memcpy(host, text, n);
	host[n] = '\0';
	*ret_port = (uint16_t)number;
	return 0;
}

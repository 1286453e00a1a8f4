/*
 * Messages as lines on stdout.  stdio's own lock keeps lines of several wire threads apart.
 */
#include "ship/printer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct printer {
	struct message_sink sink;
};

static int printer_put(struct message_sink *sink, const struct message *message)
{
	(void)sink;
	flockfile(stdout);
	fputs_unlocked(message->topic, stdout);
	putc_unlocked(' ', stdout);
	fwrite_unlocked(message->payload, 1, message->payload_n, stdout);
	putc_unlocked('\n', stdout);
	funlockfile(stdout);
	return 0;
}

static void printer_flush(struct message_sink *sink)
{
	(void)sink;
	fflush(stdout);
}

int printer_init(struct printer **ret_printer)
{
	struct printer *printer = calloc(1, sizeof(*printer));
	if (!printer)
		return -ENOMEM;
	printer->sink = (struct message_sink){.put = printer_put, .flush = printer_flush};
	*ret_printer = printer;
	return 0;
}

void printer_destroy(struct printer *printer)
{
	free(printer);
}

struct message_sink *printer_sink(struct printer *printer)
{
	return &printer->sink;
}

/*
 * A sink that prints "topic payload" lines on stdout instead of publishing them (`run --stdout`).  Any thread.
 */
#ifndef SHIP_PRINTER_H
#define SHIP_PRINTER_H

#include "model/message.h"

struct printer;

int printer_init(struct printer **ret_printer); /* 0, or -ENOMEM */
void printer_destroy(struct printer *printer);
struct message_sink *printer_sink(struct printer *printer);

#endif

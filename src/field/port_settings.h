/*
 * What is set on a serial port by the kernel's own calls, and whether it took it.  The owner's thread.
 */
#ifndef FIELD_PORT_SETTINGS_H
#define FIELD_PORT_SETTINGS_H

#include "model/plan.h"

#include <termios.h>

/* A pty has no wire: speed is a number to it, parity and data bits are taken and dropped. */
bool port_is_pty(int fd);

/* Puts line settings into tio, raw, one byte enough to be read; its speed is another matter (tty_speed.h). */
void port_settings_into(struct termios *tio, const struct plan_line *line);

/* Does what was read back say what was asked for?  A speed may be off by 2 %, as a UART's divisor makes it. */
bool port_settings_match(
	const struct termios *tio, uint32_t baud, const struct plan_line *line, bool keeps_frame_format);

/* Sets all of it by termios, any speed.  0; -EINVAL when the driver did something else; -errno. */
int port_settings_apply(int fd, const struct plan_line *line);

/* Reads back what is set.  0; -EINVAL when it is not this; -errno. */
int port_settings_check(int fd, const struct plan_line *line);

/* Asks the driver to hand bytes over at once.  0; -errno when it has no such thing. */
int port_low_latency(int fd);

#endif

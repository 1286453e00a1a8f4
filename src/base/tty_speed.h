/*
 * The speed of a serial port as a number, any number: the kernel's own termios2, which the C library hides behind a
 * few constants.  Any thread; no state.
 */
#ifndef BASE_TTY_SPEED_H
#define BASE_TTY_SPEED_H

#include <stdint.h>

/* Both directions.  0; -errno (-ENOTTY for what is no terminal). */
int tty_speed_set(int fd, uint32_t baud);

/* What the driver made of it: many write back the nearest speed that they can do.  0 and *ret_baud; -errno. */
int tty_speed_get(int fd, uint32_t *ret_baud);

#endif

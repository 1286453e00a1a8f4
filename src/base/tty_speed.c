/*
 * termios2, with BOTHER for every speed: the number itself goes to the driver.
 *
 * A file of its own because <asm/termbits.h> and <termios.h> define the same structs differently and can't stand in
 * one.  Source: tty_ioctl(4), TCGETS2 and TCSETS2.
 */
#include "base/tty_speed.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <sys/ioctl.h>

int tty_speed_set(int fd, uint32_t baud)
{
	struct termios2 tio;
	if (ioctl(fd, TCGETS2, &tio) < 0)
		return -errno;
	tio.c_cflag &= ~((tcflag_t)CBAUD | (tcflag_t)(CBAUD << IBSHIFT));
	tio.c_cflag |= BOTHER; /* input: B0, as the output */
	tio.c_ispeed = baud;
	tio.c_ospeed = baud;
	return ioctl(fd, TCSETS2, &tio) < 0 ? -errno : 0;
}

int tty_speed_get(int fd, uint32_t *ret_baud)
{
	struct termios2 tio;
	if (ioctl(fd, TCGETS2, &tio) < 0)
		return -errno;
	*ret_baud = tio.c_ospeed;
	return 0;
}

/*
 * Settings of serial ports.
 *
 * Drivers do what they can and say nothing: a speed that their divisor can't make becomes another one, parity that the
 * chip lacks is left out.  A bus with wrong settings looks like one on which nobody answers.  So what was set is read
 * back and compared, and a port that does something else is refused.
 */
#include "field/port_settings.h"
#include "base/tty_speed.h"

#include <errno.h>
#include <linux/serial.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define PTY_MAJOR_FIRST    136 /* Unix 98 ptys, the side that programs open: Documentation/admin-guide/devices.txt */
#define PTY_MAJOR_LAST     143
#define SPEED_OFF_PER_MILL 20
#define LOW_LATENCY        (1 << ASYNCB_LOW_LATENCY) /* ASYNC_LOW_LATENCY is unsigned, its place is not */

bool port_is_pty(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && major(st.st_rdev) >= PTY_MAJOR_FIRST &&
	       major(st.st_rdev) <= PTY_MAJOR_LAST;
}

static tcflag_t frame_format(const struct plan_line *line)
{
	tcflag_t format = line->data_bits == 7 ? CS7 : CS8;
	if (line->parity != 'N')
		format |= PARENB;
	if (line->parity == 'O')
		format |= PARODD;
	if (line->stop_bits == 2)
		format |= CSTOPB;
	return format;
}

void port_settings_into(struct termios *tio, const struct plan_line *line)
{
	cfmakeraw(tio);
	tio->c_cflag &= ~(tcflag_t)(CSIZE | PARENB | PARODD | CSTOPB | CRTSCTS);
	tio->c_cflag |= CREAD | CLOCAL | frame_format(line);
	tio->c_iflag &= ~(tcflag_t)(IXON | IXOFF | INPCK);
	tio->c_cc[VMIN] = 1; /* with 0 an empty input reads as 0 bytes, as an unplugged port does */
	tio->c_cc[VTIME] = 0;
}

bool port_settings_match(
	const struct termios *tio, uint32_t baud, const struct plan_line *line, bool keeps_frame_format)
{
	const tcflag_t format = CSIZE | PARENB | CSTOPB;
	int64_t off = llabs((int64_t)baud - (int64_t)line->baud);
	if (off * 1000 > (int64_t)line->baud * SPEED_OFF_PER_MILL)
		return false;
	if (!keeps_frame_format)
		return true;
	return (tio->c_cflag & format) == (frame_format(line) & format) &&
	       (line->parity == 'N' || (tio->c_cflag & PARODD) == (frame_format(line) & PARODD));
}

int port_settings_check(int fd, const struct plan_line *line)
{
	struct termios tio;
	uint32_t baud;
	if (tcgetattr(fd, &tio) < 0)
		return -errno;
	int rc = tty_speed_get(fd, &baud);
	if (rc < 0)
		return rc;
	return port_settings_match(&tio, baud, line, !port_is_pty(fd)) ? 0 : -EINVAL;
}

int port_settings_apply(int fd, const struct plan_line *line)
{
	struct termios tio;
	if (tcgetattr(fd, &tio) < 0)
		return -errno;
	port_settings_into(&tio, line);
	if (port_is_pty(fd)) { /* it has neither, and the C library looks whether it took them */
		tio.c_cflag &= ~(tcflag_t)(PARENB | CSIZE);
		tio.c_cflag |= CS8;
	}
	if (tcsetattr(fd, TCSANOW, &tio) < 0)
		return -errno;
	int rc = tty_speed_set(fd, line->baud);
	return rc < 0 ? rc : port_settings_check(fd, line);
}

int port_low_latency(int fd)
{
	struct serial_struct serial;
	if (ioctl(fd, TIOCGSERIAL, &serial) < 0)
		return -errno;
	if (serial.flags & LOW_LATENCY)
		return 0;
	serial.flags |= LOW_LATENCY;
	return ioctl(fd, TIOCSSERIAL, &serial) < 0 ? -errno : 0;
}

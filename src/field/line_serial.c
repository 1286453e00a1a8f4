/*
 * Serial ports.  The only door to libserialport.
 *
 * libserialport 0.1.1 looks ports up in /sys by their own name, so links (/dev/serial/by-id/…) are resolved first, and
 * it refuses ptys: what it can't open is opened with termios, with the same result for the caller, a raw, non-blocking
 * fd.  Neither library locks: flock keeps other copies of ourselves and well-behaved programs away, TIOCEXCL on real
 * ports the others (not on a pty: the flag would outlive us there while the other side holds it open).  Who had the
 * port before and never locked it would take half of our answers: if we can see him the port is refused.
 *
 * A port is opened anew by its path each time, and closed as soon as it is dead: an fd that stays open keeps the kernel
 * from giving the number of an unplugged adapter to the same one when it is back.
 */
#include "field/line.h"
#include "base/log.h"
#include "field/port_holder.h"
#include "field/port_settings.h"
#include "field/ports.h"
#include "field/rs485.h"

#include <errno.h>
#include <fcntl.h>
#include <libserialport.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <termios.h>
#include <unistd.h>

static int serial_lock(int fd)
{
	if (fd >= FD_SETSIZE) /* libmodbus waits with select() */
		return -EMFILE;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

/* What libserialport can't open: ptys, and drivers that it does not know. */
static int serial_open_termios(const char *path, const struct plan_line *settings)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int rc = isatty(fd) ? serial_lock(fd) : -ENOTTY;
	if (rc == 0)
		rc = port_settings_apply(fd, settings);
	if (rc == 0 && !port_is_pty(fd))
		ioctl(fd, TIOCEXCL);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

static int serial_configure(struct sp_port *port, const struct plan_line *settings)
{
	enum sp_parity parity = settings->parity == 'E'   ? SP_PARITY_EVEN
				: settings->parity == 'O' ? SP_PARITY_ODD
							  : SP_PARITY_NONE;
	if (sp_set_baudrate(port, (int)settings->baud) != SP_OK || sp_set_bits(port, settings->data_bits) != SP_OK ||
		sp_set_parity(port, parity) != SP_OK || sp_set_stopbits(port, settings->stop_bits) != SP_OK ||
		sp_set_flowcontrol(port, SP_FLOWCONTROL_NONE) != SP_OK)
		return -EINVAL;
	return 0;
}

/* libserialport sets VMIN 0, with which an empty input reads as 0 bytes, as an unplugged port does.  With 1 only the
 * unplugged one does. */
static int serial_tell_hangup(int fd)
{
	struct termios tio;
	if (tcgetattr(fd, &tio) < 0)
		return -errno;
	tio.c_cc[VMIN] = 1;
	tio.c_cc[VTIME] = 0;
	return tcsetattr(fd, TCSANOW, &tio) < 0 ? -errno : 0;
}

/* Opens with libserialport and keeps only a duplicate of the fd, so that the caller has one kind of thing to close. */
static int serial_open_library(const char *path, const struct plan_line *settings)
{
	struct sp_port *port = NULL;
	if (sp_get_port_by_name(path, &port) != SP_OK)
		return -ENOTTY;
	int fd = -1, rc = 0;
	enum sp_return opened = sp_open(port, SP_MODE_READ_WRITE);
	if (opened != SP_OK) {
		int error = errno;
		sp_free_port(port);
		return opened == SP_ERR_FAIL && error ? -error : -ENOTTY;
	}
	int handle = -1;
	if (sp_get_port_handle(port, &handle) != SP_OK)
		rc = -EINVAL;
	if (rc == 0)
		rc = serial_lock(handle);
	if (rc == 0)
		rc = serial_configure(port, settings);
	if (rc == 0)
		rc = serial_tell_hangup(handle);
	if (rc == 0)
		rc = port_settings_check(handle, settings);
	if (rc == 0) {
		ioctl(handle, TIOCEXCL);
		fd = fcntl(handle, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			rc = -errno;
		else if (fd >= FD_SETSIZE)
			rc = -EMFILE;
		else
			fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	}
	if (rc < 0 && fd >= 0)
		close(fd);
	sp_close(port);
	sp_free_port(port);
	return rc < 0 ? rc : fd;
}

/* What only a real port has: others who listen on it, a direction, a driver that waits before it hands bytes over. */
static int serial_prepare(int fd, const char *path, const struct plan_bus *bus, bool *told)
{
	struct port_holder holder;
	if (port_is_pty(fd))
		return 0;
	if (port_holder_open("/proc", path, &holder) == 0)
		return -EBUSY;
	int rc = rs485_prepare(&rs485_kernel, fd, bus->rs485);
	if (rc < 0)
		return rc;
	port_low_latency(fd);
	int latency_ms = ports_latency_ms("/sys", strrchr(path, '/') + 1);
	if (latency_ms > 1 && !*told)
		log_about(LOG_LEVEL_WARNING, &(struct log_about){.bus = bus->name},
			"bus %s: the driver of %s waits up to %d ms before it hands bytes over: busferry ports "
			"tells what helps",
			bus->name, bus->port, latency_ms);
	*told = *told || latency_ms > 1;
	return 0;
}

int line_serial_open(const struct plan_bus *bus, bool *told)
{
	char real[PATH_MAX];
	if (!realpath(bus->port, real))
		return -errno;
	int fd = serial_open_library(real, &bus->line);
	if (fd == -ENOTTY)
		fd = serial_open_termios(real, &bus->line);
	if (fd < 0)
		return fd;
	int rc = serial_prepare(fd, real, bus, told);
	if (rc < 0) {
		line_serial_close(fd);
		return rc;
	}
	tcflush(fd, TCIOFLUSH);
	return fd;
}

void line_serial_close(int fd)
{
	if (fd < 0)
		return;
	ioctl(fd, TIOCNXCL);
	close(fd); /* an unplugged port fails here, which changes nothing */
}

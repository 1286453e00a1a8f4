/*
 * A serial port, or the same behind a device server, as bytes.  See stream_port.h.
 *
 * Opening, locking and settings are those of all serial ports (line_serial.c, line_tcp.c); nothing here knows what the
 * bytes mean.
 */
#include "field/stream_port.h"
#include "field/line.h"
#include "field/port_settings.h"
#include "field/rs485.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct real_port {
	struct stream_port port;
	const struct plan_bus *bus;
	struct line_tcp tcp;
	bool told_slow; /* the port's driver */
};

static struct real_port *of(struct stream_port *port)
{
	return (struct real_port *)port;
}

static int real_open(struct stream_port *port, int64_t now_us)
{
	struct real_port *self = of(port);
	if (self->bus->wire == WIRE_SERIAL_TCP)
		return line_tcp_open(&self->tcp, &port->fd, &port->events, &port->look_at, now_us);
	int fd = line_serial_open(self->bus, &self->told_slow);
	if (fd < 0)
		return fd;
	port->fd = fd;
	return 0;
}

static void real_close(struct stream_port *port)
{
	struct real_port *self = of(port);
	line_tcp_abort(&self->tcp);
	if (self->bus->wire == WIRE_SERIAL)
		line_serial_close(port->fd);
	else if (port->fd >= 0)
		close(port->fd);
	port->fd = -1;
}

static int real_read(struct stream_port *port, uint8_t *bytes, size_t size)
{
	ssize_t n = read(port->fd, bytes, size);
	if (n > 0)
		return (int)n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return -ENODEV; /* VMIN is 1: an empty port says EAGAIN, 0 is the end */
}

static int real_write(struct stream_port *port, const uint8_t *bytes, size_t n)
{
	const struct plan_bus *bus = of(port)->bus;
	bool socket = bus->wire == WIRE_SERIAL_TCP;
	int64_t taken_at = rs485_before(bus, port->fd);
	ssize_t sent = socket ? send(port->fd, bytes, n, MSG_NOSIGNAL) : write(port->fd, bytes, n);
	rs485_after(bus, port->fd, taken_at, n);
	if (sent == (ssize_t)n)
		return 0;
	return sent >= 0 || errno == EAGAIN || errno == EINTR ? -ENOBUFS : -ENODEV;
}

static int real_speed(struct stream_port *port, uint32_t baud)
{
	struct real_port *self = of(port);
	if (self->bus->wire == WIRE_SERIAL_TCP)
		return -EOPNOTSUPP;
	struct plan_line line = self->bus->line;
	line.baud = baud;
	int rc = port_settings_apply(port->fd, &line);
	return rc == -EINVAL || rc == 0 ? rc : -ENODEV;
}

static void real_destroy(struct stream_port *port)
{
	if (!port)
		return;
	real_close(port);
	free(of(port));
}

int stream_port_init(const struct plan_bus *bus, struct stream_port **ret_port)
{
	static const struct stream_port_ops ops = {.open = real_open,
		.close = real_close,
		.read = real_read,
		.write = real_write,
		.speed = real_speed,
		.destroy = real_destroy};
	struct real_port *self = calloc(1, sizeof(*self));
	if (!self)
		return -ENOMEM;
	self->port = (struct stream_port){.ops = &ops, .fd = -1};
	self->bus = bus;
	self->tcp = (struct line_tcp){.host = bus->host, .port = bus->tcp_port};
	*ret_port = &self->port;
	return 0;
}

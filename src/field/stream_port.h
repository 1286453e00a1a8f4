/*
 * A port that bytes come from: the seam between the state machine of a stream and what is really there.  stream_port.c
 * is the real one, a serial port or a serial device server; tests script theirs.  One owner thread.
 */
#ifndef FIELD_STREAM_PORT_H
#define FIELD_STREAM_PORT_H

#include "model/plan.h"

#include <stddef.h>
#include <stdint.h>

struct stream_port {
	const struct stream_port_ops *ops;
	int fd;          /* -1 = closed */
	short events;    /* while it opens: what to poll the fd for */
	int64_t look_at; /* while it opens: when to call again */
};

struct stream_port_ops {
	/* Opens, or goes on opening.  0; -EINPROGRESS: wait as fd, events and look_at say; -errno: closed. */
	int (*open)(struct stream_port *port, int64_t now_us);
	void (*close)(struct stream_port *port);
	/* What is there, without waiting: the number of bytes, 0 = nothing; -ENODEV: the port is gone. */
	int (*read)(struct stream_port *port, uint8_t *bytes, size_t size);
	/* All of it, or -ENOBUFS, -ENODEV. */
	int (*write)(struct stream_port *port, const uint8_t *bytes, size_t n);
	/* Another speed, from now on.  0; -EOPNOTSUPP: a device server; -EINVAL: the driver can't; -ENODEV. */
	int (*speed)(struct stream_port *port, uint32_t baud);
	void (*destroy)(struct stream_port *port);
};

/* The port of a bus.  Not open yet.  0 and *ret_port, or -ENOMEM. */
int stream_port_init(const struct plan_bus *bus, struct stream_port **ret_port);

#endif

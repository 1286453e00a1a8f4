/*
 * A TCP connection, opened without blocking: name, connect, deadline.  Used for Modbus TCP and for serial device
 * servers.  One owner thread.
 */
#include "field/line.h"
#include "field/resolve.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#define TCP_CONNECT_US      (3 * (int64_t)1000000)
#define TCP_RESOLVE_LOOK_US 50000
#define TCP_UNACKED_MS      10000 /* a host that went away without a word is noticed after this */

static void tcp_settings(int fd)
{
	int on = 1;
	unsigned unacked = TCP_UNACKED_MS;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked, sizeof(unacked));
}

/* Begins to connect to the first address that takes a socket; the others are tried by later attempts, in turn. */
static int tcp_connect(const struct addrinfo *address)
{
	int failure = -EHOSTUNREACH;
	for (; address; address = address->ai_next) {
		int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (fd < 0) {
			failure = -errno;
			continue;
		}
		if (fd >= FD_SETSIZE) { /* libmodbus waits with select() */
			close(fd);
			return -EMFILE;
		}
		tcp_settings(fd);
		if (connect(fd, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS)
			return fd;
		failure = -errno;
		close(fd);
	}
	return failure;
}

static int tcp_failed(struct line_tcp *tcp, int *fd, int failure)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	line_tcp_abort(tcp);
	return failure;
}

int line_tcp_open(struct line_tcp *tcp, int *fd, short *events, int64_t *look_at, int64_t now_us)
{
	if (*fd < 0) {
		if (!tcp->resolve) {
			int rc = resolve_start(tcp->host, tcp->port, &tcp->resolve);
			if (rc < 0)
				return rc;
			tcp->deadline = now_us + TCP_CONNECT_US;
		}
		const struct addrinfo *addresses = NULL;
		int rc = resolve_result(tcp->resolve, &addresses);
		if (rc == -EINPROGRESS && now_us < tcp->deadline + TCP_CONNECT_US) {
			*events = 0;
			*look_at = now_us + TCP_RESOLVE_LOOK_US;
			return -EINPROGRESS;
		}
		if (rc < 0)
			return tcp_failed(tcp, fd, rc == -EINPROGRESS ? -ETIMEDOUT : rc);
		tcp->deadline = now_us + TCP_CONNECT_US;
		*fd = tcp_connect(addresses);
		if (*fd < 0) {
			rc = *fd;
			return tcp_failed(tcp, fd, rc);
		}
	}
	struct pollfd ready = {.fd = *fd, .events = POLLOUT};
	if (poll(&ready, 1, 0) == 1) {
		int error = 0;
		socklen_t n = sizeof(error);
		getsockopt(*fd, SOL_SOCKET, SO_ERROR, &error, &n);
		if (error)
			return tcp_failed(tcp, fd, -error);
		line_tcp_abort(tcp);
		*events = POLLIN;
		*look_at = CLOCK_NEVER;
		return 0;
	}
	if (now_us >= tcp->deadline)
		return tcp_failed(tcp, fd, -ETIMEDOUT);
	*events = POLLOUT;
	*look_at = tcp->deadline;
	return -EINPROGRESS;
}

void line_tcp_abort(struct line_tcp *tcp)
{
	resolve_end(tcp->resolve);
	tcp->resolve = NULL;
}

/*
 * Settings of the broker's TCP connection.
 */
#include "ship/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static void socket_cork(int fd, int on)
{
	setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

void socket_hold(int *held, int fd)
{
	if (*held != fd && fd >= 0)
		socket_cork(fd, 1);
	*held = fd;
}

void socket_let_go(int *held, int fd)
{
	if (*held == fd && fd >= 0)
		socket_cork(fd, 0);
	*held = -1;
}

void socket_unacknowledged_ms(int fd, unsigned ms)
{
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

int socket_failure(int fd)
{
	int error = 0;
	struct tcp_info info = {0};
	socklen_t n = sizeof(error), n_info = sizeof(info);
	/* A round trip is measured by the time that there is a connection. */
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n_info) < 0 || info.tcpi_state != TCP_CLOSE || info.tcpi_rtt)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0 || error == 0)
		return ECONNREFUSED;
	return error;
}

bool socket_has_bytes(int fd)
{
	int n = 0;
	return ioctl(fd, FIONREAD, &n) == 0 && n > 0;
}

bool socket_is_ipv6(int fd)
{
	struct sockaddr_storage own = {0};
	socklen_t n = sizeof(own);
	return getsockname(fd, (struct sockaddr *)&own, &n) == 0 && own.ss_family == AF_INET6;
}

bool socket_host_is_name(const char *host)
{
	struct in6_addr address;
	return inet_pton(AF_INET, host, &address) != 1 && inet_pton(AF_INET6, host, &address) != 1;
}

/*
 * Settings of the broker's TCP connection.
 */
#include "ship/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

void socket_cork(int fd, bool on)
{
	int value = on;
	setsockopt(fd, IPPROTO_TCP, TCP_CORK, &value, sizeof(value));
}

void socket_unacknowledged_ms(int fd, unsigned ms)
{
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
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

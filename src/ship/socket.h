/*
 * What the publisher asks of the kernel for its connection.  Nothing fails for good here: without a setting the
 * connection is only slower or told dead later.
 */
#ifndef SHIP_SOCKET_H
#define SHIP_SOCKET_H

#include <stdbool.h>

/*
 * libmosquitto writes each packet by itself.  Held (corked), the kernel gathers those of one turn into full segments
 * and sends the last one when it is let go: half the processor time of a burst, and no packet waits for a later turn.
 * *held: the socket that is held, -1 = none; fd: the one in use, -1 = none.
 */
void socket_hold(int *held, int fd);
void socket_let_go(int *held, int fd);

/* Bytes that nobody acknowledges for so long are a dead link (TCP_USER_TIMEOUT, tcp(7)). */
void socket_unacknowledged_ms(int fd, unsigned ms);

/* Why the attempt to connect has failed; 0: it is under way, or there is or was a connection.  "Refused" also when
 * somebody has read the kernel's own word already. */
int socket_failure(int fd);

/* Does something wait to be read? */
bool socket_has_bytes(int fd);

/* Is this socket, connected or connecting, one of IPv6? */
bool socket_is_ipv6(int fd);

/* False for a host that is an address already. */
bool socket_host_is_name(const char *host);

#endif

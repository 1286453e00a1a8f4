/*
 * Host names to addresses without holding up the thread that asks.  Numbers are translated at once; each name gets a
 * thread for as long as the look-up takes.  One owner thread.
 */
#ifndef FIELD_RESOLVE_H
#define FIELD_RESOLVE_H

#include <netdb.h>
#include <stdint.h>

#define RESOLVE_AT_ONCE 16 /* names; the others wait for their turn */

struct resolve;

/* 0 and *ret_resolve, or -ENOMEM. host is copied. */
int resolve_start(const char *host, uint16_t port, struct resolve **ret_resolve);

/* 0 and the addresses, which live until resolve_end; -EINPROGRESS; -EHOSTUNREACH when the name is not known. */
int resolve_result(struct resolve *resolve, const struct addrinfo **ret_addresses);

/* NULL is fine.  A look-up that is under way finishes by itself and is then forgotten. */
void resolve_end(struct resolve *resolve);

#endif

/*
 * Host names to addresses without holding up the thread that asks.  Numbers are translated at once; names go to the C
 * library's own helper thread (getaddrinfo_a), one look-up per struct at a time.  One owner thread.
 */
#ifndef FIELD_RESOLVE_H
#define FIELD_RESOLVE_H

#include <netdb.h>
#include <stdint.h>

struct resolve;

/* 0 and *ret_resolve, or -ENOMEM. host is copied. */
int resolve_start(const char *host, uint16_t port, struct resolve **ret_resolve);

/* 0 and the addresses, which live until resolve_end; -EINPROGRESS; -EHOSTUNREACH when the name is not known. */
int resolve_result(struct resolve *resolve, const struct addrinfo **ret_addresses);

/* NULL is fine.  A look-up that can't be cancelled is left to finish by itself. */
void resolve_end(struct resolve *resolve);

#endif

/*
 * Names to addresses, see resolve.h.
 *
 * Why getaddrinfo_a: the shared TCP thread serves many hosts, and one whose name server is dead must not delay the
 * others; a thread of our own for it would be the same with more code.  A look-up that is under way when its owner goes
 * can't be cancelled: it is then leaked on purpose, once per close, bounded by the resolver's own time-out.
 */
#include "field/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct resolve {
	struct gaicb lookup;
	struct gaicb *list[1];
	struct addrinfo hints;
	struct addrinfo *addresses;
	int state; /* 0 known, -EINPROGRESS, -EHOSTUNREACH */
	char service[8];
	char host[];
};

int resolve_start(const char *host, uint16_t port, struct resolve **ret_resolve)
{
	size_t n = strlen(host) + 1;
	struct resolve *resolve = calloc(1, sizeof(*resolve) + n);
	if (!resolve)
		return -ENOMEM;
	memcpy(resolve->host, host, n);
	snprintf(resolve->service, sizeof(resolve->service), "%u", port);
	resolve->hints = (struct addrinfo){.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	if (getaddrinfo(resolve->host, resolve->service, &resolve->hints, &resolve->addresses) == 0) {
		resolve->state = 0;
	} else {
		resolve->hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
		resolve->lookup = (struct gaicb){
			.ar_name = resolve->host, .ar_service = resolve->service, .ar_request = &resolve->hints};
		resolve->list[0] = &resolve->lookup;
		resolve->state = getaddrinfo_a(GAI_NOWAIT, resolve->list, 1, NULL) == 0 ? -EINPROGRESS : -EHOSTUNREACH;
	}
	*ret_resolve = resolve;
	return 0;
}

int resolve_result(struct resolve *resolve, const struct addrinfo **ret_addresses)
{
	if (resolve->state == -EINPROGRESS) {
		int rc = gai_error(&resolve->lookup);
		if (rc != EAI_INPROGRESS) {
			resolve->state = rc == 0 ? 0 : -EHOSTUNREACH;
			if (rc == 0)
				resolve->addresses = resolve->lookup.ar_result;
		}
	}
	if (resolve->state == 0)
		*ret_addresses = resolve->addresses;
	return resolve->state;
}

void resolve_end(struct resolve *resolve)
{
	if (!resolve)
		return;
	if (resolve->state == -EINPROGRESS) {
		int rc = gai_cancel(&resolve->lookup);
		if (rc == EAI_NOTCANCELED)
			return;
		if (gai_error(&resolve->lookup) == 0)
			resolve->addresses = resolve->lookup.ar_result;
	}
	if (resolve->addresses)
		freeaddrinfo(resolve->addresses);
	free(resolve);
}

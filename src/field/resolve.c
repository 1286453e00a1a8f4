/*
 * Names to addresses, see resolve.h.
 *
 * Why threads: the shared TCP thread serves many hosts, and one whose name server is dead must not delay the others.
 * Why not getaddrinfo_a: a look-up that is given up can't be freed there, and its threads begin inside the C library,
 * unseen by the thread sanitizer, which crashes on the first one.
 *
 * A look-up can't be cancelled.  Two hold it, its owner and its thread, and who lets go last frees it.
 */
#include "field/resolve.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct resolve {
	struct addrinfo *addresses; /* the thread's until the state says that it is known */
	_Atomic int state;          /* 0 known, -EINPROGRESS, -EHOSTUNREACH */
	_Atomic int n_holders;
	bool begun;
	char service[8];
	char host[];
};

static _Atomic int n_under_way;

static void let_go(struct resolve *resolve)
{
	if (atomic_fetch_sub_explicit(&resolve->n_holders, 1, memory_order_acq_rel) > 1)
		return;
	if (resolve->addresses)
		freeaddrinfo(resolve->addresses);
	free(resolve);
}

static int look_up(struct resolve *resolve, int flags)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
	return getaddrinfo(resolve->host, resolve->service, &hints, &resolve->addresses);
}

static void *resolve_run(void *argument)
{
	struct resolve *resolve = argument;
	int state = look_up(resolve, AI_ADDRCONFIG) == 0 ? 0 : -EHOSTUNREACH;
	atomic_fetch_sub_explicit(&n_under_way, 1, memory_order_relaxed);
	atomic_store_explicit(&resolve->state, state, memory_order_release);
	let_go(resolve);
	return NULL;
}

/* Begins the look-up if it is its turn. */
static void resolve_begin(struct resolve *resolve)
{
	if (atomic_fetch_add_explicit(&n_under_way, 1, memory_order_relaxed) < RESOLVE_AT_ONCE) {
		pthread_t thread;
		atomic_store_explicit(&resolve->n_holders, 2, memory_order_relaxed);
		if (pthread_create(&thread, NULL, resolve_run, resolve) == 0) {
			pthread_detach(thread);
			resolve->begun = true;
			return;
		}
		atomic_store_explicit(&resolve->n_holders, 1, memory_order_relaxed);
	}
	atomic_fetch_sub_explicit(&n_under_way, 1, memory_order_relaxed);
}

int resolve_start(const char *host, uint16_t port, struct resolve **ret_resolve)
{
	size_t n = strlen(host) + 1;
	struct resolve *resolve = calloc(1, sizeof(*resolve) + n);
	if (!resolve)
		return -ENOMEM;
	memcpy(resolve->host, host, n);
	snprintf(resolve->service, sizeof(resolve->service), "%u", port);
	resolve->n_holders = 1;
	resolve->begun = look_up(resolve, AI_NUMERICHOST) == 0;
	if (!resolve->begun) {
		resolve->state = -EINPROGRESS;
		resolve_begin(resolve);
	}
	*ret_resolve = resolve;
	return 0;
}

int resolve_result(struct resolve *resolve, const struct addrinfo **ret_addresses)
{
	if (!resolve->begun)
		resolve_begin(resolve);
	int state = atomic_load_explicit(&resolve->state, memory_order_acquire);
	if (state == 0)
		*ret_addresses = resolve->addresses;
	return state;
}

void resolve_end(struct resolve *resolve)
{
	if (resolve)
		let_go(resolve);
}

/*
 * The thread of the Sparkplug node.  See sparkplug.h.
 *
 * Invariant: only this thread touches the node; others read its atomics.
 */
#include "ship/sparkplug.h"
#include "base/hash.h"
#include "base/thread.h"
#include "base/wake.h"
#include "ship/sparkplug_node.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRACE_US   (10 * (int64_t)1000000)
#define ID_MAX     23 /* bytes of a client id that each broker has to take: MQTT 3.1.1, 3.1.3.1 */
#define ID_ENDING  "-spb"
#define ENDING_MAX 4

struct sparkplug {
	struct sparkplug_node node;
	struct thread thread;
	_Atomic bool stop_asked;
	bool readable, writable; /* what poll() said; true when nobody asked it */
};

const char *sparkplug_client_id(const char *client_id, struct arena *arena)
{
	size_t n = strlen(client_id);
	if (n + ENDING_MAX <= ID_MAX || n > ID_MAX)
		return arena_format(arena, "%s" ID_ENDING, client_id);
	return arena_format(arena, "busferry-%08x" ID_ENDING, (unsigned)hash_fold(hash_text(client_id)));
}

/* Has a device come or gone, or a write ended? */
static bool has_news(const struct sparkplug_node *node)
{
	uint64_t count;
	return read(node->parts.news_fd, &count, sizeof(count)) > 0;
}

int64_t sparkplug_step(struct sparkplug *sparkplug, int64_t now_us)
{
	struct sparkplug_node *node = &sparkplug->node;
	if (has_news(node)) {
		node->news = true;
		node->command_at_us = now_us;
	}
	bool stop = atomic_load_explicit(&sparkplug->stop_asked, memory_order_acquire);
	sparkplug_node_step(node, sparkplug->readable, sparkplug->writable, stop, now_us);
	return sparkplug_node_wake(node);
}

static void wait_for_news(struct sparkplug *sparkplug, int64_t wake_us)
{
	struct sparkplug_node *node = &sparkplug->node;
	struct uplink *uplink = node->parts.uplink;
	bool idle = node->state == SPARKPLUG_ALIVE && (node->starved || node->paced_until_us != CLOCK_NEVER);
	struct pollfd fds[3] = {
		{.fd = uplink->ops->fd(uplink), .events = POLLIN},
		{.fd = idle ? outbox_fd(node->parts.outbox) : -1, .events = POLLIN},
		{.fd = node->parts.news_fd, .events = POLLIN},
	};
	if (fds[0].fd >= 0 && uplink->ops->wants_write(uplink))
		fds[0].events |= POLLOUT;
	int64_t now_us = clock_now(node->parts.clock), wait_us = wake_us - now_us;
	if (wait_us < 0)
		wait_us = 0;
	sparkplug_node_alive(node, now_us + wait_us + GRACE_US);
	int n = poll(fds, 3, (int)((wait_us + 999) / 1000));
	/* TLS may hold decrypted bytes that no poll shows: look at each time-out. */
	sparkplug->readable = n <= 0 || (fds[0].revents & (POLLIN | POLLERR | POLLHUP));
	sparkplug->writable = fds[0].revents & POLLOUT;
	if (fds[1].revents)
		outbox_fd_clear(node->parts.outbox);
}

static void run(void *user)
{
	struct sparkplug *sparkplug = user;
	struct sparkplug_node *node = &sparkplug->node;
	for (;;) {
		int64_t now_us = clock_now(node->parts.clock);
		sparkplug_node_alive(node, now_us + GRACE_US);
		int64_t wake_us = sparkplug_step(sparkplug, now_us);
		if (node->state == SPARKPLUG_ENDED)
			break;
		wait_for_news(sparkplug, wake_us);
	}
	sparkplug_node_alive(node, CLOCK_NEVER);
}

int sparkplug_init(const struct sparkplug_parts *parts, struct sparkplug **ret_sparkplug)
{
	if (parts->broker->n_endpoints == 0)
		return -EINVAL;
	struct sparkplug *sparkplug = calloc(1, sizeof(*sparkplug));
	if (!sparkplug)
		return -ENOMEM;
	sparkplug->readable = sparkplug->writable = true;
	int rc = sparkplug_node_init(&sparkplug->node, parts);
	if (rc < 0) {
		sparkplug_destroy(sparkplug);
		return rc;
	}
	*ret_sparkplug = sparkplug;
	return 0;
}

int sparkplug_start(struct sparkplug *sparkplug)
{
	return thread_start(&sparkplug->thread, "sparkplug", run, sparkplug);
}

void sparkplug_stop(struct sparkplug *sparkplug)
{
	atomic_store_explicit(&sparkplug->stop_asked, true, memory_order_release);
	wake_up(sparkplug->node.parts.news_fd);
}

int sparkplug_join(struct sparkplug *sparkplug, int64_t timeout_us)
{
	return thread_join(&sparkplug->thread, timeout_us);
}

void sparkplug_destroy(struct sparkplug *sparkplug)
{
	if (!sparkplug)
		return;
	sparkplug_node_destroy(&sparkplug->node);
	free(sparkplug);
}

void sparkplug_status(const struct sparkplug *sparkplug, struct sparkplug_status *ret_status)
{
	static const char *const words[] = {
		[SPARKPLUG_DOWN] = "offline",
		[SPARKPLUG_CONNECTING] = "offline",
		[SPARKPLUG_WAITING] = "waiting",
		[SPARKPLUG_BIRTH] = "birth",
		[SPARKPLUG_ALIVE] = "online",
		[SPARKPLUG_ENDED] = "offline",
	};
	const struct sparkplug_node *node = &sparkplug->node;
	*ret_status = (struct sparkplug_status){
		.state = words[atomic_load_explicit(&node->told_state, memory_order_relaxed)],
		.broker_url = atomic_load_explicit(&node->url, memory_order_relaxed),
		.bd_seq = (uint8_t)atomic_load_explicit(&node->told_bd_seq, memory_order_relaxed),
		.births = atomic_load_explicit(&node->n_births, memory_order_relaxed),
		.told = atomic_load_explicit(&node->n_done, memory_order_relaxed),
	};
}

int64_t sparkplug_alive_until(const struct sparkplug *sparkplug)
{
	return atomic_load_explicit(&sparkplug->node.alive_until_us, memory_order_relaxed);
}

void sparkplug_alive_by(struct sparkplug *sparkplug, int64_t until_us)
{
	sparkplug_node_alive(&sparkplug->node, until_us);
}

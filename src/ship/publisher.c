/*
 * The publisher's turn and its thread: connect, hand over, collect acknowledgements, and on request leave in order.
 *
 * Why one thread owns all of it and no call ever waits: libmosquitto's own thread ends for good on a dozen ordinary
 * faults, publishes before CONNECT while it reconnects, and can't be stopped while it connects.  Only a name look-up
 * blocks; it is announced to the watchdog, and a publisher that hangs in it is left behind at the end, not joined.
 *
 * Invariant: messages are handed over while the connection is ACTIVE only.
 *
 * Threads: one runs publisher_step; stop, join, status and alive_until are for others.
 */
#include "ship/publisher.h"
#include "base/thread.h"
#include "base/wake.h"
#include "ship/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TICK_MIN_US   (2 * (int64_t)1000000) /* looks at the uplink's keepalive, which is no shorter than 5 s … */
#define TICK_MAX_US   (5 * (int64_t)1000000)
#define TICKS         6  /* … in one of it: the broker gives it half of one more */
#define GATHER_MS     10 /* acknowledgements that nobody waits for are read together, the rest after twice as long … */
#define GATHER_MAX_MS 80 /* … but a lost connection is to be noticed */
#define DRAIN_US      (2 * (int64_t)1000000)
#define LAST_WORDS_US (1 * (int64_t)1000000)
#define ROUNDS        64 /* of handing over and writing in one step */

enum publisher_stop { STOP_NO, STOP_DRAINING, STOP_LAST_WORDS };

struct publisher {
	struct connection connection;
	enum sender_state sender_state; /* while ACTIVE */
	bool readable, writable, news;  /* what poll() said; true when nobody asked it */
	int gather_ms;                  /* how long to wait for acknowledgements next */

	enum publisher_stop stop;
	int64_t stop_at_us;
	_Atomic bool stop_asked, turn_asked;
	int stop_fd; /* readable when either is */
	struct thread thread;
};

/* Has the socket taken all that was handed over?  The library queues without bound. */
static bool publisher_wrote(struct publisher *publisher)
{
	struct connection *connection = &publisher->connection;
	const struct uplink *uplink = connection->uplink;
	if (uplink->ops->wants_write(uplink))
		connection_write(connection);
	return connection->state == CONNECTION_ACTIVE && !uplink->ops->wants_write(uplink);
}

/* A few at a time: what the library allocates for them, and the records, are still in the processor's cache when they
 * are written and done with. */
static void publisher_rounds(struct publisher *publisher)
{
	struct connection *connection = &publisher->connection;
	bool last_words = publisher->stop == STOP_LAST_WORDS || connection->leave == LEAVE_LAST_WORDS;
	if (connection->leave == LEAVE_DRAINING) {
		publisher->sender_state = SENDER_FULL;
		publisher_wrote(publisher);
		return;
	}
	for (int round = 0; round < ROUNDS; round++) {
		unsigned n;
		publisher->sender_state = SENDER_FULL;
		if (!last_words && !publisher_wrote(publisher))
			return;
		publisher->sender_state = sender_hand_over(&connection->sender, last_words, connection->now_us, &n);
		if (n == 0)
			return;
		unsigned before = connection->sender.window.n[0];
		connection_write(connection);
		if (connection->state != CONNECTION_ACTIVE || publisher->sender_state == SENDER_IDLE ||
			publisher->sender_state == SENDER_PACED)
			return;
		if (publisher->sender_state == SENDER_FULL && connection->sender.window.n[0] == before)
			return;
	}
	publisher->sender_state = SENDER_MORE;
}

static void publisher_work(struct publisher *publisher)
{
	if (publisher->news)
		outbox_fd_clear(publisher->connection.outbox);
	publisher_rounds(publisher);
}

/* Sends what the broker takes, says the last words, ends when all that was sent is acknowledged: what is not would be
 * sent again by the next process. */
static void publisher_stopping(struct publisher *publisher)
{
	struct connection *connection = &publisher->connection;
	int64_t now_us = connection->now_us;
	if (publisher->stop == STOP_NO) {
		publisher->stop = STOP_DRAINING;
		publisher->stop_at_us = now_us + DRAIN_US;
	}
	if (publisher->stop == STOP_DRAINING) {
		if (connection->state == CONNECTION_DOWN) {
			connection_end(connection);
		} else if (connection->state != CONNECTION_ACTIVE) {
			if (now_us >= publisher->stop_at_us)
				connection_end(connection);
		} else if (now_us >= publisher->stop_at_us ||
			   (connection->listener_at_us == CLOCK_NEVER && outbox_empty(connection->outbox))) {
			publisher->stop = STOP_LAST_WORDS;
			publisher->stop_at_us = now_us + LAST_WORDS_US;
			if (connection->listener && connection->listener->leaving)
				connection->listener->leaving(connection->listener);
			publisher_work(publisher);
		}
	}
	if (publisher->stop == STOP_LAST_WORDS && connection->state != CONNECTION_ENDED &&
		(connection->state != CONNECTION_ACTIVE || now_us >= publisher->stop_at_us ||
			(publisher->sender_state == SENDER_IDLE && !sender_in_flight(&connection->sender))))
		connection_end(connection);
}

static int64_t publisher_tick(const struct publisher *publisher)
{
	int64_t tick_us = publisher->connection.broker->keepalive_s * (int64_t)1000000 / TICKS;
	return tick_us < TICK_MIN_US ? TICK_MIN_US : tick_us > TICK_MAX_US ? TICK_MAX_US : tick_us;
}

static void publisher_sooner(int64_t *at_us, int64_t other_us)
{
	if (other_us < *at_us)
		*at_us = other_us;
}

static int64_t publisher_wake(const struct publisher *publisher)
{
	const struct connection *connection = &publisher->connection;
	int64_t wake_us = connection->now_us + publisher_tick(publisher), other_us = CLOCK_NEVER;
	switch (connection->state) {
	case CONNECTION_ENDED:
		return CLOCK_NEVER;
	case CONNECTION_DOWN:
		wake_us = connection->retry.next_at_us;
		break;
	case CONNECTION_PURGING:
	case CONNECTION_CONNECTING:
		other_us = connection->deadline_us;
		break;
	case CONNECTION_ACTIVE:
		if (publisher->sender_state == SENDER_MORE)
			other_us = connection->now_us;
		if (publisher->sender_state == SENDER_HELD)
			other_us = connection->sender.hold_until_us;
		if (publisher->sender_state == SENDER_PACED)
			other_us = connection->sender.paced_until_us;
		publisher_sooner(&other_us, connection->listener_at_us);
		publisher_sooner(&other_us,
			connection->leave == LEAVE_NO ? connection->lookout.next_at_us : connection->leave_by_us);
		publisher_sooner(&other_us, connection->uplink->ops->due_at(connection->uplink));
		break;
	}
	publisher_sooner(&wake_us, other_us);
	if (publisher->stop != STOP_NO)
		publisher_sooner(&wake_us, publisher->stop_at_us);
	return wake_us;
}

static void publisher_turns(struct publisher *publisher)
{
	if (!atomic_load_explicit(&publisher->turn_asked, memory_order_relaxed))
		return;
	/* First the fd, then the words: whoever asks after these were read makes it readable again. */
	uint64_t count;
	ssize_t n = read(publisher->stop_fd, &count, sizeof(count));
	(void)n;
	if (!atomic_exchange_explicit(&publisher->turn_asked, false, memory_order_acquire))
		return;
	connection_turn(&publisher->connection);
}

int64_t publisher_step(struct publisher *publisher, int64_t now_us)
{
	struct connection *connection = &publisher->connection;
	if (connection->state == CONNECTION_ENDED)
		return CLOCK_NEVER;
	connection->now_us = now_us;
	publisher_turns(publisher);
	bool stopping = atomic_load_explicit(&publisher->stop_asked, memory_order_acquire);
	if (stopping)
		connection_stay(connection);
	connection_step(connection, publisher->readable, publisher->writable, !stopping);
	connection_listen(connection);
	if (connection->state == CONNECTION_ACTIVE)
		publisher_work(publisher);
	while (connection_leave(connection, publisher->sender_state == SENDER_IDLE))
		publisher_work(publisher);
	if (stopping)
		publisher_stopping(publisher);
	connection->uplink->ops->let_go(connection->uplink);
	return publisher_wake(publisher);
}

/* Is something else than acknowledgements waited for, for gather_ms?  They come one by one, and each would wake the
 * thread; at QoS 2 a subscriber waits for them. */
static bool publisher_gathers(struct publisher *publisher, int64_t wait_us)
{
	const struct window *window = &publisher->connection.sender.window;
	int next_ms = publisher->gather_ms && window->n[2] == 0 ? publisher->gather_ms * 2 : GATHER_MS;
	publisher->gather_ms = next_ms < GATHER_MAX_MS ? next_ms : GATHER_MAX_MS;
	if (window_kept(window) > 0 && wait_us > publisher->gather_ms * (int64_t)1000)
		return true;
	publisher->gather_ms = 0;
	return false;
}

static void publisher_wait(struct publisher *publisher, int64_t wake_us)
{
	struct connection *connection = &publisher->connection;
	struct uplink *uplink = connection->uplink;
	bool idle = connection->state == CONNECTION_ACTIVE &&
		    (publisher->sender_state == SENDER_IDLE || publisher->sender_state == SENDER_PACED);
	bool asked = publisher->stop != STOP_NO;
	struct pollfd fds[3] = {
		{.fd = uplink->ops->fd(uplink), .events = POLLIN},
		{.fd = idle ? outbox_fd(connection->outbox) : -1, .events = POLLIN},
		{.fd = asked ? -1 : publisher->stop_fd, .events = POLLIN},
	};
	if (fds[0].fd >= 0 && uplink->ops->wants_write(uplink))
		fds[0].events |= POLLOUT;
	int64_t wait_us = wake_us - clock_now(connection->clock);
	if (wait_us < 0)
		wait_us = 0;
	connection_alive(connection, clock_now(connection->clock) + wait_us + CONNECTION_GRACE_US);
	bool nobody_waits = idle && !asked && !(fds[0].events & POLLOUT);
	if (nobody_waits && publisher_gathers(publisher, wait_us) && poll(fds + 1, 2, publisher->gather_ms) > 0) {
		publisher->readable = publisher->writable = false;
		publisher->news = fds[1].revents;
		publisher->gather_ms = 0;
		return;
	}
	int n = poll(fds, 3, (int)((wait_us + 999) / 1000));
	/* TLS may hold decrypted bytes that no poll shows: look at each time-out. */
	publisher->readable = n <= 0 || (fds[0].revents & (POLLIN | POLLERR | POLLHUP));
	publisher->writable = fds[0].revents & POLLOUT;
	publisher->news = fds[1].revents;
}

static void publisher_run(void *user)
{
	struct publisher *publisher = user;
	for (;;) {
		int64_t now_us = clock_now(publisher->connection.clock);
		connection_alive(&publisher->connection, now_us + CONNECTION_GRACE_US);
		int64_t wake_us = publisher_step(publisher, now_us);
		if (publisher->connection.state == CONNECTION_ENDED)
			break;
		publisher_wait(publisher, wake_us);
	}
	connection_alive(&publisher->connection, CLOCK_NEVER);
}

int publisher_init(const struct plan_broker *broker, bool uses_qos2, const char *will_topic, struct outbox *outbox,
	struct uplink *uplink, struct publisher_listener *listener, const struct clock *clock,
	struct publisher **ret_publisher)
{
	if (broker->n_endpoints == 0)
		return -EINVAL;
	struct publisher *publisher = calloc(1, sizeof(*publisher));
	if (!publisher)
		return -ENOMEM;
	*publisher = (struct publisher){
		.connection =
			{
				.broker = broker,
				.uses_qos2 = uses_qos2,
				.will_topic = will_topic,
				.outbox = outbox,
				.uplink = uplink,
				.listener = listener,
				.clock = clock,
			},
		.readable = true,
		.writable = true,
		.news = true,
		.stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
	};
	int error = publisher->stop_fd < 0 ? -errno : connection_init(&publisher->connection);
	if (error < 0) {
		publisher_destroy(publisher);
		return error;
	}
	*ret_publisher = publisher;
	return 0;
}

int publisher_look_with(struct publisher *publisher, struct uplink *uplink)
{
	return connection_look_with(&publisher->connection, uplink);
}

int publisher_start(struct publisher *publisher)
{
	return thread_start(&publisher->thread, "mqtt", publisher_run, publisher);
}

void publisher_stop(struct publisher *publisher)
{
	atomic_store_explicit(&publisher->stop_asked, true, memory_order_release);
	wake_up(publisher->stop_fd);
}

void publisher_turn(struct publisher *publisher)
{
	atomic_store_explicit(&publisher->turn_asked, true, memory_order_release);
	wake_up(publisher->stop_fd);
}

int publisher_join(struct publisher *publisher, int64_t timeout_us)
{
	return thread_join(&publisher->thread, timeout_us);
}

void publisher_destroy(struct publisher *publisher)
{
	if (!publisher)
		return;
	if (publisher->stop_fd >= 0)
		close(publisher->stop_fd);
	connection_destroy(&publisher->connection);
	free(publisher);
}

void publisher_status(struct publisher *publisher, struct publisher_status *ret_status)
{
	struct connection *connection = &publisher->connection;
	uint64_t connects = atomic_load_explicit(&connection->n_connects, memory_order_relaxed);
	*ret_status = (struct publisher_status){
		.connected = atomic_load_explicit(&connection->is_connected, memory_order_relaxed),
		.broker_url = atomic_load_explicit(&connection->url, memory_order_relaxed),
		.reconnects = connects ? connects - 1 : 0,
		.acknowledged = atomic_load_explicit(&connection->sender.n_acknowledged, memory_order_relaxed),
		.refused = atomic_load_explicit(&connection->sender.n_refused, memory_order_relaxed),
		.in_flight = atomic_load_explicit(&connection->sender.n_in_flight, memory_order_relaxed),
		.since_us = atomic_load_explicit(&connection->since_us, memory_order_relaxed),
		.fault = atomic_load_explicit(&connection->fault, memory_order_relaxed),
	};
}

void publisher_alive_by(struct publisher *publisher, int64_t until_us)
{
	connection_alive(&publisher->connection, until_us);
}

int64_t publisher_alive_until(const struct publisher *publisher)
{
	return atomic_load_explicit(&publisher->connection.alive_until_us, memory_order_relaxed);
}

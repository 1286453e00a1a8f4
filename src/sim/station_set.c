/*
 * Stations on their wires.
 *
 * One epoll set holds every fd, so that a hundred TCP devices cost what their traffic costs.  A
 * channel is one stream of bytes in both directions: the pty of a serial bus, or one connection of
 * any number to a TCP bus.
 *
 * Answers wait in a channel until they are due.  They leave by their due time, but those of one
 * unit in the order of its questions: a device that is late is late with all that follows, as most
 * real ones are, while its neighbours answer on.  A master that asks without reading is not read
 * any more once CHANNEL_WAITING answers wait; on a pty, which has no way to say so, answers get
 * lost instead, as on a line.
 *
 * Invariant: a channel's answers are sorted by due_at; out[0, n_out) is what the socket would not
 * take yet, always whole frames behind the first.
 */
#include "sim/station_set.h"
#include "base/clock.h"
#include "sim/pty.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHANNEL_WAITING  256
#define STATION_SET_TURN 64 /* events in one step */

struct answer {
	struct answer *next;
	int64_t due_at;
	uint8_t unit;
	size_t n;
	uint8_t frame[FRAME_MAX];
};

struct channel {
	struct channel *next;
	struct wire *wire;
	int fd; /* the wire's own on a pty */
	uint32_t events;
	bool broken;
	struct frame_reader reader;
	struct answer *answers;
	size_t n_answers;
	size_t n_out;
	uint8_t out[4096];
};

/* One bus and the fd by which it is reached: a pty, or a socket that listens. */
struct wire {
	struct wire *next;
	struct station station;
	struct pty pty; /* fd -1 = none */
	int listen_fd;  /* -1 = none */
};

struct station_set {
	int epoll_fd;
	struct wire *wires;
	struct channel *channels;
	struct answer *spare; /* answers to be used again */
	struct arena arena;
};

int station_set_init(struct station_set **ret_set)
{
	struct station_set *set = calloc(1, sizeof(*set));
	if (!set)
		return -ENOMEM;
	set->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (set->epoll_fd < 0) {
		int rc = -errno;
		free(set);
		return rc;
	}
	*ret_set = set;
	return 0;
}

int station_set_fd(const struct station_set *set)
{
	return set->epoll_fd;
}

static struct wire *wire_add(struct station_set *set, const struct plan *plan, const struct plan_bus *bus,
	const struct station_options *options)
{
	struct wire *wire = arena_alloc(&set->arena, sizeof(*wire));
	station_init(&wire->station, plan, bus, options, &set->arena);
	wire->pty = (struct pty){.fd = -1, .other = -1};
	wire->listen_fd = -1;
	wire->next = set->wires;
	set->wires = wire;
	return wire;
}

/* A new stream on a wire; the fd stays the caller's when it fails. */
static int channel_add(struct station_set *set, struct wire *wire, int fd)
{
	struct channel *channel = calloc(1, sizeof(*channel));
	if (!channel)
		return -ENOMEM;
	channel->wire = wire;
	channel->fd = fd;
	channel->events = EPOLLIN;
	channel->reader.kind = wire->station.kind;
	channel->reader.gap_us = wire->station.gap_us;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = channel};
	if (epoll_ctl(set->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		int rc = -errno;
		free(channel);
		return rc;
	}
	channel->next = set->channels;
	set->channels = channel;
	return 0;
}

static void channel_free(struct channel *channel)
{
	while (channel->answers) {
		struct answer *answer = channel->answers;
		channel->answers = answer->next;
		free(answer);
	}
	if (channel->fd != channel->wire->pty.fd)
		close(channel->fd); /* leaves the epoll set by itself */
	free(channel);
}

int station_set_pty(struct station_set *set, const struct plan *plan, const struct plan_bus *bus,
	const struct station_options *options, const char *link)
{
	struct wire *wire = wire_add(set, plan, bus, options);
	int rc = pty_open(&wire->pty, link);
	return rc < 0 ? rc : channel_add(set, wire, wire->pty.fd);
}

int station_set_adopt(struct station_set *set, const struct plan *plan, const struct plan_bus *bus,
	const struct station_options *options, int fd)
{
	int rc = channel_add(set, wire_add(set, plan, bus, options), fd);
	if (rc < 0)
		close(fd);
	return rc;
}

static int listen_open(uint16_t *port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int yes = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, SOMAXCONN) < 0 ||
		getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	*port = ntohs(address.sin_port);
	return fd;
}

int station_set_listen(struct station_set *set, const struct plan *plan, const struct plan_bus *bus,
	const struct station_options *options, uint16_t port)
{
	int fd = listen_open(&port);
	if (fd < 0)
		return fd;
	struct wire *wire = wire_add(set, plan, bus, options);
	wire->listen_fd = fd;
	/* connections are told from channels by the lowest bit: both are aligned */
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uintptr_t)wire | 1};
	if (epoll_ctl(set->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	return port;
}

static void wire_accept(struct station_set *set, struct wire *wire)
{
	int fd = accept4(wire->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return; /* gone again, or no fd left: the next step tries anew */
	int yes = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (channel_add(set, wire, fd) < 0)
		close(fd);
}

static void channel_enqueue(struct channel *channel, struct answer *answer)
{
	for (const struct answer *other = channel->answers; other; other = other->next)
		if (other->unit == answer->unit && other->due_at > answer->due_at)
			answer->due_at = other->due_at;
	struct answer **at = &channel->answers;
	while (*at && (*at)->due_at <= answer->due_at)
		at = &(*at)->next;
	answer->next = *at;
	*at = answer;
	channel->n_answers++;
}

static void channel_take(
	struct station_set *set, struct channel *channel, const struct frame_request *request, int64_t now_us)
{
	struct answer *answer = set->spare;
	if (answer)
		set->spare = answer->next;
	else
		answer = malloc(sizeof(*answer));
	if (!answer)
		return; /* a lost answer */
	answer->unit = request->unit;
	answer->n = station_take(&channel->wire->station, request, now_us, answer->frame, &answer->due_at);
	if (answer->n > 0 && channel->n_answers < CHANNEL_WAITING) {
		channel_enqueue(channel, answer);
		return;
	}
	answer->next = set->spare;
	set->spare = answer;
}

static bool channel_is_pty(const struct channel *channel)
{
	return channel->fd == channel->wire->pty.fd;
}

/* Hands what has been collected to the fd. */
static void channel_send(struct channel *channel)
{
	if (channel->n_out == 0)
		return;
	if (channel_is_pty(channel)) {
		ssize_t lost = write(channel->fd, channel->out, channel->n_out);
		(void)lost; /* what nobody reads is gone */
		channel->n_out = 0;
		return;
	}
	ssize_t n = send(channel->fd, channel->out, channel->n_out, MSG_NOSIGNAL);
	if (n >= 0) {
		channel->n_out -= (size_t)n;
		memmove(channel->out, channel->out + n, channel->n_out);
	} else if (errno != EAGAIN && errno != EINTR) {
		channel->broken = true;
	}
}

/* Collects and sends the answers that are due. */
static void channel_flush(struct station_set *set, struct channel *channel, int64_t now_us)
{
	while (channel->answers && channel->answers->due_at <= now_us) {
		struct answer *answer = channel->answers;
		if (sizeof(channel->out) - channel->n_out < answer->n) {
			channel_send(channel);
			if (sizeof(channel->out) - channel->n_out < answer->n)
				return;
		}
		memcpy(channel->out + channel->n_out, answer->frame, answer->n);
		channel->n_out += answer->n;
		channel->answers = answer->next;
		channel->n_answers--;
		answer->next = set->spare;
		set->spare = answer;
	}
	channel_send(channel);
}

static bool channel_may_take(const struct channel *channel)
{
	return channel_is_pty(channel) || channel->n_answers < CHANNEL_WAITING;
}

/* Answers what lies in the reader, as far as there is room for answers. */
static void channel_serve(struct station_set *set, struct channel *channel, int64_t now_us)
{
	struct frame_request request;
	int rc;
	do {
		rc = 0;
		while (channel_may_take(channel) && (rc = frame_next(&channel->reader, now_us, &request)) == 1)
			channel_take(set, channel, &request, now_us);
		channel_flush(set, channel, now_us);
	} while (rc == 1 && channel_may_take(channel)); /* it was full, and is not any more */
	if (rc < 0)
		channel->broken = true;
}

static void channel_read(struct station_set *set, struct channel *channel, int64_t now_us)
{
	channel_serve(set, channel, now_us); /* what silence has ended goes before what has come */
	size_t room;
	uint8_t *at = frame_room(&channel->reader, &room);
	if (room == 0)
		return;
	ssize_t n = read(channel->fd, at, room);
	if (n > 0) {
		frame_fed(&channel->reader, (size_t)n, now_us);
		channel_serve(set, channel, now_us);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		channel->broken = !channel_is_pty(channel);
	}
}

/* Says to epoll what the channel waits for now. */
static void channel_watch(struct station_set *set, struct channel *channel)
{
	uint32_t events =
		(channel_may_take(channel) ? (uint32_t)EPOLLIN : 0) | (channel->n_out > 0 ? (uint32_t)EPOLLOUT : 0);
	if (events == channel->events)
		return;
	struct epoll_event event = {.events = events, .data.ptr = channel};
	if (epoll_ctl(set->epoll_fd, EPOLL_CTL_MOD, channel->fd, &event) == 0)
		channel->events = events;
}

static int64_t channel_look_at(const struct channel *channel)
{
	int64_t look_at = channel_may_take(channel) ? frame_look_at(&channel->reader) : CLOCK_NEVER;
	/* with bytes unsent it is the socket that says when to go on */
	if (channel->answers && channel->n_out == 0 && channel->answers->due_at < look_at)
		look_at = channel->answers->due_at;
	return look_at;
}

static void station_set_take_events(struct station_set *set, int64_t now_us)
{
	struct epoll_event events[STATION_SET_TURN];
	int n = epoll_wait(set->epoll_fd, events, STATION_SET_TURN, 0);
	for (int i = 0; i < n; i++) {
		if (events[i].data.u64 & 1) {
			wire_accept(set, (struct wire *)(uintptr_t)(events[i].data.u64 & ~UINT64_C(1)));
			continue;
		}
		struct channel *channel = events[i].data.ptr;
		if (events[i].events & EPOLLOUT)
			channel_serve(set, channel, now_us);
		if (events[i].events & EPOLLIN)
			channel_read(set, channel, now_us);
		else if (events[i].events & (EPOLLHUP | EPOLLERR))
			channel->broken = !channel_is_pty(channel);
	}
}

int64_t station_set_step(struct station_set *set, int64_t now_us)
{
	station_set_take_events(set, now_us);
	int64_t next = CLOCK_NEVER;
	for (struct channel **at = &set->channels; *at;) {
		struct channel *channel = *at;
		if (!channel->broken && channel_look_at(channel) <= now_us)
			channel_serve(set, channel, now_us);
		if (channel->broken) {
			*at = channel->next;
			channel_free(channel);
			continue;
		}
		channel_watch(set, channel);
		int64_t look_at = channel_look_at(channel);
		if (look_at < next)
			next = look_at;
		at = &channel->next;
	}
	return next;
}

void station_set_destroy(struct station_set *set)
{
	if (!set)
		return;
	while (set->channels) {
		struct channel *channel = set->channels;
		set->channels = channel->next;
		channel_free(channel);
	}
	for (struct wire *wire = set->wires; wire; wire = wire->next) {
		pty_close(&wire->pty);
		if (wire->listen_fd >= 0)
			close(wire->listen_fd);
	}
	while (set->spare) {
		struct answer *answer = set->spare;
		set->spare = answer->next;
		free(answer);
	}
	close(set->epoll_fd);
	arena_free(&set->arena);
	free(set);
}

/*
 * Stations on their wires.
 *
 * One epoll set holds every fd, so that a hundred TCP devices cost what their traffic costs.  What
 * happens on one stream of bytes is channel.c's.
 *
 * A bus that is unplugged loses its fds and its link, as the node of an adapter goes, and gets others
 * when it is plugged in again: a pty usually under another number behind the same link, a socket at
 * the same port.
 */
#include "sim/station_set.h"
#include "base/clock.h"
#include "base/log.h"
#include "sim/channel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define STATION_SET_TURN     64      /* events in one step */
#define STATION_SET_AGAIN_US 1000000 /* what can't be plugged in again is tried after this */

struct station_set {
	int epoll_fd;
	struct wire *wires;
	struct channel *channels;
	struct channel_answer *spare; /* answers to be used again */
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
	channel->spare = &set->spare;
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

static int wire_listen(struct station_set *set, struct wire *wire)
{
	wire->listen_fd = listen_open(&wire->port);
	if (wire->listen_fd < 0)
		return wire->listen_fd;
	/* connections are told from channels by the lowest bit: both are aligned */
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uintptr_t)wire | 1};
	return epoll_ctl(set->epoll_fd, EPOLL_CTL_ADD, wire->listen_fd, &event) < 0 ? -errno : 0;
}

/* Puts the wire where masters find it. */
static int wire_open(struct station_set *set, struct wire *wire)
{
	if (wire->adopted)
		return -ENXIO;
	if (!wire->link)
		return wire_listen(set, wire);
	int rc = pty_open(&wire->pty, wire->link);
	return rc < 0 ? rc : channel_add(set, wire, wire->pty.fd);
}

static void wire_close(struct wire *wire)
{
	pty_close(&wire->pty);
	if (wire->listen_fd >= 0)
		close(wire->listen_fd);
	wire->listen_fd = -1;
}

int station_set_pty(struct station_set *set, const struct plan *plan, const struct plan_bus *bus,
	const struct station_options *options, const char *link)
{
	struct wire *wire = wire_add(set, plan, bus, options);
	wire->link = arena_text(&set->arena, link);
	return wire_open(set, wire);
}

int station_set_adopt(struct station_set *set, const struct plan *plan, const struct plan_bus *bus,
	const struct station_options *options, int fd)
{
	struct wire *wire = wire_add(set, plan, bus, options);
	wire->adopted = true;
	int rc = channel_add(set, wire, fd);
	if (rc < 0)
		close(fd);
	return rc;
}

int station_set_listen(struct station_set *set, const struct plan *plan, const struct plan_bus *bus,
	const struct station_options *options, uint16_t port)
{
	struct wire *wire = wire_add(set, plan, bus, options);
	wire->port = port;
	int rc = wire_open(set, wire);
	return rc < 0 ? rc : wire->port;
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

/* Says to epoll what the channel waits for now. */
static void channel_watch(struct station_set *set, struct channel *channel)
{
	uint32_t events = channel_wants(channel);
	if (events == channel->events)
		return;
	struct epoll_event event = {.events = events, .data.ptr = channel};
	if (epoll_ctl(set->epoll_fd, EPOLL_CTL_MOD, channel->fd, &event) == 0)
		channel->events = events;
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
			channel_serve(channel, now_us);
		if (events[i].events & EPOLLIN)
			channel_read(channel, now_us);
		else if (events[i].events & (EPOLLHUP | EPOLLERR))
			channel->broken = !channel_is_pty(channel);
	}
}

/* Serves the channels and takes away those that are broken.  Returns when the next one is due. */
static int64_t station_set_serve(struct station_set *set, int64_t now_us)
{
	int64_t next = CLOCK_NEVER;
	for (struct channel **at = &set->channels; *at;) {
		struct channel *channel = *at;
		if (channel->wire->back_at)
			channel->broken = true;
		if (!channel->broken && channel_look_at(channel) <= now_us)
			channel_serve(channel, now_us);
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

/* Unplugs and plugs in.  Returns when the next wire comes back. */
static int64_t station_set_plug(struct station_set *set, int64_t now_us)
{
	int64_t next = CLOCK_NEVER;
	for (struct wire *wire = set->wires; wire; wire = wire->next) {
		if (!wire->back_at)
			continue;
		if (!wire->away) {
			log_notice("bus %s: unplugged for %.1f s", wire->station.bus->name,
				(double)(wire->back_at - now_us) / 1e6);
			wire_close(wire);
			wire->away = true;
		}
		if (wire->back_at <= now_us && wire_open(set, wire) == 0) {
			log_notice("bus %s: plugged in again", wire->station.bus->name);
			wire->away = false;
			wire->back_at = 0;
			continue;
		}
		if (wire->back_at <= now_us) {
			wire_close(wire);
			wire->back_at = now_us + STATION_SET_AGAIN_US;
		}
		if (wire->back_at < next)
			next = wire->back_at;
	}
	return next;
}

/* Has one been unplugged that still has its fds? */
static bool station_set_unplugged(const struct station_set *set)
{
	for (const struct wire *wire = set->wires; wire; wire = wire->next)
		if (wire->back_at && !wire->away)
			return true;
	return false;
}

int64_t station_set_step(struct station_set *set, int64_t now_us)
{
	station_set_take_events(set, now_us);
	int64_t served = station_set_serve(set, now_us);
	/* what a wire is unplugged by was one of its channels: those go first, while it has its fds */
	if (station_set_unplugged(set))
		served = station_set_serve(set, now_us);
	int64_t plugged = station_set_plug(set, now_us);
	return served < plugged ? served : plugged;
}

void station_set_tell_hasty(const struct station_set *set)
{
	for (const struct wire *wire = set->wires; wire; wire = wire->next)
		if (wire->station.n_hasty)
			log_notice("bus %s: %llu requests came before 3.5 characters of silence and were not heard",
				wire->station.bus->name, (unsigned long long)wire->station.n_hasty);
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
	for (struct wire *wire = set->wires; wire; wire = wire->next)
		wire_close(wire);
	while (set->spare) {
		struct channel_answer *answer = set->spare;
		set->spare = answer->next;
		free(answer);
	}
	close(set->epoll_fd);
	arena_free(&set->arena);
	free(set);
}

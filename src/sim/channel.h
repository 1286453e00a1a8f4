/*
 * One stream of bytes in both directions between masters and a station: the pty of a serial bus, or
 * one connection of any number to a TCP bus.  A part of station_set.c, whose thread it belongs to.
 */
#ifndef SIM_CHANNEL_H
#define SIM_CHANNEL_H

#include "sim/pty.h"
#include "sim/station.h"

/* One bus and the fd by which it is reached: a pty, or a socket that listens. */
struct wire {
	struct wire *next;
	struct station station;
	struct pty pty;   /* fd -1 = none */
	const char *link; /* of the pty; NULL = none */
	int listen_fd;    /* -1 = none */
	bool adopted;     /* neither: a socket that was given, and once gone is gone for good */
	uint16_t port;
	int64_t back_at; /* unplugged until then; 0 = it is not */
	bool away;       /* and its fds are closed */
};

struct channel_answer {
	struct channel_answer *next;
	int64_t due_at;
	uint8_t unit;
	bool hangs_up;
	size_t n;
	uint8_t frame[FRAME_MAX];
};

struct channel {
	struct channel *next;
	struct wire *wire;
	struct channel_answer **spare; /* the set's: answers to be used again */
	int fd;                        /* the wire's own on a pty */
	uint32_t events;               /* epoll's */
	bool broken;                   /* to be taken away */
	bool hangs_up;                 /* once all is sent */
	struct frame_reader reader;
	struct channel_answer *answers;
	size_t n_answers;
	size_t n_out;
	uint8_t out[4096];
};

bool channel_is_pty(const struct channel *channel);

/* Reads what has come, answers it, sends what is due. */
void channel_read(struct channel *channel, int64_t now_us);

/* Answers what lies in the reader, as far as there is room for answers, and sends what is due. */
void channel_serve(struct channel *channel, int64_t now_us);

/* What epoll is to wait for. */
uint32_t channel_wants(const struct channel *channel);

/* When to serve it even if nothing comes; CLOCK_NEVER. */
int64_t channel_look_at(const struct channel *channel);

/* Closes its fd unless it is the wire's, and frees it. */
void channel_free(struct channel *channel);

#endif

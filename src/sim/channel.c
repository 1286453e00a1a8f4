/*
 * Streams of bytes.
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
#include "sim/channel.h"
#include "base/clock.h"
#include "base/tty_speed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHANNEL_WAITING 256
#define UNIT_NOBODY     0 /* never answers, so what is no device's answer waits for nothing */

bool channel_is_pty(const struct channel *channel)
{
	return channel->fd == channel->wire->pty.fd;
}

void channel_free(struct channel *channel)
{
	while (channel->answers) {
		struct channel_answer *answer = channel->answers;
		channel->answers = answer->next;
		free(answer);
	}
	if (!channel_is_pty(channel))
		close(channel->fd); /* leaves the epoll set by itself */
	free(channel);
}

static void channel_enqueue(struct channel *channel, struct channel_answer *answer)
{
	for (const struct channel_answer *other = channel->answers; other; other = other->next)
		if (answer->unit != UNIT_NOBODY && other->unit == answer->unit && other->due_at > answer->due_at)
			answer->due_at = other->due_at;
	struct channel_answer **at = &channel->answers;
	while (*at && (*at)->due_at <= answer->due_at)
		at = &(*at)->next;
	answer->next = *at;
	*at = answer;
	channel->n_answers++;
}

static void channel_put(struct channel *channel, uint8_t unit, const struct station_reply *reply)
{
	if (channel->n_answers >= CHANNEL_WAITING)
		return;
	struct channel_answer *answer = *channel->spare;
	if (answer)
		*channel->spare = answer->next;
	else
		answer = malloc(sizeof(*answer));
	if (!answer)
		return; /* a lost answer */
	answer->due_at = reply->due_at;
	answer->unit = unit;
	answer->hangs_up = reply->hangs_up;
	answer->n = reply->n;
	memcpy(answer->frame, reply->frame, reply->n);
	channel_enqueue(channel, answer);
}

/* Strict devices hear nothing at another speed; a pty has no other way to let them. */
static bool channel_hears(const struct channel *channel)
{
	uint32_t baud;
	const struct station *station = &channel->wire->station;
	return !station->options.strict || !channel_is_pty(channel) || tty_speed_get(channel->fd, &baud) < 0 ||
	       baud == station->bus->line.baud;
}

static void channel_take(struct channel *channel, const struct frame_request *request, int64_t now_us)
{
	struct station_outcome outcome;
	if (!channel_hears(channel))
		return;
	station_take(&channel->wire->station, request, now_us, &outcome);
	if (outcome.unplugged_us) {
		channel->wire->back_at = now_us + outcome.unplugged_us;
		channel->broken = true;
	}
	for (size_t i = 0; i < outcome.n_replies; i++)
		channel_put(channel, i + 1 < outcome.n_replies ? UNIT_NOBODY : request->unit, &outcome.replies[i]);
}

/* Hands what has been collected to the fd. */
static void channel_send(struct channel *channel, int64_t now_us)
{
	if (channel->n_out == 0)
		return;
	station_sent(&channel->wire->station, now_us);
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
static void channel_flush(struct channel *channel, int64_t now_us)
{
	while (channel->answers && channel->answers->due_at <= now_us && !channel->hangs_up) {
		struct channel_answer *answer = channel->answers;
		if (sizeof(channel->out) - channel->n_out < answer->n) {
			channel_send(channel, now_us);
			if (sizeof(channel->out) - channel->n_out < answer->n)
				return;
		}
		memcpy(channel->out + channel->n_out, answer->frame, answer->n);
		channel->n_out += answer->n;
		channel->hangs_up = answer->hangs_up;
		channel->answers = answer->next;
		channel->n_answers--;
		answer->next = *channel->spare;
		*channel->spare = answer;
	}
	channel_send(channel, now_us);
	if (channel->hangs_up && channel->n_out == 0)
		channel->broken = true;
}

static bool channel_may_take(const struct channel *channel)
{
	return channel_is_pty(channel) || channel->n_answers < CHANNEL_WAITING;
}

void channel_serve(struct channel *channel, int64_t now_us)
{
	struct frame_request request;
	int rc;
	do {
		rc = 0;
		while (!channel->broken && channel_may_take(channel) &&
			(rc = frame_next(&channel->reader, now_us, &request)) == 1)
			channel_take(channel, &request, now_us);
		if (!channel->broken)
			channel_flush(channel, now_us);
	} while (rc == 1 && !channel->broken && channel_may_take(channel)); /* it was full, and is not any more */
	if (rc < 0)
		channel->broken = true;
}

void channel_read(struct channel *channel, int64_t now_us)
{
	channel_serve(channel, now_us); /* what silence has ended goes before what has come */
	size_t room;
	uint8_t *at = frame_room(&channel->reader, &room);
	if (room == 0 || channel->broken)
		return;
	ssize_t n = read(channel->fd, at, room);
	if (n > 0) {
		frame_fed(&channel->reader, (size_t)n, now_us);
		channel_serve(channel, now_us);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		channel->broken = !channel_is_pty(channel);
	}
}

uint32_t channel_wants(const struct channel *channel)
{
	return (channel_may_take(channel) ? (uint32_t)EPOLLIN : 0) | (channel->n_out > 0 ? (uint32_t)EPOLLOUT : 0);
}

int64_t channel_look_at(const struct channel *channel)
{
	int64_t look_at = channel_may_take(channel) ? frame_look_at(&channel->reader) : CLOCK_NEVER;
	/* with bytes unsent it is the socket that says when to go on */
	if (channel->answers && channel->n_out == 0 && channel->answers->due_at < look_at)
		look_at = channel->answers->due_at;
	return look_at;
}

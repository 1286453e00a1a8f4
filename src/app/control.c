/*
 * The control socket: connections, their lines, their answers.  See control.h.
 *
 * A client is in one of three states: it owes a request (its descriptor is watched for input), the store owes it a pull
 * (watched for nothing but its end), or it owes the taking of what is ready (watched for output).  So whoever doesn't
 * read costs nothing but its place and the text of one pull, and nobody is ever waited for.
 *
 * The store answers one question at a time; clients that have one take turns.
 *
 * Invariant: `asker` is the client whose question lies with the store, or NULL; also when it has gone meanwhile, and
 * then the answer is nobody's.  Thread: main.
 */
#include "app/control.h"
#include "app/answer.h"
#include "app/control_buffer.h"
#include "app/control_place.h"
#include "app/control_status.h"
#include "app/control_wire.h"
#include "app/request.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#define CLIENTS     8
#define EVENTS      16
#define QUIET_US    60000000  /* without a request */
#define SLOW_US     600000000 /* without taking the answer: somebody reads it in a pager */
#define MAKE_WAY_US 1000000
#define ACCEPT_WAIT 1000000 /* after an accept that failed for want of something */

struct client {
	int fd; /* -1 = the place is free */
	uint32_t watched;
	int64_t moved_at; /* when it last sent or took something */
	bool half_closed; /* it sends no more */
	char in[REQUEST_LINE_MAX];
	size_t n_in;
	bool answering;
	struct answer answer;
};

struct control {
	struct gateway *gateway;
	struct control_place place; /* path "" = not ours to remove */
	int listen_fd, epoll_fd;
	int64_t accept_at; /* 0 = now */
	struct client clients[CLIENTS];
	struct client *asker;
	size_t turn; /* where the search for the next question begins */
};

/* What can be asked. */
struct control_request {
	const char *words[2]; /* the second may be NULL */
	size_t n_max;         /* arguments */
	void (*begin)(struct answer *answer, struct gateway *gateway, const char *const *arguments, size_t n);
};

static const struct control_request requests[] = {
	{{"status"}, 0, control_status},
	{{"wire", "line"}, 1, control_wire_line},
	{{"wire", "read"}, 5, control_wire_read},
	{{"buffer", "status"}, 0, control_buffer_status},
	{{"buffer", "export"}, 1, control_buffer_export},
	{{"buffer", "count"}, 1, control_buffer_count},
	{{"buffer", "drop"}, 1, control_buffer_drop},
};

static void watch(struct control *control, struct client *client)
{
	const struct answer *answer = &client->answer;
	uint32_t events = answer->at < answer->n ? EPOLLOUT : client->answering ? 0 : EPOLLIN;
	struct epoll_event event = {.events = events, .data.ptr = client};
	if (events != client->watched && epoll_ctl(control->epoll_fd, EPOLL_CTL_MOD, client->fd, &event) == 0)
		client->watched = events;
}

static void client_close(struct control *control, struct client *client)
{
	if (client->answering)
		control_buffer_tell(&client->answer);
	if (control->asker == client)
		control->asker = NULL;
	close(client->fd); /* and out of the epoll set */
	client->fd = -1;
	client->answering = false;
	answer_clear(&client->answer);
}

static void client_answered(struct client *client)
{
	control_buffer_tell(&client->answer);
	client->answering = false;
	answer_clear(&client->answer);
}

static void dispatch(struct control *control, struct client *client, size_t n_line)
{
	const char *words[REQUEST_WORDS_MAX];
	struct answer *answer = &client->answer;
	client->answering = true;
	int n = request_words(client->in, n_line, words);
	for (size_t i = 0; n >= 1 && i < sizeof(requests) / sizeof(requests[0]); i++) {
		const struct control_request *request = &requests[i];
		size_t n_words = request->words[1] ? 2 : 1, n_arguments = (size_t)n - n_words;
		if ((size_t)n < n_words || strcmp(words[0], request->words[0]) != 0 ||
			(n_words == 2 && strcmp(words[1], request->words[1]) != 0))
			continue;
		if (n_arguments <= request->n_max)
			request->begin(answer, control->gateway, words + n_words, n_arguments);
		else
			answer_fail(answer, EX_USAGE, "too many words");
		return;
	}
	answer_fail(answer, EX_USAGE, n < 0 ? "not a line of words" : "unknown request");
}

/* Takes the next whole line, if there is one and nothing is being answered. */
static void client_next(struct control *control, struct client *client)
{
	char *end = client->n_in ? memchr(client->in, '\n', client->n_in) : NULL;
	if (!end) {
		if (client->n_in < sizeof(client->in))
			return;
		client->answering = true;
		client->half_closed = true; /* where the next line would begin is not known */
		client->n_in = 0;
		answer_fail(&client->answer, EX_USAGE, "the line is too long");
		return;
	}
	size_t n = (size_t)(end - client->in);
	dispatch(control, client, n);
	client->n_in -= n + 1;
	memmove(client->in, end + 1, client->n_in);
}

/* Sends what is ready.  False when the connection is over. */
static bool client_send(struct client *client, int64_t now_us)
{
	struct answer *answer = &client->answer;
	while (answer->at < answer->n) {
		ssize_t sent = send(
			client->fd, answer->text + answer->at, answer->n - answer->at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0)
			return errno == EAGAIN || errno == EINTR;
		answer->at += (size_t)sent;
		client->moved_at = now_us;
	}
	return true;
}

/* False when the connection is over. */
static bool client_receive(struct client *client, int64_t now_us)
{
	ssize_t n = recv(client->fd, client->in + client->n_in, sizeof(client->in) - client->n_in, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		client->half_closed = true;
	client->n_in += (size_t)n;
	client->moved_at = now_us;
	return true;
}

/* Goes on with what it has sent and what is ready for it, as far as that goes now. */
static void client_go_on(struct control *control, struct client *client, int64_t now_us)
{
	for (;;) {
		if (!client_send(client, now_us) || client->answer.broken) {
			client_close(control, client);
			return;
		}
		if (client->answer.at < client->answer.n)
			break;
		if (client->answer.ended)
			client_answered(client);
		if (client->answering)
			break;
		client_next(control, client);
		if (!client->answering)
			break;
	}
	if (!client->answering && client->half_closed)
		client_close(control, client);
	else
		watch(control, client);
}

static void client_event(struct control *control, struct client *client, uint32_t events, int64_t now_us)
{
	/* Both ends closed: nobody is left to answer, even if lines of it are still to be read. */
	if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN)) {
		client_close(control, client);
		return;
	}
	if (events & EPOLLIN && !client_receive(client, now_us)) {
		client_close(control, client);
		return;
	}
	client_go_on(control, client, now_us);
}

static void ask(struct control *control)
{
	struct inquiry *inquiry = gateway_inquiry(control->gateway);
	struct outbox_view *view = control->asker ? NULL : inquiry_view(inquiry);
	for (size_t i = 0; view && i < CLIENTS; i++) {
		struct client *client = &control->clients[(control->turn + i) % CLIENTS];
		struct answer *answer = &client->answer;
		if (client->fd < 0 || !answer->asks || answer->at < answer->n)
			continue;
		view->kind = answer->kind;
		view->after = answer->after;
		memcpy(view->filter, answer->filter, sizeof(view->filter));
		control->asker = client;
		control->turn = (control->turn + i + 1) % CLIENTS;
		inquiry_ask(inquiry);
		if (!gateway_store(control->gateway))
			inquiry_serve(inquiry, NULL);
		return;
	}
}

static void take_answer(struct control *control, int64_t now_us)
{
	struct outbox_view *view = inquiry_answer(gateway_inquiry(control->gateway));
	struct client *client = control->asker;
	if (!view)
		return;
	control->asker = NULL;
	if (!client) {
		if (view->kind == OUTBOX_VIEW_DROP && view->n_waiting)
			log_notice("buffer: %llu messages more were dropped by a command whose end nobody awaits",
				(unsigned long long)view->n_waiting);
		return;
	}
	control_buffer_take(&client->answer, view);
	client->moved_at = now_us; /* it has waited for us, not we for it */
	client_go_on(control, client, now_us);
}

/* Outcomes of what was asked of wires. */
static void take_outcomes(struct control *control, int64_t now_us)
{
	uint64_t ticket;
	while ((ticket = control_wire_next()) != 0) {
		struct client *client = NULL;
		for (size_t i = 0; i < CLIENTS && !client; i++)
			if (control->clients[i].fd >= 0 && control->clients[i].answer.ticket == ticket)
				client = &control->clients[i];
		control_wire_take(client ? &client->answer : NULL, ticket);
		if (!client)
			continue;
		client->moved_at = now_us;
		client_go_on(control, client, now_us);
	}
}

static size_t n_free(const struct control *control)
{
	size_t n = 0;
	for (size_t i = 0; i < CLIENTS; i++)
		n += control->clients[i].fd < 0;
	return n;
}

/* A place for a newcomer, or NULL. */
static struct client *free_place(struct control *control, int64_t now_us)
{
	struct client *quietest = NULL;
	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *client = &control->clients[i];
		if (client->fd < 0)
			return client;
		if (control->asker != client && (!quietest || client->moved_at < quietest->moved_at))
			quietest = client;
	}
	if (!quietest || now_us - quietest->moved_at < MAKE_WAY_US)
		return NULL;
	client_close(control, quietest);
	return quietest;
}

static void refuse(int fd)
{
	static const char line[] = "{\"ok\":false,\"error\":\"too many clients\",\"code\":75}\n";
	ssize_t sent = send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)sent; /* then it sees the end */
	close(fd);
}

static void watch_listener(struct control *control, bool on)
{
	struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.ptr = &control->listen_fd};
	epoll_ctl(control->epoll_fd, EPOLL_CTL_MOD, control->listen_fd, &event);
}

/* No more than there are places, but one: of those that came in this step some may be gone again in the next. */
static void welcome(struct control *control, int64_t now_us)
{
	size_t n = n_free(control);
	for (size_t i = 0; i < (n ? n : 1); i++) {
		int fd = accept4(control->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
			return;
		if (fd < 0) { /* no descriptors, no memory: it stays readable, so it is left alone for a while */
			control->accept_at = now_us + ACCEPT_WAIT;
			watch_listener(control, false);
			return;
		}
		struct client *client = free_place(control, now_us);
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
		if (!client || epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
			refuse(fd);
			continue;
		}
		client->fd = fd;
		client->watched = EPOLLIN;
		client->moved_at = now_us;
		client->half_closed = false;
		client->n_in = 0;
	}
}

/* Closes those whose time is up.  When the next one's is. */
static int64_t close_idle(struct control *control, int64_t now_us)
{
	int64_t wake_us = CLOCK_NEVER;
	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *client = &control->clients[i];
		const struct answer *answer = &client->answer;
		bool owed = control->asker == client || (answer->asks && answer->at == answer->n);
		if (client->fd < 0 || owed)
			continue;
		int64_t end_us = client->moved_at + (client->answering ? SLOW_US : QUIET_US);
		if (end_us <= now_us)
			client_close(control, client);
		else if (end_us < wake_us)
			wake_us = end_us;
	}
	return wake_us;
}

int64_t control_step(struct control *control, int64_t now_us)
{
	struct epoll_event events[EVENTS];
	if (!control)
		return CLOCK_NEVER;
	if (control->accept_at && now_us >= control->accept_at) {
		control->accept_at = 0;
		watch_listener(control, true);
	}
	int n = epoll_wait(control->epoll_fd, events, EVENTS, 0);
	bool newcomers = false;
	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr == &control->listen_fd)
			newcomers = true;
		else if (events[i].data.ptr == &control->asker)
			take_outcomes(control, now_us);
		else if (!events[i].data.ptr)
			take_answer(control, now_us);
		else if (((struct client *)events[i].data.ptr)->fd >= 0)
			client_event(control, events[i].data.ptr, events[i].events, now_us);
	}
	if (newcomers) /* last, so that no event of this turn is taken for one of a newcomer's */
		welcome(control, now_us);
	ask(control);
	int64_t wake_us = close_idle(control, now_us);
	return control->accept_at && control->accept_at < wake_us ? control->accept_at : wake_us;
}

int control_fd(const struct control *control)
{
	return control ? control->epoll_fd : -1;
}

struct control *control_open_fd(struct gateway *gateway, int listen_fd)
{
	struct control *control = calloc(1, sizeof(*control));
	struct epoll_event answers = {.events = EPOLLIN, .data.ptr = NULL};
	if (!control) {
		close(listen_fd);
		return NULL;
	}
	control->gateway = gateway;
	control->listen_fd = listen_fd;
	for (size_t i = 0; i < CLIENTS; i++)
		control->clients[i].fd = -1;
	control->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event newcomers = {.events = EPOLLIN, .data.ptr = &control->listen_fd};
	struct epoll_event outcomes = {.events = EPOLLIN, .data.ptr = &control->asker};
	if (control->epoll_fd < 0 || epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, control_wire_fd(), &outcomes) < 0 ||
		epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, listen_fd, &newcomers) < 0 ||
		epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, inquiry_fd(gateway_inquiry(gateway)), &answers) < 0) {
		control_close(control);
		return NULL;
	}
	return control;
}

struct control *control_open(struct gateway *gateway)
{
	struct control_place place;
	struct control *control = NULL;
	if (!gateway_inquiry(gateway))
		return NULL;
	int fd = -1, error = control_place_listen(gateway_plan(gateway)->file, &place, &fd);
	if (error == 0) {
		control = control_open_fd(gateway, fd);
		error = -ENOMEM;
	}
	if (!control) {
		log_warning("no control socket, so commands can't reach this gateway: %s",
			error == -EADDRINUSE ? "another one with the same map has it" : strerror(-error));
		return NULL;
	}
	control->place = place;
	log_debug("control socket: %s", place.path);
	return control;
}

void control_close(struct control *control)
{
	if (!control)
		return;
	for (size_t i = 0; i < CLIENTS; i++)
		if (control->clients[i].fd >= 0)
			client_close(control, &control->clients[i]);
	if (control->place.path[0])
		control_place_clear(&control->place);
	close(control->listen_fd);
	if (control->epoll_fd >= 0)
		close(control->epoll_fd);
	free(control);
}

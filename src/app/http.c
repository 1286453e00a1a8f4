/*
 * libmicrohttpd, in our loop.  See http.h.
 *
 * Why loaded and not linked: its GnuTLS would cost every gateway megabytes.  The handful of functions that are used are
 * looked up by name with the types of the header.
 *
 * The library's own time-out counts from the last byte, so one byte each nine seconds would hold a connection for ever.
 * Here each has an instant by which its request must be whole, then one by which its answer must be taken, and is shut
 * down when that has passed; the library then sees its end as it sees any other.
 *
 * Invariant: a slot's fd is that of an open connection of the library, or -1.
 */
#include "app/http.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS   8
#define QUEUE         128 /* of who waits for a connection: one that finds no room there tries again ever more slowly */
#define REQUEST_BYTES 4096
#define POOL_BYTES    8192     /* of the library for one connection: request and the head of its answer */
#define ASK_US        10000000 /* to send a request */
#define CROWDED_US    250000   /* the same while all connections are taken */
#define TAKE_US       60000000 /* to take the answer */
#define QUIET_S       10u      /* neither sends nor takes */

#define FUNCTIONS(X)                                                                                                   \
	X(MHD_start_daemon)                                                                                            \
	X(MHD_stop_daemon)                                                                                             \
	X(MHD_run)                                                                                                     \
	X(MHD_get_timeout)                                                                                             \
	X(MHD_get_daemon_info)                                                                                         \
	X(MHD_get_connection_info)                                                                                     \
	X(MHD_lookup_connection_value)                                                                                 \
	X(MHD_create_response_from_buffer)                                                                             \
	X(MHD_add_response_header)                                                                                     \
	X(MHD_queue_response)                                                                                          \
	X(MHD_destroy_response)

#define DECLARE(function) __typeof__(&(function)) function##_;
static struct {
	void *handle;
	FUNCTIONS(DECLARE)
} library;

struct slot {
	int fd; /* -1 = free */
	bool asked;
	int64_t since_us;
};

struct http {
	struct MHD_Daemon *daemon;
	http_handler handler;
	void *user;
	int fd;
	int64_t now_us;
	struct slot slots[CONNECTIONS];
};

static int load(void)
{
	if (library.handle)
		return 0;
	void *handle = dlopen(HTTP_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return -ELIBACC;
	bool whole = true;
#define FIND(function)                                                                                                 \
	{                                                                                                              \
		void *found = dlsym(handle, #function);                                                                \
		memcpy(&library.function##_, &found, sizeof(found));                                                   \
		whole = whole && found;                                                                                \
	}
	FUNCTIONS(FIND)
	if (!whole) {
		dlclose(handle);
		return -ELIBACC;
	}
	library.handle = handle; /* for ever */
	return 0;
}

static int listen_at(const char *host, uint16_t port, int *ret_fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address = {.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}};
	socklen_t n = sizeof(address.v4);
	if (inet_pton(AF_INET, strcasecmp(host, "localhost") == 0 ? "127.0.0.1" : host, &address.v4.sin_addr) != 1) {
		memset(&address, 0, sizeof(address));
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_port = htons(port);
		n = sizeof(address.v6);
		if (inet_pton(AF_INET6, host, &address.v6.sin6_addr) != 1)
			return -EINVAL;
	}
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &address.any, n) < 0 || listen(fd, QUEUE) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	*ret_fd = fd;
	return 0;
}

/* ---- Connections ---- */

static void on_connection(
	void *user, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct http *http = user;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*context)
			((struct slot *)*context)->fd = -1;
		return;
	}
	const union MHD_ConnectionInfo *info =
		library.MHD_get_connection_info_(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	for (size_t i = 0; info && i < CONNECTIONS; i++)
		if (http->slots[i].fd < 0) {
			http->slots[i] = (struct slot){.fd = info->connect_fd, .since_us = http->now_us};
			*context = &http->slots[i];
			return;
		}
}

static size_t n_taken(const struct http *http)
{
	size_t n = 0;
	for (size_t i = 0; i < CONNECTIONS; i++)
		n += http->slots[i].fd >= 0;
	return n;
}

/* Shuts down those whose time is up.  When the next one's is. */
static int64_t end_late(struct http *http)
{
	int64_t wake_us = CLOCK_NEVER, ask_us = n_taken(http) < CONNECTIONS ? ASK_US : CROWDED_US;
	for (size_t i = 0; i < CONNECTIONS; i++) {
		struct slot *slot = &http->slots[i];
		int64_t end_us = slot->since_us + (slot->asked ? TAKE_US : ask_us);
		if (slot->fd < 0)
			continue;
		if (end_us > http->now_us) {
			wake_us = clock_earlier(wake_us, end_us);
			continue;
		}
		shutdown(slot->fd, SHUT_RDWR);
		slot->since_us = http->now_us; /* not again at once */
		slot->asked = true;
	}
	return wake_us;
}

/* ---- Requests ---- */

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return library.MHD_lookup_connection_value_(connection, MHD_HEADER_KIND, name);
}

static const char *words_of(unsigned status)
{
	static const struct {
		unsigned status;
		const char *words;
	} all[] = {{401, "a password is wanted\n"}, {403, "this host is not allowed\n"},
		{404, "there is no such page\n"}, {405, "only GET and HEAD\n"}, {429, "too many wrong passwords\n"},
		{431, "the request is too long\n"}, {500, "no memory\n"}};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].status == status)
			return all[i].words;
	return "";
}

static enum MHD_Result answer(struct MHD_Connection *connection, const struct http_answer *told)
{
	static const char *const always[][2] = {{"X-Content-Type-Options", "nosniff"}, {"X-Frame-Options", "DENY"},
		{"Referrer-Policy", "no-referrer"}, {"Cache-Control", "no-store"},
		{"Cross-Origin-Resource-Policy", "same-origin"}, {"Connection", "close"}};
	const char *words = words_of(told->status);
	struct MHD_Response *response =
		told->text ? library.MHD_create_response_from_buffer_(told->n, told->text, MHD_RESPMEM_MUST_FREE)
			   : library.MHD_create_response_from_buffer_(
				     strlen(words), (void *)(uintptr_t)words, MHD_RESPMEM_PERSISTENT);
	if (!response) {
		free(told->text);
		return MHD_NO;
	}
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		library.MHD_add_response_header_(response, always[i][0], always[i][1]);
	library.MHD_add_response_header_(
		response, "Content-Type", told->type ? told->type : "text/plain; charset=utf-8");
	for (size_t i = 0; i < HTTP_HEADERS_MAX && told->headers[i][0]; i++)
		library.MHD_add_response_header_(response, told->headers[i][0], told->headers[i][1]);
	enum MHD_Result queued = library.MHD_queue_response_(connection, told->status, response);
	library.MHD_destroy_response_(response);
	return queued;
}

static void mark_asked(struct http *http, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		library.MHD_get_connection_info_(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct slot *slot = info ? info->socket_context : NULL;
	if (slot) {
		slot->asked = true;
		slot->since_us = http->now_us;
	}
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path, const char *method,
	const char *version, const char *body, size_t *body_n, void **context)
{
	(void)version;
	(void)body;
	(void)body_n;
	(void)context;
	struct http *http = user;
	struct http_answer told = {0};
	mark_asked(http, connection);
	const union MHD_ConnectionInfo *head =
		library.MHD_get_connection_info_(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		told.status = 405;
		told.headers[0][0] = "Allow";
		told.headers[0][1] = "GET, HEAD";
	} else if (head && head->header_size > REQUEST_BYTES) {
		told.status = 431;
	} else {
		struct http_request request = {.path = path,
			.from = library.MHD_lookup_connection_value_(connection, MHD_GET_ARGUMENT_KIND, "from"),
			.host = header(connection, "Host"),
			.authorization = header(connection, "Authorization")};
		http->handler(http->user, &request, &told);
	}
	return answer(connection, &told);
}

int http_open(const char *host, uint16_t port, http_handler handler, void *user, struct http **ret_http)
{
	int listen_fd = -1, rc = load();
	if (rc == 0)
		rc = listen_at(host, port, &listen_fd);
	if (rc < 0)
		return rc;
	struct http *http = calloc(1, sizeof(*http));
	if (!http) {
		close(listen_fd);
		return -ENOMEM;
	}
	http->handler = handler;
	http->user = user;
	for (size_t i = 0; i < CONNECTIONS; i++)
		http->slots[i].fd = -1;
	http->daemon = library.MHD_start_daemon_(MHD_USE_EPOLL, 0, NULL, NULL, on_request, http,
		MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, QUIET_S,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_END);
	const union MHD_DaemonInfo *info =
		http->daemon ? library.MHD_get_daemon_info_(http->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		http_close(http);
		return -ENOMEM;
	}
	http->fd = info->epoll_fd;
	*ret_http = http;
	return 0;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	if (http->daemon)
		library.MHD_stop_daemon_(http->daemon); /* and the socket */
	free(http);
}

int http_fd(const struct http *http)
{
	return http ? http->fd : -1;
}

int64_t http_step(struct http *http, int64_t now_us)
{
	unsigned long long left_ms;
	bool crowded = n_taken(http) == CONNECTIONS;
	http->now_us = now_us;
	library.MHD_run_(http->daemon);
	if (crowded &&
		n_taken(http) < CONNECTIONS) /* it sees who waits in its next turn only, and nothing would wake it */
		library.MHD_run_(http->daemon);
	int64_t wake_us = end_late(http);
	if (library.MHD_get_timeout_(http->daemon, &left_ms) == MHD_YES)
		wake_us = clock_earlier(wake_us, now_us + (int64_t)left_ms * 1000);
	return wake_us;
}

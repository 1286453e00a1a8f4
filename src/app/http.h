/*
 * A small HTTP server in the loop of its caller: requests come to one function, which answers at once.  The door to
 * libmicrohttpd, which is loaded when the first server is opened: it brings GnuTLS, and a gateway that nobody looks at
 * has no memory to give for that.
 *
 * Bounds: eight connections, one request each, of at most 4 kB; ten seconds to send it (a quarter of one while all
 * eight are taken) and a minute to take the answer.
 *
 * All of it on one thread, without ever blocking.
 */
#ifndef APP_HTTP_H
#define APP_HTTP_H

#include <stddef.h>
#include <stdint.h>

#define HTTP_LIBRARY "libmicrohttpd.so.12"

/* GET or HEAD.  All of it is valid during the call. */
struct http_request {
	const char *path;                 /* "/metrics", without what stands behind a "?" */
	const char *from;                 /* the argument of that name; NULL = none */
	const char *host, *authorization; /* headers; NULL = none */
};

#define HTTP_HEADERS_MAX 3

struct http_answer {
	unsigned status;
	const char *type; /* of the content */
	char *text;       /* from malloc, becomes the server's; NULL = the status in words */
	size_t n;
	const char *headers[HTTP_HEADERS_MAX][2]; /* further ones; name NULL = none */
};

/* Fills the answer, which is zeroed.  Its headers are copied when it returns. */
typedef void (*http_handler)(void *user, const struct http_request *request, struct http_answer *answer);

struct http;

/*
 * Listens.  host: an address in digits, or "localhost" (127.0.0.1).  0 and *ret_http; -ELIBACC when the library is not
 * there or is another one; -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EPERM and other -errno.
 */
int http_open(const char *host, uint16_t port, http_handler handler, void *user, struct http **ret_http);

/* Closes all connections.  NULL is fine. */
void http_close(struct http *http);

/* Readable when http_step has something to do; -1 for NULL. */
int http_fd(const struct http *http);

/* Does it.  Returns when it wants to be called again at the latest. */
int64_t http_step(struct http *http, int64_t now_us);

#endif

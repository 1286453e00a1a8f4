/*
 * Asking a gateway.  See control_client.h.
 */
#include "cli/control_client.h"
#include "app/control_place.h"
#include "app/request.h"
#include "base/json_find.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#define PATIENCE_S 60 /* a sync of a slow card may keep the gateway from looking */

static bool quiet; /* one thread */

static int told(int code, const char *what)
{
	if (!quiet)
		fprintf(stderr, "busferry: error: %s\n", what);
	return code;
}

int control_client_open(int fd, FILE **ret_gateway)
{
	struct timeval patience = {.tv_sec = PATIENCE_S};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	FILE *gateway = fdopen(fd, "r+");
	if (!gateway) {
		int error = -errno;
		close(fd);
		return error;
	}
	*ret_gateway = gateway;
	return 0;
}

int control_client_connect(const char *map, FILE **ret_gateway)
{
	int fd = control_place_connect(map);
	return fd < 0 ? fd : control_client_open(fd, ret_gateway);
}

bool control_client_is_last(const char *line)
{
	return strncmp(line, "{\"ok\":", 6) == 0;
}

int control_client_verdict(const char *line, size_t n)
{
	bool ok = false;
	int64_t code = EX_SOFTWARE;
	char error[256] = "the gateway's answer can't be read";
	json_find_bool(line, n, "ok", &ok);
	if (ok)
		return 0;
	json_find_int(line, n, "code", &code);
	json_find_text(line, n, "error", error, sizeof(error));
	return told(code >= EX__BASE && code <= EX__MAX ? (int)code : EX_SOFTWARE, error);
}

static int hear(FILE *gateway, bool (*take)(void *user, const char *line, size_t n), void *user)
{
	char *line = NULL;
	size_t size = 0;
	int code = -1;
	while (code < 0) {
		errno = 0;
		ssize_t n = getline(&line, &size, gateway);
		if (n <= 0 || line[n - 1] != '\n') {
			code = errno == EAGAIN
				       ? told(EX_UNAVAILABLE, "the gateway does not answer on its control socket")
				       : told(EX_TEMPFAIL, "the gateway has closed the connection before the end");
			continue;
		}
		line[--n] = '\0';
		if (control_client_is_last(line))
			code = control_client_verdict(line, (size_t)n);
		else if (!take(user, line, (size_t)n))
			code = 0;
	}
	free(line);
	return code;
}

int control_client_ask(FILE *gateway, const char *const *words, size_t n_words,
	bool (*take)(void *user, const char *line, size_t n), void *user)
{
	char line[REQUEST_LINE_MAX];
	int n = request_line(words, n_words, line, sizeof(line));
	if (n < 0)
		return told(EX_USAGE, "what is asked of the gateway is too long");
	for (int sent = 0; sent < n;) {
		ssize_t some = send(fileno(gateway), line + sent, (size_t)(n - sent), MSG_NOSIGNAL);
		if (some < 0)
			return told(EX_TEMPFAIL, "the gateway has closed the connection");
		sent += (int)some;
	}
	return hear(gateway, take, user);
}

int control_client_ask_quietly(FILE *gateway, const char *const *words, size_t n_words,
	bool (*take)(void *user, const char *line, size_t n), void *user)
{
	quiet = true;
	int code = control_client_ask(gateway, words, n_words, take, user);
	quiet = false;
	return code;
}

/*
 * The journal's socket, or stderr.
 *
 * Why non-blocking: a journal that is dead, stopped or slow, or somebody who stopped reading our stderr, would hold up
 * each thread that has something to say; a wire thread would then miss its polls.  A line that finds no room is lost
 * and counted (log.c).
 *
 * stderr is shared with others, so it is not made non-blocking itself: a pipe or terminal is opened once more through
 * /proc/self/fd (that is a description of our own), a socket is sent to with MSG_DONTWAIT, a file never blocks for
 * long. What can't be opened once more is asked with poll() first: then a line is lost also when only part of it would
 * fit.
 *
 * Sources: systemd.exec(5), $JOURNAL_STREAM: device and inode of stderr, to be compared, since programs inherit it
 * whose stderr went elsewhere; "Native Journal Protocol" of the systemd project: a datagram to
 * /run/systemd/journal/socket; pipe(7): up to PIPE_BUF bytes are written whole or not at all.
 *
 * Thread: any; all is set once.
 */
#include "base/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

enum way { WAY_WRITE, WAY_SEND, WAY_POLL };

static struct {
	pthread_once_t once;
	enum log_style style;
	enum way way;
	int fd;         /* of stderr, or a description of our own of the same */
	int journal_fd; /* -1 = none */
	struct sockaddr_un journal;
	socklen_t journal_n;
} sink = {.once = PTHREAD_ONCE_INIT, .fd = STDERR_FILENO, .journal_fd = -1};

static const char *journal_path = JOURNAL_SOCKET;

/* Is stderr the stream that the journal has made for us? */
static bool is_journal(const struct stat *status)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[64];
	snprintf(own, sizeof(own), "%llu:%llu", (unsigned long long)status->st_dev, (unsigned long long)status->st_ino);
	return stream && strcmp(stream, own) == 0;
}

static void open_journal(void)
{
	size_t n = strlen(journal_path);
	if (n >= sizeof(sink.journal.sun_path))
		return;
	sink.journal = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(sink.journal.sun_path, journal_path, n + 1);
	sink.journal_n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	sink.journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static void look(void)
{
	struct stat status;
	const char *no_color = getenv("NO_COLOR");
	bool known = fstat(STDERR_FILENO, &status) == 0, terminal = isatty(STDERR_FILENO);
	sink.style = LOG_STYLE_PLAIN;
	if (known && is_journal(&status)) {
		open_journal();
		sink.style = sink.journal_fd >= 0 ? LOG_STYLE_JOURNAL : LOG_STYLE_SYSTEMD;
	} else if (terminal && (!no_color || !*no_color)) {
		sink.style = LOG_STYLE_COLOUR;
	}
	if (known && S_ISSOCK(status.st_mode)) {
		sink.way = WAY_SEND;
	} else if (known && (S_ISFIFO(status.st_mode) || terminal)) {
		int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		sink.way = fd >= 0 ? WAY_WRITE : WAY_POLL;
		sink.fd = fd >= 0 ? fd : STDERR_FILENO;
	} else {
		sink.way = WAY_WRITE;
	}
}

enum log_style log_sink_style(void)
{
	pthread_once(&sink.once, look);
	return sink.style;
}

int log_sink_entry(const char *entry, size_t n)
{
	pthread_once(&sink.once, look);
	if (sink.journal_fd < 0)
		return -ENOTCONN;
	ssize_t sent = sendto(sink.journal_fd, entry, n, MSG_DONTWAIT | MSG_NOSIGNAL,
		(const struct sockaddr *)&sink.journal, sink.journal_n);
	if (sent >= 0)
		return 0;
	return errno == EWOULDBLOCK || errno == ENOBUFS ? -EAGAIN : -errno;
}

int log_sink_line(const char *line, size_t n)
{
	pthread_once(&sink.once, look);
	struct pollfd room = {.fd = sink.fd, .events = POLLOUT};
	ssize_t written;
	if (sink.way == WAY_POLL && poll(&room, 1, 0) == 0)
		return -EAGAIN;
	if (sink.way == WAY_SEND)
		written = send(sink.fd, line, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		written = write(sink.fd, line, n);
	/* Any other failure: there is nowhere left to complain to. */
	return written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? -EAGAIN : 0;
}

void log_sink_journal_at(const char *path)
{
	if (sink.fd != STDERR_FILENO)
		close(sink.fd);
	if (sink.journal_fd >= 0)
		close(sink.journal_fd);
	sink.fd = STDERR_FILENO;
	sink.journal_fd = -1;
	journal_path = path ? path : JOURNAL_SOCKET;
	sink.once = (pthread_once_t)PTHREAD_ONCE_INIT;
}

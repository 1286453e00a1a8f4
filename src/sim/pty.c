/*
 * A pseudo terminal that stands for a serial port.
 *
 * The other end is held open by us as well: else, between two programs that open it, our reads fail
 * with EIO and the fd hangs up, as if the adapter had been unplugged.
 *
 * Real ports are never touched: nothing but a link to a pty is ever replaced, and no link is made
 * among the device nodes, whose names belong to udev.
 *
 * Invariant: the link is removed by whoever made it, and only while it still points to that pty.
 */
#include "sim/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static bool pty_is_link(const char *path, const char *target)
{
	char to[PATH_MAX];
	ssize_t n = readlink(path, to, sizeof(to) - 1);
	if (n < 0)
		return false;
	to[n] = '\0';
	return target ? strcmp(to, target) == 0 : strncmp(to, "/dev/pts/", 9) == 0;
}

bool pty_can_link(const char *link)
{
	if (strncmp(link, "/dev/", 5) == 0 && strncmp(link, "/dev/shm/", 9) != 0)
		return false;
	struct stat st;
	if (lstat(link, &st) == 0 && !pty_is_link(link, NULL))
		return false;
	const char *slash = strrchr(link, '/');
	if (!slash)
		return access(".", W_OK | X_OK) == 0;
	char folder[PATH_MAX];
	size_t n = slash == link ? 1 : (size_t)(slash - link);
	if (n >= sizeof(folder))
		return false;
	memcpy(folder, link, n);
	folder[n] = '\0';
	return access(folder, W_OK | X_OK) == 0;
}

static int pty_make(struct pty *pty)
{
	pty->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (pty->fd < 0)
		return -errno;
	int rc = 0;
	if (grantpt(pty->fd) < 0 || unlockpt(pty->fd) < 0)
		return -errno;
	rc = ptsname_r(pty->fd, pty->name, sizeof(pty->name));
	if (rc != 0)
		return -rc;
	pty->other = open(pty->name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (pty->other < 0)
		return -errno;
	struct termios tio;
	if (tcgetattr(pty->other, &tio) < 0)
		return -errno;
	cfmakeraw(&tio);
	tio.c_cflag |= CREAD | CLOCAL;
	return tcsetattr(pty->other, TCSANOW, &tio) < 0 ? -errno : 0;
}

static int pty_make_link(struct pty *pty, const char *link)
{
	if (pty_is_link(link, NULL) && unlink(link) < 0)
		return -errno;
	pty->link = strdup(link);
	if (!pty->link)
		return -ENOMEM;
	return symlink(pty->name, link) < 0 ? -errno : 0;
}

int pty_open(struct pty *pty, const char *link)
{
	*pty = (struct pty){.fd = -1, .other = -1};
	int rc = pty_make(pty);
	if (rc == 0)
		rc = pty_make_link(pty, link);
	if (rc < 0)
		pty_close(pty);
	return rc;
}

void pty_close(struct pty *pty)
{
	if (pty->link && pty_is_link(pty->link, pty->name))
		unlink(pty->link);
	free(pty->link);
	if (pty->other >= 0)
		close(pty->other);
	if (pty->fd >= 0)
		close(pty->fd);
	*pty = (struct pty){.fd = -1, .other = -1};
}

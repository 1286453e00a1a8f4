/*
 * Folders and names of control sockets.  See control_place.h.
 *
 * Why the folder is locked while a socket is made: whether a socket is that of a dead gateway is found out by
 * connecting to it, and between that and the new one nobody else may find out the same.  The lock is on the folder, so
 * it leaves no file behind, and ends with the process.
 *
 * Why the mode is set between bind and listen: until it listens, nobody can connect whatever the mode.
 */
#include "app/control_place.h"
#include "base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#define FOLDERS       4
#define STEM_MAX      24
#define BACKLOG       8
#define LOCK_TRIES    50
#define LOCK_PAUSE_MS 10
#define CONNECT_S     5

/* "busferry-0123456789abcdef.sock" for /etc/busferry/busferry.conf.  0, or -errno. */
static int name_of(const char *map, char name[static STEM_MAX + 24])
{
	char *real = realpath(map, NULL);
	if (!real)
		return -errno;
	const char *last = strrchr(real, '/');
	const char *stem = last ? last + 1 : real;
	size_t n = strcspn(stem, ".");
	n = n < STEM_MAX ? n : STEM_MAX;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)stem[i];
		bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-';
		name[i] = plain ? stem[i] : '_';
	}
	snprintf(name + n, 24, "-%016llx.sock", (unsigned long long)hash_text(real));
	free(real);
	return 0;
}

/* The nth folder to try.  0; -ENOENT it does not come into question here; *ret_own: it is to be made, for its owner. */
static int folder_of(unsigned nth, char *folder, size_t size, bool *ret_own)
{
	const char *given = nth == 0 ? getenv("RUNTIME_DIRECTORY") : nth == 2 ? getenv("XDG_RUNTIME_DIR") : NULL;
	int n;
	if ((nth == 0 || nth == 2) && (!given || given[0] != '/'))
		return -ENOENT;
	*ret_own = nth >= 2;
	if (nth == 0) /* systemd separates several by colons */
		n = snprintf(folder, size, "%.*s", (int)strcspn(given, ":"), given);
	else if (nth == 1)
		n = snprintf(folder, size, "/run/busferry");
	else if (nth == 2)
		n = snprintf(folder, size, "%s/busferry", given);
	else
		n = snprintf(folder, size, "/tmp/busferry-%u", (unsigned)geteuid());
	return n >= 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

/* The folder, opened; one of our own has to be ours and closed to others.  A descriptor, or -errno. */
static int folder_open(const char *folder, bool own, bool make, struct stat *ret_stat)
{
	if (own && make && mkdir(folder, 0700) < 0 && errno != EEXIST)
		return -errno;
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (own ? O_NOFOLLOW : 0));
	if (fd < 0)
		return -errno;
	int error = fstat(fd, ret_stat) < 0 ? -errno : 0;
	if (!error && own && (ret_stat->st_uid != geteuid() || ret_stat->st_mode & 077))
		error = -EPERM;
	if (error)
		close(fd);
	return error ? error : fd;
}

/* The address of a name in the nth folder, which is opened.  A descriptor of the folder, or -errno. */
static int place_of(unsigned nth, const char *name, bool make, struct sockaddr_un *address, struct stat *ret_stat)
{
	char folder[sizeof(address->sun_path)];
	bool own;
	int error = folder_of(nth, folder, sizeof(folder), &own);
	if (error)
		return error;
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	int n = snprintf(address->sun_path, sizeof(address->sun_path), "%s/%s", folder, name);
	if (n < 0 || (size_t)n >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	return folder_open(folder, own, make, ret_stat);
}

static int lock(int fd)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return -errno;
		poll(NULL, 0, LOCK_PAUSE_MS);
	}
	return -EBUSY;
}

/* Does anybody listen there?  A socket without anybody is removed.  0 nobody, -EADDRINUSE somebody, -errno. */
static int make_way(const struct sockaddr_un *address)
{
	struct stat st;
	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int error = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? errno : 0;
	close(fd);
	if (error != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(address->sun_path) < 0 ? -errno : 0;
}

/* In a folder that is locked.  The listening descriptor, or -errno. */
static int listen_at(const struct sockaddr_un *address, mode_t mode, struct control_place *place)
{
	struct stat st;
	int error = make_way(address);
	if (error)
		return error;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 || chmod(address->sun_path, mode) < 0 ||
		lstat(address->sun_path, &st) < 0 || listen(fd, BACKLOG) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	memcpy(place->path, address->sun_path, sizeof(place->path));
	place->device = st.st_dev;
	place->inode = st.st_ino;
	return fd;
}

int control_place_listen(const char *map, struct control_place *ret_place, int *ret_fd)
{
	char name[STEM_MAX + 24];
	int first = name_of(map, name);
	if (first)
		return first;
	for (unsigned nth = 0; nth < FOLDERS; nth++) {
		struct sockaddr_un address;
		struct stat st = {0};
		struct control_place place = {0};
		int folder = place_of(nth, name, true, &address, &st), fd = folder;
		if (folder >= 0) {
			fd = lock(folder);
			if (fd == 0)
				fd = listen_at(&address, st.st_mode & S_IXGRP ? 0660 : 0600, &place);
			close(folder);
		}
		if (fd >= 0) {
			*ret_place = place;
			*ret_fd = fd;
			return 0;
		}
		if (fd == -EADDRINUSE)
			return fd;
		if (fd != -ENOENT && !first)
			first = fd; /* of those that came into question the first is told */
	}
	return first ? first : -ENOENT;
}

void control_place_clear(const struct control_place *place)
{
	struct stat st;
	if (lstat(place->path, &st) == 0 && st.st_dev == place->device && st.st_ino == place->inode)
		unlink(place->path);
}

static int connect_to(const struct sockaddr_un *address)
{
	struct timeval patience = {.tv_sec = CONNECT_S};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return fd;
	int error = errno;
	close(fd);
	if (error == ECONNREFUSED || error == ENOTDIR)
		return -ENOENT; /* of a dead gateway */
	return error == EAGAIN ? -ETIMEDOUT : -error;
}

int control_place_connect(const char *map)
{
	char name[STEM_MAX + 24];
	int worst = -ENOENT, error = name_of(map, name);
	if (error)
		return error;
	for (unsigned nth = 0; nth < FOLDERS; nth++) {
		struct sockaddr_un address;
		struct stat st;
		int folder = place_of(nth, name, false, &address, &st);
		if (folder >= 0)
			close(folder);
		if (folder < 0 && folder != -EACCES)
			continue;
		int fd = folder < 0 ? folder : connect_to(&address);
		if (fd >= 0)
			return fd;
		if (fd != -ENOENT)
			worst = fd;
	}
	return worst;
}

static bool is_socket_name(const char *name)
{
	size_t n = strlen(name);
	return name[0] != '.' && n > 5 && strcmp(name + n - 5, ".sock") == 0;
}

static bool each_in(unsigned nth, bool (*ask)(void *user, int fd), void *user)
{
	struct sockaddr_un address;
	struct stat st;
	int folder = place_of(nth, ".", false, &address, &st);
	DIR *dir = folder < 0 ? NULL : fdopendir(folder);
	const struct dirent *entry;
	bool taken = false;
	if (folder >= 0 && !dir)
		close(folder);
	while (dir && !taken && (entry = readdir(dir))) {
		int other = is_socket_name(entry->d_name) ? place_of(nth, entry->d_name, false, &address, &st) : -1;
		if (other < 0)
			continue;
		close(other);
		int fd = connect_to(&address);
		taken = fd >= 0 && ask(user, fd);
	}
	if (dir)
		closedir(dir);
	return taken;
}

bool control_place_each(bool (*ask)(void *user, int fd), void *user)
{
	for (unsigned nth = 0; nth < FOLDERS; nth++)
		if (each_in(nth, ask, user))
			return true;
	return false;
}

/*
 * The file of the journal as the file system sees it: without SQLite.
 */
#include "ship/journal_file.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int journal_file_set_aside(const char *path, char *name, size_t size)
{
	char from[512], to[512], stamp[32];
	time_t now = time(NULL);
	struct tm tm;
	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, size, "%s.bad-%s%s%.0u", path, stamp, i ? "-" : "", i);
		if (access(name, F_OK) != 0)
			break;
	}
	if (rename(path, name) < 0)
		return -errno;
	snprintf(from, sizeof(from), "%s-wal", path);
	snprintf(to, sizeof(to), "%s-wal", name);
	rename(from, to);
	return 0;
}

void journal_file_pad(const char *path)
{
	unsigned char header[32];
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	if (pread(fd, header, sizeof(header), 0) == (ssize_t)sizeof(header)) {
		int64_t pages = (int64_t)header[28] << 24 | header[29] << 16 | header[30] << 8 | header[31];
		struct stat st;
		if (fstat(fd, &st) == 0 && st.st_size < pages * JOURNAL_PAGE_BYTES && pages < 1 << 22 &&
			ftruncate(fd, pages * JOURNAL_PAGE_BYTES) < 0)
			log_warning("buffer: %s can't be made whole: %s", path, strerror(errno));
	}
	close(fd);
}

int journal_file_allocate(const char *path, int64_t bytes, int *ret_fd)
{
	*ret_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (*ret_fd < 0)
		return -errno;
	return fallocate(*ret_fd, 0, 0, bytes) < 0 ? -errno : 0;
}

int journal_file_folder(const char *path)
{
	char folder[512];
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	if (n >= sizeof(folder) - 1)
		return -ENAMETOOLONG;
	memcpy(folder, path, n);
	folder[n] = '\0';
	return access(n ? folder : slash ? "/" : ".", W_OK | X_OK) < 0 ? -errno : 0;
}

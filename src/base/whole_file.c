/*
 * Files that are replaced as a whole.  See whole_file.h.
 *
 * Why the data is synced before the name is moved: else some file systems have the new name and no data after a power
 * cut.
 */
#include "base/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static int write_all(int fd, const char *bytes, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t put = write(fd, bytes + at, n - at);
		if (put < 0)
			return -errno;
		at += (size_t)put;
	}
	return fdatasync(fd) < 0 ? -errno : 0;
}

int whole_file_save(const char *path, const void *bytes, size_t n)
{
	char beside[PATH_MAX];
	if (snprintf(beside, sizeof(beside), "%s.new", path) >= (int)sizeof(beside))
		return -ENAMETOOLONG;
	int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return -errno;
	int rc = write_all(fd, bytes, n);
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && rename(beside, path) < 0)
		rc = -errno;
	if (rc < 0)
		unlink(beside);
	return rc;
}

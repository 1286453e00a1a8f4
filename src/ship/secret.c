/*
 * Reading a password file.  See secret.h.  Plain read(2): stdio would keep a copy in its own buffer.
 */
#include "ship/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int secret_read(const char *path, char *buffer)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, buffer, SECRET_MAX);
	int error = n < 0 ? -errno : n == SECRET_MAX ? -EFBIG : 0;
	close(fd);
	if (error < 0) {
		secret_wipe(buffer);
		return error;
	}
	if (n > 0 && buffer[n - 1] == '\n')
		n--;
	if (n > 0 && buffer[n - 1] == '\r')
		n--;
	buffer[n] = '\0';
	return 0;
}

void secret_wipe(char *buffer)
{
	explicit_bzero(buffer, SECRET_MAX);
}

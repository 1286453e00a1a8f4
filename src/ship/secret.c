/*
 * Reading secrets.  See secret.h.  Plain read(2): stdio would keep a copy in its own buffer.
 */
#include "ship/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

int secret_environment(const char *name, char *buffer)
{
	const char *value = getenv(name);
	if (!value)
		return -ENOENT;
	size_t n = strlen(value);
	if (n >= SECRET_MAX)
		return -EFBIG;
	memcpy(buffer, value, n + 1);
	return 0;
}

int secret_credential(const char *name, char ret_path[static CREDENTIAL_PATH_MAX])
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	if (!folder || folder[0] != '/')
		return -ENOENT;
	int n = snprintf(ret_path, CREDENTIAL_PATH_MAX, "%s/%s", folder, name);
	return n < CREDENTIAL_PATH_MAX ? 0 : -ENAMETOOLONG;
}

void secret_wipe(char *buffer)
{
	explicit_bzero(buffer, SECRET_MAX);
}

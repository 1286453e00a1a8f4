/*
 * A disk that is full for a while, for tests, loaded before a program (LD_PRELOAD): while the file that
 * BUSFERRY_FULL_DISK names is there, nothing more is written to the files that SQLite writes, and none is synced.
 */
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef ssize_t writing(int, const void *, size_t, off64_t);
typedef int syncing(int);
typedef int sizing(int, off64_t);

static bool is_full(void)
{
	const char *path = getenv("BUSFERRY_FULL_DISK");
	if (!path || access(path, F_OK) < 0)
		return false;
	errno = ENOSPC;
	return true;
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
	writing *real = NULL;
	void *symbol = dlsym(RTLD_NEXT, "pwrite64");
	memcpy(&real, &symbol, sizeof(real));
	return is_full() ? -1 : real(fd, bytes, n, at);
}

int fdatasync(int fd)
{
	syncing *real = NULL;
	void *symbol = dlsym(RTLD_NEXT, "fdatasync");
	memcpy(&real, &symbol, sizeof(real));
	return is_full() ? -1 : real(fd);
}

int ftruncate64(int fd, off64_t size)
{
	sizing *real = NULL;
	void *symbol = dlsym(RTLD_NEXT, "ftruncate64");
	memcpy(&real, &symbol, sizeof(real));
	return is_full() ? -1 : real(fd, size);
}

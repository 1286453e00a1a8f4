/*
 * A wall clock for tests, loaded before a program (LD_PRELOAD): that of the machine and as many ms more as the eight
 * bytes say that lie in the file that BUSFERRY_CLOCK names, at each look.  The monotonic clock stays what it is.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef int reading(clockid_t, struct timespec *);

static _Atomic int64_t *more_ms;
static reading *real;

__attribute__((constructor)) static void begin(void)
{
	void *symbol = dlsym(RTLD_NEXT, "clock_gettime");
	memcpy(&real, &symbol, sizeof(real));
	const char *path = getenv("BUSFERRY_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *page = fd >= 0 ? mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
	if (fd >= 0)
		close(fd);
	if (page != MAP_FAILED)
		more_ms = page;
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	if (!real)
		begin();
	int rc = real(clock, ts);
	if (rc < 0 || !more_ms || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
		return rc;
	int64_t ms = *more_ms, ns = ts->tv_nsec + ms % 1000 * 1000000;
	ts->tv_sec += (time_t)(ms / 1000 + (ns < 0 ? -1 : ns / 1000000000));
	ts->tv_nsec = (long)((ns + 1000000000) % 1000000000);
	return rc;
}

time_t time(time_t *ret)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	if (ret)
		*ret = ts.tv_sec;
	return ts.tv_sec;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	(void)zone;
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	ret->tv_sec = ts.tv_sec;
	ret->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

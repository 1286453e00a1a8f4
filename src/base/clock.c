/*
 * The machine's clocks.  No state; any thread.
 *
 * Source of boot_id: proc(5), /proc/sys/kernel/random; a text that is drawn by lot at each start of the machine.
 */
#include "base/clock.h"
#include "base/hash.h"

#include "build_epoch.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

static int64_t system_mono_us(const struct clock *clock)
{
	(void)clock;
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t system_wall_ms(const struct clock *clock)
{
	(void)clock;
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static uint64_t system_boot(const struct clock *clock)
{
	(void)clock;
	char text[64];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	uint64_t hash = hash_bytes(HASH_BEGIN, text, (size_t)n);
	hash = (hash ^ hash >> CLOCK_BOOT_BITS) & (((uint64_t)1 << CLOCK_BOOT_BITS) - 1);
	return hash ? hash : 1;
}

const struct clock clock_system = {.mono_us = system_mono_us, .wall_ms = system_wall_ms, .boot = system_boot};

bool clock_plausible(int64_t wall_ms)
{
	return wall_ms / 1000 >= BUSFERRY_BUILD_EPOCH;
}

/*
 * bdSeq over restarts.  See sparkplug_count.h.
 *
 * Why it is saved before it is used: what a power cut must not leave is a number that is used twice, for then an old
 * will ends a new session.
 */
#include "ship/sparkplug_count.h"
#include "base/whole_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A number of 0 to 255 and a line feed.  False when it is anything else. */
static bool load(const char *path, uint8_t *ret_number)
{
	char text[8] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n < 2 || n > 4 || text[n - 1] != '\n' || strspn(text, "0123456789") != (size_t)n - 1)
		return false;
	long number = strtol(text, NULL, 10);
	*ret_number = (uint8_t)number;
	return number <= UINT8_MAX;
}

void sparkplug_count_init(struct sparkplug_count *count, const char *path, const struct clock *clock)
{
	*count = (struct sparkplug_count){.path = path};
	if (!path || !load(path, &count->number))
		count->number = (uint8_t)(clock->wall_ms(clock) / 1000);
}

uint8_t sparkplug_count_next(struct sparkplug_count *count, int64_t now_us)
{
	char text[8];
	count->number++;
	int n = snprintf(text, sizeof(text), "%d\n", count->number);
	int rc = count->path ? whole_file_save(count->path, text, (size_t)n) : 0;
	if (rc == 0)
		complaint_clear(&count->unsaved, now_us, NULL, NULL);
	else if (complaint_raise(&count->unsaved, now_us))
		log_warning("sparkplug: %s: %s; bdSeq may be used twice after a restart", count->path, strerror(-rc));
	return count->number;
}

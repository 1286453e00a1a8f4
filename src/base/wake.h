/*
 * Waking a thread that polls an eventfd.  Any thread; never blocks if the eventfd does not.
 */
#ifndef BASE_WAKE_H
#define BASE_WAKE_H

#include <stdint.h>
#include <unistd.h>

static inline void wake_up(int event_fd)
{
	uint64_t one = 1;
	ssize_t written = write(event_fd, &one, sizeof(one));
	(void)written; /* only a full counter fails, and that is readable already */
}

#endif

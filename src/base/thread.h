/*
 * A thread that can be waited for in bounded time, whatever the wall clock does meanwhile.
 *
 * Why not pthread_timedjoin_np: it waits by the wall clock, which NTP may set.  The thread tells its end on an eventfd.
 * One owner (the thread that starts and joins it).
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct thread {
	pthread_t id;
	const char *name; /* at most 15 characters, shown by ps -L */
	void (*run)(void *argument);
	void *argument;
	int ended_fd;
	bool started;
};

/* 0, or -errno.  The struct stays where it is until it is joined. */
int thread_start(struct thread *thread, const char *name, void (*run)(void *argument), void *argument);

/* 0 when it has ended or was never started; -ETIMEDOUT when it goes on: it can be joined again, or be left behind. */
int thread_join(struct thread *thread, int64_t timeout_us);

#endif

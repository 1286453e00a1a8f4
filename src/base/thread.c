/*
 * Threads with a bounded end.  See thread.h.
 */
#include "base/thread.h"
#include "base/wake.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void *thread_run(void *argument)
{
	struct thread *thread = argument;
	pthread_setname_np(pthread_self(), thread->name);
	thread->run(thread->argument);
	wake_up(thread->ended_fd);
	return NULL;
}

int thread_start(struct thread *thread, const char *name, void (*run)(void *argument), void *argument)
{
	*thread = (struct thread){.name = name, .run = run, .argument = argument};
	thread->ended_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (thread->ended_fd < 0)
		return -errno;
	int error = pthread_create(&thread->id, NULL, thread_run, thread);
	if (error) {
		close(thread->ended_fd);
		return -error;
	}
	thread->started = true;
	return 0;
}

int thread_join(struct thread *thread, int64_t timeout_us)
{
	if (!thread->started)
		return 0;
	struct pollfd ended = {.fd = thread->ended_fd, .events = POLLIN};
	int n;
	do
		n = poll(&ended, 1, (int)((timeout_us + 999) / 1000));
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return -ETIMEDOUT;
	pthread_join(thread->id, NULL);
	close(thread->ended_fd);
	thread->started = false;
	return 0;
}

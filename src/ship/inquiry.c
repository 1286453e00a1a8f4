/*
 * The place for a question to the store.  See inquiry.h.
 *
 * Why no mutex: there is one view and it has one owner at a time.  `state` says who: its store publishes what the owner
 * before has written, its load takes it over.
 */
#include "ship/inquiry.h"
#include "base/wake.h"
#include "ship/outbox_store.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum inquiry_state {
	INQUIRY_IDLE,     /* the asking thread's */
	INQUIRY_ASKED,    /* the store's */
	INQUIRY_ANSWERED, /* the asking thread's, once it has looked */
};

struct inquiry {
	struct outbox *outbox;
	_Atomic int state;
	int fd;
	struct outbox_view view;
};

int inquiry_init(struct outbox *outbox, struct inquiry **ret_inquiry)
{
	struct inquiry *inquiry = calloc(1, sizeof(*inquiry));
	if (!inquiry)
		return -ENOMEM;
	inquiry->outbox = outbox;
	inquiry->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (inquiry->fd < 0) {
		int error = -errno;
		free(inquiry);
		return error;
	}
	*ret_inquiry = inquiry;
	return 0;
}

void inquiry_destroy(struct inquiry *inquiry)
{
	if (!inquiry)
		return;
	close(inquiry->fd);
	free(inquiry);
}

struct outbox_view *inquiry_view(struct inquiry *inquiry)
{
	bool idle = atomic_load_explicit(&inquiry->state, memory_order_acquire) == INQUIRY_IDLE;
	return idle ? &inquiry->view : NULL;
}

void inquiry_ask(struct inquiry *inquiry)
{
	atomic_store_explicit(&inquiry->state, INQUIRY_ASKED, memory_order_release);
	outbox_store_wake(inquiry->outbox);
}

int inquiry_fd(const struct inquiry *inquiry)
{
	return inquiry->fd;
}

struct outbox_view *inquiry_answer(struct inquiry *inquiry)
{
	uint64_t count;
	ssize_t n = read(inquiry->fd, &count, sizeof(count));
	(void)n; /* it may lag behind the state: then it was quiet still, and gets readable once in vain */
	if (atomic_load_explicit(&inquiry->state, memory_order_acquire) != INQUIRY_ANSWERED)
		return NULL;
	atomic_store_explicit(&inquiry->state, INQUIRY_IDLE, memory_order_relaxed);
	return &inquiry->view;
}

int inquiry_serve(struct inquiry *inquiry, struct journal *journal)
{
	if (atomic_load_explicit(&inquiry->state, memory_order_acquire) != INQUIRY_ASKED)
		return 0;
	int error = outbox_view_pull(&inquiry->view, inquiry->outbox, journal);
	atomic_store_explicit(&inquiry->state, INQUIRY_ANSWERED, memory_order_release);
	wake_up(inquiry->fd);
	return journal ? error : 0;
}

/*
 * A question to whoever has the journal, and its answer: a place for one view of the outbox that passes from the asking
 * thread to the store's and back.
 *
 * Whose the view is: the asking thread's, but for the time between inquiry_ask and the moment when inquiry_fd gets
 * readable.
 */
#ifndef SHIP_INQUIRY_H
#define SHIP_INQUIRY_H

#include "ship/outbox_view.h"

struct inquiry;

/* The outbox outlives it.  0 and *ret_inquiry, or -errno. */
int inquiry_init(struct outbox *outbox, struct inquiry **ret_inquiry);
/* When nobody serves it any more.  NULL is fine. */
void inquiry_destroy(struct inquiry *inquiry);

/* The view to put a question into; NULL while one is under way or its answer was not read.  Asking thread. */
struct outbox_view *inquiry_view(struct inquiry *inquiry);

/* The question stands in the view: the store is woken.  Asking thread. */
void inquiry_ask(struct inquiry *inquiry);

/* Readable when there is an answer. */
int inquiry_fd(const struct inquiry *inquiry);

/* The answer, or NULL when there is none yet; it is the asking thread's to read until it asks again.  Makes the fd
 * quiet. */
struct outbox_view *inquiry_answer(struct inquiry *inquiry);

/*
 * Makes one pull, if there is a question; journal NULL: of memory alone.  The thread that has the journal; where there
 * is no store, the asking one.  0, or -errno when the journal failed.
 */
int inquiry_serve(struct inquiry *inquiry, struct journal *journal);

#endif

/*
 * A look at what waits, wherever it lies, and the dropping of it by command: in pulls of bounded size and work, each of
 * which goes on behind the one before.
 *
 * Messages come in ascending sequence.  What is put or acknowledged between two pulls is seen or not.
 */
#ifndef SHIP_OUTBOX_VIEW_H
#define SHIP_OUTBOX_VIEW_H

#include "ship/journal.h"
#include "ship/outbox.h"
#include "ship/payload_date.h"

#define OUTBOX_VIEW_MESSAGES 256
#define OUTBOX_VIEW_SPANS    256
#define OUTBOX_VIEW_LOOKS    2000                /* messages looked at in one pull */
#define OUTBOX_VIEW_FULL     ((size_t)64 * 1024) /* a pull ends when it holds that much */

enum outbox_view_kind {
	OUTBOX_VIEW_COPY,  /* the messages themselves */
	OUTBOX_VIEW_COUNT, /* how many they are */
	OUTBOX_VIEW_DROP,  /* they go, but for those in flight */
};

struct outbox_view_message {
	const char *topic; /* into the view's bytes */
	const void *payload;
	size_t payload_n;
	int64_t time_ms;
	uint8_t qos;
	bool retain;
};

struct outbox_view {
	/* The question. */
	enum outbox_view_kind kind;
	char filter[MESSAGE_TOPIC_MAX + 1]; /* an MQTT filter; "" = all */
	uint64_t after;                     /* messages above this sequence; moves on with each pull */

	/* The answer to one pull. */
	bool ended;                      /* there is nothing above `after` */
	int error;                       /* 0, or -errno: the file could not be read, or not be written when dropping */
	uint64_t n_waiting, n_in_flight; /* that match; with DROP those that went and those that stayed */
	uint64_t n_damaged;              /* rows on disk that are not what was written; they are passed over */
	int64_t oldest_ms;               /* the least time of those that match; 0 = none */
	struct outbox_view_message messages[OUTBOX_VIEW_MESSAGES];
	size_t n;

	/* Its own. */
	struct journal_span spans[OUTBOX_VIEW_SPANS]; /* rows to delete */
	bool remembered[OUTBOX_VIEW_SPANS];           /* memory had them as well */
	size_t n_spans, n_bytes, n_looks;
	uint64_t n_rows; /* of n_waiting those that were on disk alone */
	char bytes[OUTBOX_VIEW_FULL + MESSAGE_TOPIC_MAX + 1 + MESSAGE_PAYLOAD_MAX + PAYLOAD_DATE_GROWS];
};

/*
 * One pull.  outbox NULL: of the file alone; journal NULL: of memory alone.  On the thread that has the journal,
 * without one on any.  0, or -errno as in view->error; the messages that it holds are sound all the same.
 */
int outbox_view_pull(struct outbox_view *view, struct outbox *outbox, struct journal *journal);

#endif

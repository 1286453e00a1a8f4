/*
 * What `listen` shows: bytes, readings, and in the end which profiles understood something.
 */
#ifndef CLI_LISTEN_H
#define CLI_LISTEN_H

#include "app/listener.h"
#include "app/transcript.h"
#include "base/json.h"

struct listen_report {
	struct listener_watch watch; /* the first member, so that who is watched finds the report */
	struct transcript_reader reader;
	struct transcript transcript;
	struct listener *listener;
	struct recording *recording;
	const char *record; /* the file of the recording; NULL = none */
	int failure;        /* of it */
	bool as_json, colour, replays;
	int64_t started_at;
	size_t n_opened;
	char *text; /* of one JSON object */
};

/* 0, or -ENOMEM. */
int listen_report_init(struct listen_report *report, struct listener *listener, bool as_json, const char *record);
/* 0; -errno: the recording could not be written to its end. */
int listen_report_destroy(struct listen_report *report);

/* Shows what is complete; as transcript_step. */
int64_t listen_report_step(struct listen_report *report, int64_t now_us);

/* What was understood, and what may help when nothing was.  True when something was. */
bool listen_report_end(struct listen_report *report, int64_t now_us);

#endif

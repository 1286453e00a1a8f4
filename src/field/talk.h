/*
 * Who is asked on a stream, and how far the conversation is.  One device is asked at a time, what is due first goes
 * first; a device that does not answer is asked less often as long as others share the port.  A part of the stream; one
 * owner thread.
 */
#ifndef FIELD_TALK_H
#define FIELD_TALK_H

#include "field/source.h"
#include "field/stream_port.h"

enum talk_phase {
	TALK_IDLE,
	TALK_PAUSE,   /* silence before the next bytes */
	TALK_SENDING, /* they leave; the speed changes behind them */
	TALK_WAIT,    /* for the answer */
};

/* Something that is asked again and again: a kind of message, or all of a device whose driver leads the conversation.
 */
struct talk_query {
	uint32_t source;
	unsigned kind;
	bool whole;
	int64_t every_us; /* CLOCK_NEVER: once after the port was opened */
	int64_t due_at;
	bool served;
};

struct talk {
	const struct plan_bus *bus;
	struct source *sources; /* bus->n_devices */
	struct stream_port *port;
	struct bus_counts *counts;
	struct talk_query *queries;
	size_t n_queries;
	int current; /* -1 = none */
	enum talk_phase phase;
	struct bf_ask ask;
	unsigned step;
	struct bf_message answer; /* of the step before */
	int64_t at;               /* end of the phase */
	int64_t free_at, began_at, sent_at;
	bool fast;         /* the speed was changed */
	uint32_t greeting; /* the source whose init is sent; n_devices = all are done */
	size_t greeted;    /* of it */
	bool no_speed;     /* that a device server can't change it was told */
	bool once;
};

/* The sources and the port outlive the talk.  Memory from the arena. */
void talk_init(struct talk *talk, const struct plan_bus *bus, struct source *sources, struct stream_port *port,
	struct bus_counts *counts, bool once, struct arena *arena);

void talk_opened(struct talk *talk, int64_t now_us);
void talk_lost(struct talk *talk);

/* Is something asked by now, so that what lies in the input answers nothing? */
bool talk_is_due(const struct talk *talk, int64_t now_us);

/* Somebody wants to know: all that the source is asked is due.  0; -EOPNOTSUPP it is asked nothing; -EHOSTDOWN it is
 * silent, and left alone. */
int talk_poll(struct talk *talk, uint32_t source, int64_t now_us);

/* The source that is waited for, or NULL. */
struct source *talk_waits_for(const struct talk *talk);

/* Bytes for that source. */
void talk_take(struct talk *talk, const uint8_t *bytes, size_t n, int64_t wall_ms, int64_t now_us);

/* Goes on.  Returns when to call again; -ENODEV: the port is gone. */
int64_t talk_step(struct talk *talk, int64_t wall_ms, int64_t now_us);

/* Sends what devices want to hear at the end. */
void talk_farewell(struct talk *talk);

/* `once`: everything was asked. */
bool talk_finished(const struct talk *talk);

#endif

/*
 * Who listens on a port: opens it with one line setting after the other, hears what comes, lets profiles try themselves
 * on it, and asks for those that want to be asked.  A state machine driven by listener_step; never blocks, never
 * sleeps. One owner thread.
 */
#ifndef APP_LISTENER_H
#define APP_LISTENER_H

#include "app/candidate.h"
#include "app/recording.h"

#define LISTENER_LINES_MAX ((size_t)32)

/* What came on the line that is open. */
struct listener_seen {
	uint64_t n_bytes, n_text, n_high; /* all; printable or ends of lines; with bit 7 */
	uint64_t n_even, n_text_below;    /* an even number of bits; printable without bit 7 */
};

/* Who wants to know. */
struct listener_watch {
	struct candidate_watch candidates;
	/* Bytes that came or were sent, before the profiles see them. */
	void (*bytes)(struct listener_watch *watch, bool sent, const uint8_t *bytes, size_t n, int64_t now_us);
	/* The port is open with the line of its bus; so many profiles take part. */
	void (*opened)(struct listener_watch *watch, size_t n_on, int64_t now_us);
	/* The requests of that profile are sent. */
	void (*asks)(struct listener_watch *watch, const struct candidate *candidate);
};

/* The port that streams of candidates get: the listener's, on which it hears all. */
struct listener_tap {
	struct stream_port port;
	struct listener *listener;
};

enum listener_state { LISTENER_CLOSED, LISTENER_OPENING, LISTENER_OPEN, LISTENER_OVER };

struct listener {
	/* ---- Given; see listener_init ---- */
	struct plan_bus *bus;
	struct stream_port *port;
	struct candidates *all;
	const struct clock *clock;
	struct listener_watch *watch;
	bool asks;       /* sends the requests of all that ask, once */
	bool alone;      /* one profile, and its requests again and again */
	int64_t ends_at; /* CLOCK_NEVER: when it is told to */

	/* ---- Found ---- */
	enum listener_state state;
	int failure; /* why it is over; 0 = it came to its end */
	struct listener_seen seen;
	uint64_t n_bytes, n_sent; /* on all lines */
	size_t n_refused;         /* line settings that the port does not do */

	/* ---- Its own ---- */
	struct plan_line lines[LISTENER_LINES_MAX];
	size_t n_lines, nth_line; /* n_lines 0: the line of the bus as it is, for all profiles */
	int64_t opened_at, came_at, ask_at;
	int64_t try_until; /* this line; 0 = nothing came on it */
	size_t next_ask;
	struct candidate *asking;
	int64_t give_up_at;
	struct arena arena; /* of who asks */
	struct listener_tap tap;
};

/*
 * Port, bus, candidates, clock and watch outlive it; it must not be moved.  line_given: the bus's line is what the user
 * says, so all profiles try themselves on it; otherwise, on a serial port, the lines of the profiles are gone through.
 */
void listener_init(struct listener *listener, struct plan_bus *bus, struct stream_port *port, struct candidates *all,
	const struct clock *clock, struct listener_watch *watch, bool line_given);

/* Does what is due.  ready: the port's fd has what it was polled for.  Returns when it wants to run again. */
int64_t listener_step(struct listener *listener, bool ready, int64_t now_us);

/* What to poll the port's fd for; 0 = nothing. */
short listener_events(const struct listener *listener);

/*
 * Instead of a port: what a recording has, at once, by its own times.  The profiles and the watch see it as if it came
 * now; nothing is asked.  Over afterwards.
 */
void listener_play(struct listener *listener, const struct recording_chunk *chunks, size_t n_chunks, int64_t now_us);

/* Ends what is being asked and closes the port. */
void listener_end(struct listener *listener);

#endif

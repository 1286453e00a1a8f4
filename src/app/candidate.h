/*
 * Profiles that are tried on what comes over a line: each with an input of its own, so that all of them look at once,
 * by the very code that a gateway reads with.  One owner thread.
 */
#ifndef APP_CANDIDATE_H
#define APP_CANDIDATE_H

#include "app/faults.h"
#include "app/profile.h"
#include "field/stream.h"

/* The last that was told of a metric. */
struct candidate_value {
	bool any;
	bool fresh; /* told by the last message */
	enum quality quality;
	char *text; /* JSON, as in a payload; "null" when the quality is not good */
	size_t size;
};

/* What it made of what came. */
struct candidate_score {
	uint64_t n_bytes;       /* that came while it took part */
	uint64_t n_sound_bytes; /* of them in sound messages */
	uint64_t n_sound;       /* messages of the device */
	uint64_t n_told;        /* of them with a value at least */
	uint64_t n_other;       /* sound ones that are none of it */
	uint64_t n_damaged;
};

struct candidate {
	struct reading_sink sink; /* first, so that the sink finds it */
	struct profile profile;
	struct plan plan; /* of one device; whatever comes is told */
	struct plan_device device;
	struct plan_stream told;
	struct plan_line line;
	bool has_line; /* the profile says one */
	bool asks;     /* it has requests */
	bool on;       /* it takes part on the line that is open */

	struct source source;  /* what comes by itself, or is asked by others */
	struct stream *stream; /* while it asks; NULL = it does not */
	struct bus_counts counts;
	uint64_t n_bytes, n_told;
	bool has_value;                 /* the message that is being read has one */
	struct candidate_score past;    /* of streams that are gone */
	struct candidate_score began;   /* when the port was opened */
	struct candidate_value *values; /* of each metric of the plan */
	struct candidate_watch *watch;
};

/* Who wants to know.  Called when a message gave readings, and ever one of this profile had a value. */
struct candidate_watch {
	void (*heard)(struct candidate_watch *watch, const struct candidate *candidate, int64_t now_us);
};

struct candidates {
	struct candidate *items; /* in the order of the profiles' names */
	size_t n;
	struct arena arena;
};

/*
 * Reads all profiles of devices that send messages; those with faults are left out.  With `only` that one: its faults
 * are told.  0; -ENOENT: no such profile; -EINVAL: it has faults; -EOPNOTSUPP: its device is asked for registers.
 */
int candidates_load(struct candidates *ret_candidates, const char *only, struct faults *faults);
void candidates_destroy(struct candidates *candidates);

/* The port was opened; `on`: it takes part. */
void candidate_begin(struct candidate *candidate, bool on, struct candidate_watch *watch, int64_t now_us);

/* Bytes that came, and silence behind them; nothing while it asks, since its stream reads them itself. */
void candidate_take(struct candidate *candidate, const uint8_t *bytes, size_t n, int64_t wall_ms, int64_t now_us);
void candidate_quiet(struct candidate *candidate, int64_t wall_ms, int64_t now_us);

/*
 * It asks on that port, with the line of the bus: each message once, or again every two seconds.  Step its stream.
 * Memory from the arena, which is freed after candidate_rest.  The port is not destroyed but closed.
 */
void candidate_ask(struct candidate *candidate, struct stream_port *port, const struct plan_bus *bus,
	const struct clock *clock, bool once, struct arena *arena);
void candidate_rest(struct candidate *candidate);

/* Of all that came. */
struct candidate_score candidate_score(const struct candidate *candidate);

/*
 * Does it understand what came: values in a quarter of its messages at least, which make a twentieth of the bytes?  A
 * weak check, or none, finds a message in noise now and then.
 */
bool candidate_understands(const struct candidate *candidate);

/* The same of what came since the port was opened. */
bool candidate_fits(const struct candidate *candidate);

#endif

/*
 * A device that sends messages, as its port sees it: its input, what its driver finds in it, and which of it is told.
 *
 * What comes is told when its metric is due, not each time: a sensor that sends a hundred values a second is throttled
 * to `every`, unless the report makes a mean of them (`reduce`).  One owner thread (the port's); counters by any.
 */
#ifndef FIELD_SOURCE_H
#define FIELD_SOURCE_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "field/counts.h"
#include "model/plan.h"
#include "model/reading.h"

/* The most that is read at once: it never takes the room of a message. */
#define SOURCE_READ_MAX ((size_t)1024)

struct source_metric {
	int64_t next_at; /* when it is due again; 0 = at once */
	int64_t seen_at; /* in a message; 0 = not since the port was opened */
	bool stale;      /* that it does not come any more was told */
	bool started;    /* `every: "start"` was told */
};

/* Of each kind of message. */
struct source_kind {
	uint64_t n;       /* sound ones */
	int64_t every_us; /* the shortest interval of its metrics; CLOCK_NEVER = it has none, or they are events */
	bool wanted;      /* some metric lies in it */
};

struct source {
	const struct plan *plan;
	const struct plan_device *told;
	uint32_t index; /* in plan->devices */
	struct reading_sink *sink;
	struct bf_device seen; /* by its driver */
	uint8_t *input, *body;
	size_t n, size, longest; /* longest: of a message; size: that and what is read at once */
	struct source_metric *metrics;
	struct source_kind *kinds;
	bool asked;   /* some kind has a request, or the driver asks */
	bool talking; /* a conversation with it is under way: what it lacks may be to come */
	int64_t opened_at, heard_at;
	int64_t gap_us, last_gap_us; /* between messages: the usual one, the last one */
	int64_t every_us;            /* the shortest of all */
	unsigned missed;             /* polls in a row without a message */
	uint64_t damaged;            /* since the last sound one */
	uint64_t n_sound_bytes;      /* of sound messages, the device's or not */
	struct complaint silence;
	struct device_counts counts;
	struct bus_counts *bus; /* of its port */
};

/* Memory from the arena; it must not be moved any more. */
void source_init(struct source *source, const struct plan *plan, uint32_t index, struct reading_sink *sink,
	struct bus_counts *bus, struct arena *arena);

/* The port was opened, or another conversation begins (afresh false): what stands in the input is gone. */
void source_begin(struct source *source, bool afresh, int64_t now_us);

/* A message that somebody waits for: of that kind, or any. */
struct source_wait {
	bool any;
	unsigned kind;
};

/*
 * Takes bytes that came; all sound messages in them are told.  wait (NULL: nobody waits): what was waited for ends the
 * look; *ret_answer is it, until the next call, and what stands behind it stays in the input.  True when it came.
 */
bool source_take(struct source *source, const uint8_t *bytes, size_t n, const struct source_wait *wait,
	struct bf_message *ret_answer, int64_t wall_ms, int64_t now_us);

/* The line has been silent for long: what stands in the input will not be completed, but a message may stand behind its
 * beginning. */
void source_quiet(struct source *source, int64_t wall_ms, int64_t now_us);

/* A request was not answered: the metrics of that kind (all, if `whole`) are without a value. */
void source_unanswered(struct source *source, bool whole, unsigned kind, int64_t wall_ms, int64_t now_us);

/* Looks whether something has not come for too long.  Returns when to look again. */
int64_t source_tick(struct source *source, int64_t wall_ms, int64_t now_us);

/* The port went: every metric is `offline`, and so is the device. */
void source_port_lost(struct source *source, int64_t wall_ms, int64_t now_us);

/* `once`: each kind that some metric lies in has come. */
bool source_heard_all(const struct source *source);

#endif

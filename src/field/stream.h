/*
 * A port on which devices send messages, by themselves or because they are asked: the other way beside a bus of
 * registers. A state machine driven by stream_step; never blocks, never sleeps.  One owner thread; counters by any.
 */
#ifndef FIELD_STREAM_H
#define FIELD_STREAM_H

#include "base/clock.h"
#include "field/outage.h"
#include "field/talk.h"

enum stream_state { STREAM_CLOSED, STREAM_OPENING, STREAM_OPEN };

struct stream {
	const struct plan *plan;
	const struct plan_bus *told;
	const struct clock *clock;
	struct stream_port *port;
	struct source *sources; /* told->n_devices */
	struct talk talk;
	enum stream_state state;
	int64_t gather_at; /* bytes are there and are left to gather; 0 = none */
	int64_t came_at;   /* the last bytes; 0 = the inputs are empty, as far as time goes */
	struct outage outage;
	bool once;
	struct bus_counts counts;
};

/* The port becomes the stream's.  It must not be moved any more.  Memory from the arena. */
void stream_init(struct stream *stream, const struct plan *plan, size_t index, struct stream_port *port,
	struct reading_sink *sink, const struct clock *clock, bool once, struct arena *arena);

/* Says farewell to devices that want it, closes and frees the port. */
void stream_destroy(struct stream *stream);

/* Does what is due.  ready: the port's fd has what it was polled for.  Returns when it wants to run again if the fd
 * stays silent; poll stream->port->fd for stream_events() meanwhile. */
int64_t stream_step(struct stream *stream, bool ready, int64_t now_us);

/* The silence of a line after which a message that has begun will not go on. */
int64_t stream_quiet_us(const struct plan_line *line);

/* As talk_poll, for a device of the plan; -ENODEV: it is none of the stream's, or the port is not there. */
int stream_poll(struct stream *stream, uint32_t device, int64_t now_us);

/* What to poll the fd for; 0 = nothing. */
short stream_events(const struct stream *stream);

/* `once`: everything has come or was given up. */
bool stream_finished(const struct stream *stream);

#endif

/*
 * Conversations on a stream: see talk.h.
 *
 *   IDLE ──due──► PAUSE ──► SENDING ──► WAIT ──answer──► next step, or IDLE
 *                              │         └────time-out──► IDLE
 *                              └──nothing answers──► next step
 *
 * When bytes have left is reckoned, not known: an answer may come before that.  A step that only waits keeps what came
 * with the answer before it, since a device that goes on by itself may have been heard in one go.
 *
 * Invariant: outside of a conversation the port has the speed of its line.
 */
#include "field/talk.h"

#include <errno.h>
#include <string.h>

#define GREETING_US      100000 /* between the bytes of `init` */
#define SPREAD_US        50000  /* between the first requests */
#define BEHIND_FIRST_US  500000 /* a silent device among others */
#define BEHIND_CAP_US    10000000
#define POLLS_MISSED_MAX 8

static void add_query(struct talk *talk, uint32_t source, unsigned kind, bool whole, int64_t every_us)
{
	talk->queries[talk->n_queries++] =
		(struct talk_query){.source = source, .kind = kind, .whole = whole, .every_us = every_us};
}

static void add_queries(struct talk *talk, uint32_t s)
{
	const struct source *source = &talk->sources[s];
	if (source->told->driver->ask) {
		add_query(talk, s, 0, true, source->every_us);
		return;
	}
	for (unsigned k = 0; k < source->seen.n_messages; k++)
		if (source->seen.messages[k].request.n && source->kinds[k].wanted)
			add_query(talk, s, k, false, source->kinds[k].every_us);
}

void talk_init(struct talk *talk, const struct plan_bus *bus, struct source *sources, struct stream_port *port,
	struct bus_counts *counts, bool once, struct arena *arena)
{
	*talk = (struct talk){.bus = bus,
		.sources = sources,
		.port = port,
		.counts = counts,
		.current = -1,
		.greeting = bus->n_devices,
		.once = once};
	size_t n = 0;
	for (uint32_t i = 0; i < bus->n_devices; i++)
		n += sources[i].seen.n_messages;
	talk->queries = arena_array(arena, n ? n : 1, sizeof(*talk->queries));
	for (uint32_t i = 0; i < bus->n_devices; i++)
		add_queries(talk, i);
}

void talk_opened(struct talk *talk, int64_t now_us)
{
	talk->current = -1;
	talk->phase = TALK_IDLE;
	talk->fast = false;
	talk->greeting = 0;
	talk->greeted = 0;
	talk->free_at = now_us;
	for (size_t i = 0; i < talk->n_queries; i++)
		talk->queries[i].due_at = now_us + (int64_t)i * SPREAD_US;
}

void talk_lost(struct talk *talk)
{
	if (talk->current >= 0)
		talk->sources[talk->queries[talk->current].source].talking = false;
	talk->current = -1;
	talk->phase = TALK_IDLE;
	talk->greeting = talk->bus->n_devices;
	for (size_t i = 0; i < talk->n_queries; i++)
		talk->queries[i].served = true; /* `once` does not wait for a port that is not there */
}

static int first_due(const struct talk *talk)
{
	int first = -1;
	for (size_t i = 0; i < talk->n_queries; i++)
		if (!(talk->once && talk->queries[i].served) &&
			(first < 0 || talk->queries[i].due_at < talk->queries[first].due_at))
			first = (int)i;
	return first;
}

bool talk_is_due(const struct talk *talk, int64_t now_us)
{
	int first = first_due(talk);
	return talk->phase == TALK_IDLE && first >= 0 && talk->queries[first].due_at <= now_us;
}

int talk_poll(struct talk *talk, uint32_t source, int64_t now_us)
{
	int rc = -EOPNOTSUPP;
	if (talk->sources[source].missed)
		return -EHOSTDOWN;
	for (size_t i = 0; i < talk->n_queries; i++) {
		struct talk_query *query = &talk->queries[i];
		if (query->source != source)
			continue;
		rc = 0;
		if (query->due_at > now_us)
			query->due_at = now_us;
	}
	return rc;
}

struct source *talk_waits_for(const struct talk *talk)
{
	bool early = talk->phase == TALK_SENDING || (talk->phase == TALK_PAUSE && talk->ask.n == 0);
	bool waits = talk->phase == TALK_WAIT || (early && !talk->ask.unanswered);
	return waits ? &talk->sources[talk->queries[talk->current].source] : NULL;
}

static int64_t chars_us(const struct talk *talk, size_t n)
{
	return ((int64_t)n * plan_line_char_ns(&talk->bus->line) + 999) / 1000;
}

/* When it is asked again: on its own grid, a silent one among others less often. */
static void plan_next(struct talk *talk, struct talk_query *query, int64_t now_us)
{
	const struct source *source = &talk->sources[query->source];
	query->served = true;
	if (query->every_us == CLOCK_NEVER) {
		query->due_at = CLOCK_NEVER;
		return;
	}
	query->due_at += query->every_us;
	if (query->due_at < now_us) {
		if (query->every_us > 0 && now_us - query->due_at >= query->every_us)
			counts_bump(talk->counts->merged);
		query->due_at = now_us;
	}
	if (source->missed && talk->bus->n_devices > 1) {
		unsigned n = source->missed < POLLS_MISSED_MAX ? source->missed : POLLS_MISSED_MAX;
		int64_t behind_us = (int64_t)BEHIND_FIRST_US << (n - 1);
		behind_us = behind_us < BEHIND_CAP_US ? behind_us : BEHIND_CAP_US;
		if (query->due_at < now_us + behind_us)
			query->due_at = now_us + behind_us;
	}
}

static int end(struct talk *talk, bool answered, int64_t wall_ms, int64_t now_us)
{
	struct talk_query *query = &talk->queries[talk->current];
	struct source *source = &talk->sources[query->source];
	int rc = 0;
	if (!answered)
		source_unanswered(source, query->whole, query->kind, wall_ms, now_us);
	plan_next(talk, query, now_us);
	atomic_fetch_add_explicit(&talk->counts->busy_us, now_us - talk->began_at, memory_order_relaxed);
	if (talk->fast)
		rc = talk->port->ops->speed(talk->port, talk->bus->line.baud);
	talk->fast = false;
	source->talking = false;
	talk->current = -1;
	talk->phase = TALK_IDLE;
	talk->free_at = now_us + plan_bus_gap_us(talk->bus);
	return rc == -ENODEV ? rc : 0;
}

/* What is sent next, by the driver or by the request of the message; 1, 0: nothing more, -EBADMSG. */
static int next_ask(struct talk *talk, const struct bf_message *answer)
{
	const struct talk_query *query = &talk->queries[talk->current];
	const struct source *source = &talk->sources[query->source];
	memset(&talk->ask, 0, sizeof(talk->ask));
	if (query->whole)
		return source->told->driver->ask(&source->seen, talk->step, answer, &talk->ask);
	if (talk->step > 0)
		return 0;
	const struct bf_bytes *request = &source->seen.messages[query->kind].request;
	talk->ask.n = request->n < BF_ASK_MAX ? request->n : BF_ASK_MAX;
	memcpy(talk->ask.bytes, request->at, talk->ask.n);
	talk->ask.kind = query->kind;
	return 1;
}

/* One step further in the conversation. */
static int advance(struct talk *talk, const struct bf_message *answer, int64_t wall_ms, int64_t now_us)
{
	int rc = next_ask(talk, answer);
	if (rc <= 0)
		return end(talk, rc == 0, wall_ms, now_us);
	talk->step++;
	talk->phase = TALK_PAUSE;
	talk->at = now_us + talk->ask.pause_us;
	return 0;
}

static int change_speed(struct talk *talk)
{
	int rc = talk->port->ops->speed(talk->port, talk->ask.baud);
	talk->fast = rc == 0;
	if (rc < 0 && rc != -ENODEV && !talk->no_speed) {
		talk->no_speed = true;
		log_about(LOG_LEVEL_WARNING, &(struct log_about){.bus = talk->bus->name},
			"bus %s: the speed can't be changed to %u: %s", talk->bus->name, talk->ask.baud,
			rc == -EOPNOTSUPP ? "a device server keeps its own" : "the driver refuses it");
	}
	return rc == -ENODEV ? rc : 0;
}

static int send(struct talk *talk, int64_t wall_ms, int64_t now_us)
{
	struct source *source = &talk->sources[talk->queries[talk->current].source];
	talk->sent_at = now_us;
	if (talk->ask.n) {
		source_begin(source, false, now_us);
		int rc = talk->port->ops->write(talk->port, talk->ask.bytes, talk->ask.n);
		if (rc == -ENODEV)
			return rc;
		if (rc < 0)
			return end(talk, false, wall_ms, now_us);
		counts_bump(talk->counts->requests);
		counts_bump(source->counts.requests);
	}
	talk->phase = TALK_SENDING;
	talk->at = now_us + chars_us(talk, talk->ask.n);
	return 0;
}

void talk_take(struct talk *talk, const uint8_t *bytes, size_t n, int64_t wall_ms, int64_t now_us)
{
	struct source *source = talk_waits_for(talk);
	const struct source_wait wait = {.any = talk->ask.any, .kind = talk->ask.kind};
	struct bf_message answer;
	if (!source_take(source, bytes, n, &wait, &answer, wall_ms, now_us))
		return;
	times_note(&source->counts.answer_times, now_us - talk->sent_at);
	/* A port that goes now is found by the next step. */
	(void)advance(talk, &answer, wall_ms, now_us);
}

/* The bytes have left. */
static int wait_for_it(struct talk *talk, int64_t wall_ms, int64_t now_us)
{
	const struct source *source = &talk->sources[talk->queries[talk->current].source];
	int rc = talk->ask.baud ? change_speed(talk) : 0;
	if (talk->ask.unanswered)
		return rc < 0 ? rc : advance(talk, NULL, wall_ms, now_us);
	talk->phase = TALK_WAIT;
	talk->at = now_us + (talk->ask.timeout_us ? talk->ask.timeout_us : source->told->timeout_us);
	if (talk->ask.n == 0)
		talk_take(talk, NULL, 0, wall_ms, now_us);
	return rc;
}

/* The next bytes of `init`.  Returns when to go on, 0 = all are sent, -ENODEV. */
static int64_t greet(struct talk *talk, int64_t now_us)
{
	while (talk->greeting < talk->bus->n_devices) {
		const struct plan_stream *stream = talk->sources[talk->greeting].told->stream;
		if (talk->greeted == stream->n_init) {
			talk->greeting++;
			talk->greeted = 0;
			continue;
		}
		if (now_us < talk->free_at)
			return talk->free_at;
		const struct bf_bytes *bytes = &stream->init[talk->greeted++];
		if (talk->port->ops->write(talk->port, bytes->at, bytes->n) == -ENODEV)
			return -ENODEV;
		talk->free_at = now_us + GREETING_US + chars_us(talk, bytes->n);
	}
	return 0;
}

static int64_t idle(struct talk *talk, int64_t wall_ms, int64_t now_us)
{
	int64_t greets_at = greet(talk, now_us);
	if (greets_at)
		return greets_at;
	int first = first_due(talk);
	if (first < 0)
		return CLOCK_NEVER;
	int64_t at = talk->queries[first].due_at;
	if (at < talk->free_at)
		at = talk->free_at;
	if (now_us < at)
		return at;
	if (talk->queries[first].every_us != CLOCK_NEVER)
		times_note(&talk->counts->late_by, now_us - talk->queries[first].due_at);
	talk->current = first;
	talk->sources[talk->queries[first].source].talking = true;
	talk->step = 0;
	talk->began_at = now_us;
	int rc = advance(talk, NULL, wall_ms, now_us);
	return rc < 0 ? rc : now_us;
}

int64_t talk_step(struct talk *talk, int64_t wall_ms, int64_t now_us)
{
	int rc = 0;
	for (int turns = 0; turns < 8 && rc == 0; turns++) {
		if (talk->phase == TALK_IDLE) {
			int64_t at = idle(talk, wall_ms, now_us);
			if (at > now_us || at < 0)
				return at;
			continue;
		}
		if (now_us < talk->at)
			return talk->at;
		if (talk->phase == TALK_PAUSE)
			rc = send(talk, wall_ms, now_us);
		else if (talk->phase == TALK_SENDING)
			rc = wait_for_it(talk, wall_ms, now_us);
		else
			rc = end(talk, false, wall_ms, now_us);
	}
	return rc < 0 ? rc : now_us + 1;
}

void talk_farewell(struct talk *talk)
{
	for (uint32_t i = 0; i < talk->bus->n_devices; i++) {
		const struct plan_stream *stream = talk->sources[i].told->stream;
		for (size_t b = 0; b < stream->n_stop; b++)
			talk->port->ops->write(talk->port, stream->stop[b].at, stream->stop[b].n);
	}
}

bool talk_finished(const struct talk *talk)
{
	for (size_t i = 0; i < talk->n_queries; i++)
		if (!talk->queries[i].served)
			return false;
	return true;
}

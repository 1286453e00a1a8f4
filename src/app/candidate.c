/*
 * Profiles that are tried on a line: see candidate.h.
 *
 * Why each has its own input: what is a message is for its driver to say, and a byte that one of them throws away may
 * begin a message of another.
 *
 * Invariant: a candidate hears each byte once, by its source or, while it asks, by the source of its stream.
 */
#include "app/candidate.h"
#include "app/compile.h"
#include "field/convert.h"
#include "field/registry.h"
#include "model/line_text.h"
#include "ship/payload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ASK_EVERY_US 2000000

static struct candidate *of(struct reading_sink *sink)
{
	return (struct candidate *)sink;
}

/* Notes what was told.  Is it a value? */
static bool note(struct candidate_value *to, const struct plan_metric *metric, const struct reading *reading)
{
	enum quality quality = convert_judge(metric, reading->quality, &reading->value);
	int n = -EINVAL;
	if (quality == QUALITY_GOOD)
		n = payload_value(metric, &reading->value, PAYLOAD_JSON, to->text, to->size - 1);
	to->any = to->fresh = true;
	to->quality = quality;
	if (n < 0)
		n = snprintf(to->text, to->size, "null");
	to->text[n] = '\0';
	return to->quality == QUALITY_GOOD;
}

static void take(struct reading_sink *sink, const struct batch *batch)
{
	struct candidate *candidate = of(sink);
	bool said = false;
	for (size_t i = 0; i < batch->n; i++) {
		const struct reading *reading = &batch->readings[i];
		/* that nothing came is no reading */
		if (reading->quality == QUALITY_TIMEOUT || reading->quality == QUALITY_CHECKSUM ||
			reading->quality == QUALITY_OFFLINE)
			continue;
		const struct plan_metric *metric = &candidate->plan.metrics[reading->metric];
		if (note(&candidate->values[reading->metric], metric, reading))
			candidate->has_value = true;
		said = true;
	}
	if (!batch->round_over || !(said || batch->n == 0))
		return;
	candidate->n_told += candidate->has_value;
	candidate->has_value = false;
	if (candidate->n_told)
		candidate->watch->heard(candidate->watch, candidate, batch->now_us);
	for (size_t i = 0; i < candidate->plan.n_metrics; i++)
		candidate->values[i].fresh = false;
}

static void rest(struct reading_sink *sink)
{
	(void)sink;
}

/* The plan is there; the rest of the candidate. */
static void init(struct candidate *candidate, struct arena *arena)
{
	struct plan *plan = &candidate->plan;
	candidate->sink = (struct reading_sink){.take = take, .rest = rest};
	candidate->device = plan->devices[0];
	candidate->told = *candidate->device.stream;
	candidate->told.ignore_first_us = 0;
	candidate->device.stream = &candidate->told;
	candidate->asks = plan_device_is_asked(&candidate->device);
	candidate->has_line =
		candidate->profile.line && line_text_parse(candidate->profile.line, &candidate->line) == 0;
	plan->devices = &candidate->device;
	candidate->values = arena_array(arena, plan->n_metrics + 1, sizeof(*candidate->values));
	for (size_t i = 0; i < plan->n_metrics; i++) {
		struct candidate_value *value = &candidate->values[i];
		value->size = payload_value_room(&plan->metrics[i]) + sizeof("null");
		value->text = arena_alloc(arena, value->size);
	}
	source_init(&candidate->source, plan, 0, &candidate->sink, &candidate->counts, arena);
}

/* One profile.  0; -EOPNOTSUPP, -EINVAL, -ENOENT. */
static int load(const char *id, struct arena *arena, struct faults *faults, struct candidate *to)
{
	const char *file;
	struct plan_metric probe;
	if (profile_find(id, arena, &file) < 0)
		return -ENOENT;
	int err = profile_read(file, arena, faults, &to->profile);
	if (err < 0 && !to->profile.id)
		return -EINVAL;
	if (!profile_is_stream(&to->profile))
		return err < 0 ? -EINVAL : -EOPNOTSUPP;
	compile_profile(&to->profile, faults, &to->plan, &probe);
	return faults->n_errors || to->plan.n_devices != 1 ? -EINVAL : 0;
}

int candidates_load(struct candidates *ret_candidates, const char *only, struct faults *faults)
{
	struct candidates all = {0};
	const char *const *ids = only ? (const char *const[]){only, NULL} : profile_ids(&all.arena);
	size_t n = 0;
	while (ids[n])
		n++;
	all.items = arena_array(&all.arena, n + 1, sizeof(*all.items));
	for (size_t i = 0; i < n; i++) {
		struct faults own = {0};
		struct candidate *candidate = &all.items[all.n];
		int err = load(ids[i], &all.arena, only ? faults : &own, candidate);
		faults_destroy(&own);
		if (err == 0) {
			init(candidate, &all.arena);
			all.n++;
			continue;
		}
		plan_destroy(&candidate->plan);
		*candidate = (struct candidate){0};
		if (only) {
			arena_free(&all.arena);
			return err;
		}
	}
	*ret_candidates = all;
	return 0;
}

void candidates_destroy(struct candidates *candidates)
{
	for (size_t i = 0; i < candidates->n; i++)
		plan_destroy(&candidates->items[i].plan);
	arena_free(&candidates->arena);
	*candidates = (struct candidates){0};
}

void candidate_begin(struct candidate *candidate, bool on, struct candidate_watch *watch, int64_t now_us)
{
	candidate->on = on;
	candidate->watch = watch;
	candidate->began = candidate_score(candidate);
	source_begin(&candidate->source, true, now_us);
}

void candidate_take(struct candidate *candidate, const uint8_t *bytes, size_t n, int64_t wall_ms, int64_t now_us)
{
	struct bf_message none;
	candidate->n_bytes += candidate->on ? n : 0;
	if (candidate->on && !candidate->stream)
		source_take(&candidate->source, bytes, n, NULL, &none, wall_ms, now_us);
}

void candidate_quiet(struct candidate *candidate, int64_t wall_ms, int64_t now_us)
{
	if (candidate->on && !candidate->stream)
		source_quiet(&candidate->source, wall_ms, now_us);
}

void candidate_ask(struct candidate *candidate, struct stream_port *port, const struct plan_bus *bus,
	const struct clock *clock, bool once, struct arena *arena)
{
	struct plan *plan = arena_alloc(arena, sizeof(*plan));
	struct plan_bus *wire = arena_alloc(arena, sizeof(*wire));
	*plan = candidate->plan;
	*wire = plan->buses[0];
	wire->line = bus->line;
	plan->buses = wire;
	plan->metrics = arena_array(arena, plan->n_metrics + 1, sizeof(*plan->metrics));
	for (size_t i = 0; i < plan->n_metrics; i++) {
		plan->metrics[i] = candidate->plan.metrics[i];
		if (candidate->asks)
			plan->metrics[i].every_us = ASK_EVERY_US;
	}
	candidate->stream = arena_alloc(arena, sizeof(*candidate->stream));
	stream_init(candidate->stream, plan, 0, port, &candidate->sink, clock, once, arena);
}

static struct candidate_score score_of(const struct source *source)
{
	struct candidate_score score = {.n_sound_bytes = source->n_sound_bytes};
	for (size_t k = 0; k < source->seen.n_messages; k++)
		score.n_sound += source->kinds[k].n;
	score.n_other = atomic_load_explicit(&source->counts.answers, memory_order_relaxed) - score.n_sound;
	score.n_damaged = atomic_load_explicit(&source->counts.checksum, memory_order_relaxed);
	return score;
}

static void add(struct candidate_score *to, const struct candidate_score *score)
{
	to->n_sound += score->n_sound;
	to->n_other += score->n_other;
	to->n_damaged += score->n_damaged;
	to->n_sound_bytes += score->n_sound_bytes;
}

void candidate_rest(struct candidate *candidate)
{
	if (!candidate->stream)
		return;
	struct candidate_score score = score_of(&candidate->stream->sources[0]);
	add(&candidate->past, &score);
	stream_destroy(candidate->stream);
	candidate->stream = NULL;
}

struct candidate_score candidate_score(const struct candidate *candidate)
{
	struct candidate_score score = candidate->past, now = score_of(&candidate->source);
	add(&score, &now);
	if (candidate->stream) {
		now = score_of(&candidate->stream->sources[0]);
		add(&score, &now);
	}
	score.n_bytes = candidate->n_bytes;
	score.n_told = candidate->n_told;
	return score;
}

static bool explains(const struct candidate_score *score)
{
	return score->n_told > 0 && score->n_told * 4 >= score->n_sound && score->n_sound_bytes * 20 >= score->n_bytes;
}

bool candidate_understands(const struct candidate *candidate)
{
	struct candidate_score score = candidate_score(candidate);
	return explains(&score);
}

bool candidate_fits(const struct candidate *candidate)
{
	struct candidate_score score = candidate_score(candidate);
	const struct candidate_score *began = &candidate->began;
	score.n_bytes -= began->n_bytes;
	score.n_sound_bytes -= began->n_sound_bytes;
	score.n_sound -= began->n_sound;
	score.n_told -= began->n_told;
	return candidate->on && explains(&score);
}

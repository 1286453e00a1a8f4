/*
 * Is this reading worth telling?  Each reading passes four questions in turn: is it plausible (range, monotonic, step)?
 * is its window over (reduce)? does it differ enough from what was told last (deadband, heartbeat, quality)? and then
 * it becomes a message, of its own or in the round of its device.
 *
 * Why the state remembers what was told and not what was read: a value that creeps by less than the deadband at a time
 * must be told once it has crept far enough.  What could not be put (no broker at QoS 0, a full buffer) was not told,
 * so the next reading is tried anew.
 *
 * Invariant: the state of a metric is read and written by the thread of its bus only; the payload's parts are constant.
 */
#include "ship/report.h"
#include "base/log.h"
#include "model/bits.h"
#include "ship/payload.h"
#include "ship/payload_round.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* This many in a row beyond monotonic or max_step, and consistent with each other, are the new truth. */
#define REPORT_SUSPECTS 3

#define QUALITY_UNTOLD 0xff /* nothing was told yet, or it could not be put */

enum metric_flags {
	METRIC_TOLD = 1,     /* told and told_kind are set */
	METRIC_SEEN = 2,     /* last_good is set */
	METRIC_WINDOW = 4,   /* window_us is set */
	METRIC_TOO_LONG = 8, /* complained about */
	METRIC_OCCASION = 16 /* from here on four bits: the occasion at which it was told */
};

struct metric_state {
	uint64_t told;      /* the value told last: its bits, of a text a hash */
	int64_t told_us;    /* monotonic */
	double last_good;   /* for monotonic and max_step */
	double suspect;     /* the last value that was refused by them */
	double reduced;     /* sum, least or greatest of the window */
	int64_t window_us;  /* when it began */
	uint32_t n_reduced; /* values in it */
	uint8_t told_kind, quality, n_suspects, flags;
	uint16_t n_accepted; /* by monotonic or max_step, as a new truth */
};
_Static_assert(sizeof(struct metric_state) <= 64, "one cache line a metric");

struct report {
	struct reading_sink sink;
	const struct plan *plan;
	struct message_sink *messages;
	struct report_listener *listener;
	struct report_tap *taps;
	const _Atomic unsigned *occasions; /* NULL = there are none */
	struct payload payload;
	struct payload_rounds rounds;
	struct metric_state *states;
	char **long_texts; /* of metrics whose payload may pass PAYLOAD_READING_MAX; else NULL */
	struct arena arena;
};

static bool is_number(const struct bf_value *value)
{
	return value->kind >= BF_SIGNED && value->kind <= BF_FLOAT64;
}

/* The number told last. */
static double told_number(const struct metric_state *state)
{
	struct bf_value value = bits_value((enum bf_kind)state->told_kind, state->told);
	return bf_value_number(&value);
}

/* Beyond monotonic or max_step: refused, until REPORT_SUSPECTS of them agree. */
static bool suspect_refused(const struct plan_metric *metric, struct metric_state *state, double number)
{
	bool agrees = state->n_suspects > 0 && !(metric->monotonic && number < state->suspect) &&
		      !(fabs(number - state->suspect) > metric->max_step);
	state->n_suspects = agrees ? (uint8_t)(state->n_suspects + 1) : 1;
	state->suspect = number;
	if (state->n_suspects < REPORT_SUSPECTS)
		return true;
	if (state->n_accepted < UINT16_MAX)
		state->n_accepted++;
	if ((state->n_accepted & (state->n_accepted - 1)) == 0) /* more and more seldom: it may be no meter at all */
		log_about(LOG_LEVEL_NOTICE, &(struct log_about){.topic = metric->topic},
			"%s: %.10g after %.10g, %d times in a row: accepted as a replaced or reset meter, for the %u. "
			"time",
			metric->topic, number, state->last_good, REPORT_SUSPECTS, state->n_accepted);
	return false;
}

static enum quality plausible(
	const struct plan_metric *metric, struct metric_state *state, const struct bf_value *value)
{
	if (!is_number(value))
		return value->kind == BF_NONE ? QUALITY_INVALID : QUALITY_GOOD;
	double number = bf_value_number(value);
	if (!isfinite(number))
		return QUALITY_INVALID;
	if (number < metric->min || number > metric->max) /* false where they are not given: NaN */
		return QUALITY_RANGE;
	if (state->flags & METRIC_SEEN) {
		bool lower = metric->monotonic && number < state->last_good;
		bool jump = fabs(number - state->last_good) > metric->max_step;
		if ((lower || jump) && suspect_refused(metric, state, number))
			return QUALITY_RANGE;
	}
	state->n_suspects = 0;
	state->last_good = number;
	state->flags |= METRIC_SEEN;
	return QUALITY_GOOD;
}

/* The reduced number, as wide as what was read: the mean of integers only needs a fraction. */
static struct bf_value reduced_value(const struct plan_metric *metric, enum bf_kind kind, double number)
{
	if (kind == BF_FLOAT16 || kind == BF_FLOAT32)
		return (struct bf_value){.kind = BF_FLOAT32, .f32 = (float)number};
	if (metric->reduce != REDUCE_MEAN && kind == BF_SIGNED)
		return (struct bf_value){.kind = kind, .i = (int64_t)number};
	if (metric->reduce != REDUCE_MEAN && kind == BF_UNSIGNED)
		return (struct bf_value){.kind = kind, .u = (uint64_t)number};
	return (struct bf_value){.kind = BF_FLOAT64, .f64 = number};
}

/* Adds the value to its window.  True when it is over; then the value has become that of the window. */
static bool reduce(const struct plan_metric *metric, struct metric_state *state, struct bf_value *value, int64_t now_us)
{
	if (metric->reduce == REDUCE_LAST || metric->n_words || !is_number(value))
		return true;
	double number = bf_value_number(value);
	if (state->n_reduced > 0 && metric->reduce == REDUCE_MEAN)
		state->reduced += number;
	else if (state->n_reduced == 0 ||
		 (metric->reduce == REDUCE_MIN ? number < state->reduced : number > state->reduced))
		state->reduced = number;
	state->n_reduced++;
	if (!(state->flags & METRIC_WINDOW)) {
		state->flags |= METRIC_WINDOW;
		state->window_us = now_us;
	}
	if (metric->every_us > 0) {
		if (now_us - state->window_us < metric->every_us)
			return false;
		state->window_us += metric->every_us;
		if (now_us - state->window_us >= metric->every_us)
			state->window_us = now_us;
	}
	if (metric->reduce == REDUCE_MEAN)
		state->reduced /= state->n_reduced;
	*value = reduced_value(metric, value->kind, state->reduced);
	state->n_reduced = 0;
	return true;
}

static bool differs(const struct plan_metric *metric, const struct metric_state *state, const struct bf_value *value)
{
	if (value->kind != state->told_kind)
		return true;
	bool narrow = value->kind == BF_FLOAT16 || value->kind == BF_FLOAT32;
	bool fraction = narrow || value->kind == BF_FLOAT64;
	if (!is_number(value) || metric->n_words || (metric->deadband <= 0 && !fraction))
		return bits_of(value) != state->told;
	double now = bf_value_number(value), then = told_number(state);
	if (metric->deadband <= 0)
		return now < then || now > then;
	double limit = metric->deadband_percent ? fabs(then) * metric->deadband / 100 : metric->deadband;
	/* 230.3 - 230.1 is a little more than 0.2 in binary; it is not meant to be. */
	double rounding = (narrow ? 2.4e-7 : 1e-12) * fmax(fabs(now), fabs(then));
	return fabs(now - then) > limit + rounding;
}

/* A batch under way, with room for the usual payload: one for all of its readings, because the compiler clears it. */
struct telling {
	struct report *report;
	int64_t now_us;
	uint8_t occasion;
	char text[PAYLOAD_READING_MAX];
};

/* The present occasion, as it stands in flags. */
static uint8_t occasion_of(const struct report *report)
{
	unsigned n = report->occasions ? atomic_load_explicit(report->occasions, memory_order_relaxed) : 0;
	return (uint8_t)(n * METRIC_OCCASION);
}

static bool is_new_occasion(const struct metric_state *state, uint8_t occasion)
{
	return (state->flags & ~(METRIC_OCCASION - 1)) != occasion;
}

static void note_occasion(struct metric_state *state, uint8_t occasion)
{
	state->flags = (uint8_t)((state->flags & (METRIC_OCCASION - 1)) | occasion);
}

static bool worth_telling(const struct plan_metric *metric, const struct metric_state *state,
	const struct bf_value *value, const struct telling *telling)
{
	int64_t now_us = telling->now_us;
	if (is_new_occasion(state, telling->occasion))
		return true;
	if (isnan(metric->deadband) || state->quality != QUALITY_GOOD || !(state->flags & METRIC_TOLD))
		return true;
	if (metric->heartbeat_us > 0 && now_us - state->told_us >= metric->heartbeat_us)
		return true;
	return differs(metric, state, value);
}

/* Bytes for any payload of the metric that a message can take. */
static size_t report_room(const struct report *report, uint32_t metric)
{
	size_t room = payload_room(&report->payload, metric);
	return room < MESSAGE_PAYLOAD_MAX + 1 ? room : MESSAGE_PAYLOAD_MAX + 1;
}

/* Puts the reading as a message of its own.  0; -ENOMSG when its format has no words for it; -errno when not put. */
static int report_put(struct telling *telling, const struct reading *reading)
{
	struct report *report = telling->report;
	const struct plan_metric *metric = &report->plan->metrics[reading->metric];
	char *text = report->long_texts[reading->metric];
	size_t size = text ? report_room(report, reading->metric) : sizeof(telling->text);
	if (!text)
		text = telling->text;
	int n = payload_reading(&report->payload, reading, text, size);
	if (n == -ENOSPC && !(report->states[reading->metric].flags & METRIC_TOO_LONG)) {
		report->states[reading->metric].flags |= METRIC_TOO_LONG;
		log_about(LOG_LEVEL_ERROR, &(struct log_about){.topic = metric->topic},
			"%s: the payload would be longer than %u bytes, nothing is told", metric->topic,
			MESSAGE_PAYLOAD_MAX);
	}
	if (n < 0)
		return n;
	const struct plan_delivery *delivery = &metric->delivery;
	struct message message = {
		.topic = metric->topic,
		.payload = text,
		.payload_n = (size_t)n,
		.time_ms = reading->time_ms,
		.put_at = telling->now_us,
		.expire_s = delivery->expire_s,
		.qos = delivery->qos,
		.retain = delivery->retain,
		.json = delivery->payload == PAYLOAD_JSON,
		.line = delivery->payload == PAYLOAD_INFLUX,
		.buffer = delivery->buffer,
		.latest_only = delivery->latest_only,
		.kind = MESSAGE_READING,
	};
	return report->messages->put(report->messages, &message);
}

static void tell_taps(const struct telling *telling, const struct reading *judged, bool told)
{
	for (struct report_tap *tap = telling->report->taps; tap; tap = tap->next)
		tap->judged(tap, judged, telling->now_us, told);
}

static void report_bad(struct telling *telling, const struct reading *reading)
{
	struct report *report = telling->report;
	const struct plan_metric *metric = &report->plan->metrics[reading->metric];
	struct metric_state *state = &report->states[reading->metric];
	bool turned = state->quality != reading->quality || is_new_occasion(state, telling->occasion);
	note_occasion(state, telling->occasion);
	state->quality = (uint8_t)reading->quality;
	tell_taps(telling, reading, turned);
	if (metric->delivery.per_device) {
		payload_round_add(&report->rounds, reading, turned);
	} else if (turned) {
		int error = report_put(telling, reading);
		if (error && error != -ENOMSG)
			state->quality = QUALITY_UNTOLD;
	}
}

static void report_reading(struct telling *telling, const struct reading *reading)
{
	struct report *report = telling->report;
	int64_t now_us = telling->now_us;
	const struct plan_metric *metric = &report->plan->metrics[reading->metric];
	struct metric_state *state = &report->states[reading->metric];
	struct reading judged = *reading;
	if (judged.quality == QUALITY_GOOD)
		judged.quality = plausible(metric, state, &judged.value);
	if (judged.quality != QUALITY_GOOD) {
		judged.value = (struct bf_value){.kind = BF_NONE};
		report_bad(telling, &judged);
		return;
	}
	bool told =
		reduce(metric, state, &judged.value, now_us) && worth_telling(metric, state, &judged.value, telling);
	tell_taps(telling, &judged, told);
	if (!told)
		return;
	if (metric->delivery.per_device) {
		payload_round_add(&report->rounds, &judged, true);
	} else if (report_put(telling, &judged) != 0) {
		state->flags &= (uint8_t)~METRIC_TOLD;
		return;
	}
	state->quality = QUALITY_GOOD;
	note_occasion(state, telling->occasion);
	state->flags |= METRIC_TOLD;
	state->told = bits_of(&judged.value);
	state->told_kind = (uint8_t)judged.value.kind;
	state->told_us = now_us;
}

/* One message for the whole device.  When it is not put, nothing of it was told. */
static void report_round(struct report *report, uint32_t device, int64_t now_us)
{
	struct message message;
	if (payload_round_end(&report->rounds, device, &message) != 0)
		return;
	message.put_at = now_us;
	if (report->messages->put(report->messages, &message) == 0)
		return;
	const struct plan_device *of = &report->plan->devices[device];
	for (uint32_t i = of->first_metric; i < of->first_metric + of->n_metrics; i++)
		if (report->plan->metrics[i].delivery.per_device)
			report->states[i].quality = QUALITY_UNTOLD;
}

static struct report *report_of(struct reading_sink *sink)
{
	return (struct report *)(void *)((char *)sink - offsetof(struct report, sink));
}

static void report_availability(struct report *report, uint32_t device, bool online)
{
	if (report->listener)
		report->listener->availability(report->listener, device, online);
	for (struct report_tap *tap = report->taps; tap; tap = tap->next)
		if (tap->availability)
			tap->availability(tap, device, online);
}

static void report_take(struct reading_sink *sink, const struct batch *batch)
{
	struct report *report = report_of(sink);
	if (batch->availability != AVAILABILITY_SAME)
		report_availability(report, batch->device, batch->availability == AVAILABILITY_ONLINE);
	struct telling telling = {.report = report, .now_us = batch->now_us, .occasion = occasion_of(report)};
	for (size_t i = 0; i < batch->n; i++)
		report_reading(&telling, &batch->readings[i]);
	if (batch->round_over)
		report_round(report, batch->device, batch->now_us);
}

static void report_rest(struct reading_sink *sink)
{
	const struct report *report = report_of(sink);
	report->messages->flush(report->messages);
	for (struct report_tap *tap = report->taps; tap; tap = tap->next)
		if (tap->rest)
			tap->rest(tap);
}

int report_init(const struct plan *plan, const struct clock *clock, struct message_sink *messages,
	struct report_listener *listener, struct report **ret_report)
{
	(void)clock; /* a batch brings its instant */
	struct report *report = calloc(1, sizeof(*report));
	struct metric_state *states = calloc(plan->n_metrics ? plan->n_metrics : 1, sizeof(*states));
	if (!report || !states) {
		free(report);
		free(states);
		return -ENOMEM;
	}
	report->sink = (struct reading_sink){.take = report_take, .rest = report_rest};
	report->plan = plan;
	report->messages = messages;
	report->listener = listener;
	report->states = states;
	for (size_t i = 0; i < plan->n_metrics; i++)
		states[i].quality = QUALITY_UNTOLD;
	payload_init(&report->payload, plan);
	payload_rounds_init(&report->rounds, &report->payload);
	report->long_texts = arena_array(&report->arena, plan->n_metrics, sizeof(char *));
	for (uint32_t i = 0; i < plan->n_metrics; i++)
		if (!plan->metrics[i].delivery.per_device && payload_room(&report->payload, i) > PAYLOAD_READING_MAX)
			report->long_texts[i] = arena_alloc(&report->arena, report_room(report, i));
	*ret_report = report;
	return 0;
}

void report_destroy(struct report *report)
{
	if (!report)
		return;
	payload_rounds_destroy(&report->rounds);
	payload_destroy(&report->payload);
	arena_free(&report->arena);
	free(report->states);
	free(report);
}

void report_add_tap(struct report *report, struct report_tap *tap)
{
	tap->next = report->taps;
	report->taps = tap;
}

void report_tell_anew(struct report *report, const _Atomic unsigned *occasions)
{
	report->occasions = occasions;
}

void report_count_ids(struct report *report, struct payload_ids *ids)
{
	report->payload.ids = ids;
}

void report_carry(struct report *report, size_t metric, const struct report *from, size_t from_metric)
{
	report->states[metric] = from->states[from_metric];
}

struct reading_sink *report_sink(struct report *report)
{
	return &report->sink;
}

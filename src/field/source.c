/*
 * Input, messages and readings of one device on a stream: see source.h.
 *
 * The search: the driver says what stands at the beginning of the input; what is damaged costs one byte only, so that a
 * sound message behind a false beginning is found.  When the line is silent the beginning of a message is given up in
 * the same way.
 *
 * Silence: a sensor that sends by itself is missed after `every`, its time-out, or one and a half times the usual gap
 * between its messages, whichever is longest.
 */
#include "field/source.h"
#include "field/convert.h"
#include "field/strip.h"
#include "field/telling.h"

#include <errno.h>
#include <string.h>

#define POLLS_MISSED 3
#define LONGEST_MIN  16
#define STALE_POLLS  3
#define GAP_MAX_US   3600000000

static const struct plan_metric *metric_of(const struct source *source, uint32_t i)
{
	return &source->plan->metrics[source->told->first_metric + i];
}

static void kinds_init(struct source *source, struct arena *arena)
{
	size_t n = source->seen.n_messages;
	source->kinds = arena_array(arena, n, sizeof(*source->kinds));
	source->every_us = CLOCK_NEVER;
	for (size_t k = 0; k < n; k++)
		source->kinds[k].every_us = CLOCK_NEVER;
	for (uint32_t i = 0; i < source->told->n_metrics; i++) {
		const struct plan_metric *metric = metric_of(source, i);
		struct source_kind *kind = &source->kinds[metric->message];
		kind->wanted = true;
		if (metric->event || metric->every_us == PLAN_EVERY_START)
			continue;
		if (metric->every_us < kind->every_us)
			kind->every_us = metric->every_us;
		if (metric->every_us < source->every_us)
			source->every_us = metric->every_us;
	}
}

void source_init(struct source *source, const struct plan *plan, uint32_t index, struct reading_sink *sink,
	struct bus_counts *bus, struct arena *arena)
{
	const struct plan_device *told = &plan->devices[index];
	const struct bf_driver *driver = told->driver;
	*source = (struct source){.plan = plan, .told = told, .index = index, .sink = sink, .bus = bus};
	source->seen = (struct bf_device){.keys = told->keys,
		.messages = told->stream->messages,
		.n_messages = told->stream->n_messages,
		.address = told->address,
		.memory = arena_alloc(arena, driver->memory_size ? driver->memory_size : 1)};
	size_t longest = driver->longest(&source->seen);
	if (longest > BF_INPUT_MAX)
		longest = BF_INPUT_MAX;
	source->longest = longest > LONGEST_MIN ? longest : LONGEST_MIN;
	source->size = source->longest + SOURCE_READ_MAX;
	source->input = arena_alloc(arena, source->size);
	source->body = arena_alloc(arena, source->longest);
	source->metrics = arena_array(arena, told->n_metrics, sizeof(*source->metrics));
	source->asked = plan_device_is_asked(told);
	kinds_init(source, arena);
}

void source_begin(struct source *source, bool afresh, int64_t now_us)
{
	source->n = 0;
	if (!afresh)
		return;
	memset(source->seen.memory, 0, source->told->driver->memory_size);
	source->opened_at = source->heard_at = now_us;
	for (uint32_t i = 0; i < source->told->n_metrics; i++)
		source->metrics[i] = (struct source_metric){.stale = source->metrics[i].stale};
}

/* The readings of one source.  What was told but its availability makes a round. */
struct account {
	struct telling telling;
	struct source *source;
	bool any;
};

static void account_begin(struct account *account, struct source *source, int64_t now_us)
{
	account->source = source;
	account->any = false;
	telling_begin(&account->telling, source->sink, source->index, now_us);
}

static void account_end(struct account *account)
{
	telling_send(&account->telling, account->any);
}

/* i: of the source's metrics. */
static struct reading *account_next(struct account *account, uint32_t i, int64_t wall_ms)
{
	struct reading *reading = telling_next(&account->telling);
	*reading = (struct reading){.metric = account->source->told->first_metric + i, .time_ms = wall_ms};
	account->any = true;
	return reading;
}

/* A gap is usual when two in a row are alike: one alone may be an outage.  What was long ago is forgotten. */
static void learn_gap(struct source *source, int64_t gap_us)
{
	bool alike = gap_us <= 2 * source->last_gap_us && source->last_gap_us <= 2 * gap_us;
	if (gap_us <= source->gap_us)
		source->gap_us -= (source->gap_us - gap_us) / 64;
	else if (alike && gap_us <= GAP_MAX_US)
		source->gap_us = gap_us;
	source->last_gap_us = gap_us;
}

static struct log_about about_of(const struct source *source)
{
	return (struct log_about){.device = source->told->path, .bus = source->plan->buses[source->told->bus].name};
}

static void heard(struct account *account, struct source *source, int64_t now_us)
{
	int64_t lasted = 0, gap_us = now_us - source->heard_at;
	counts_bump(source->counts.answers);
	strip_count(source->bus, OUTCOME_ANSWER, now_us);
	atomic_store_explicit(&source->counts.answered_at, now_us, memory_order_relaxed);
	learn_gap(source, gap_us);
	source->heard_at = now_us;
	source->missed = 0;
	source->damaged = 0;
	telling_availability(&account->telling, &source->counts, AVAILABILITY_ONLINE);
	if (complaint_clear(&source->silence, now_us, &lasted, NULL)) {
		struct log_about about = about_of(source);
		char length[LOG_LENGTH_SIZE];
		log_about(LOG_LEVEL_NOTICE, &about, "%s is heard again after %s", source->told->path,
			log_length(lasted, length));
	}
}

/* Is it to be told, or is it too early?  A tenth of the interval is no matter: senders are not on time. */
static bool is_due(const struct plan_metric *metric, struct source_metric *state, int64_t now_us)
{
	if (metric->event || metric->every_us == 0 || (metric->reduce != REDUCE_LAST && metric->every_us > 0))
		return true;
	if (metric->every_us == PLAN_EVERY_START) {
		bool first = !state->started;
		state->started = true;
		return first;
	}
	if (now_us + metric->every_us / 10 < state->next_at)
		return false;
	bool on_time = state->next_at && now_us - state->next_at < metric->every_us;
	state->next_at = (on_time ? state->next_at : now_us) + metric->every_us;
	return true;
}

static void tell_metric(struct account *account, uint32_t i, const struct bf_message *message, int64_t wall_ms)
{
	struct source *source = account->source;
	const struct plan_metric *metric = metric_of(source, i);
	struct source_metric *state = &source->metrics[i];
	char text[BF_STRING_MAX + 1];
	struct bf_value raw = {.kind = BF_NONE};
	int rc = source->told->driver->value(&source->seen, metric->keys, metric->index, message, text, &raw);
	if (rc == -ENOENT)
		return;
	state->seen_at = account->telling.batch.now_us;
	state->stale = false;
	if (!is_due(metric, state, account->telling.batch.now_us))
		return;
	/* A text lives until the batch is sent, so it is sent alone. */
	bool is_text = rc == 0 && raw.kind == BF_TEXT;
	if (is_text)
		telling_send(&account->telling, false);
	struct reading *reading = account_next(account, i, wall_ms);
	reading->quality = rc < 0 ? QUALITY_INVALID : convert_value(metric, &raw, &reading->value);
	if (is_text)
		telling_send(&account->telling, false);
}

static void tell_message(struct source *source, const struct bf_message *message, int64_t wall_ms, int64_t now_us)
{
	struct account account;
	account_begin(&account, source, now_us);
	heard(&account, source, now_us);
	source->kinds[message->kind].n++;
	bool warm = now_us - source->opened_at >= source->told->stream->ignore_first_us;
	for (uint32_t i = 0; warm && i < source->told->n_metrics; i++)
		if (metric_of(source, i)->message == message->kind)
			tell_metric(&account, i, message, wall_ms);
	account_end(&account);
}

/* What stands at the beginning of the input: how many bytes of it go, 0 = none yet. */
static size_t look(struct source *source, size_t at, const struct source_wait *wait, struct bf_message *ret_answer,
	bool *ret_answered, int64_t wall_ms, int64_t now_us)
{
	struct bf_found found = {0};
	size_t left = source->n - at;
	enum bf_find what = source->told->driver->find(&source->seen, source->input + at, left, source->body, &found);
	size_t n = found.n < 1 ? 1 : found.n > left ? left : found.n;
	switch (what) {
	case BF_FIND_MORE:
		return left >= source->longest ? 1 : 0;
	case BF_FIND_SKIP:
		return n;
	case BF_FIND_DAMAGED:
		counts_bump(source->counts.checksum);
		strip_count(source->bus, OUTCOME_CHECKSUM, now_us);
		source->damaged++;
		return 1;
	case BF_FIND_OTHER: {
		struct account account;
		source->n_sound_bytes += n;
		account_begin(&account, source, now_us);
		heard(&account, source, now_us);
		account_end(&account);
		return n;
	}
	case BF_FIND_MESSAGE:
		break;
	}
	if (found.message.kind >= source->seen.n_messages || found.message.n > source->longest)
		return 1; /* the driver's mistake */
	source->n_sound_bytes += n;
	tell_message(source, &found.message, wall_ms, now_us);
	if (wait && (wait->any || wait->kind == found.message.kind)) {
		*ret_answer = found.message;
		*ret_answered = true;
	}
	return n;
}

/* Goes through the input.  True when what was waited for came; the rest stays. */
static bool search(struct source *source, const struct source_wait *wait, struct bf_message *ret_answer,
	int64_t wall_ms, int64_t now_us)
{
	size_t at = 0, n = 1;
	bool answered = false;
	while (at < source->n && n > 0 && !answered) {
		n = look(source, at, wait, ret_answer, &answered, wall_ms, now_us);
		at += n;
	}
	if (answered && ret_answer->bytes >= source->input && ret_answer->bytes < source->input + source->size) {
		/* It must outlive what moves in its place. */
		memmove(source->body, ret_answer->bytes, ret_answer->n);
		ret_answer->bytes = source->body;
	}
	source->n -= at;
	memmove(source->input, source->input + at, source->n);
	return answered;
}

bool source_take(struct source *source, const uint8_t *bytes, size_t n, const struct source_wait *wait,
	struct bf_message *ret_answer, int64_t wall_ms, int64_t now_us)
{
	bool answered = false;
	do {
		size_t part = source->size - source->n < n ? source->size - source->n : n;
		if (part > 0) {
			memcpy(source->input + source->n, bytes, part);
			source->n += part;
			bytes += part;
			n -= part;
		}
		answered = search(source, wait, ret_answer, wall_ms, now_us);
	} while (n > 0 && !answered);
	/* What stands behind an answer is looked at with what comes next, as looking would spoil the answer. */
	size_t room = source->size - source->n, rest = n < room ? n : room;
	if (rest > 0)
		memcpy(source->input + source->n, bytes, rest);
	source->n += rest;
	return answered;
}

void source_quiet(struct source *source, int64_t wall_ms, int64_t now_us)
{
	struct bf_message none;
	while (source->n > 0) {
		memmove(source->input, source->input + 1, --source->n);
		search(source, NULL, &none, wall_ms, now_us);
	}
}

/* Nothing of it has a value. */
static void tell_bad(struct account *account, bool whole, unsigned kind, enum quality quality, int64_t wall_ms)
{
	struct source *source = account->source;
	for (uint32_t i = 0; i < source->told->n_metrics; i++) {
		const struct plan_metric *metric = metric_of(source, i);
		if ((whole || metric->message == kind) && !metric->event)
			account_next(account, i, wall_ms)->quality = quality;
	}
}

static void missed(struct account *account, struct source *source, int64_t now_us)
{
	source->missed++;
	counts_bump(source->counts.timeouts);
	counts_bump(source->counts.missed);
	strip_count(source->bus, OUTCOME_TIMEOUT, now_us);
	struct log_about about = about_of(source);
	if (complaint_raise(&source->silence, now_us)) {
		if (source->damaged)
			log_about(LOG_LEVEL_WARNING, &about, "%s: what it sends is damaged (bus %s)", about.device,
				about.bus);
		else
			log_about(LOG_LEVEL_WARNING, &about, "%s %s (bus %s)", source->told->path,
				source->asked ? "does not answer" : "is silent", about.bus);
	}
	if (source->missed >= POLLS_MISSED)
		telling_availability(&account->telling, &source->counts, AVAILABILITY_OFFLINE);
}

static enum quality quality_of_silence(const struct source *source)
{
	return source->damaged ? QUALITY_CHECKSUM : QUALITY_TIMEOUT;
}

void source_unanswered(struct source *source, bool whole, unsigned kind, int64_t wall_ms, int64_t now_us)
{
	struct account account;
	account_begin(&account, source, now_us);
	missed(&account, source, now_us);
	tell_bad(&account, whole, kind, quality_of_silence(source), wall_ms);
	account_end(&account);
}

/* How long it may be silent. */
static int64_t patience(const struct source *source)
{
	int64_t us = source->every_us > source->told->timeout_us ? source->every_us : source->told->timeout_us;
	int64_t usual_us = source->gap_us + source->gap_us / 2;
	return usual_us > us ? usual_us : us;
}

static int64_t warm_at(const struct source *source)
{
	return source->opened_at + source->told->stream->ignore_first_us;
}

/* Metrics that messages do not have any more, though these come. */
static void tell_stale(struct account *account, int64_t wall_ms, int64_t now_us)
{
	struct source *source = account->source;
	for (uint32_t i = 0; i < source->told->n_metrics; i++) {
		const struct plan_metric *metric = metric_of(source, i);
		struct source_metric *state = &source->metrics[i];
		int64_t limit_us = patience(source), seen_at = state->seen_at ? state->seen_at : warm_at(source);
		bool never = metric->index > 0 && !state->seen_at; /* a battery with fewer cells than the profile has */
		if (metric->event || metric->every_us == PLAN_EVERY_START || state->stale || never)
			continue;
		if (metric->every_us > limit_us)
			limit_us = metric->every_us;
		if (now_us - seen_at < STALE_POLLS * limit_us)
			continue;
		state->stale = true;
		account_next(account, i, wall_ms)->quality = QUALITY_TIMEOUT;
	}
}

int64_t source_tick(struct source *source, int64_t wall_ms, int64_t now_us)
{
	if (source->every_us == CLOCK_NEVER) /* events only: nothing is missed */
		return CLOCK_NEVER;
	int64_t limit_us = patience(source);
	int64_t miss_at = source->heard_at + limit_us * ((int64_t)source->missed + 1);
	struct account account;
	account_begin(&account, source, now_us);
	if (!source->asked && now_us >= miss_at) {
		missed(&account, source, now_us);
		tell_bad(&account, true, 0, quality_of_silence(source), wall_ms);
		miss_at = source->heard_at + limit_us * ((int64_t)source->missed + 1);
		if (miss_at <= now_us)
			miss_at = now_us + limit_us;
	} else if (source->missed == 0 && !source->talking) {
		tell_stale(&account, wall_ms, now_us);
	}
	account_end(&account);
	return source->asked ? now_us + limit_us : miss_at;
}

void source_port_lost(struct source *source, int64_t wall_ms, int64_t now_us)
{
	struct account account;
	account_begin(&account, source, now_us);
	telling_availability(&account.telling, &source->counts, AVAILABILITY_OFFLINE);
	tell_bad(&account, true, 0, QUALITY_OFFLINE, wall_ms);
	account_end(&account);
}

bool source_heard_all(const struct source *source)
{
	for (size_t k = 0; k < source->seen.n_messages; k++)
		if (source->kinds[k].wanted && source->kinds[k].n == 0)
			return false;
	return true;
}

/*
 * The questions of one unit address that may still be answered, see trust.h.
 *
 * An answer matches a question by its shape, an exception by its function.  If it matches several, it belongs to one of
 * them, nobody knows which; since the unit answers in order, the oldest of them and all before it are over in any case.
 * So `open` always holds at least the questions that are really under way: that is the invariant.
 *
 * Time only ever removes what it can hardly be wrong to remove: what is older than a minute, or, where there is no
 * other way to ask the unit, all of it after a silence longer than twice its latest answer ever (and six seconds).
 * Those that were removed are kept as `past`: if one of them is answered after all, the others come back.
 */
#include "field/trust.h"

#include <string.h>

#define PATIENCE_US (6 * (int64_t)1000000)
#define LIFE_US     (60 * (int64_t)1000000)
#define LATEST_US   (LIFE_US / 2)
#define OTHERS_US   (3600 * (int64_t)1000000)

static uint8_t function_of(trust_shape shape)
{
	return (shape >> 8) & 0x7F;
}

static bool is_exception(trust_shape shape)
{
	return shape & 0x8000;
}

/* The bit of a shape in `asked`; -1 for what is no answer to a read. */
static int bit_of(trust_shape shape)
{
	uint8_t function = function_of(shape);
	if (function < 1 || function > 4 || is_exception(shape))
		return -1;
	return (function - 1) * 256 + (shape & 0xFF);
}

bool trust_was_asked(const struct trust *trust, trust_shape shape)
{
	if (is_exception(shape)) {
		for (int n = 1; n < 256; n++)
			if (trust_was_asked(trust, TRUST_SHAPE(function_of(shape), n)))
				return true;
		return false;
	}
	int bit = bit_of(shape);
	return bit >= 0 && trust->asked[bit / 64] >> (bit % 64) & 1;
}

static bool matches(const struct trust_open *open, trust_shape shape)
{
	if (open->shape == TRUST_ANY || open->shape == shape)
		return true;
	return is_exception(shape) && function_of(open->shape) == function_of(shape);
}

static void drop_first(struct trust *trust, unsigned n)
{
	memmove(trust->open, trust->open + n, (trust->n_open - n) * sizeof(trust->open[0]));
	trust->n_open = (uint8_t)(trust->n_open - n);
	trust->n_past = trust->n_past > n ? (uint8_t)(trust->n_past - n) : 0;
}

static void add(struct trust *trust, const struct trust_open *question)
{
	if (trust->n_open == TRUST_OPEN_MAX) {
		if (trust->n_past == 0)
			trust->overfull = true;
		drop_first(trust, 1);
	}
	trust->open[trust->n_open++] = *question;
}

void trust_asked(struct trust *trust, trust_shape shape, int64_t now_us)
{
	int bit = bit_of(shape);
	if (bit >= 0)
		trust->asked[bit / 64] |= (uint64_t)1 << (bit % 64);
	add(trust, &(struct trust_open){.asked_at = now_us, .shape = shape, .ours = true});
}

void trust_overheard(struct trust *trust, trust_shape shape, int64_t now_us)
{
	/* Noise goes on and on: two unknown ones stand for many. */
	unsigned n = trust->n_open;
	trust->others_at = now_us;
	if (shape == TRUST_ANY && n >= trust->n_past + 2u && trust->open[n - 1].shape == TRUST_ANY &&
		trust->open[n - 2].shape == TRUST_ANY) {
		trust->open[n - 1].asked_at = now_us;
		return;
	}
	add(trust, &(struct trust_open){.asked_at = now_us, .shape = shape});
}

static bool others_ask(const struct trust *trust, int64_t now_us)
{
	return trust->others_at && now_us - trust->others_at < OTHERS_US;
}

static int newest_of_ours(const struct trust *trust)
{
	for (int i = trust->n_open - 1; i >= trust->n_past; i--)
		if (trust->open[i].ours)
			return i;
	return -1;
}

static void note_latest(struct trust *trust, const struct trust_open *question)
{
	if (question->ours && trust->heard_us > trust->latest_us && trust->heard_us <= LATEST_US)
		trust->latest_us = trust->heard_us;
}

/* Later than was believed to be possible: the younger ones that were given up as well may come too. */
static enum trust_verdict heard_past(struct trust *trust, trust_shape shape, int64_t now_us)
{
	for (unsigned i = 0; i < trust->n_past; i++) {
		struct trust_open question = trust->open[i];
		if (!question.ours || !matches(&question, shape) || now_us - question.asked_at > LIFE_US)
			continue;
		trust->heard_us = now_us - question.asked_at;
		if (!others_ask(trust, now_us)) /* else it may well be theirs */
			note_latest(trust, &question);
		drop_first(trust, i + 1);
		trust->n_past = 0;
		return TRUST_LATE;
	}
	return TRUST_UNASKED;
}

static void drop(struct trust *trust, unsigned from, unsigned n)
{
	memmove(trust->open + from, trust->open + from + n, (trust->n_open - from - n) * sizeof(trust->open[0]));
	trust->n_open = (uint8_t)(trust->n_open - n);
}

/* Our newest question was answered for certain: older ones are over.  Those of others only when a second answer says
 * so, one of another shape: if theirs was answered in a wrong length, it may have passed for ours, which is then under
 * way. */
static void drop_all(struct trust *trust)
{
	struct trust_open answered = trust->open[trust->n_open - 1];
	unsigned n = 0;
	for (unsigned i = trust->n_past; i < trust->n_open; i++) {
		struct trust_open *open = &trust->open[i];
		if (open->ours || open->passed)
			continue;
		open->passed = true;
		trust->open[n++] = *open;
	}
	if (n > 0)
		trust->open[n++] = answered;
	trust->n_open = (uint8_t)n;
	trust->n_past = 0;
}

/* What is over since one of the questions that match, the first of them or a later one, was answered.  That others were
 * overheard is no reason to believe that a question of ours is over: it would be if the answer bore a wrong name. */
static void drop_answered(struct trust *trust, unsigned first, bool only)
{
	if (only && trust->open[first].shape == TRUST_ANY)
		return;
	if (trust->open[first].ours) /* what is past stays in sight: it may be that which was answered */
		drop(trust, trust->n_past, first + 1 - trust->n_past);
	else
		drop(trust, first, 1);
}

enum trust_verdict trust_heard(struct trust *trust, trust_shape shape, bool elsewhere, int64_t now_us)
{
	int newest = newest_of_ours(trust), first = -1, n = 0;
	bool may_be_newest = false;
	for (int i = trust->n_past; i < trust->n_open; i++) {
		if (!matches(&trust->open[i], shape))
			continue;
		first = first < 0 ? i : first;
		n++;
		may_be_newest |= i == newest;
	}
	if (n == 0)
		return heard_past(trust, shape, now_us);
	struct trust_open question = trust->open[first];
	trust->heard_us = now_us - question.asked_at;
	if (n == 1)
		note_latest(trust, &question);
	if (elsewhere)
		return question.ours ? TRUST_LATE : TRUST_FOREIGN;
	/* With a question of others behind ours it may be the answer to that, in a wrong length. */
	if (n == 1 && may_be_newest && newest == trust->n_open - 1 && !trust->overfull) {
		drop_all(trust);
		return TRUST_CERTAIN;
	}
	drop_answered(trust, (unsigned)first, n == 1);
	if (may_be_newest)
		return TRUST_UNCERTAIN;
	return question.ours ? TRUST_LATE : TRUST_FOREIGN;
}

bool trust_is_alone(const struct trust *trust)
{
	return trust->n_open == trust->n_past + 1 && trust->open[trust->n_past].ours;
}

void trust_spoilt(struct trust *trust)
{
	int newest = newest_of_ours(trust);
	if (newest >= 0)
		trust->open[newest].spoilt = true;
}

static int64_t longest(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t patience_us(const struct trust *trust)
{
	return longest(PATIENCE_US, 2 * longest(trust->latest_us, trust->timeout_us));
}

/* Questions of others are no reason for silence, which they would make without end. */
static void forget_others(struct trust *trust, int64_t now_us)
{
	unsigned n = trust->n_past;
	for (unsigned i = n; i < trust->n_open; i++)
		if (trust->open[i].ours || now_us - trust->open[i].asked_at <= patience_us(trust))
			trust->open[n++] = trust->open[i];
	trust->n_open = (uint8_t)n;
}

bool trust_doubtful(struct trust *trust, int64_t now_us)
{
	forget_others(trust, now_us);
	while (trust->n_past < trust->n_open && now_us - trust->open[trust->n_past].asked_at > LIFE_US)
		trust->n_past++;
	return trust->n_past < trust->n_open || trust->overfull;
}

bool trust_is_open(const struct trust *trust, trust_shape shape)
{
	for (unsigned i = trust->n_past; i < trust->n_open; i++)
		if (trust->open[i].shape == shape)
			return true;
	return false;
}

bool trust_function_is_open(const struct trust *trust, uint8_t function)
{
	for (unsigned i = trust->n_past; i < trust->n_open; i++)
		if (trust->open[i].shape == TRUST_ANY || function_of(trust->open[i].shape) == function)
			return true;
	return false;
}

bool trust_only_spoilt(const struct trust *trust)
{
	for (unsigned i = trust->n_past; i < trust->n_open; i++)
		if (!trust->open[i].spoilt)
			return false;
	return !trust->overfull;
}

int64_t trust_silent_until(const struct trust *trust)
{
	return trust->n_open ? trust->open[trust->n_open - 1].asked_at + patience_us(trust) : 0;
}

void trust_let_go(struct trust *trust)
{
	trust->n_past = trust->n_open;
	trust->overfull = false;
}

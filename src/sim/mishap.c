/*
 * What goes wrong on purpose.
 *
 * A run with faults must be repeatable, or nobody finds what it found.  So chance has no memory: each number follows
 * from the seed, the device or bus, how many answers it has given, and the place of the rule.  A rule that is added
 * behind others does not move their mishaps, nor does a device those of its neighbours.
 *
 * Pure but for the caller's state.
 */
#include "sim/mishap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MISHAP_AWAY_MIN_US  1000000
#define MISHAP_AWAY_SPAN_US 4000000

static const struct mishap_kind {
	const char *name;
	enum mishap what;
	double rate; /* if none is given */
	bool of_bus;
} mishap_kinds[] = {
	{"dead", MISHAP_DEAD, 1, false},
	{"lost", MISHAP_LOST, 0.05, false},
	{"late", MISHAP_LATE, 0.05, false},
	{"slow", MISHAP_SLOW, 0.05, false},
	{"truncated", MISHAP_TRUNCATED, 0.05, false},
	{"noisy", MISHAP_NOISY, 0.05, false},
	{"noise", MISHAP_NOISY, 0.05, false},
	{"foreign", MISHAP_FOREIGN, 0.05, false},
	{"wrong-unit", MISHAP_WRONG_UNIT, 0.05, false},
	{"exception", MISHAP_EXCEPTION, 0.05, false},
	{"echoing", MISHAP_ECHOING, 1, true},
	{"unplugged", MISHAP_UNPLUGGED, 0.01, true},
};
#define N_KINDS (sizeof(mishap_kinds) / sizeof(mishap_kinds[0]))

/* SplitMix64, G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", 2014. */
static uint64_t mishap_mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	return z ^ z >> 31;
}

uint64_t mishap_roll(uint64_t *dice)
{
	return mishap_mix(*dice += 0x9E3779B97F4A7C15u);
}

/* The dice of one rule, or of what no rule is about (SIZE_MAX), at the present draw. */
static uint64_t mishap_dice(const struct mishap_state *state, size_t rule)
{
	return mishap_mix(mishap_mix(state->base + 0x9E3779B97F4A7C15u * (state->n_drawn + 1)) + rule);
}

static double mishap_chance(uint64_t *dice)
{
	return (double)(mishap_roll(dice) >> 11) / 9007199254740992.0;
}

static int mishap_parse_rate(const char *text, size_t n, double *ret_rate)
{
	char digits[16];
	if (n == 0 || n >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, n);
	digits[n] = '\0';
	char *end;
	double rate = strtod(digits, &end);
	if (end == digits)
		return -EINVAL;
	if (*end == '%') {
		rate /= 100;
		end++;
	}
	if (*end || !(rate >= 0 && rate <= 1))
		return -EINVAL;
	*ret_rate = rate;
	return 0;
}

/* Whom a rule is about: a device by its path, or a bus by its name. */
static int mishap_parse_target(const char *text, size_t n, const struct plan *plan, struct mishap_rule *rule)
{
	for (uint32_t i = 0; i < plan->n_devices; i++) {
		const char *path = plan->devices[i].path;
		if (strlen(path) == n && memcmp(path, text, n) == 0) {
			rule->device = i;
			rule->bus = plan->devices[i].bus;
			return 0;
		}
	}
	for (uint32_t i = 0; i < plan->n_buses; i++) {
		const char *name = plan->buses[i].name;
		if (strlen(name) == n && memcmp(name, text, n) == 0) {
			rule->bus = i;
			return 0;
		}
	}
	return -ENOENT;
}

static const struct mishap_kind *mishap_parse_kind(const char *text, size_t n, char complaint[static 160])
{
	for (size_t i = 0; i < N_KINDS; i++)
		if (strlen(mishap_kinds[i].name) == n && memcmp(mishap_kinds[i].name, text, n) == 0)
			return &mishap_kinds[i];
	snprintf(complaint, 160,
		"unknown fault \"%.*s\"; there are late, lost, truncated, noisy, echoing, foreign, wrong-unit, "
		"exception, dead, slow, unplugged",
		n > 20 ? 20 : (int)n, text);
	return NULL;
}

/* One item, kind[@device or bus][:rate]. */
static int mishap_parse_rule(
	const char *text, size_t n, const struct plan *plan, struct mishap_rule *ret_rule, char complaint[static 160])
{
	const char *colon = memrchr(text, ':', n);
	const char *head_end = colon ? colon : text + n;
	const char *at = memchr(text, '@', (size_t)(head_end - text));
	size_t n_kind = (size_t)((at ? at : head_end) - text);
	const struct mishap_kind *kind = mishap_parse_kind(text, n_kind, complaint);
	if (!kind)
		return -EINVAL;
	struct mishap_rule rule = {.what = kind->what, .rate = kind->rate, .device = MISHAP_ANY, .bus = MISHAP_ANY};
	if (at && mishap_parse_target(at + 1, (size_t)(head_end - at - 1), plan, &rule) < 0) {
		snprintf(complaint, 160, "no device or bus \"%.*s\" in the map", (int)(head_end - at - 1), at + 1);
		return -EINVAL;
	}
	if (kind->of_bus)
		rule.device = MISHAP_ANY;
	if (colon && mishap_parse_rate(colon + 1, (size_t)(text + n - colon - 1), &rule.rate) < 0) {
		snprintf(complaint, 160, "\"%.*s\" is no share: write 5%% or 0.05", (int)(text + n - colon - 1),
			colon + 1);
		return -EINVAL;
	}
	*ret_rule = rule;
	return 0;
}

int mishaps_parse(const char *text, const struct plan *plan, uint64_t seed, struct arena *arena,
	struct mishaps *ret_mishaps, char complaint[static 160])
{
	size_t n = 1;
	for (const char *c = text; *c; c++)
		n += *c == ',';
	struct mishap_rule *rules = arena_array(arena, n, sizeof(*rules));
	for (size_t i = 0; i < n; i++) {
		size_t length = strcspn(text, ",");
		int rc = mishap_parse_rule(text, length, plan, &rules[i], complaint);
		if (rc < 0)
			return rc;
		text += length + 1;
	}
	*ret_mishaps = (struct mishaps){.rules = rules, .n_rules = n, .seed = seed};
	return 0;
}

static bool mishap_fits(const struct mishap_rule *rule, const struct mishap_state *state)
{
	return (rule->device == MISHAP_ANY || rule->device == state->device) &&
	       (rule->bus == MISHAP_ANY || rule->bus == state->bus);
}

/* Does a rule of this kind strike at the present draw? */
static bool mishap_strikes(const struct mishaps *mishaps, enum mishap what, const struct mishap_state *state)
{
	for (size_t i = 0; i < mishaps->n_rules; i++) {
		const struct mishap_rule *rule = &mishaps->rules[i];
		uint64_t dice = mishap_dice(state, i);
		if (rule->what == what && mishap_fits(rule, state) && mishap_chance(&dice) < rule->rate)
			return true;
	}
	return false;
}

void mishap_begin(const struct mishaps *mishaps, uint32_t device, uint32_t bus, struct mishap_state *ret_state)
{
	*ret_state = (struct mishap_state){
		.device = device, .bus = bus, .base = mishap_mix(mishaps->seed + ((uint64_t)device << 32))};
	ret_state->dead = mishap_strikes(mishaps, MISHAP_DEAD, ret_state);
}

void mishap_begin_bus(const struct mishaps *mishaps, uint32_t bus, struct mishap_state *ret_state)
{
	*ret_state = (struct mishap_state){
		.device = MISHAP_ANY, .bus = bus, .base = mishap_mix(~mishaps->seed + ((uint64_t)bus << 32))};
	ret_state->echoing = mishap_strikes(mishaps, MISHAP_ECHOING, ret_state);
}

int64_t mishap_unplugs(const struct mishaps *mishaps, struct mishap_state *state)
{
	state->n_drawn++;
	if (!mishap_strikes(mishaps, MISHAP_UNPLUGGED, state))
		return 0;
	uint64_t dice = mishap_dice(state, SIZE_MAX);
	return MISHAP_AWAY_MIN_US + (int64_t)(mishap_chance(&dice) * MISHAP_AWAY_SPAN_US);
}

static void mishap_befall(enum mishap what, double amount, int64_t timeout_us, struct mishap_fate *fate)
{
	static const uint8_t exceptions[] = {4, 5, 6, 11};
	double wait = (double)timeout_us;
	switch (what) {
	case MISHAP_LOST:
		fate->silent = true;
		break;
	case MISHAP_LATE: /* real slaves were measured up to 4.5 time-outs late */
		fate->delay_us += (int64_t)(wait * (1.1 + 3.4 * amount));
		break;
	case MISHAP_SLOW:
		fate->delay_us += (int64_t)(wait * (0.3 + 0.5 * amount));
		break;
	case MISHAP_TRUNCATED:
		fate->truncated = true;
		break;
	case MISHAP_NOISY:
		fate->noisy = true;
		break;
	case MISHAP_FOREIGN:
		fate->foreign = true;
		break;
	case MISHAP_WRONG_UNIT:
		fate->wrong_unit = true;
		break;
	case MISHAP_EXCEPTION:
		fate->exception = exceptions[(size_t)(amount * sizeof(exceptions))];
		break;
	case MISHAP_DEAD:
	case MISHAP_ECHOING:
	case MISHAP_UNPLUGGED:
	case N_MISHAPS:
		break;
	}
}

struct mishap_fate mishap_draw(const struct mishaps *mishaps, int64_t timeout_us, struct mishap_state *state)
{
	state->n_drawn++;
	struct mishap_fate fate = {.silent = state->dead, .dice = mishap_dice(state, SIZE_MAX)};
	for (size_t i = 0; i < mishaps->n_rules; i++) {
		const struct mishap_rule *rule = &mishaps->rules[i];
		uint64_t dice = mishap_dice(state, i);
		if (mishap_fits(rule, state) && mishap_chance(&dice) < rule->rate)
			mishap_befall(rule->what, mishap_chance(&dice), timeout_us, &fate);
	}
	return fate;
}

static void mishap_make_noise(uint64_t dice, uint8_t *frame, size_t n)
{
	uint64_t n_bits = 8 * (uint64_t)n, roll = mishap_roll(&dice);
	if (roll % 4 == 0) { /* a burst of at most 16 bits, the first and last of which are wrong */
		uint64_t first = mishap_roll(&dice) % (n_bits - 15);
		uint64_t burst = mishap_roll(&dice) % 0x8000 | 0x8001;
		for (uint64_t i = 0; i < 16; i++)
			if (burst >> i & 1)
				frame[(first + i) / 8] ^= (uint8_t)(1U << (first + i) % 8);
		return;
	}
	uint64_t at = mishap_roll(&dice) % n_bits;
	for (uint64_t left = roll % 4; left > 0; left--) { /* one to three different ones */
		frame[at / 8] ^= (uint8_t)(1U << at % 8);
		at = (at + 1 + mishap_roll(&dice) % (n_bits / 4)) % n_bits;
	}
}

size_t mishap_spoil(const struct mishap_fate *fate, uint8_t *frame, size_t n)
{
	uint64_t dice = fate->dice;
	if (fate->noisy)
		mishap_make_noise(dice, frame, n);
	return fate->truncated ? 1 + (size_t)(mishap_roll(&dice) % (n - 1)) : n;
}

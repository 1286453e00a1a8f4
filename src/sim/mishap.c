/*
 * What goes wrong on purpose.
 *
 * A run with faults must be repeatable, or nobody finds what it found.  So each device draws from a
 * generator of its own, begun from the seed and its index, and draws once per rule and answer
 * whether the rule fits or not: a rule that is added behind others does not move their mishaps.
 *
 * Pure but for the caller's state.
 */
#include "sim/mishap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	double rate;
} mishap_kinds[N_MISHAPS] = {
	[MISHAP_DEAD] = {"dead", 1},
	[MISHAP_LOST] = {"lost", 0.05},
	[MISHAP_LATE] = {"late", 0.05},
	[MISHAP_SLOW] = {"slow", 0.05},
};

/* SplitMix64, G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", 2014.
 */
static uint64_t mishap_random(uint64_t *random)
{
	uint64_t z = (*random += 0x9E3779B97F4A7C15u);
	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	return z ^ z >> 31;
}

static double mishap_chance(uint64_t *random)
{
	return (double)(mishap_random(random) >> 11) / 9007199254740992.0;
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

static int mishap_parse_device(const char *text, size_t n, const struct plan *plan, uint32_t *ret_device)
{
	for (uint32_t i = 0; i < plan->n_devices; i++) {
		const char *path = plan->devices[i].path;
		if (strlen(path) == n && memcmp(path, text, n) == 0) {
			*ret_device = i;
			return 0;
		}
	}
	return -ENOENT;
}

/* One item, kind[@device][:rate]. */
static int mishap_parse_rule(
	const char *text, size_t n, const struct plan *plan, struct mishap_rule *ret_rule, char complaint[static 160])
{
	const char *colon = memrchr(text, ':', n);
	const char *head_end = colon ? colon : text + n;
	const char *at = memchr(text, '@', (size_t)(head_end - text));
	size_t n_kind = (size_t)((at ? at : head_end) - text);
	struct mishap_rule rule = {.what = N_MISHAPS, .device = MISHAP_ANY_DEVICE};
	for (int i = 0; i < N_MISHAPS; i++)
		if (strlen(mishap_kinds[i].name) == n_kind && memcmp(mishap_kinds[i].name, text, n_kind) == 0)
			rule.what = (enum mishap)i;
	if (rule.what == N_MISHAPS) {
		snprintf(complaint, 160, "unknown fault \"%.*s\"", (int)n_kind, text);
		return -EINVAL;
	}
	rule.rate = mishap_kinds[rule.what].rate;
	if (at && mishap_parse_device(at + 1, (size_t)(head_end - at - 1), plan, &rule.device) < 0) {
		snprintf(complaint, 160, "no device \"%.*s\" in the map", (int)(head_end - at - 1), at + 1);
		return -EINVAL;
	}
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

static bool mishap_fits(const struct mishap_rule *rule, uint32_t device)
{
	return rule->device == device || rule->device == MISHAP_ANY_DEVICE;
}

void mishap_begin(const struct mishaps *mishaps, uint32_t device, struct mishap_state *ret_state)
{
	*ret_state = (struct mishap_state){.random = mishaps->seed ^ (uint64_t)device << 32};
	for (size_t i = 0; i < mishaps->n_rules; i++) {
		const struct mishap_rule *rule = &mishaps->rules[i];
		double chance = mishap_chance(&ret_state->random);
		if (rule->what == MISHAP_DEAD && mishap_fits(rule, device) && chance < rule->rate)
			ret_state->dead = true;
	}
}

struct mishap_fate mishap_draw(
	const struct mishaps *mishaps, uint32_t device, int64_t timeout_us, struct mishap_state *state)
{
	struct mishap_fate fate = {.silent = state->dead};
	for (size_t i = 0; i < mishaps->n_rules; i++) {
		const struct mishap_rule *rule = &mishaps->rules[i];
		double chance = mishap_chance(&state->random);
		double amount = mishap_chance(&state->random);
		if (!mishap_fits(rule, device) || chance >= rule->rate)
			continue;
		double wait = (double)timeout_us;
		switch (rule->what) {
		case MISHAP_LOST:
			fate.silent = true;
			break;
		case MISHAP_LATE: /* real slaves were measured up to 4.5 time-outs late */
			fate.delay_us += (int64_t)(wait * (1.1 + 3.4 * amount));
			break;
		case MISHAP_SLOW:
			fate.delay_us += (int64_t)(wait * (0.3 + 0.5 * amount));
			break;
		case MISHAP_DEAD:
		case N_MISHAPS:
			break;
		}
	}
	return fate;
}

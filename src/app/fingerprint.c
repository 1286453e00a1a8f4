/*
 * Fingerprints of devices.
 */
#include "app/fingerprint.h"
#include "app/compile.h"
#include "app/profile.h"
#include "field/convert.h"

#include <math.h>

static void fingerprint_add(struct fingerprints *prints, const char *id)
{
	const char *file = NULL;
	struct faults faults = {0};
	struct profile profile = {0};
	if (profile_find(id, &prints->arena, &file) == 0 &&
		profile_read(file, &prints->arena, &faults, &profile) == 0) {
		struct plan *plan = &prints->plans[prints->n_plans++];
		struct fingerprint *print = &prints->items[prints->n_items];
		if (compile_profile(&profile, &faults, plan, &print->probe) && faults.n_errors == 0) {
			print->id = profile.id;
			print->maker = profile.maker;
			print->device = profile.device;
			prints->n_items++;
		}
	}
	faults_destroy(&faults);
}

void fingerprints_load(struct fingerprints *ret_fingerprints)
{
	*ret_fingerprints = (struct fingerprints){0};
	struct arena *arena = &ret_fingerprints->arena;
	const char *const *ids = profile_ids(arena);
	size_t n = 0;
	while (ids[n])
		n++;
	ret_fingerprints->items = arena_array(arena, n, sizeof(*ret_fingerprints->items));
	ret_fingerprints->plans = arena_array(arena, n, sizeof(*ret_fingerprints->plans));
	for (size_t i = 0; i < n; i++)
		fingerprint_add(ret_fingerprints, ids[i]);
}

void fingerprints_destroy(struct fingerprints *fingerprints)
{
	for (size_t i = 0; i < fingerprints->n_plans; i++)
		plan_destroy(&fingerprints->plans[i]);
	struct arena arena = fingerprints->arena;
	*fingerprints = (struct fingerprints){0};
	arena_free(&arena);
}

bool fingerprint_fits(const struct fingerprint *print, const uint8_t *bytes, double *ret_value)
{
	char text[BF_STRING_MAX + 1];
	struct bf_value value;
	struct bf_place place = convert_place(&print->probe);
	*ret_value = NAN;
	if (convert_metric(&print->probe, &place, bytes, text, &value) != QUALITY_GOOD || value.kind == BF_TEXT)
		return false;
	*ret_value = bf_value_number(&value);
	return (isnan(print->probe.min) || *ret_value >= print->probe.min) &&
	       (isnan(print->probe.max) || *ret_value <= print->probe.max);
}

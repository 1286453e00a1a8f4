/*
 * What every profile of a stream, and so every driver of streams, owes without a test of its own:
 *   the contract of stream_contract.h, on each of its golden inputs
 *   silence, noise and a port that is gone become the quality of every metric, and the device is back afterwards
 * The example of docs/example-driver is one of them, with its driver as a module.
 */
#include "app/compile.h"
#include "app/vector.h"
#include "base/log.h"
#include "field/registry.h"
#include "stream_contract.h"
#include "stream_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define EXAMPLE BUSFERRY_SOURCE "/docs/example-driver/vane.conf"

#define TALK_US INT64_C(60000000)

static const char *folder = BUSFERRY_SOURCE "/config/profiles";

/* A profile with its golden inputs. */
struct loaded {
	struct arena arena;
	struct faults faults;
	struct profile profile;
	struct plan plan;
	const struct vector *vectors;
	size_t n_vectors;
};

static bool load(const char *file, struct loaded *loaded)
{
	struct plan_metric probe;
	*loaded = (struct loaded){0};
	bool sound = profile_read(file, &loaded->arena, &loaded->faults, &loaded->profile) == 0;
	const struct bf_driver *driver = sound ? registry_find(loaded->profile.transport) : NULL;
	if (!driver || driver->way != BF_WAY_STREAM)
		return false;
	compile_profile(&loaded->profile, &loaded->faults, &loaded->plan, &probe);
	sound = vectors_read(&loaded->profile, &loaded->arena, &loaded->faults, &loaded->vectors, &loaded->n_vectors);
	if (!sound || loaded->faults.n_errors)
		faults_print(&loaded->faults, stderr, false);
	assert_true(sound && loaded->faults.n_errors == 0);
	return true;
}

static void unload(struct loaded *loaded)
{
	plan_destroy(&loaded->plan);
	faults_destroy(&loaded->faults);
	arena_free(&loaded->arena);
}

/* Does what the driver calls "….check.kind" stand in the profile?  A driver without such a key checks always. */
static bool is_checked(const struct loaded *loaded, const char **ret_kind)
{
	const struct bf_driver *driver = loaded->plan.devices[0].driver;
	const struct tree *group = tree_get(loaded->profile.defaults, driver->name);
	const struct tree *check = group && group->type == TREE_GROUP ? tree_get(group, "check") : NULL;
	const struct tree *kind = check && check->type == TREE_GROUP ? tree_get(check, "kind") : NULL;
	bool has_key = false;
	for (const struct bf_key *key = driver->device_keys; key && key->name; key++)
		has_key = has_key || strstr(key->name, ".check.kind");
	*ret_kind = kind && kind->type == TREE_TEXT ? kind->text : "";
	return kind || !has_key;
}

/* What a check can't see: Teleinfo's has six bits, and its seventh and eighth are the line's. */
static uint8_t blind_of(const char *kind)
{
	return strcmp(kind, "teleinfo") == 0 ? 0xC0 : 0;
}

static bool is_weak(const char *kind)
{
	return kind[0] != '\0' && !strstr(kind, "16");
}

static bool keeps_contract(const struct loaded *loaded, const struct vector *vector)
{
	const struct plan *plan = &loaded->plan;
	const struct plan_device *told = &plan->devices[0];
	struct contract_metric *metrics = calloc(plan->n_metrics, sizeof(*metrics));
	assert_non_null(metrics);
	for (size_t i = 0; i < plan->n_metrics; i++)
		metrics[i] = (struct contract_metric){
			plan->metrics[i].keys, plan->metrics[i].message, plan->metrics[i].index};
	const char *kind;
	struct contract contract = {.driver = told->driver,
		.device = {.keys = told->keys,
			.messages = told->stream->messages,
			.n_messages = told->stream->n_messages,
			.address = told->address},
		.metrics = metrics,
		.n_metrics = plan->n_metrics,
		.checked = is_checked(loaded, &kind)};
	contract.blind = blind_of(kind);
	contract.weak = is_weak(kind);
	size_t n = 0;
	for (size_t i = 0; i < vector->n_input; i++)
		n += vector->input[i].n;
	uint8_t *golden = malloc(n);
	assert_non_null(golden);
	for (size_t i = 0, at = 0; i < vector->n_input; at += vector->input[i++].n)
		memcpy(golden + at, vector->input[i].at, vector->input[i].n);
	char broken[CONTRACT_SIZE];
	bool fine = contract_holds(&contract, golden, n, broken);
	if (!fine)
		print_message("%s, vector %s: %s\n", loaded->profile.id, vector->name, broken);
	free(golden);
	free(metrics);
	return fine;
}

/* Metrics whose absence is told: no events, and none that is wanted once only. */
static bool is_missed(const struct plan_metric *metric)
{
	return !metric->event && metric->every_us != PLAN_EVERY_START;
}

static bool all_are(const struct stream_stage *stage, const char *id, enum quality quality, const char *when)
{
	bool fine = true, any = false;
	for (size_t i = 0; i < stage->plan.n_metrics; i++) {
		if (!is_missed(&stage->plan.metrics[i]))
			continue;
		any = true;
		if (stage->metrics[i].told && stage->metrics[i].quality == quality)
			continue;
		print_message("%s: %s is %s %s\n", id, stage->plan.metrics[i].name,
			stage->metrics[i].told ? quality_word(stage->metrics[i].quality) : "not told", when);
		fine = false;
	}
	if (any && stage->availability != AVAILABILITY_OFFLINE) {
		print_message("%s is not offline %s\n", id, when);
		fine = false;
	}
	return fine;
}

static bool is_of_a_message(enum quality quality)
{
	return quality == QUALITY_GOOD || quality == QUALITY_INVALID || quality == QUALITY_RANGE;
}

static bool is_heard(struct stream_stage *stage, const char *id, int64_t us, const char *when)
{
	size_t n = 0;
	for (size_t i = 0; i < stage->plan.n_metrics; i++)
		stage->metrics[i].told = false;
	stage_run(stage, STAGE_PLAYS, us);
	for (size_t i = 0; i < stage->plan.n_metrics; i++)
		n += stage->metrics[i].told && is_of_a_message(stage->metrics[i].quality);
	if (n == 0 || stage->availability != AVAILABILITY_ONLINE)
		print_message("%s is not heard %s\n", id, when);
	return n > 0 && stage->availability == AVAILABILITY_ONLINE;
}

/* Noise is damaged messages for a driver that finds their shape in it, else it is silence. */
static bool bad_in_noise(const struct stream_stage *stage, const char *id)
{
	for (size_t i = 0; i < stage->plan.n_metrics; i++)
		if (is_missed(&stage->plan.metrics[i]) && stage->metrics[i].quality != QUALITY_TIMEOUT &&
			stage->metrics[i].quality != QUALITY_CHECKSUM) {
			print_message("%s: %s is %s in noise\n", id, stage->plan.metrics[i].name,
				quality_word(stage->metrics[i].quality));
			return false;
		}
	return true;
}

static bool bears_what_happens(const struct loaded *loaded, const struct vector *vector)
{
	const struct plan_device *told = &loaded->plan.devices[0];
	struct stream_stage *stage = stage_make(&loaded->plan, vector->input, vector->n_input);
	const char *id = loaded->profile.id, *kind;
	int64_t longest_us = told->timeout_us;
	for (size_t i = 0; i < loaded->plan.n_metrics; i++)
		if (loaded->plan.metrics[i].every_us > longest_us)
			longest_us = loaded->plan.metrics[i].every_us;
	int64_t while_us = 12 * longest_us + told->stream->ignore_first_us;
	if (told->driver->ask) /* the steps of a conversation have time-outs of their own */
		while_us += TALK_US;
	bool checked = is_checked(loaded, &kind);

	bool fine = is_heard(stage, id, while_us, "at first");
	stage_run(stage, STAGE_SILENT, while_us);
	fine = fine && all_are(stage, id, QUALITY_TIMEOUT, "in silence");
	fine = fine && is_heard(stage, id, while_us, "after silence");
	stage_run(stage, STAGE_GONE, while_us);
	fine = fine && all_are(stage, id, QUALITY_OFFLINE, "without its port");
	fine = fine && is_heard(stage, id, while_us, "when its port is back");
	stage_run(stage, STAGE_NOISY, while_us);
	fine = fine && (!checked || bad_in_noise(stage, id));
	fine = fine && is_heard(stage, id, while_us, "after noise");
	stage_free(stage);
	return fine;
}

#define DRIVERS_MAX 64

/* Which drivers of the registry some profile has tried. */
static bool tried[DRIVERS_MAX];

static void note_driver(const struct bf_driver *driver)
{
	for (size_t i = 0; i < DRIVERS_MAX && registry_at(i); i++)
		tried[i] = tried[i] || registry_at(i) == driver;
}

/* Tries all profiles of streams; how many there were. */
static size_t each(bool (*keeps)(const struct loaded *loaded, const struct vector *vector), size_t *ret_bad)
{
	struct arena arena = {0};
	size_t n = 0;
	const char *const *ids = profile_ids(&arena);
	for (size_t i = 0;; i++) {
		struct loaded loaded;
		const char *file = ids[i] ? arena_format(&arena, "%s/%s.conf", folder, ids[i]) : EXAMPLE;
		bool is_stream = load(file, &loaded);
		for (size_t k = 0; is_stream && k < loaded.n_vectors; k++)
			*ret_bad += !keeps(&loaded, &loaded.vectors[k]);
		if (is_stream)
			note_driver(loaded.plan.devices[0].driver);
		n += is_stream;
		unload(&loaded);
		if (!ids[i])
			break;
	}
	arena_free(&arena);
	return n;
}

static void test_each_keeps_the_contract(void **state)
{
	(void)state;
	size_t bad = 0, n = each(keeps_contract, &bad);
	print_message("%zu profiles of streams\n", n);
	assert_true(n >= 1);
	assert_int_equal(bad, 0);
}

static void test_each_bears_what_happens_to_a_line(void **state)
{
	(void)state;
	size_t bad = 0;
	each(bears_what_happens, &bad);
	assert_int_equal(bad, 0);
}

/* A driver that no profile uses is proven by nobody. */
static void test_each_driver_was_tried(void **state)
{
	(void)state;
	size_t n_missing = 0;
	for (size_t i = 0; i < DRIVERS_MAX && registry_at(i); i++) {
		bool missing = registry_at(i)->way == BF_WAY_STREAM && !tried[i];
		if (missing)
			print_message("no profile is for the driver %s\n", registry_at(i)->name);
		n_missing += missing;
	}
	assert_int_equal(n_missing, 0);
}

/* With an argument: the profiles of that folder instead of those that are shipped. */
int main(int argc, char **argv)
{
	if (argc > 1)
		folder = argv[1];
	log_set_level(LOG_LEVEL_ERROR);
	setenv("BUSFERRY_PROFILES", folder, 1);
	setenv("BUSFERRY_DRIVERS", BUSFERRY_MODULES "/example", 1);
	registry_load();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_keeps_the_contract),
		cmocka_unit_test(test_each_bears_what_happens_to_a_line),
		cmocka_unit_test(test_each_driver_was_tried),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

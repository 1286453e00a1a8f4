/*
 * Golden vectors: replayed through the very code that reads a device (convert.c, stream.c) and prints a payload
 * (payload.c), so that what is proven is what a subscriber sees.
 *
 * Why each metric must be expected by some vector: a wrong word order or scale looks like a number all the same, and
 * only a vector makes somebody look.
 */
#include "app/vector.h"
#include "app/compile.h"
#include "field/convert.h"
#include "field/walk.h"
#include "ship/payload.h"

#include <stdio.h>
#include <string.h>

#define CELLS_MAX ((size_t)125) /* of one read */

static void fault_at(struct faults *faults, const struct tree *at, const char *hint, const char *what)
{
	faults_add(faults, FAULT_ERROR, &at->at, hint, "%s", what);
}

/* One value of a cell: a register, or a bit. */
static uint16_t value_of(const struct tree *item, bool bits, struct faults *faults)
{
	if (bits && item->type == TREE_BOOL)
		return item->yes;
	if (item->type == TREE_INT && item->i >= 0 && item->i <= (bits ? 1 : UINT16_MAX))
		return (uint16_t)item->i;
	fault_at(faults, item, NULL, bits ? "a bit is 0 or 1" : "a register is a number from 0 to 65535");
	return 0;
}

/* { input: 0  values: [1, 2] } */
static void cells(const struct tree *at, struct arena *arena, struct faults *faults, struct vector_cells *ret_cells)
{
	const struct bf_driver *driver = compile_driver_default();
	struct map_cells map;
	void *keys = arena_alloc(arena, driver->metric_size), *device = arena_alloc(arena, driver->device_size);
	struct schema_part parts[] = {{schema_cells, &map}, {driver->metric_keys, keys}};
	bool sound = schema_read("the registers", at, parts, 2, arena, faults);
	struct bf_shape shape = {.type = BF_TYPE_U16};
	struct bf_complaint complaint = {0};
	struct bf_place place;
	if (driver->place(device, keys, &shape, &place, &complaint) < 0) {
		const char *hint = complaint.hint[0] ? complaint.hint : NULL;
		if (complaint.key || sound)
			schema_fault(faults, at, complaint.key, hint, "%s%s%s %s", complaint.key ? "\"" : "",
				complaint.key ? complaint.key : "the run", complaint.key ? "\"" : "", complaint.what);
		return;
	}
	size_t n = map.values ? map.values->n : 0;
	if (place.at + n > UINT16_MAX + 1u) {
		schema_fault(faults, at, "values", NULL, "the values would pass register 65535");
		return;
	}
	uint16_t *values = arena_array(arena, n ? n : 1, sizeof(*values));
	const struct tree *item = n ? map.values->first : NULL;
	for (size_t i = 0; i < n; i++, item = item->next)
		values[i] = value_of(item, shape.type == BF_TYPE_BOOL, faults);
	place.count = (uint16_t)n;
	*ret_cells = (struct vector_cells){place, values};
}

/* Texts as bytes, or texts of bytes, behind what is there. */
static void add_input(const struct tree *at, const char *key, const struct bf_texts *texts, struct arena *arena,
	struct faults *faults, struct vector *to)
{
	struct bf_bytes *all = arena_array(arena, to->n_input + texts->n + 1, sizeof(*all));
	if (to->n_input)
		memcpy(all, to->input, to->n_input * sizeof(*all));
	for (size_t i = 0; i < texts->n; i++) {
		size_t n = strlen(texts->at[i]);
		uint8_t *bytes = arena_array(arena, n + 1, 1);
		int got = (int)n;
		if (strcmp(key, "text") == 0)
			memcpy(bytes, texts->at[i], n);
		else
			got = bf_bytes_parse(texts->at[i], bytes, n);
		if (got < 0)
			schema_fault(faults, at, key, "write pairs of hexadecimal digits: \"42 4D\"",
				"\"%s\" is \"%.40s\", that is no row of bytes", key, texts->at[i]);
		all[to->n_input++] = (struct bf_bytes){bytes, got < 0 ? 0 : (size_t)got};
	}
	to->input = all;
}

static void read_input(const struct profile *profile, const struct tree *at, const struct map_vector *map,
	struct arena *arena, struct faults *faults, struct vector *to)
{
	size_t before = faults->n_errors;
	add_input(at, "input", &map->input, arena, faults, to);
	add_input(at, "text", &map->text, arena, faults, to);
	if (map->recording)
		vector_recording_read(profile, at, map->recording, arena, faults, to);
	if (to->n_input == 0 && faults->n_errors == before)
		schema_fault(faults, at, NULL, "write input: [ \"42 4D …\" ], text: [ \"…\" ] or recording: \"….rec\"",
			"the vector \"%s\" has no input", at->name);
}

static void read_vector(const struct profile *profile, const struct tree *at, struct arena *arena,
	struct faults *faults, struct vector *to)
{
	char what[128];
	snprintf(what, sizeof(what), "vector \"%.100s\"", at->name);
	struct map_vector map;
	struct schema_part part = {schema_vector, &map};
	schema_read(what, at, &part, 1, arena, faults);
	static const char *const origins[] = {"document", "capture", "synthetic"};
	bool honest = false;
	for (size_t i = 0; map.origin && i < 3; i++)
		honest = honest || strncmp(map.origin, origins[i], strlen(origins[i])) == 0;
	if (map.origin && !honest)
		schema_fault(faults, at, "origin", "write \"document …\", \"capture …\" or \"synthetic …\"",
			"the origin \"%s\" does not say where the registers come from", map.origin);
	bool stream = profile_is_stream(profile);
	if (stream && map.registers)
		schema_fault(faults, at, "registers", "write input: [ \"42 4D …\" ]", "a stream has no registers");
	else if (!stream && !map.registers && !tree_get(at, "registers"))
		schema_fault(faults, at, NULL,
			"write registers: …   # Runs of cells: ( { input: 0  values: [1, 2] }, … )",
			"\"registers\" is required in %s", what);
	if (stream)
		read_input(profile, at, &map, arena, faults, to);
	size_t n = map.registers && !stream ? map.registers->n : 0;
	struct vector_cells *runs = arena_array(arena, n ? n : 1, sizeof(*runs));
	const struct tree *run = n ? map.registers->first : NULL;
	for (size_t i = 0; i < n; i++, run = run->next) {
		if (run->type == TREE_GROUP)
			cells(run, arena, faults, &runs[i]);
		else
			fault_at(
				faults, run, "write ( { input: 0  values: [1, 2] } )", "a run of registers is a group");
	}
	for (const struct tree *item = map.expect ? map.expect->first : NULL; item; item = item->next)
		if (item->type == TREE_LIST || (item->type == TREE_GROUP && !vector_quality(item)))
			fault_at(faults, item, "write a value, or { quality: \"invalid\" }", "this is no reading");
	to->name = at->name;
	to->origin = map.origin;
	to->at = at;
	to->cells = runs;
	to->n_cells = n;
	to->expect = map.expect;
}

bool vectors_read(const struct profile *profile, struct arena *arena, struct faults *faults,
	const struct vector **ret_vectors, size_t *ret_n)
{
	size_t before = faults->n_errors, n = 0;
	struct vector *vectors = arena_array(arena, profile->vectors->n + 1, sizeof(*vectors));
	for (const struct tree *at = profile->vectors->first; at; at = at->next) {
		if (at->type == TREE_GROUP)
			read_vector(profile, at, arena, faults, &vectors[n++]);
		else
			fault_at(faults, at, NULL, "a vector is a group");
	}
	*ret_vectors = vectors;
	*ret_n = n;
	return faults->n_errors == before;
}

const char *vector_quality(const struct tree *expected)
{
	const struct tree *quality = expected->type == TREE_GROUP ? tree_get(expected, "quality") : NULL;
	return quality && quality->type == TREE_TEXT && expected->n == 1 ? quality->text : NULL;
}

static bool cell(const struct vector *vector, enum bf_space space, unsigned at, uint16_t *ret_value)
{
	for (size_t i = 0; i < vector->n_cells; i++) {
		const struct vector_cells *run = &vector->cells[i];
		if (run->place.space == space && at >= run->place.at &&
			at < (unsigned)run->place.at + run->place.count) {
			*ret_value = run->values[at - run->place.at];
			return true;
		}
	}
	return false;
}

/* The answer to a read of that place, as it comes over the wire.  False when the vector has not all of it. */
static bool answer(const struct vector *vector, const struct bf_place *place, uint8_t bytes[static 2 * CELLS_MAX])
{
	bool bits = place->space == BF_SPACE_COIL || place->space == BF_SPACE_DISCRETE;
	memset(bytes, 0, 2 * CELLS_MAX);
	for (size_t i = 0; i < place->count && i < CELLS_MAX; i++) {
		uint16_t value;
		if (!cell(vector, place->space, place->at + (unsigned)i, &value))
			return false;
		if (bits) {
			bytes[i / 8] |= (uint8_t)(value << (i % 8));
		} else {
			bytes[2 * i] = (uint8_t)(value >> 8);
			bytes[2 * i + 1] = (uint8_t)value;
		}
	}
	return true;
}

/* The expectation as a subscriber would see it. */
static void expected_text(const struct tree *expected, char *text, size_t size)
{
	struct bf_value value = {.kind = BF_NONE};
	switch (expected->type) {
	case TREE_INT:
		value = expected->hex ? (struct bf_value){.kind = BF_UNSIGNED, .u = (uint64_t)expected->i}
				      : (struct bf_value){.kind = BF_SIGNED, .i = expected->i};
		break;
	case TREE_NUMBER:
		value = (struct bf_value){.kind = BF_FLOAT64, .f64 = expected->number};
		break;
	case TREE_BOOL:
		value = (struct bf_value){.kind = BF_BOOLEAN, .yes = expected->yes};
		break;
	case TREE_TEXT:
		snprintf(text, size, "%s", expected->text);
		return;
	default:
		snprintf(text, size, "%s", vector_quality(expected) ? vector_quality(expected) : "?");
		return;
	}
	char number[BF_NUMBER_SIZE] = "?";
	bf_value_print(&value, -1, number);
	snprintf(text, size, "%s", number);
}

void vector_note(
	const struct plan_metric *metric, enum quality quality, const struct bf_value *value, struct vector_seen *seen)
{
	quality = convert_judge(metric, quality, value);
	seen->any = true;
	seen->quality = quality;
	if (quality == QUALITY_GOOD) {
		int n = payload_value(metric, value, PAYLOAD_PLAIN, seen->text, sizeof(seen->text) - 1);
		seen->text[n > 0 ? n : 0] = '\0';
	} else {
		snprintf(seen->text, sizeof(seen->text), "%s", quality_word(quality));
	}
}

static void compare(const struct plan_metric *metric, const struct vector_seen *seen, const struct tree *expected,
	struct faults *wrong)
{
	char should[512];
	expected_text(expected, should, sizeof(should));
	bool good = seen->quality == QUALITY_GOOD, same_kind = !good == (vector_quality(expected) != NULL);
	if (!same_kind || strcmp(seen->text, should) != 0)
		faults_add(wrong, FAULT_ERROR, &expected->at, NULL, "\"%s\" is %.200s%s, expected %s%s", metric->name,
			good ? "" : "null for ", seen->text, vector_quality(expected) ? "null for " : "", should);
}

/* The chain of models that the registers hold, found as in a device; what the vector has not, it refuses. */
static void find_models(const struct vector *vector, struct chain *ret_chain)
{
	struct walk walk = {0};
	struct bf_place place;
	uint8_t bytes[2 * CELLS_MAX];
	walk_begin(&walk);
	while (walk_next(&walk, &place)) {
		if (answer(vector, &place, bytes))
			walk_answered(&walk, bytes);
		else
			walk_refused(&walk);
	}
	*ret_chain = walk.chain;
}

/* The metric by the registers of the vector.  False when it has not all of them. */
static bool read_registers(const struct vector *vector, const struct plan_metric *metric, struct vector_seen *seen)
{
	struct bf_place place = convert_place(metric), there = place;
	if (metric->n_models) {
		struct chain chain;
		find_models(vector, &chain);
		const struct chain_model *model = chain_find(&chain, metric);
		if (!model) {
			vector_note(metric, QUALITY_EXCEPTION, &(struct bf_value){.kind = BF_NONE}, seen);
			return true;
		}
		there.at = (uint16_t)(there.at + model->at);
	}
	uint8_t bytes[2 * CELLS_MAX];
	char text[BF_STRING_MAX + 1];
	struct bf_value value;
	if (!answer(vector, &there, bytes))
		return false;
	enum quality quality = convert_metric(metric, &place, bytes, text, &value);
	vector_note(metric, quality, &value, seen);
	return true;
}

static void replay(const struct vector *vector, const struct plan_metric *metric, const struct vector_seen *played,
	const struct tree *expected, struct faults *wrong)
{
	struct vector_seen seen = {0};
	if (played)
		seen = *played;
	else if (!read_registers(vector, metric, &seen)) {
		faults_add(wrong, FAULT_ERROR, &expected->key, NULL, "vector \"%s\" has not all registers of \"%s\"",
			vector->name, metric->name);
		return;
	}
	if (seen.any)
		compare(metric, &seen, expected, wrong);
	else
		faults_add(wrong, FAULT_ERROR, &expected->key, NULL,
			"the input of vector \"%s\" says nothing of \"%s\"", vector->name, metric->name);
}

static const struct plan_metric *metric_of(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->n_metrics; i++)
		if (strcmp(plan->metrics[i].name, name) == 0)
			return &plan->metrics[i];
	return NULL;
}

void vectors_replay(const struct profile *profile, const struct plan *plan, const struct vector *vectors, size_t n,
	struct faults *wrong)
{
	struct arena arena = {0};
	const char **names = arena_array(&arena, plan->n_metrics + 1, sizeof(*names));
	bool *proven = arena_array(&arena, plan->n_metrics + 1, sizeof(*proven));
	for (size_t i = 0; i < plan->n_metrics; i++)
		names[i] = plan->metrics[i].name;
	bool stream = profile_is_stream(profile) && plan->n_devices == 1;
	struct vector_seen *played = stream ? arena_array(&arena, plan->n_metrics + 1, sizeof(*played)) : NULL;
	for (size_t i = 0; i < n; i++) {
		const struct tree *expected = vectors[i].expect ? vectors[i].expect->first : NULL;
		if (played) {
			memset(played, 0, plan->n_metrics * sizeof(*played));
			vector_stream_replay(plan, &vectors[i], played);
		}
		for (; expected; expected = expected->next) {
			const struct plan_metric *metric = metric_of(plan, expected->name);
			if (metric) {
				size_t at = (size_t)(metric - plan->metrics);
				replay(&vectors[i], metric, played ? &played[at] : NULL, expected, wrong);
				proven[at] = true;
				continue;
			}
			const char *near = faults_did_you_mean(expected->name, names);
			faults_add(wrong, FAULT_ERROR, &expected->key,
				near ? arena_format(&arena, "did you mean \"%s\"?", near) : NULL,
				"the profile \"%s\" has no metric \"%s\"", profile->id, expected->name);
		}
	}
	for (size_t i = 0; i < plan->n_metrics; i++)
		if (!proven[i])
			faults_add(wrong, FAULT_ERROR, &profile->vectors->key, NULL,
				"no vector expects the metric \"%s\"", names[i]);
	arena_free(&arena);
}

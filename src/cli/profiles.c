/*
 * `busferry profiles`: what devices are known, what is known of one, and whether a profile is true to its vectors.
 */
#include "app/compile.h"
#include "app/profile.h"
#include "app/vector.h"
#include "base/json.h"
#include "cli/cli.h"
#include "field/registry.h"
#include "model/line_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define JSON_SIZE ((size_t)1024 * 1024)

/* A profile with all that is made of it.  Zeroed, then loaded, then closed. */
struct loaded {
	struct arena arena;
	struct faults faults; /* of the grammar */
	struct faults wrong;  /* vectors that differ */
	struct profile profile;
	struct plan plan;
	struct plan_metric probe;
	bool probed;
	const struct vector *vectors;
	size_t n_vectors;
};

static const char *const space_words[BF_N_SPACES] = {[BF_SPACE_COIL] = "coil",
	[BF_SPACE_DISCRETE] = "discrete",
	[BF_SPACE_INPUT] = "input",
	[BF_SPACE_HOLDING] = "holding"};

/* As profile_read; with faults the vectors are not replayed. */
static int load(const char *file, struct loaded *to)
{
	int err = profile_read(file, &to->arena, &to->faults, &to->profile);
	if (err < 0 && err != -EINVAL)
		return err;
	if (!to->profile.id)
		return -EINVAL;
	to->probed = compile_profile(&to->profile, &to->faults, &to->plan, &to->probe);
	vectors_read(&to->profile, &to->arena, &to->faults, &to->vectors, &to->n_vectors);
	if (to->faults.n_errors)
		return -EINVAL;
	vectors_replay(&to->profile, &to->plan, to->vectors, to->n_vectors, &to->wrong);
	return 0;
}

static void unload(struct loaded *loaded)
{
	plan_destroy(&loaded->plan);
	faults_destroy(&loaded->faults);
	faults_destroy(&loaded->wrong);
	arena_free(&loaded->arena);
}

static int exit_of(int err, const struct loaded *loaded)
{
	if (err == -ENOENT)
		return EX_NOINPUT;
	if (err == -EACCES)
		return EX_NOPERM;
	if (err < 0)
		return EX_CONFIG;
	return loaded->wrong.n_errors ? EX_DATAERR : 0;
}

static int print_json(struct json *json)
{
	json_object_end(json);
	if (json_end(json) < 0)
		return EX_SOFTWARE;
	puts(json->text);
	return 0;
}

static void json_head(struct json *json, const struct profile *profile)
{
	json_text(json, "id", profile->id);
	json_text(json, "maker", profile->maker);
	json_text(json, "device", profile->device);
	json_text(json, "file", profile->file);
}

static int list(bool as_json, struct json *json)
{
	struct arena arena = {0};
	const char *const *ids = profile_ids(&arena);
	int rc = 0;
	if (as_json) {
		json_object(json, NULL);
		json_array(json, "profiles");
	} else if (!ids[0]) {
		fputs("busferry: no profiles are installed\n", stderr);
	}
	for (size_t i = 0; ids[i]; i++) {
		const char *file = NULL;
		struct faults faults = {0};
		struct profile profile;
		int err = profile_find(ids[i], &arena, &file);
		err = err < 0 ? err : profile_read(file, &arena, &faults, &profile);
		faults_destroy(&faults);
		if (err < 0) {
			fprintf(stderr, "busferry: warning: %s has faults: busferry profiles check %s\n", ids[i],
				file ? file : ids[i]);
			continue;
		}
		if (as_json) {
			json_object(json, NULL);
			json_head(json, &profile);
			json_object_end(json);
		} else {
			printf("%-22s %s %s\n", profile.id, profile.maker, profile.device);
		}
	}
	if (as_json) {
		json_array_end(json);
		rc = print_json(json);
	}
	arena_free(&arena);
	return rc;
}

static void place_text(const struct plan_metric *metric, char text[static 64])
{
	int n = snprintf(text, 40, "%s %u", space_words[metric->place.space], metric->place.at);
	if (metric->n_bits == 1)
		snprintf(text + n, 24, " bit %u", metric->bit);
	else if (metric->n_bits)
		snprintf(text + n, 24, " bits %u-%u", metric->bit, metric->bit + metric->n_bits - 1u);
}

static void json_metric(struct json *json, const struct plan_metric *metric)
{
	json_object(json, NULL);
	json_text(json, "name", metric->name);
	json_text(json, "table", space_words[metric->place.space]);
	json_int(json, "start", metric->place.at);
	json_int(json, "count", metric->place.count);
	json_text(json, "type", bf_type_name(metric->shape.type));
	if (metric->n_bits) {
		json_int(json, "bit", metric->bit);
		json_int(json, "bits", metric->n_bits);
	}
	if (metric->unit)
		json_text(json, "unit", metric->unit);
	json_object_end(json);
}

static void json_expected(struct json *json, const struct tree *item)
{
	char number[BF_NUMBER_SIZE] = "null";
	struct bf_value value = {.kind = BF_FLOAT64, .f64 = tree_number(item)};
	switch (item->type) {
	case TREE_BOOL:
		json_bool(json, item->name, item->yes);
		break;
	case TREE_INT:
		json_int(json, item->name, item->i);
		break;
	case TREE_NUMBER:
		bf_value_print(&value, -1, number);
		json_raw(json, item->name, number, strlen(number));
		break;
	case TREE_TEXT:
		json_text(json, item->name, item->text);
		break;
	default:
		json_object(json, item->name);
		json_text(json, "quality", vector_quality(item) ? vector_quality(item) : "");
		json_object_end(json);
		break;
	}
}

static void json_vector(struct json *json, const struct vector *vector)
{
	json_object(json, NULL);
	json_text(json, "name", vector->name);
	json_text(json, "origin", vector->origin);
	json_array(json, "registers");
	for (size_t i = 0; i < vector->n_cells; i++) {
		const struct vector_cells *run = &vector->cells[i];
		json_object(json, NULL);
		json_text(json, "table", space_words[run->place.space]);
		json_int(json, "start", run->place.at);
		json_array(json, "values");
		for (size_t j = 0; j < run->place.count; j++)
			json_int(json, NULL, run->values[j]);
		json_array_end(json);
		json_object_end(json);
	}
	json_array_end(json);
	json_object(json, "expect");
	for (const struct tree *item = vector->expect->first; item; item = item->next)
		json_expected(json, item);
	json_object_end(json);
	json_object_end(json);
}

static int show_json(const struct loaded *loaded, struct json *json)
{
	const struct profile *profile = &loaded->profile;
	json_object(json, NULL);
	json_head(json, profile);
	json_text(json, "document", profile->document);
	json_text(json, "revision", profile->revision);
	if (profile->note)
		json_text(json, "note", profile->note);
	if (profile->line)
		json_text(json, "line", profile->line);
	json_array(json, "metrics");
	for (size_t i = 0; i < loaded->plan.n_metrics; i++)
		json_metric(json, &loaded->plan.metrics[i]);
	json_array_end(json);
	json_array(json, "vectors");
	for (size_t i = 0; i < loaded->n_vectors; i++)
		json_vector(json, &loaded->vectors[i]);
	json_array_end(json);
	return print_json(json);
}

static void show(const struct loaded *loaded)
{
	const struct profile *profile = &loaded->profile;
	const struct plan_device *device = loaded->plan.devices;
	printf("%s: %s %s\n", profile->id, profile->maker, profile->device);
	printf("  file      %s\n  document  %s\n  revision  %s\n", profile->file, profile->document, profile->revision);
	if (profile->note)
		printf("  note      %s\n", profile->note);
	if (profile->line)
		printf("  line      %s\n", profile->line);
	if (loaded->plan.n_devices && profile->defaults->n)
		printf("  quirks    at most %u registers a request%s\n", device->max_registers,
			device->max_gap == 0 ? ", no unused one among them" : "");
	printf("\n  %-26s %-22s %-8s %s\n", "metric", "place", "type", "unit");
	for (size_t i = 0; i < loaded->plan.n_metrics; i++) {
		const struct plan_metric *metric = &loaded->plan.metrics[i];
		char place[64];
		place_text(metric, place);
		printf("  %-26s %-22s %-8s %s\n", metric->name, place, bf_type_name(metric->shape.type),
			metric->unit ? metric->unit : "");
	}
	puts("");
	for (size_t i = 0; i < loaded->n_vectors; i++)
		printf("  vector %s: %s\n", loaded->vectors[i].name, loaded->vectors[i].origin);
}

static int show_id(const char *id, bool as_json, struct json *json)
{
	struct loaded loaded = {0};
	const char *file;
	if (profile_find(id, &loaded.arena, &file) < 0) {
		const char *near = faults_did_you_mean(id, profile_ids(&loaded.arena));
		fprintf(stderr, "busferry: error: unknown profile \"%s\"%s%s%s\n", id, near ? " (did you mean \"" : "",
			near ? near : "", near ? "\"?)" : "");
		unload(&loaded);
		return EX_NOINPUT;
	}
	int err = load(file, &loaded);
	int rc = err < 0 ? exit_of(err, &loaded) : 0;
	faults_print(&loaded.faults, stderr, cli_colour(STDERR_FILENO));
	if (rc == 0 && as_json)
		rc = show_json(&loaded, json);
	else if (rc == 0)
		show(&loaded);
	unload(&loaded);
	return rc;
}

static int check(const char *file, bool as_json, struct json *json)
{
	struct loaded loaded = {0};
	int rc = exit_of(load(file, &loaded), &loaded);
	faults_print(&loaded.faults, stderr, cli_colour(STDERR_FILENO));
	faults_print(&loaded.wrong, stderr, cli_colour(STDERR_FILENO));
	if (as_json) {
		json_object(json, NULL);
		json_text(json, "file", file);
		json_bool(json, "sound", rc == 0);
		json_int(json, "metrics", (int64_t)loaded.plan.n_metrics);
		json_int(json, "vectors", (int64_t)loaded.n_vectors);
		json_int(json, "errors", (int64_t)(loaded.faults.n_errors + loaded.wrong.n_errors));
		json_int(json, "warnings", (int64_t)loaded.faults.n_warnings);
		print_json(json);
	} else if (rc == 0) {
		printf("%s: %zu metrics, %zu vectors, all as expected\n", loaded.profile.id, loaded.plan.n_metrics,
			loaded.n_vectors);
	}
	unload(&loaded);
	return rc;
}

int cli_profiles(int argc, char **argv)
{
	bool as_json = false;
	const struct cli_option options[] = {
		{.name = "json", .kind = CLI_FLAG, .into = &as_json, .help = "one JSON object"}, {0}};
	int first;
	int rc = cli_parse("profiles", argc, argv, options, &first);
	if (rc >= 0)
		return rc;
	const char *verb = first < argc ? argv[first] : NULL;
	const char *what = first + 1 < argc ? argv[first + 1] : NULL;
	if (!verb)
		return cli_usage_error("profiles", "list, show ID or check FILE?");
	bool lists = strcmp(verb, "list") == 0, shows = strcmp(verb, "show") == 0;
	if (!lists && !shows && strcmp(verb, "check") != 0)
		return cli_usage_error("profiles", "unknown \"%s\"; there are list, show and check", verb);
	if (!lists && !what)
		return cli_usage_error("profiles", "%s needs %s", verb, shows ? "the id of a profile" : "a file");
	int most = lists ? 1 : 2;
	if (argc - first > most)
		return cli_usage_error("profiles", "unexpected \"%s\"", argv[first + most]);
	registry_load();
	char *text = calloc(1, JSON_SIZE);
	if (!text)
		return EX_OSERR;
	struct json json = json_into(text, JSON_SIZE);
	rc = lists ? list(as_json, &json) : shows ? show_id(what, as_json, &json) : check(what, as_json, &json);
	free(text);
	return rc;
}

/*
 * `busferry profiles`: what devices are known, what is known of one, and whether a profile is true to its vectors.
 */
#include "app/compile.h"
#include "app/profile_template.h"
#include "cli/cli.h"
#include "cli/profile_show.h"
#include "field/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define JSON_SIZE   ((size_t)1024 * 1024)
#define DRIVERS_MAX 64

/* As profile_read; with faults the vectors are not replayed. */
static int load(const char *file, struct profile_loaded *to)
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

static void unload(struct profile_loaded *loaded)
{
	plan_destroy(&loaded->plan);
	faults_destroy(&loaded->faults);
	faults_destroy(&loaded->wrong);
	arena_free(&loaded->arena);
}

static int exit_of(int err, const struct profile_loaded *loaded)
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
			profile_show_head(json, &profile);
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

static int show_id(const char *id, bool as_json, struct json *json)
{
	struct profile_loaded loaded = {0};
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
	if (rc == 0 && as_json) {
		json_object(json, NULL);
		profile_show_json(json, &loaded);
		rc = print_json(json);
	} else if (rc == 0) {
		profile_show(&loaded);
	}
	unload(&loaded);
	return rc;
}

static int check(const char *file, bool as_json, struct json *json)
{
	struct profile_loaded loaded = {0};
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

static int begin_new(const char *id, const char *transport)
{
	if (!profile_id_sound(id))
		return cli_usage_error(
			"profiles", "\"%s\" is no id: letters, digits, and within it \"-\", \"_\" and \".\"", id);
	if (profile_template(stdout, id, transport) == 0)
		return 0;
	const char *names[DRIVERS_MAX + 1] = {0};
	for (size_t i = 0; i < DRIVERS_MAX && registry_at(i); i++)
		names[i] = registry_at(i)->name;
	const char *near = faults_did_you_mean(transport, names);
	return cli_usage_error("profiles", "unknown driver \"%s\"%s%s%s", transport, near ? "; did you mean \"" : "",
		near ? near : "", near ? "\"?" : "");
}

int cli_profiles(int argc, char **argv)
{
	bool as_json = false;
	const char *transport = NULL;
	const struct cli_option options[] = {{.name = "transport",
						     .argument = "DRIVER",
						     .kind = CLI_TEXT,
						     .into = &transport,
						     .source = CLI_DRIVERS,
						     .help = "of new: which driver the device needs (modbus)"},
		{.name = "json", .kind = CLI_FLAG, .into = &as_json, .help = "one JSON object"}, {0}};
	int first;
	int rc = cli_parse("profiles", argc, argv, options, &first);
	if (rc >= 0)
		return rc;
	const char *verb = first < argc ? argv[first] : NULL;
	const char *what = first + 1 < argc ? argv[first + 1] : NULL;
	if (!verb)
		return cli_usage_error("profiles", "list, show ID, check FILE or new ID?");
	bool lists = strcmp(verb, "list") == 0, checks = strcmp(verb, "check") == 0, begins = strcmp(verb, "new") == 0;
	if (!lists && !checks && !begins && strcmp(verb, "show") != 0)
		return cli_usage_error("profiles", "unknown \"%s\"; there are list, show, check and new", verb);
	if (!lists && !what)
		return cli_usage_error("profiles", "%s needs %s", verb, checks ? "a file" : "the id of a profile");
	if (transport && !begins)
		return cli_usage_error("profiles", "--transport is for new");
	int most = lists ? 1 : 2;
	if (argc - first > most)
		return cli_usage_error("profiles", "unexpected \"%s\"", argv[first + most]);
	registry_load();
	if (begins)
		return begin_new(what, transport ? transport : "modbus");
	char *text = calloc(1, JSON_SIZE);
	if (!text)
		return EX_OSERR;
	struct json json = json_into(text, JSON_SIZE);
	rc = lists ? list(as_json, &json) : checks ? check(what, as_json, &json) : show_id(what, as_json, &json);
	free(text);
	return rc;
}

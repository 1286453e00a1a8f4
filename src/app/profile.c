/*
 * Finding and reading profiles.  See profile.h.
 *
 * An id is a plain word, so that a map can never name a file outside of the folders.  The id in the file must be its
 * name: a copy that was edited under another name would else be shown as what it is not.
 */
#include "app/profile.h"
#include "app/config.h"
#include "app/flat.h"
#include "app/schema.h"
#include "field/registry.h"
#include "model/line_text.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX   ".conf"
#define FOLDERS  4
#define ADMIN_OF "/etc/busferry/profiles"

static void folders(const char *at[FOLDERS])
{
	const char *own = getenv("BUSFERRY_PROFILES");
	at[0] = own ? own : "";
	at[1] = ADMIN_OF;
	at[2] = BUSFERRY_PROFILES_INSTALLED;
	at[3] = BUSFERRY_PROFILES_SOURCE;
}

static bool is_id(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)text[i]) && (i == 0 || !strchr("-_.", text[i])))
			return false;
	return n > 0;
}

bool profile_id_sound(const char *id)
{
	return is_id(id, strlen(id));
}

int profile_find(const char *id, struct arena *arena, const char **ret_file)
{
	const char *at[FOLDERS];
	folders(at);
	for (size_t i = 0; profile_id_sound(id) && i < FOLDERS; i++) {
		const char *file = arena_format(arena, "%s/%s" SUFFIX, at[i], id);
		if (at[i][0] == '\0' || access(file, F_OK) < 0)
			continue;
		*ret_file = file;
		return 0;
	}
	return -ENOENT;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A growing list of texts. */
struct ids {
	const char **at;
	size_t n, size;
};

static void collect(const char *folder, struct arena *arena, struct ids *ids)
{
	DIR *files = folder[0] ? opendir(folder) : NULL;
	struct dirent *entry;
	while (files && (entry = readdir(files)) != NULL) {
		size_t n = strlen(entry->d_name), suffix = strlen(SUFFIX);
		if (n <= suffix || strcmp(entry->d_name + n - suffix, SUFFIX) != 0 || !is_id(entry->d_name, n - suffix))
			continue;
		if (ids->n == ids->size) {
			ids->size = ids->size ? ids->size * 2 : 64;
			const char **more = arena_array(arena, ids->size, sizeof(*more));
			if (ids->n)
				memcpy(more, ids->at, ids->n * sizeof(*more));
			ids->at = more;
		}
		ids->at[ids->n++] = arena_text_n(arena, entry->d_name, n - suffix);
	}
	if (files)
		closedir(files);
}

const char *const *profile_ids(struct arena *arena)
{
	const char *at[FOLDERS];
	struct ids ids = {0};
	folders(at);
	for (size_t i = 0; i < FOLDERS; i++)
		collect(at[i], arena, &ids);
	const char **unique = arena_array(arena, ids.n + 1, sizeof(*unique));
	if (ids.n)
		qsort(ids.at, ids.n, sizeof(*ids.at), by_name);
	size_t n = 0;
	for (size_t i = 0; i < ids.n; i++)
		if (n == 0 || strcmp(unique[n - 1], ids.at[i]) != 0)
			unique[n++] = ids.at[i];
	return unique;
}

/* "folder/id.conf" → "id" */
static const char *named(const char *file, struct arena *arena)
{
	const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
	size_t n = strlen(name), suffix = strlen(SUFFIX);
	return arena_text_n(arena, name, n > suffix && strcmp(name + n - suffix, SUFFIX) == 0 ? n - suffix : n);
}

static const struct tree *empty(const struct tree *root, struct arena *arena)
{
	struct tree *group = tree_add(NULL, TREE_GROUP, NULL, arena);
	group->key = root->key;
	group->at = root->at;
	return group;
}

static const char *text_of(const char *text)
{
	return text ? text : "";
}

/* The quirks that are keys of a device, to stand in for what the map does not say. */
static const struct tree *quirks(const struct tree *root, const struct tree *group, struct arena *arena,
	struct faults *faults, int64_t *ret_gap_us)
{
	struct map_quirks map;
	struct schema_part part = {schema_quirks, &map};
	bool sound = schema_read("quirks", group, &part, 1, arena, faults);
	*ret_gap_us = map.gap_us;
	struct tree *own = (struct tree *)empty(root, arena);
	for (const struct tree *setting = sound && group ? group->first : NULL; setting; setting = setting->next)
		if (strcmp(setting->name, "gap") != 0)
			tree_copy(own, setting, arena);
	return own;
}

static bool has_key(const struct bf_key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (strcmp(keys->name, name) == 0)
			return true;
	return false;
}

/* Beside what every profile has, that of a stream has keys of its device at the top: they go to the defaults, and who
 * reads the device tells what is wrong with them. */
static const struct tree *split(
	const struct tree *root, const struct tree *defaults, struct arena *arena, const struct tree **ret_defaults)
{
	struct tree *own = (struct tree *)empty(root, arena), *more = (struct tree *)empty(root, arena);
	for (const struct tree *setting = defaults->first; setting; setting = setting->next)
		tree_copy(more, setting, arena);
	for (const struct tree *setting = root->first; setting; setting = setting->next)
		tree_copy(has_key(schema_profile_file, setting->name) ? own : more, setting, arena);
	*ret_defaults = more;
	return own;
}

static bool names_stream(const char *transport)
{
	const struct bf_driver *driver = registry_find(transport);
	return driver && driver->way == BF_WAY_STREAM;
}

bool profile_is_stream(const struct profile *profile)
{
	return names_stream(profile->transport);
}

static bool is_stream(const struct tree *root)
{
	const struct tree *head = tree_get(root, "profile");
	const struct tree *transport = head && head->type == TREE_GROUP ? tree_get(head, "transport") : NULL;
	return transport && transport->type == TREE_TEXT && names_stream(transport->text);
}

static void check_head(const struct map_profile *head, const struct map_profile_file *top, const struct tree *root,
	const char *name, struct faults *faults)
{
	struct plan_line line;
	if (head->id && strcmp(head->id, name) != 0)
		schema_fault(
			faults, top->profile, "id", NULL, "the profile \"%s\" is in a file for \"%s\"", head->id, name);
	if (top->line && line_text_parse(top->line, &line) < 0)
		schema_fault(faults, root, "line",
			"write speed, data bits, parity (N, E or O) and stop bits: \"9600 8N1\"", "\"%s\" is no line",
			top->line);
	if (!registry_find(head->transport))
		schema_fault(faults, top->profile, "transport", "busferry drivers lists them", "unknown driver \"%s\"",
			head->transport);
	if (!top->metrics && !tree_get(root, "metrics"))
		schema_fault(faults, root, NULL, "write metrics: …   # What it measures, by name, as in the map",
			"\"metrics\" is required in the profile");
}

int profile_read(const char *file, struct arena *arena, struct faults *faults, struct profile *ret_profile)
{
	size_t before = faults->n_errors;
	struct tree *tree;
	*ret_profile = (struct profile){0};
	int err = config_tree(file, "the profile", NULL, arena, faults, &tree);
	if (err < 0)
		return err;
	const struct tree *root = tree, *defaults = empty(root, arena);
	if (is_stream(root))
		root = split(flat_messages(root, arena), defaults, arena, &defaults);
	struct map_profile_file top;
	struct map_profile head;
	struct schema_part parts[] = {{schema_profile_file, &top}, {schema_profile, &head}};
	schema_read("the profile", root, &parts[0], 1, arena, faults);
	schema_read("profile", top.profile, &parts[1], 1, arena, faults);

	const char *name = named(file, arena);
	struct plan_line line;
	check_head(&head, &top, root, name, faults);
	*ret_profile = (struct profile){
		.id = head.id ? head.id : name,
		.maker = text_of(head.maker),
		.device = text_of(head.device),
		.document = text_of(head.document),
		.revision = text_of(head.revision),
		.note = head.note,
		.transport = head.transport,
		.line = top.line && line_text_parse(top.line, &line) == 0 ? top.line : NULL,
		.file = arena_text(arena, file),
		.probe = top.probe,
		.metrics = top.metrics ? top.metrics : empty(root, arena),
		.vectors = top.vectors ? top.vectors : empty(root, arena),
	};
	const struct tree *by_quirks = quirks(root, top.quirks, arena, faults, &ret_profile->gap_us);
	ret_profile->defaults = tree_overlay(by_quirks, defaults, arena);
	return faults->n_errors > before ? -EINVAL : 0;
}

/*
 * The door to libconfig: from a map file, and the files of conf.d beside it, to one tree, and through it to the plan.
 *
 * libconfig decides what is a map, but each file goes through the raw-text pass first (maptext.h), which knows columns
 * and better words.  Only what that pass did not see coming is told in libconfig's words.  Nothing that libconfig
 * allocates outlives the reading of its file: settings are copied into our tree (tree.h), each with its place.
 *
 * Invariant: config_init and config_destroy stand in one function; trees and texts live in one arena, freed at the end
 * of config_load; what is left is the plan.
 */
#include "app/config.h"
#include "app/compile.h"
#include "app/maptext.h"
#include "app/tree.h"

#include <errno.h>
#include <glob.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

/* A walk through libconfig's settings and our marks, side by side. */
struct walk {
	const struct maptext *map;
	struct arena *arena;
	size_t at; /* of the next mark */
};

static size_t count(const config_setting_t *setting)
{
	size_t n = 1;
	for (int i = 0; config_setting_is_aggregate(setting) && i < config_setting_length(setting); i++)
		n += count(config_setting_get_elem(setting, (unsigned)i));
	return n;
}

static void scalar(struct tree *tree, const config_setting_t *setting, const struct maptext_mark *mark)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		tree->type = TREE_INT;
		tree->i = config_setting_get_int64(setting);
		if (mark && mark->is_int) { /* as it was written: libconfig 1.5 makes -1 of 0xFFFFFFFF */
			tree->i = mark->number;
			tree->hex = mark->hex;
		}
		break;
	case CONFIG_TYPE_FLOAT:
		tree->type = TREE_NUMBER;
		tree->number = config_setting_get_float(setting);
		break;
	case CONFIG_TYPE_BOOL:
		tree->type = TREE_BOOL;
		tree->yes = config_setting_get_bool(setting) == CONFIG_TRUE;
		break;
	default:
		tree->type = TREE_TEXT;
		break;
	}
}

static void copy(struct walk *walk, struct tree *parent, const config_setting_t *setting)
{
	const struct maptext_mark *mark = walk->at < walk->map->n_marks ? &walk->map->marks[walk->at] : NULL;
	walk->at++;
	struct tree *tree = tree_add(parent, TREE_TEXT, config_setting_name(setting), walk->arena);
	if (mark) {
		tree->key = mark->key;
		tree->at = mark->value;
	} else {
		tree->key = (struct place_in_map){walk->map->file, config_setting_source_line(setting), 1, 1};
		tree->at = tree->key;
	}
	if (!config_setting_is_aggregate(setting)) {
		scalar(tree, setting, mark);
		if (tree->type == TREE_TEXT) {
			const char *text = config_setting_get_string(setting);
			tree->text = arena_text(walk->arena, text ? text : "");
		}
		return;
	}
	tree->type = config_setting_is_group(setting) ? TREE_GROUP : TREE_LIST;
	for (int i = 0; i < config_setting_length(setting); i++)
		copy(walk, tree, config_setting_get_elem(setting, (unsigned)i));
}

/* One file's text into a tree.  NULL when it cannot be read, which was told. */
static struct tree *parse(const char *file, const char *text, size_t n, struct arena *arena, struct faults *faults)
{
	struct maptext map;
	maptext_read(file, text, n, arena, faults, &map);
	if (map.broken)
		return NULL;
	struct tree *root = NULL;
	config_t config;
	config_init(&config);
	config_set_include_dir(&config, map.folder);
	if (config_read_string(&config, map.text)) {
		root = tree_add(NULL, TREE_GROUP, NULL, arena);
		root->key.file = root->at.file = arena_text(arena, file);
		struct walk walk = {&map, arena, 0};
		const config_setting_t *top = config_root_setting(&config);
		if (count(top) - 1 != map.n_marks) /* no columns are better than wrong ones */
			map.n_marks = 0;
		for (int i = 0; i < config_setting_length(top); i++)
			copy(&walk, root, config_setting_get_elem(top, (unsigned)i));
	} else if (!map.repaired) {
		int line = config_error_line(&config);
		struct place_in_map at = {file, line > 0 ? (unsigned)line : 0, 1, 0};
		faults_add(faults, FAULT_ERROR, &at, NULL, "%s", config_error_text(&config));
	}
	config_destroy(&config);
	return root;
}

static struct tree *read_file(const char *file, struct arena *arena, struct faults *faults, int *ret_err)
{
	const char *text;
	size_t n;
	int err = maptext_load(file, arena, &text, &n);
	if (err < 0) {
		struct place_in_map at = {.file = file};
		faults_add(faults, FAULT_ERROR, &at,
			err == -ENOENT ? "busferry init writes a first map; -c FILE names another" : NULL,
			"cannot open the map: %s", strerror(-err));
		*ret_err = err;
		return NULL;
	}
	struct tree *root = parse(file, text, n, arena, faults);
	*ret_err = root ? 0 : -EINVAL;
	return root;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Merges what lies in conf.d beside the map, in the order of its name.  False when one of them cannot be read. */
static bool read_folder(const char *path, struct tree *root, struct arena *arena, struct faults *faults)
{
	const char *slash = strrchr(path, '/');
	char *folder = arena_text_n(arena, path, slash ? (size_t)(slash - path) + 1 : 0);
	char *pattern = arena_alloc(arena, strlen(folder) * 2 + sizeof("conf.d/*.conf"));
	char *to = pattern;
	for (const char *c = folder; *c; c++) {
		if (strchr("*?[\\", *c))
			*to++ = '\\';
		*to++ = *c;
	}
	strcpy(to, "conf.d/*.conf");
	glob_t found = {0};
	bool all = true;
	if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
		qsort(found.gl_pathv, found.gl_pathc, sizeof(char *), by_name); /* glob's own sort follows the locale */
		for (size_t i = 0; i < found.gl_pathc; i++) {
			int err;
			const char *file = arena_text(arena, found.gl_pathv[i]);
			struct tree *extra = read_file(file, arena, faults, &err);
			if (extra)
				tree_merge(root, extra, faults);
			else
				all = false;
		}
	}
	globfree(&found);
	return all;
}

int config_load(const char *path, struct faults *faults, struct plan *ret_plan)
{
	struct arena arena = {0};
	size_t before = faults->n_errors;
	int err = 0;
	struct tree *root = read_file(path, &arena, faults, &err);
	if (err == 0 && !read_folder(path, root, &arena, faults))
		err = -EINVAL;
	struct plan plan = {0};
	if (err == 0) {
		compile(path, root, faults, &plan);
		if (faults->n_errors > before)
			err = -EINVAL;
	}
	faults_sort(faults);
	arena_free(&arena);
	if (err < 0) {
		plan_destroy(&plan);
		return err == -ENOENT || err == -EACCES ? err : -EINVAL;
	}
	*ret_plan = plan;
	return 0;
}

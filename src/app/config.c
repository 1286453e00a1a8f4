/*
 * The door to libconfig: from a map file, and the files of conf.d beside it, to one tree, and through it to the plan.
 *
 * libconfig decides what is a map, but each file goes through the raw-text pass first (maptext.h), which knows columns
 * and better words.  Only what that pass did not see coming is told in libconfig's words.  Nothing that libconfig
 * allocates outlives the reading of a piece: that pass has made our tree (tree.h), with places; libconfig gives the
 * values.
 *
 * Why in pieces: each setting that libconfig adds is compared with all before it in its group, so 10 000 metrics of one
 * device would take seconds, and its tree is twice the size of ours.
 *
 * Profiles come through the same door (profile.c).
 *
 * Invariant: config_init and config_destroy stand in one function; trees and texts live in the arena of the caller;
 * that of config_load is freed at its end, what is left is the plan.
 */
#include "app/config.h"
#include "app/compile.h"
#include "app/mappiece.h"
#include "app/maptext.h"
#include "app/tree.h"

#include <errno.h>
#include <glob.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

/* What libconfig is given at once: the names of a group are looked through for each of its settings. */
#ifdef BUSFERRY_FUZZ
#define PIECE_MAX ((size_t)32) /* texts that are made up are short */
#else
#define PIECE_MAX ((size_t)2048)
#endif

struct reading_of_map {
	struct maptext *map;
	char *piece; /* room for the text of one */
	size_t piece_size;
};

static void differs(struct maptext *map, const struct tree *group)
{
	faults_add(map->faults, FAULT_ERROR, &group->key, "please report this map as a bug",
		"libconfig reads this group in another way than busferry");
	map->broken = true;
}

/* Are they of one type? */
static bool alike(const struct tree *node, const config_setting_t *setting)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_GROUP:
		return node->type == TREE_GROUP;
	case CONFIG_TYPE_LIST:
	case CONFIG_TYPE_ARRAY:
		return node->type == TREE_LIST;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return node->type == TREE_INT;
	case CONFIG_TYPE_FLOAT:
		return node->type == TREE_NUMBER;
	case CONFIG_TYPE_BOOL:
		return node->type == TREE_BOOL;
	case CONFIG_TYPE_STRING:
		return node->type == TREE_TEXT;
	default:
		return false;
	}
}

/* The values of one setting, and of all below it, into the tree.  False when the two are not the same. */
static bool take(struct maptext *map, struct tree *node, const config_setting_t *setting)
{
	const char *name = config_setting_name(setting);
	if (!node || !alike(node, setting) || (name && (!node->name || strcmp(name, node->name) != 0)))
		return false;
	switch (node->type) {
	case TREE_INT: /* as it was written: libconfig 1.5 makes -1 of 0xFFFFFFFF */
		break;
	case TREE_NUMBER:
		node->number = config_setting_get_float(setting);
		break;
	case TREE_BOOL:
		node->yes = config_setting_get_bool(setting) == CONFIG_TRUE;
		break;
	case TREE_TEXT: {
		const char *text = config_setting_get_string(setting);
		node->text = maptext_keep(map, text ? text : "", text ? strlen(text) : 0);
		break;
	}
	case TREE_GROUP:
	case TREE_LIST: {
		struct tree *child = node->first;
		int n = config_setting_length(setting);
		for (int i = 0; i < n; i++, child = child->next)
			if (!take(map, child, config_setting_get_elem(setting, (unsigned)i)))
				return false;
		return child == NULL;
	}
	}
	return true;
}

static void refused(struct maptext *map, const config_t *config, size_t at)
{
	uint32_t line = config_error_line(config) > 0 ? (uint32_t)config_error_line(config) : 1;
	struct place_in_map place = {map->file, line, 1, 0};
	if (config_error_file(config))
		place.file = config_error_file(config);
	else
		for (size_t i = 0; i < at; i++)
			place.line += map->text[i] == '\n';
	if (!map->repaired)
		faults_add(map->faults, FAULT_ERROR, &place, NULL, "%s", config_error_text(config));
	map->broken = true;
}

/* Reads text[at, end): the values of *next and those behind it, which it moves on. */
static bool read_piece(struct reading_of_map *reading, struct tree *group, struct tree **next, size_t at, size_t end)
{
	struct maptext *map = reading->map;
	if (at == end)
		return true;
	if (end - at >= reading->piece_size) {
		reading->piece_size = end - at + 1 > 2 * PIECE_MAX ? end - at + 1 : 2 * PIECE_MAX;
		reading->piece = arena_alloc(&map->scratch, reading->piece_size);
	}
	memcpy(reading->piece, map->text + at, end - at);
	reading->piece[end - at] = '\0';
	config_t config;
	config_init(&config);
	config_set_include_dir(&config, map->folder);
	if (config_read_string(&config, reading->piece)) {
		const config_setting_t *top = config_root_setting(&config);
		int n = config_setting_length(top);
		for (int i = 0; i < n && !map->broken; i++, *next = (*next)->next)
			if (!take(map, *next, config_setting_get_elem(top, (unsigned)i))) {
				differs(map, group);
				break;
			}
	} else {
		refused(map, &config, at);
	}
	config_destroy(&config);
	return !map->broken;
}

/* The settings of text[from, end), which are those of the group: a big group among them on its own. */
static bool read_settings(struct reading_of_map *reading, struct tree *group, size_t from, size_t end)
{
	struct tree *next = group->first;
	struct mappiece piece;
	size_t at = from, start = 0, stop = 0; /* of what waits for being read */
	while (mappiece_next(reading->map->text, &at, end, &piece)) {
		bool big = piece.end - piece.at > PIECE_MAX && piece.open;
		if (start == stop)
			start = stop = piece.at;
		if (big || piece.end - start > PIECE_MAX) {
			if (!read_piece(reading, group, &next, start, stop))
				return false;
			start = piece.at;
		}
		if (!big) {
			stop = piece.end;
			continue;
		}
		if (!next || next->type != TREE_GROUP) {
			differs(reading->map, group);
			return false;
		}
		if (!read_settings(reading, next, piece.open + 1, piece.close))
			return false;
		next = next->next;
		start = stop = 0;
	}
	if (!read_piece(reading, group, &next, start, stop))
		return false;
	if (next)
		differs(reading->map, group);
	return !next;
}

/* One file's text into a tree.  NULL when it cannot be read, which was told. */
static struct tree *parse(const char *file, const char *text, size_t n, struct arena *arena, struct faults *faults)
{
	struct maptext map;
	maptext_read(file, text, n, arena, faults, &map);
	struct reading_of_map reading = {.map = &map};
	bool all = !map.broken && read_settings(&reading, map.root, 0, strlen(map.text));
	maptext_destroy(&map);
	return all ? map.root : NULL;
}

int config_tree(const char *file, const char *what, const char *hint, struct arena *arena, struct faults *faults,
	struct tree **ret_tree)
{
	struct arena texts = {0};
	const char *text;
	size_t n;
	int err = maptext_load(file, &texts, &text, &n);
	if (err < 0) {
		struct place_in_map at = {.file = file};
		faults_add(faults, FAULT_ERROR, &at, err == -ENOENT ? hint : NULL, "cannot open %s: %s", what,
			strerror(-err));
		arena_free(&texts);
		return err;
	}
	struct tree *root = parse(file, text, n, arena, faults);
	arena_free(&texts);
	if (!root)
		return -EINVAL;
	*ret_tree = root;
	return 0;
}

static int read_map(const char *file, struct arena *arena, struct faults *faults, struct tree **ret_tree)
{
	return config_tree(
		file, "the map", "busferry init writes a first one; -c FILE names another", arena, faults, ret_tree);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

const char *const *config_files(const char *path, struct arena *arena, size_t *ret_n)
{
	const char *slash = strrchr(path, '/');
	size_t folder = slash ? (size_t)(slash - path) + 1 : 0;
	char *pattern = arena_alloc(arena, folder * 2 + sizeof("conf.d/*.conf"));
	char *to = pattern;
	for (size_t i = 0; i < folder; i++) {
		if (strchr("*?[\\", path[i]))
			*to++ = '\\';
		*to++ = path[i];
	}
	memcpy(to, "conf.d/*.conf", sizeof("conf.d/*.conf"));
	glob_t found = {0};
	size_t n = glob(pattern, GLOB_NOSORT, NULL, &found) == 0 ? found.gl_pathc : 0;
	const char **files = arena_array(arena, n + 1, sizeof(*files));
	files[0] = path;
	for (size_t i = 0; i < n; i++)
		files[i + 1] = arena_text(arena, found.gl_pathv[i]);
	globfree(&found);
	qsort(files + 1, n, sizeof(*files), by_name); /* glob's own sort follows the locale */
	*ret_n = n + 1;
	return files;
}

/* Merges what lies in conf.d beside the map.  False when one of them cannot be read. */
static bool read_folder(const char *path, struct tree *root, struct arena *arena, struct faults *faults)
{
	size_t n;
	const char *const *files = config_files(path, arena, &n);
	bool all = true;
	for (size_t i = 1; i < n; i++) {
		struct tree *extra;
		if (read_map(files[i], arena, faults, &extra) == 0)
			tree_merge(root, extra, faults);
		else
			all = false;
	}
	return all;
}

int config_load(const char *path, struct faults *faults, struct plan *ret_plan)
{
	struct arena arena = {0};
	size_t before = faults->n_errors, warnings = faults->n_warnings;
	struct tree *root = NULL;
	int err = read_map(path, &arena, faults, &root);
	if (err == 0 && !read_folder(path, root, &arena, faults))
		err = -EINVAL;
	struct plan plan = {0};
	if (err == 0) {
		compile(path, root, &arena, faults, &plan);
		if (faults->n_errors > before)
			err = -EINVAL;
	}
	faults_sort(faults);
	arena_free(&arena);
	if (err < 0) {
		plan_destroy(&plan);
		return err == -ENOENT || err == -EACCES ? err : -EINVAL;
	}
	plan.n_warnings = faults->n_warnings - warnings;
	*ret_plan = plan;
	return 0;
}

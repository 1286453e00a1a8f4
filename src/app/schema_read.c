/*
 * The one reader for all tables of keys.  See schema.h.
 *
 * A group is read by the rows of several tables at once, the core's and a driver's; a row with a point in its name is
 * of a group within it.  Groups are walked in the order of the map, so that faults are told in that order.
 */
#include "app/schema_value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define KEYS_MAX  96 /* of one group, all its tables together */
#define DEPTH_MAX 4

void schema_fault(
	struct faults *faults, const struct tree *group, const char *key, const char *hint, const char *format, ...)
{
	char what[512];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	faults_add(faults, FAULT_ERROR, key ? tree_place(group, key) : &group->key, hint, "%s", what);
}

/* What other programs call a key of this group. */
static const char *other_key(const char *name, const char *const *words)
{
	static const char *const names[][2] = {{"password", "password_file"}, {"username", "user"}, {"host", "tcp"},
		{"interval", "every"}, {"period", "every"}, {"factor", "scale"}, {"multiplier", "scale"},
		{"register", "holding"}, {"baud", "line"}, {"baudrate", "line"}, {"parity", "line"},
		{"slave", "address"}, {"slave_id", "address"}, {"unit_id", "address"}, {"datatype", "type"},
		{"data_type", "type"}, {"word_order", "words"}, {"byte_order", "bytes"}, {"precision", "decimals"},
		{"device", "port"}};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (size_t k = 0; strcmp(names[i][0], name) == 0 && words[k]; k++)
			if (strcmp(names[i][1], words[k]) == 0)
				return words[k];
	return NULL;
}

/* Is the row one of the group at that prefix ("check.") or below it?  What stands behind the prefix, else NULL. */
static const char *below(const struct bf_key *key, const char *prefix)
{
	size_t n = strlen(prefix);
	return strncmp(key->name, prefix, n) == 0 ? key->name + n : NULL;
}

/* A group that is read: by the rows whose names begin with the prefix. */
struct reading_group {
	const struct tree *group;
	const char *prefix; /* "", "frame.", "frame.check." */
	const char *what;
	const struct schema_part *parts;
	size_t n_parts;
};

static void unknown(struct schema_reader *reader, const struct tree *setting, const struct reading_group *of)
{
	char words[KEYS_MAX][64];
	const char *known[KEYS_MAX + 1] = {0};
	size_t n = 0;
	for (size_t i = 0; i < of->n_parts; i++)
		for (const struct bf_key *key = of->parts[i].keys; key->name && n < KEYS_MAX; key++) {
			const char *name = below(key, of->prefix);
			if (!name)
				continue;
			snprintf(words[n], sizeof(words[n]), "%.*s", (int)strcspn(name, "."), name);
			known[n] = words[n];
			n++;
		}
	const char *near = other_key(setting->name, known);
	if (!near)
		near = faults_did_you_mean(setting->name, known);
	faults_add(reader->faults, FAULT_ERROR, &setting->key,
		near ? arena_format(reader->arena, "did you mean \"%s\"?", near) : NULL, "unknown setting \"%s\" in %s",
		setting->name, of->what);
	reader->ok = false;
}

static const struct bf_key *row_of(const struct reading_group *of, const char *name, void **ret_to)
{
	for (size_t i = 0; i < of->n_parts; i++)
		for (const struct bf_key *key = of->parts[i].keys; key->name; key++) {
			const char *own = below(key, of->prefix);
			if (own && strcmp(own, name) == 0) {
				*ret_to = of->parts[i].to;
				return key;
			}
		}
	return NULL;
}

/* Do rows stand below that name? */
static bool has_rows(const struct reading_group *of, const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; i < of->n_parts; i++)
		for (const struct bf_key *key = of->parts[i].keys; key->name; key++) {
			const char *own = below(key, of->prefix);
			if (own && strncmp(own, name, n) == 0 && own[n] == '.')
				return true;
		}
	return false;
}

/* The rows of this very group that must be there. */
static bool complete(struct schema_reader *reader, const struct reading_group *of)
{
	bool all = true;
	for (size_t i = 0; i < of->n_parts; i++)
		for (const struct bf_key *key = of->parts[i].keys; key->name; key++) {
			const char *name = below(key, of->prefix);
			if (!(key->flags & BF_KEY_REQUIRED) || !name || strchr(name, '.') || tree_get(of->group, name))
				continue;
			schema_fault(reader->faults, of->group, NULL,
				arena_format(reader->arena, "write %s: …   # %s", name, key->help),
				"\"%s\" is required in %s", name, of->what);
			all = false;
		}
	return all;
}

static bool read_group(struct schema_reader *reader, const struct reading_group *of, unsigned depth)
{
	bool all_ok = true;
	for (const struct tree *setting = of->group->first; setting; setting = setting->next) {
		void *to = NULL;
		reader->ok = true;
		reader->key = row_of(of, setting->name, &to);
		reader->value = setting;
		if (setting->type == TREE_GROUP && depth < DEPTH_MAX && has_rows(of, setting->name)) {
			struct reading_group inner = *of;
			inner.group = setting;
			inner.prefix = arena_format(reader->arena, "%s%s.", of->prefix, setting->name);
			inner.what = arena_format(reader->arena, "\"%s\"", setting->name);
			reader->ok = read_group(reader, &inner, depth + 1);
		} else if (!reader->key && has_rows(of, setting->name)) {
			faults_add(reader->faults, FAULT_ERROR, &setting->at, NULL, "\"%s\" is %s, it must be a group",
				setting->name, tree_what(setting));
			reader->ok = false;
		} else if (!reader->key) {
			unknown(reader, setting, of);
		} else {
			reader->field = (unsigned char *)to + reader->key->offset;
			schema_value_read(reader);
		}
		all_ok = all_ok && reader->ok;
	}
	return complete(reader, of) && all_ok;
}

bool schema_read(const char *what, const struct tree *group, const struct schema_part *parts, size_t n_parts,
	struct arena *arena, struct faults *faults)
{
	struct schema_reader reader = {.arena = arena, .faults = faults, .ok = true};
	for (size_t i = 0; i < n_parts; i++)
		for (const struct bf_key *key = parts[i].keys; key->name; key++) {
			reader.key = key;
			reader.field = (unsigned char *)parts[i].to + key->offset;
			schema_value_fall_back(&reader);
		}
	const struct reading_group whole = {group, "", what, parts, n_parts};
	return !group || read_group(&reader, &whole, 0);
}

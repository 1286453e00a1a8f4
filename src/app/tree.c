/*
 * The tree of settings.  See tree.h.
 *
 * Why not libconfig's own: its settings have lines but no columns, its numbers have lost how they were written, its
 * groups of several files cannot be merged, and nothing of it may outlive the reading.
 *
 * Invariant: children are in the order of the map; n is their number; `last` is the end of the chain from `first`.
 */
#include "app/tree.h"

#include <string.h>

void tree_append(struct tree *parent, struct tree *child)
{
	child->next = NULL;
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
	parent->n++;
}

struct tree *tree_add(struct tree *parent, enum tree_type type, const char *name, struct arena *arena)
{
	struct tree *tree = arena_alloc(arena, sizeof(*tree));
	tree->type = type;
	tree->name = name ? arena_text(arena, name) : NULL;
	if (parent)
		tree_append(parent, tree);
	return tree;
}

struct tree *tree_copy(struct tree *parent, const struct tree *setting, struct arena *arena)
{
	struct tree *copy = arena_alloc(arena, sizeof(*copy));
	*copy = *setting;
	tree_append(parent, copy);
	return copy;
}

static struct tree *find(const struct tree *group, const char *name)
{
	for (struct tree *child = group->type == TREE_GROUP ? group->first : NULL; child; child = child->next)
		if (child->name && strcmp(child->name, name) == 0)
			return child;
	return NULL;
}

const struct tree *tree_get(const struct tree *group, const char *name)
{
	return find(group, name);
}

struct tree *tree_overlay(const struct tree *base, const struct tree *over, struct arena *arena)
{
	struct tree *own = arena_alloc(arena, sizeof(*own));
	*own = *base;
	own->first = own->last = own->next = NULL;
	own->n = 0;
	for (const struct tree *setting = base->first; setting; setting = setting->next) {
		const struct tree *instead = over ? find(over, setting->name) : NULL;
		tree_copy(own, instead ? instead : setting, arena);
	}
	for (const struct tree *setting = over ? over->first : NULL; setting; setting = setting->next)
		if (!find(base, setting->name))
			tree_copy(own, setting, arena);
	return own;
}

const struct place_in_map *tree_place(const struct tree *group, const char *name)
{
	const struct tree *child = find(group, name);
	return child ? &child->key : &group->key;
}

const char *tree_what(const struct tree *tree)
{
	switch (tree->type) {
	case TREE_GROUP:
		return "a group";
	case TREE_LIST:
		return "a list";
	case TREE_INT:
	case TREE_NUMBER:
		return "a number";
	case TREE_BOOL:
		return "true or false";
	case TREE_TEXT:
		break;
	}
	return "a text";
}

double tree_number(const struct tree *tree)
{
	if (tree->type == TREE_INT)
		return (double)tree->i;
	return tree->type == TREE_NUMBER ? tree->number : 0;
}

void tree_merge(struct tree *into, struct tree *extra, struct faults *faults)
{
	struct tree *next;
	for (struct tree *child = extra->first; child; child = next) {
		next = child->next;
		struct tree *there = find(into, child->name);
		if (!there) {
			tree_append(into, child);
		} else if (there->type == TREE_GROUP && child->type == TREE_GROUP) {
			tree_merge(there, child, faults);
		} else {
			char hint[512];
			snprintf(hint, sizeof(hint), "also set at %s:%u:%u", there->key.file, there->key.line,
				there->key.column);
			faults_add(faults, FAULT_ERROR, &child->key, hint, "\"%s\" is set in two files", child->name);
		}
	}
}

/*
 * The map as a tree of our own: what was said, and where.  Between libconfig, of which nothing outlives the reading of
 * a file, and the tables of schema.h, which read groups of this tree.
 *
 * Trees live in an arena; one owner thread.
 */
#ifndef APP_TREE_H
#define APP_TREE_H

#include "app/faults.h"
#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tree_type { TREE_GROUP, TREE_LIST, TREE_INT, TREE_NUMBER, TREE_BOOL, TREE_TEXT };

struct tree {
	struct tree *next;       /* the next of the same group or list */
	const char *name;        /* NULL in lists and for the root */
	struct place_in_map key; /* where the name stands; in lists as `at` */
	struct place_in_map at;  /* where the value stands */
	uint32_t n;              /* of a group or list */
	enum tree_type type : 8;
	bool hex; /* an int that was written as 0x… */
	union {
		struct { /* of a group or list */
			struct tree *first, *last;
		};
		int64_t i; /* a hex number above INT64_MAX as its bits */
		double number;
		bool yes;
		const char *text;
	};
};

/* Makes it the last child of parent. */
void tree_append(struct tree *parent, struct tree *child);

/* A new last child of parent (NULL: a root).  The name is copied. */
struct tree *tree_add(struct tree *parent, enum tree_type type, const char *name, struct arena *arena);

/*
 * A setting once more, as the last child of another parent.  What is below it is shared.
 */
struct tree *tree_copy(struct tree *parent, const struct tree *setting, struct arena *arena);

/*
 * A group of its own with the settings of base, and those of over (NULL: none) instead of or behind them.  It stands
 * where base stands and shares what is below the settings.
 */
struct tree *tree_overlay(const struct tree *base, const struct tree *over, struct arena *arena);

/* The setting of that name in a group, or NULL. */
const struct tree *tree_get(const struct tree *group, const char *name);

/* Where to point for the setting of that name: its key, or the group's when it is not there. */
const struct place_in_map *tree_place(const struct tree *group, const char *name);

/* "a group", "a list", "a number", "true or false", "a text": what it is, for messages. */
const char *tree_what(const struct tree *tree);

/* The number that an int or number stands for; 0 for the rest. */
double tree_number(const struct tree *tree);

/*
 * Moves what `extra` holds into `into`: groups merge, lists and values must be new; a value set in both is a fault that
 * names both places.  `extra` is used up.
 */
void tree_merge(struct tree *into, struct tree *extra, struct faults *faults);

#endif

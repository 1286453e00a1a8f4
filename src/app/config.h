/*
 * From a map file to a plan.  The only door to libconfig is config.c; nothing of it outlives config_load.
 */
#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include "app/faults.h"
#include "app/tree.h"
#include "model/plan.h"

/*
 * Reads the map and conf.d beside it and makes the plan.  All faults and warnings found are added to `faults`, sorted
 * by file and line.
 * 0 with *ret_plan filled (its arena is the caller's to destroy); -ENOENT or -EACCES when the map can't be opened (one
 * fault says so); -EINVAL with at least one fault.  *ret_plan is untouched on failure.
 */
int config_load(const char *path, struct faults *faults, struct plan *ret_plan);

/* The map and the files of conf.d beside it, in the order in which they are merged, that of their names.  In the arena.
 */
const char *const *config_files(const char *path, struct arena *arena, size_t *ret_n);

/*
 * One file of the grammar as a tree in the arena; what is wrong is added to the faults.  `what` names it when it can't
 * be opened ("the map"), with the hint when it is not there. 0; -EINVAL with at least one fault; -ENOENT, -EACCES …
 * when it can't be opened (one fault says so).
 */
int config_tree(const char *file, const char *what, const char *hint, struct arena *arena, struct faults *faults,
	struct tree **ret_tree);

#endif

/*
 * From a map file to a plan.  The only door to libconfig is config.c; nothing of it outlives config_load.
 */
#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include "app/faults.h"
#include "model/plan.h"

/*
 * Reads the map and conf.d beside it and makes the plan.  All faults and warnings found are added to `faults`, sorted
 * by file and line.
 * 0 with *ret_plan filled (its arena is the caller's to destroy); -ENOENT or -EACCES when the map can't be opened (one
 * fault says so); -EINVAL with at least one fault.  *ret_plan is untouched on failure.
 */
int config_load(const char *path, struct faults *faults, struct plan *ret_plan);

#endif

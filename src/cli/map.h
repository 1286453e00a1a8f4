/*
 * Loading the map for a command: faults and warnings go to stderr, the exit code says what came of it.
 */
#ifndef CLI_MAP_H
#define CLI_MAP_H

#include "app/faults.h"
#include "model/plan.h"

/* -1 with *ret_plan filled; else the exit code: 66 the map can't be opened, 77 not allowed, 78 faults in it. */
int map_load(const char *file, struct plan *ret_plan);

/* As map_load, and keeps what was found in *faults, which is the caller's to destroy. */
int map_load_faults(const char *file, struct faults *faults, struct plan *ret_plan);

#endif

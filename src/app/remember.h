/*
 * Where what was learnt of devices is kept between two runs (field/learnt.h).  Main thread.
 */
#ifndef APP_REMEMBER_H
#define APP_REMEMBER_H

#include "field/learnt.h"
#include "field/poller.h"
#include "model/plan.h"

struct remember {
	const char *path; /* NULL = nowhere */
	uint64_t n_kept;  /* as in the file */
	bool told;        /* that it can't be written */
	struct arena arena;
};

/* A file for what outlives the process: in $STATE_DIRECTORY, else beside the buffer file, else none; named after the
 * buffer, and what.  Memory from the arena. */
const char *remember_path(const struct plan *plan, const char *what, struct arena *arena);

/* What was learnt in earlier runs; nothing when there is no file or it can't be read.  Memory from the arena. */
void remember_load(const struct plan *plan, struct learnt *ret_learnt, struct arena *arena);

void remember_init(struct remember *remember, const struct plan *plan);
void remember_destroy(struct remember *remember);

/* Writes the file when more is known than it holds.  Rarely: a device refuses a gap once. */
void remember_keep(struct remember *remember, struct poller *const *pollers, size_t n_pollers);

#endif

/*
 * A layer between SQLite and the file system: what SQLite does to its files can be watched, and can be made to fail.
 */
#ifndef CRASH_SHIM_H
#define CRASH_SHIM_H

#include <stddef.h>
#include <stdint.h>

enum shim_op { SHIM_OPEN, SHIM_READ, SHIM_WRITE, SHIM_SIZE, SHIM_SYNC, SHIM_DELETE };

struct shim {
	/* Before each call; what is not 0 (SQLITE_OK) is its answer, and nothing is done.  May be NULL. */
	int (*before)(enum shim_op op, const char *path);
	/* After it has succeeded.  WRITE: bytes at an offset; SIZE: n is the new size.  May be NULL. */
	void (*after)(enum shim_op op, const char *path, const void *bytes, int64_t offset, int64_t n);
};

/* From now on, for every file that SQLite opens. */
void shim_install(const struct shim *shim);

#endif

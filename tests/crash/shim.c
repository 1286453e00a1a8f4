/*
 * A SQLite VFS over the one of the system.  See shim.h.
 */
#include "shim.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

struct shim_file {
	sqlite3_file base;
	char path[512];
	sqlite3_file real; /* its own bytes follow */
};

static const struct shim *shim;
static sqlite3_vfs *system_vfs, shim_vfs;

static sqlite3_file *real_of(sqlite3_file *file)
{
	return &((struct shim_file *)(void *)file)->real;
}

static const char *path_of(sqlite3_file *file)
{
	return ((struct shim_file *)(void *)file)->path;
}

static int ask(enum shim_op op, const char *path)
{
	return shim->before ? shim->before(op, path) : SQLITE_OK;
}

static void tell(int rc, enum shim_op op, const char *path, const void *bytes, int64_t offset, int64_t n)
{
	if (rc == SQLITE_OK && shim->after)
		shim->after(op, path, bytes, offset, n);
}

static int shim_close(sqlite3_file *file)
{
	return real_of(file)->pMethods->xClose(real_of(file));
}

static int shim_read(sqlite3_file *file, void *bytes, int n, sqlite3_int64 offset)
{
	int rc = ask(SHIM_READ, path_of(file));
	return rc ? rc : real_of(file)->pMethods->xRead(real_of(file), bytes, n, offset);
}

static int shim_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 offset)
{
	int rc = ask(SHIM_WRITE, path_of(file));
	if (rc)
		return rc;
	rc = real_of(file)->pMethods->xWrite(real_of(file), bytes, n, offset);
	tell(rc, SHIM_WRITE, path_of(file), bytes, offset, n);
	return rc;
}

/* Whatever has changed the size: told as the size that it has now. */
static void tell_size(sqlite3_file *file, int rc, sqlite3_int64 before)
{
	sqlite3_int64 now = 0;
	real_of(file)->pMethods->xFileSize(real_of(file), &now);
	if (now != before)
		tell(rc, SHIM_SIZE, path_of(file), NULL, 0, now);
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int rc = ask(SHIM_SIZE, path_of(file));
	if (rc)
		return rc;
	sqlite3_int64 before = 0;
	real_of(file)->pMethods->xFileSize(real_of(file), &before);
	rc = real_of(file)->pMethods->xTruncate(real_of(file), size);
	tell_size(file, rc, before);
	return rc;
}

static int shim_sync(sqlite3_file *file, int flags)
{
	int rc = ask(SHIM_SYNC, path_of(file));
	if (rc)
		return rc;
	rc = real_of(file)->pMethods->xSync(real_of(file), flags);
	tell(rc, SHIM_SYNC, path_of(file), NULL, 0, 0);
	return rc;
}

static int shim_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int shim_lock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int shim_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int shim_check_lock(sqlite3_file *file, int *held)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), held);
}

static int shim_control(sqlite3_file *file, int op, void *argument)
{
	sqlite3_int64 before = 0;
	int rc = op == SQLITE_FCNTL_SIZE_HINT ? ask(SHIM_SIZE, path_of(file)) : SQLITE_OK;
	if (rc)
		return rc;
	real_of(file)->pMethods->xFileSize(real_of(file), &before);
	rc = real_of(file)->pMethods->xFileControl(real_of(file), op, argument);
	tell_size(file, SQLITE_OK, before);
	return rc;
}

static int shim_sector(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int shim_traits(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static const sqlite3_io_methods methods = {.iVersion = 1,
	.xClose = shim_close,
	.xRead = shim_read,
	.xWrite = shim_write,
	.xTruncate = shim_truncate,
	.xSync = shim_sync,
	.xFileSize = shim_file_size,
	.xLock = shim_lock,
	.xUnlock = shim_unlock,
	.xCheckReservedLock = shim_check_lock,
	.xFileControl = shim_control,
	.xSectorSize = shim_sector,
	.xDeviceCharacteristics = shim_traits};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	(void)vfs;
	struct shim_file *shim_file = (struct shim_file *)(void *)file;
	file->pMethods = NULL;
	snprintf(shim_file->path, sizeof(shim_file->path), "%s", name ? name : "");
	int rc = ask(SHIM_OPEN, shim_file->path);
	if (rc)
		return rc;
	rc = system_vfs->xOpen(system_vfs, name, &shim_file->real, flags, ret_flags);
	if (shim_file->real.pMethods)
		file->pMethods = &methods;
	tell(rc, SHIM_OPEN, shim_file->path, NULL, 0, 0);
	return rc;
}

static int shim_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
	(void)vfs;
	int rc = ask(SHIM_DELETE, name);
	if (rc)
		return rc;
	rc = system_vfs->xDelete(system_vfs, name, sync_folder);
	tell(rc, SHIM_DELETE, name, NULL, 0, sync_folder);
	return rc;
}

void shim_install(const struct shim *new_shim)
{
	shim = new_shim;
	if (system_vfs)
		return;
	system_vfs = sqlite3_vfs_find(NULL);
	shim_vfs = *system_vfs;
	shim_vfs.zName = "crash-shim";
	shim_vfs.szOsFile = (int)sizeof(struct shim_file) + system_vfs->szOsFile;
	shim_vfs.xOpen = shim_open;
	shim_vfs.xDelete = shim_delete;
	sqlite3_vfs_register(&shim_vfs, 1);
}

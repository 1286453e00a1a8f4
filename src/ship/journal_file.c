/*
 * The file of the journal as the file system sees it: without SQLite.
 *
 * A file is replaced by renaming: the new one is complete and synced before the old one is touched, and each name is
 * synced before the next is changed, so that a cut leaves the old file, or none and the new one beside it.
 *
 * The file itself is only opened and closed here while SQLite has it closed: closing it would drop SQLite's lock.
 */
#include "ship/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define MARK    "BAD!"
#define MARK_N  4
#define MARK_AT 68 /* the application id */

#define FORMAT_AT  18 /* two bytes of the header; SQLite has 1, and 2 = with a write-ahead log, which ours have */
#define FORMAT_WAL 2

/* Everything before the last slash. */
static int folder_of(const char *path, char *folder, size_t size)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	if (n >= size - 1)
		return -ENAMETOOLONG;
	memcpy(folder, path, n);
	folder[n] = '\0';
	if (n == 0)
		snprintf(folder, size, "%s", slash ? "/" : ".");
	return 0;
}

int journal_file_resolve(const char *path, char ret_path[JOURNAL_PATH_BYTES])
{
	char folder[JOURNAL_PATH_BYTES], real[PATH_MAX];
	struct stat st;
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	int rc = folder_of(path, folder, sizeof(folder));
	if (rc < 0)
		return rc;
	if (!realpath(folder, real) || access(real, W_OK | X_OK) < 0)
		return -errno;
	if (strlen(real) + strlen(name) + 64 > JOURNAL_PATH_BYTES)
		return -ENAMETOOLONG;
	snprintf(folder, sizeof(folder), "%.400s/%.100s", strcmp(real, "/") == 0 ? "" : real, name);
	if (lstat(folder, &st) == 0 && S_ISLNK(st.st_mode))
		return -ELOOP;
	memcpy(ret_path, folder, sizeof(folder));
	return 0;
}

static void with_end(const char *path, const char *end, char ret_path[JOURNAL_PATH_BYTES])
{
	snprintf(ret_path, JOURNAL_PATH_BYTES, "%.500s%s", path, end);
}

static void sync_folder(const char *path)
{
	char folder[JOURNAL_PATH_BYTES];
	int fd = folder_of(path, folder, sizeof(folder)) == 0 ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

static void aside_name(const char *path, char *name, size_t size)
{
	char stamp[32];
	time_t now = time(NULL);
	struct tm tm;
	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, size, "%s.bad-%s%s%.0u", path, stamp, i ? "-" : "", i);
		if (access(name, F_OK) != 0)
			break;
	}
}

int journal_file_set_aside(const char *path, char *name, size_t size)
{
	char from[JOURNAL_PATH_BYTES], to[JOURNAL_PATH_BYTES];
	aside_name(path, name, size);
	if (rename(path, name) < 0)
		return -errno;
	sync_folder(path);
	with_end(path, "-wal", from);
	with_end(name, "-wal", to);
	rename(from, to);
	sync_folder(path);
	return 0;
}

static bool in_the_way(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode);
}

int journal_file_clear_way(const char *path, char *name, size_t size)
{
	static const char *const ends[] = {"-wal", "-journal"};
	for (size_t i = 0; i < 2; i++) {
		char log[JOURNAL_PATH_BYTES], aside[JOURNAL_PATH_BYTES];
		struct stat st;
		with_end(path, ends[i], log);
		if (lstat(log, &st) < 0 || S_ISREG(st.st_mode))
			continue;
		aside_name(log, aside, sizeof(aside));
		if (rename(log, aside) < 0)
			return -errno;
	}
	if (!in_the_way(path))
		return 0;
	int rc = journal_file_set_aside(path, name, size);
	return rc < 0 ? rc : 1;
}

void journal_file_mark(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	if (pwrite(fd, MARK, MARK_N, MARK_AT) == MARK_N)
		fsync(fd);
	close(fd);
}

bool journal_file_is_marked(const char *path)
{
	char mark[MARK_N] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	bool marked = pread(fd, mark, MARK_N, MARK_AT) == MARK_N && memcmp(mark, MARK, MARK_N) == 0;
	close(fd);
	return marked;
}

void journal_file_mend_header(const char *path)
{
	static const unsigned char formats[2] = {FORMAT_WAL, FORMAT_WAL}; /* to write, to read */
	unsigned char header[FORMAT_AT + 2];
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	if (pread(fd, header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
		memcmp(header, "SQLite format 3", 16) == 0 &&
		(header[FORMAT_AT] > FORMAT_WAL || header[FORMAT_AT + 1] > FORMAT_WAL) &&
		pwrite(fd, formats, sizeof(formats), FORMAT_AT) == (ssize_t)sizeof(formats))
		fsync(fd);
	close(fd);
}

void journal_file_new(const char *path, char ret_path[JOURNAL_PATH_BYTES])
{
	with_end(path, ".new", ret_path);
}

void journal_file_discard_new(const char *path)
{
	char new[JOURNAL_PATH_BYTES], log[JOURNAL_PATH_BYTES];
	journal_file_new(path, new);
	with_end(new, "-wal", log);
	unlink(new);
	unlink(log);
}

static int sync_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int rc = fd < 0 || fsync(fd) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

static int take_place(const char *path)
{
	char new[JOURNAL_PATH_BYTES];
	journal_file_new(path, new);
	if (rename(new, path) < 0)
		return -errno;
	sync_folder(path);
	return 0;
}

int journal_file_replace(const char *path, char *name, size_t size)
{
	char new[JOURNAL_PATH_BYTES], log[JOURNAL_PATH_BYTES];
	struct stat st;
	journal_file_new(path, new);
	with_end(new, "-wal", log);
	if (lstat(log, &st) == 0 && st.st_size > 0)
		return -EIO; /* it could not be brought into the file */
	int rc = sync_file(new);
	if (rc < 0)
		return rc;
	sync_folder(path);
	rc = journal_file_set_aside(path, name, size);
	return rc < 0 ? rc : take_place(path);
}

int journal_file_adopt(const char *path)
{
	char new[JOURNAL_PATH_BYTES], log[JOURNAL_PATH_BYTES], aside[JOURNAL_PATH_BYTES];
	struct stat st;
	journal_file_new(path, new);
	if (lstat(path, &st) == 0 || lstat(new, &st) < 0)
		return 0;
	with_end(path, "-wal", log); /* of the old one */
	if (lstat(log, &st) == 0) {
		aside_name(log, aside, sizeof(aside));
		if (rename(log, aside) < 0)
			return -errno;
		sync_folder(path);
	}
	return take_place(path);
}

int journal_file_allocate(const char *path, int64_t bytes, int *ret_fd)
{
	*ret_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (*ret_fd < 0)
		return -errno;
	return fallocate(*ret_fd, 0, 0, bytes) < 0 ? -errno : 0;
}

static int64_t allocated(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 ? (int64_t)st.st_blocks * 512 : 0;
}

int64_t journal_file_room(const char *path)
{
	char folder[JOURNAL_PATH_BYTES], log[JOURNAL_PATH_BYTES];
	struct statvfs disk;
	with_end(path, "-wal", log);
	int64_t room = allocated(path) + allocated(log);
	if (folder_of(path, folder, sizeof(folder)) < 0 || statvfs(folder, &disk) < 0)
		return INT64_MAX;
	int64_t left = INT64_MAX / 2;
	if (disk.f_frsize > 0 && disk.f_bavail < (uint64_t)left / disk.f_frsize)
		left = (int64_t)(disk.f_bavail * disk.f_frsize);
	return room + left;
}

int journal_file_reserve_log(const char *path, int64_t bytes)
{
	char log[JOURNAL_PATH_BYTES];
	struct stat st;
	with_end(path, "-wal", log);
	int fd = open(log, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	int rc = 0;
	if (fstat(fd, &st) < 0)
		rc = -errno;
	else if (st.st_size < bytes || (int64_t)st.st_blocks * 512 < bytes)
		rc = -posix_fallocate(fd, 0, bytes);
	if (rc == 0)
		rc = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

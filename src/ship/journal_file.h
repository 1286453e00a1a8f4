/*
 * The file of the journal as the file system sees it.
 */
#ifndef SHIP_JOURNAL_FILE_H
#define SHIP_JOURNAL_FILE_H

#include <stddef.h>
#include <stdint.h>

#define JOURNAL_PAGE_BYTES 4096

/* Can files be made in the folder of the path?  0, or -errno. */
int journal_file_folder(const char *path);

/* Renames the file and its write-ahead log to PATH.bad-DATE, which goes to name.  0, or -errno. */
int journal_file_set_aside(const char *path, char *name, size_t size);

/*
 * Takes the space for the whole file from the disk, without writing it: 0, -EOPNOTSUPP, or -ENOSPC.  The descriptor in
 * *ret_fd (-1 = none) is to be closed after SQLite has closed the file: closing any descriptor of a file ends the locks
 * that its process has on it (fcntl(2)).
 */
int journal_file_allocate(const char *path, int64_t bytes, int *ret_fd);

/* A database that was cut off opens only when it is as long as its header says: makes it so, with zeros. */
void journal_file_pad(const char *path);

#endif

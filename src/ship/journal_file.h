/*
 * The file of the journal as the file system sees it.
 */
#ifndef SHIP_JOURNAL_FILE_H
#define SHIP_JOURNAL_FILE_H

#include <stddef.h>

#define JOURNAL_PAGE_BYTES 4096

/* Can files be made in the folder of the path?  0, or -errno. */
int journal_file_folder(const char *path);

/* Renames the file and its write-ahead log to PATH.bad-DATE, which goes to name.  0, or -errno. */
int journal_file_set_aside(const char *path, char *name, size_t size);

/* A database that was cut off opens only when it is as long as its header says: makes it so, with zeros. */
void journal_file_pad(const char *path);

#endif

/*
 * The file of the journal as the file system sees it.
 */
#ifndef SHIP_JOURNAL_FILE_H
#define SHIP_JOURNAL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_PAGE_BYTES 4096
#define JOURNAL_PATH_BYTES 512 /* of every path here, with what is appended to it */

/*
 * The path with its folder as it really is: a link on the way to the folder is fine, the file itself must not be one.
 * 0; -ELOOP; -ENAMETOOLONG; -errno when files can't be made in the folder.
 */
int journal_file_resolve(const char *path, char ret_path[JOURNAL_PATH_BYTES]);

/* Renames what lies there and its write-ahead log to PATH.bad-DATE, which goes to name.  0, or -errno. */
int journal_file_set_aside(const char *path, char *name, size_t size);

/* What is neither a file nor a link, in the place of the file or of its log, is set aside.  1 when it was the file,
 * with its name; 0; -errno. */
int journal_file_clear_way(const char *path, char *name, size_t size);

/* A mark in the file, found again when it is opened: it is damaged.  What it marks is closed. */
void journal_file_mark(const char *path);
bool journal_file_is_marked(const char *path);

/* A damaged header can name a format that SQLite would only read: it gets the one that ours have.  The file is closed.
 */
void journal_file_mend_header(const char *path);

/* PATH.new */
void journal_file_new(const char *path, char ret_path[JOURNAL_PATH_BYTES]);
/* Removes it and its log. */
void journal_file_discard_new(const char *path);
/*
 * Sets the file aside and puts PATH.new, which is complete, in its place.  Cut at any instant there is either the old
 * file, or journal_file_adopt ends it.  0; -EIO its log is not empty; -errno.
 */
int journal_file_replace(const char *path, char *name, size_t size);
/* Ends a replacement that was cut.  0, or -errno. */
int journal_file_adopt(const char *path);

/*
 * Takes the space for the whole file from the disk, without writing it: 0, -EOPNOTSUPP, or -ENOSPC.  The descriptor in
 * *ret_fd (-1 = none) is to be closed after SQLite has closed the file: closing any descriptor of a file ends the locks
 * that its process has on it (fcntl(2)).
 */
int journal_file_allocate(const char *path, int64_t bytes, int *ret_fd);

/* Bytes that the file and its log may take together: what they have and what the disk has left. */
int64_t journal_file_room(const char *path);
/* Makes the log as long as this, unless it is longer.  0, or -errno. */
int journal_file_reserve_log(const char *path, int64_t bytes);

#endif

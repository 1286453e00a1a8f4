/*
 * A small file that is replaced as a whole: a power cut leaves the old one or the new one.  Any thread; waits for the
 * disk.
 */
#ifndef BASE_WHOLE_FILE_H
#define BASE_WHOLE_FILE_H

#include <stddef.h>

/* Puts n bytes in place of the file, or leaves the old one.  0 or -errno. */
int whole_file_save(const char *path, const void *bytes, size_t n);

#endif

/*
 * Secrets from files, held for as long as they are handed over and no longer.  Any thread.
 */
#ifndef SHIP_SECRET_H
#define SHIP_SECRET_H

#define SECRET_MAX 1024 /* bytes of buffer */

/* Reads the file into buffer (SECRET_MAX bytes), NUL-terminated, without the newline at its end.  0; -errno; -EFBIG
 * when it is too long. */
int secret_read(const char *path, char *buffer);

/* Overwrites the buffer in a way that no compiler leaves out. */
void secret_wipe(char *buffer);

#endif

/*
 * Secrets from files and the environment, held for as long as they are handed over and no longer.  Any thread.
 */
#ifndef SHIP_SECRET_H
#define SHIP_SECRET_H

#define SECRET_MAX 1024 /* bytes of buffer */

/* Reads the file into buffer (SECRET_MAX bytes), NUL-terminated, without the newline at its end.  0; -errno; -EFBIG
 * when it is too long. */
int secret_read(const char *path, char *buffer);

/* Copies the variable, as secret_read.  -ENOENT when it is not set. */
int secret_environment(const char *name, char *buffer);

#define CREDENTIAL_PATH_MAX 512

/* Where systemd has put the credential of that name (LoadCredential=, systemd.exec(5)).  0; -ENOENT when this process
 * was given none; -ENAMETOOLONG. */
int secret_credential(const char *name, char ret_path[static CREDENTIAL_PATH_MAX]);

/* Overwrites the buffer in a way that no compiler leaves out. */
void secret_wipe(char *buffer);

#endif

/*
 * Drivers that are found at run time: a module is a shared object (.so) with a constant `bf_driver`, made against the
 * installed headers of sdk/.
 *
 * A module is code that runs as the gateway does.  So neither it nor the folder in which it lies may be writable for
 * others, and both belong to root or to who runs busferry.
 */
#ifndef FIELD_MODULE_H
#define FIELD_MODULE_H

#include "sdk/driver.h"

#define MODULE_WHY_SIZE 512

/*
 * Opens a module and looks its driver over.  It stays for as long as the process lives; one that is refused is closed
 * again.  Before the threads start, since what it runs as it is loaded is its own.
 * 0; -EPERM when others could have changed it, -ENOENT … when it isn't there, -ENOEXEC when it can't be loaded, -EPROTO
 * for another ABI, -EINVAL when what it has is no driver; ret_why then says so, "made for ABI 1, …", without the file.
 */
int module_open(const char *file, const struct bf_driver **ret_driver, char ret_why[static MODULE_WHY_SIZE]);

/* May code be taken from this file or folder?  0; -EPERM, -ENOENT … with why. */
int module_trusted(const char *path, char ret_why[static MODULE_WHY_SIZE]);

#endif

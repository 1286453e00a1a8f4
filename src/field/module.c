/*
 * Opening a module.  See module.h.
 *
 * RTLD_NOW, so that a function that this busferry lacks is told here and not in the middle of a poll; RTLD_LOCAL, so
 * that two modules may have functions of one name.  The ABI is looked at before anything else in the struct: of another
 * one nothing but the place of that number is known.  The size of the symbol is looked at even before, since a module
 * may call anything bf_driver.
 *
 * Invariant: what lies behind *ret_driver was checked by driver_sound.  Main thread, before others start.
 */
#include "field/module.h"
#include "field/driver_sound.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYMBOL "bf_driver"

static int refuse(int err, char why[static MODULE_WHY_SIZE], const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(int err, char why[static MODULE_WHY_SIZE], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why, MODULE_WHY_SIZE, format, args);
	va_end(args);
	return -err;
}

int module_trusted(const char *path, char ret_why[static MODULE_WHY_SIZE])
{
	struct stat status;
	if (stat(path, &status) < 0)
		return refuse(errno, ret_why, "%s", strerror(errno));
	const char *what = S_ISDIR(status.st_mode) ? "the folder " : "it ";
	if (status.st_mode & S_IWOTH)
		return refuse(EPERM, ret_why, "%smay be written by anybody, and a module is code (chmod o-w)", what);
	if (status.st_uid != 0 && status.st_uid != geteuid())
		return refuse(EPERM, ret_why,
			"%sbelongs to user %u, neither to root nor to who runs busferry, and a module is code", what,
			(unsigned)status.st_uid);
	return 0;
}

/* The file that a path leads to, and the folder in which that one lies. */
static int trusted(const char *file, char real[static PATH_MAX], char why[static MODULE_WHY_SIZE])
{
	if (!realpath(file, real))
		return refuse(errno, why, "%s", strerror(errno));
	char folder[PATH_MAX];
	snprintf(folder, sizeof(folder), "%s", real);
	int err = module_trusted(real, why);
	return err < 0 ? err : module_trusted(dirname(folder), why);
}

/* What dlerror says, without the path with which it begins. */
static const char *load_failure(const char *file)
{
	const char *text = dlerror();
	size_t n = strlen(file);
	if (!text)
		return "nobody knows why";
	return strncmp(text, file, n) == 0 && strncmp(text + n, ": ", 2) == 0 ? text + n + 2 : text;
}

/* Bytes of the object behind a symbol; 0 for what is no object. */
static size_t object_size(const void *object)
{
	Dl_info info;
	void *symbol = NULL;
	if (!dladdr1(object, &info, &symbol, RTLD_DL_SYMENT) || !symbol)
		return 0;
	const ElfW(Sym) *entry = symbol;
	return ELF64_ST_TYPE(entry->st_info) == STT_OBJECT ? entry->st_size : 0; /* the same of 32 bit */
}

static int driver_of(void *module, const struct bf_driver **ret_driver, char why[static MODULE_WHY_SIZE])
{
	char what[DRIVER_SOUND_SIZE];
	const struct bf_driver *driver = dlsym(module, SYMBOL);
	size_t size = driver ? object_size(driver) : 0;
	if (!driver)
		return refuse(EINVAL, why,
			"has no symbol \"" SYMBOL "\": build it with what pkg-config says of busferry-driver");
	if (size < sizeof(driver->abi))
		return refuse(EINVAL, why, "its symbol \"" SYMBOL "\" is no driver");
	if (driver->abi != BF_DRIVER_ABI)
		return refuse(EPROTO, why, "made for ABI %u, this busferry has %u: build it anew", driver->abi,
			BF_DRIVER_ABI);
	if (size < sizeof(*driver)) /* more: a sanitizer's margin */
		return refuse(EINVAL, why, "its symbol \"" SYMBOL "\" has %zu bytes, a driver has %zu", size,
			sizeof(*driver));
	if (!driver_sound(driver, what))
		return refuse(EINVAL, why, "its driver %s", what);
	*ret_driver = driver;
	return 0;
}

int module_open(const char *file, const struct bf_driver **ret_driver, char ret_why[static MODULE_WHY_SIZE])
{
	char real[PATH_MAX];
	int err = trusted(file, real, ret_why);
	if (err < 0)
		return err;
	void *module = dlopen(real, RTLD_NOW | RTLD_LOCAL);
	if (!module)
		return refuse(ENOEXEC, ret_why, "can't be loaded: %s", load_failure(real));
	err = driver_of(module, ret_driver, ret_why);
	if (err < 0)
		dlclose(module);
	return err;
}

/*
 * The drivers that are there.  See registry.h.
 *
 * Modules are loaded when the program starts and never again: a device that is polled has pointers into its driver, so
 * nothing could ever be unloaded, and a map that is read anew must not find other drivers than the one before.
 *
 * Invariant: no two drivers have one name.  The list is written by the main thread before others start.
 */
#include "field/registry.h"
#include "base/log.h"
#include "field/module.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUFFIX ".so"

struct loaded {
	const struct bf_driver *driver;
	char *file;
};

static struct loaded *loaded;
static size_t n_loaded;

static size_t n_builtin(void)
{
	size_t n = 0;
	while (registry_builtin[n])
		n++;
	return n;
}

const struct bf_driver *registry_at(size_t i)
{
	size_t n = n_builtin();
	if (i < n)
		return registry_builtin[i];
	return i - n < n_loaded ? loaded[i - n].driver : NULL;
}

const char *registry_file(size_t i)
{
	size_t n = n_builtin();
	return i >= n && i - n < n_loaded ? loaded[i - n].file : NULL;
}

/* Its index, or -ENOENT. */
static int find(const char *name)
{
	const struct bf_driver *driver;
	for (size_t i = 0; (driver = registry_at(i)) != NULL; i++)
		if (strcmp(driver->name, name) == 0)
			return (int)i;
	return -ENOENT;
}

const struct bf_driver *registry_find(const char *name)
{
	int i = find(name);
	return i < 0 ? NULL : registry_at((size_t)i);
}

/* Takes the file, which is freed when it is not used. */
static void take(char *file)
{
	const struct bf_driver *driver = NULL;
	char why[MODULE_WHY_SIZE];
	struct loaded *more = NULL;
	if (module_open(file, &driver, why) < 0) {
		log_warning("driver module %s: %s", file, why);
	} else if (find(driver->name) >= 0) {
		const char *other = registry_file((size_t)find(driver->name));
		log_warning("driver module %s: not used, its driver \"%s\" %s%s", file, driver->name,
			other ? "is there already, from " : "is built in", other ? other : "");
	} else if ((more = realloc(loaded, (n_loaded + 1) * sizeof(*loaded))) != NULL) {
		loaded = more;
		loaded[n_loaded++] = (struct loaded){driver, file};
		return;
	}
	free(file);
}

static int is_module(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name), suffix = strlen(SUFFIX);
	return entry->d_name[0] != '.' && n > suffix && strcmp(entry->d_name + n - suffix, SUFFIX) == 0;
}

/* Not alphasort: the order must not depend on the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void load(const char *folder)
{
	char why[MODULE_WHY_SIZE];
	struct dirent **entries = NULL;
	int n = scandir(folder, &entries, is_module, by_name);
	if (n < 0 && errno != ENOENT)
		log_warning("driver modules: %s: %s", folder, strerror(errno));
	if (n > 0 && module_trusted(folder, why) < 0) {
		log_warning("driver modules in %s are not used: %s", folder, why);
		for (; n > 0; n--)
			free(entries[n - 1]);
	}
	for (int i = 0; i < n; i++) {
		char *file = NULL;
		if (asprintf(&file, "%s/%s", folder, entries[i]->d_name) >= 0)
			take(file);
		free(entries[i]);
	}
	free(entries);
}

void registry_load(void)
{
	static bool done;
	const char *folder = secure_getenv("BUSFERRY_DRIVERS");
	if (done)
		return;
	done = true;
	load(folder ? folder : BUSFERRY_DRIVERS_INSTALLED);
}

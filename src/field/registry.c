/*
 * Finding a driver.  See registry.h.
 */
#include "field/registry.h"

#include <string.h>

const struct bf_driver *registry_at(size_t i)
{
	size_t n = 0;
	while (registry_builtin[n])
		n++;
	return i < n ? registry_builtin[i] : NULL;
}

const struct bf_driver *registry_find(const char *name)
{
	const struct bf_driver *driver;
	for (size_t i = 0; (driver = registry_at(i)) != NULL; i++)
		if (strcmp(driver->name, name) == 0)
			return driver;
	return NULL;
}

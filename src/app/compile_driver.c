/*
 * Which driver a device has.  See compile.h.
 *
 * A profile is for one driver and says which; without a profile the bus says it, or the device that brings its own
 * port; and where nobody does it is Modbus, because that is what most buses are.
 */
#include "app/compile.h"
#include "field/registry.h"

const struct bf_driver *compile_driver_default(void)
{
	const struct bf_driver *driver = registry_find(DRIVER_DEFAULT);
	return driver ? driver : registry_at(0);
}

const struct bf_driver *compile_driver_named(struct compile *compile, const struct tree *at, const char *name)
{
	const struct bf_driver *driver = registry_find(name);
	if (driver)
		return driver;
	const char *names[64] = {0};
	for (size_t i = 0; registry_at(i) && i < 63; i++)
		names[i] = registry_at(i)->name;
	const char *near = faults_did_you_mean(name, names);
	compile_fault(compile, at, "driver",
		near ? arena_format(&compile->scratch, "did you mean \"%s\"?", near) : "busferry drivers lists them",
		"unknown driver \"%s\"", name);
	return compile_driver_default();
}

const struct bf_driver *compile_driver_of(
	struct compile *compile, const struct tree *device, const struct profile *profile, int bus)
{
	const struct bf_driver *told = compile_bus_driver(compile, bus), *driver = told;
	if (profile) {
		driver = registry_find(profile->transport);
		if (!driver) /* which the profile's own fault has told */
			driver = compile_driver_default();
	}
	if (profile && told && told != driver)
		compile_fault(compile, device, "profile", "leave the driver out",
			"the profile \"%s\" is for the driver \"%s\", but \"%s\" is given", profile->id, driver->name,
			told->name);
	return driver ? driver : compile_driver_default();
}

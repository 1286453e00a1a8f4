/*
 * Loading the map for a command.
 */
#include "cli/map.h"
#include "app/config.h"
#include "cli/cli.h"
#include "field/registry.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

int map_load(const char *file, struct plan *ret_plan)
{
	struct faults faults = {0};
	int code = map_load_faults(file, &faults, ret_plan);
	faults_destroy(&faults);
	malloc_trim(0); /* what the reading of a big map took goes back */
	return code;
}

int map_load_faults(const char *file, struct faults *faults, struct plan *ret_plan)
{
	registry_load();
	int rc = config_load(file, faults, ret_plan);
	faults_print(faults, stderr, cli_colour(STDERR_FILENO));
	switch (rc) {
	case 0:
		return -1;
	case -ENOENT:
		return EX_NOINPUT;
	case -EACCES:
		return EX_NOPERM;
	default:
		return EX_CONFIG;
	}
}

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
	registry_load();
	int rc = config_load(file, &faults, ret_plan);
	faults_print(&faults, stderr, cli_colour(STDERR_FILENO));
	faults_destroy(&faults);
	malloc_trim(0); /* what the reading of a big map took goes back */
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

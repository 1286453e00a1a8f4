/*
 * Busferry: carries readings from serial buses to any MQTT broker.  Everything happens in cli/.
 */
#include "cli/cli.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	/* One heap for all threads: none of them allocates in its steady state, and each further heap costs memory. */
	mallopt(M_ARENA_MAX, 1);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return cli_main(argc, argv);
}

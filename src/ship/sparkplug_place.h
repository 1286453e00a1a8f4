/*
 * Where the newest of each device of a plan is.  When the map is read again, a bus that goes on keeps the plan that it
 * began with, and with it what is known of its devices.
 */
#ifndef SHIP_SPARKPLUG_PLACE_H
#define SHIP_SPARKPLUG_PLACE_H

#include "ship/board.h"
#include "ship/roster.h"
#include "ship/sparkplug_intake.h"

/* Of one device.  Constant, as what it points to outlives it. */
struct sparkplug_place {
	struct roster_place roster;
	const struct board *board;
	struct sparkplug_intake *intake;
	uint32_t first_metric; /* of the device, in the plan of board and intake */
};

#endif

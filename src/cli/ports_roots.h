/*
 * Where commands look for serial ports: on this machine, or in the folder that BUSFERRY_ROOT in the environment names,
 * with sys, dev and proc in it (for tests).
 */
#ifndef CLI_PORTS_ROOTS_H
#define CLI_PORTS_ROOTS_H

#include "field/ports.h"

/* Valid for ever.  One thread. */
const struct ports_roots *ports_roots(void);

#endif

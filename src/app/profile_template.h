/*
 * A profile to begin with: every group with what belongs in it, as comments and an example.
 */
#ifndef APP_PROFILE_TEMPLATE_H
#define APP_PROFILE_TEMPLATE_H

#include <stdio.h>

/*
 * Writes a file ID.conf for devices of that driver.  For modbus, frame and text it is sound as it stands, with an
 * invented device; for other drivers the metrics and vectors are left to fill in.  0; -ENOENT: there is no such driver.
 */
int profile_template(FILE *to, const char *id, const char *transport);

#endif

/*
 * The counters of a gateway, as one line and as the json of site/gateway/ID/stats.  Main thread, since
 * there wires come and go.
 */
#ifndef APP_STATS_H
#define APP_STATS_H

#include "app/gateway.h"

/* "3 of 4 devices answer, connected to mqtt://…, 0 messages wait" */
void stats_line(struct gateway *gateway, char *text, size_t size);

/* Bytes that stats_json may need; it returns the length, or -ENOSPC. */
size_t stats_size(struct gateway *gateway);
int stats_json(struct gateway *gateway, char *text, size_t size);

/*
 * The same with what else `busferry status` tells, which is not for the broker: version, pid, map, site, gateway,
 * started; of each bus its wire and number of devices, of each device its bus, address and the time of its last answer.
 */
size_t stats_status_size(struct gateway *gateway);
int stats_status_json(struct gateway *gateway, char *text, size_t size);

#endif

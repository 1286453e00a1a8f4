/*
 * Names in Home Assistant's discovery: what is told here is what a device was called there, so none of it ever changes.
 *
 * A name is made of the gateway's id, the path of a device and the label of a metric, joined by _.  Of what they hold
 * only a-z A-Z 0-9 _ - may stand in a discovery topic; what else they hold becomes _, and then eight hex digits of a
 * hash of the whole follow, so that "größe" and "grüße" stay two.  So does a name that is too long.  A name depends on
 * nothing but these texts: other devices of the map have no say in it.
 *
 * Pure; any thread.
 */
#ifndef SHIP_DISCOVERY_ID_H
#define SHIP_DISCOVERY_ID_H

#include <stddef.h>

#define DISCOVERY_ID_SIZE 200 /* with the NUL */

/* busferry_GATEWAY[_PATH[_LABEL]]; path and label may be NULL. */
void discovery_id(const char *gateway, const char *path, const char *label, char id[static DISCOVERY_ID_SIZE]);

/* The label alone, as the id of a component within its message. */
void discovery_component(const char *label, char id[static DISCOVERY_ID_SIZE]);

/* What may stand behind the dot of an entity id: a-z 0-9 and single _ between them; "x" when nothing is left. */
void discovery_slug(const char *path, const char *label, char slug[static DISCOVERY_ID_SIZE]);

/*
 * The topic of a device's message: PREFIX/device/ID/config, of the second one (part 1) PREFIX/device/ID-part2/config.
 * path NULL: of the gateway itself.  Its length, or -ENAMETOOLONG when it is longer than a topic may be.
 */
int discovery_topic(const char *prefix, const char *gateway, const char *path, unsigned part, char *topic, size_t size);

#endif

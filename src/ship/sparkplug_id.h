/*
 * Who is who in Sparkplug's topics: spBv1.0/GROUP/TYPE/NODE or spBv1.0/GROUP/TYPE/NODE/DEVICE.  Ids are one part of a
 * topic each, so the slashes of a path become "-".
 *
 * Source: Sparkplug 3.0.0, chapter 4 (topics).  Pure; any thread.
 */
#ifndef SHIP_SPARKPLUG_ID_H
#define SHIP_SPARKPLUG_ID_H

#include <stddef.h>

#define SPARKPLUG_ID_MAX    250 /* bytes */
#define SPARKPLUG_TOPIC_MAX (3 * SPARKPLUG_ID_MAX + 32)

/* NULL when the text can be an id; else what is wrong with it, in words. */
const char *sparkplug_id_fault(const char *text);

/* The path with "-" for "/", cut at SPARKPLUG_ID_MAX. */
void sparkplug_id_of(const char *path, char to[static SPARKPLUG_ID_MAX + 1]);

/* type: "NBIRTH", "DDATA", …; device NULL = the node's own.  Ids are sound. */
void sparkplug_topic(
	char to[static SPARKPLUG_TOPIC_MAX], const char *group, const char *type, const char *node, const char *device);

#endif

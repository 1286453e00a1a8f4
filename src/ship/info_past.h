/*
 * An info that was published before this start, as the broker has kept it: which topics had retained messages then.
 *
 * It is somebody else's word, for everyone with access to the broker may have written it: each topic is built anew from
 * the site and what it says, and only what could be a topic of a device of this site, or of its discovery, is told.
 *
 * One owner thread.
 */
#ifndef SHIP_INFO_PAST_H
#define SHIP_INFO_PAST_H

#include <stddef.h>

struct info_past;

/* Reads the info of a gateway of the site, n bytes.  The texts outlive it.  0 and *ret_past; -EINVAL when it is none;
 * -EMSGSIZE; -ENOMEM. */
int info_past_read(const char *site, const char *gateway, const void *payload, size_t n, struct info_past **ret_past);
void info_past_destroy(struct info_past *past);

/* The next topic, valid until the next call; NULL after the last.  A topic may come twice. */
const char *info_past_next(struct info_past *past);

#endif

/*
 * The inside of the uplink on libmosquitto, shared by its two files: uplink_mosquitto_object.c makes the library's
 * object ready for an attempt, uplink_mosquitto.c drives it.  No one else includes this; it is the door to
 * <mosquitto.h>.
 */
#ifndef SHIP_UPLINK_MOSQUITTO_INNER_H
#define SHIP_UPLINK_MOSQUITTO_INNER_H

#include "ship/alias.h"
#include "ship/pulse.h"
#include "ship/uplink.h"
#include "ship/uplink_note.h"

#include <mosquitto.h>

struct uplink_mosquitto {
	struct uplink uplink; /* first: the ops get a pointer to it */
	struct mosquitto *mosq;
	struct uplink_target target;
	struct uplink_note note;
	struct pulse pulse;
	bool ipv4_only;    /* a name's IPv6 address did not answer */
	bool ipv6_attempt; /* the attempt under way goes to one */
	int held;          /* the socket that holds back what is written; -1 = none */
	struct aliases aliases;
	bool aliases_refused; /* by this endpoint, although it offers them */
};

/* Notes the end.  A MOSQ_ERR_ or, of a DISCONNECT, a reason code; error is errno. */
void uplink_mosquitto_failed(struct uplink_mosquitto *self, int rc, int error);

/* A new object for self->target, with all but its callbacks.  False after its failure was noted. */
bool uplink_mosquitto_object(struct uplink_mosquitto *self);

/* User and password as the files have them now.  As above. */
bool uplink_mosquitto_user(struct uplink_mosquitto *self);

#endif

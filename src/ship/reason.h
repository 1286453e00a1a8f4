/*
 * What brokers answer, in words and in classes: the reason codes of MQTT 5.0 (section 2.4), and the CONNACK return
 * codes 1 to 5 of MQTT 3.1.1 (section 3.2.2.3), which share no number with the former.  libmosquitto has texts of its
 * own, but 2.0.11 says "Unknown error" to some of them.  Pure; any thread.
 */
#ifndef SHIP_REASON_H
#define SHIP_REASON_H

#include "ship/uplink.h"

#include <stdbool.h>

/* Never NULL. */
const char *reason_words(int code);

/* Of a CONNACK that refuses or a DISCONNECT from the broker. */
enum uplink_fault reason_fault(int code);

/* What a negative acknowledgement (code >= 0x80) means for its message. */
enum reason_verdict {
	REASON_REFUSED,  /* for good: not authorised, topic, size, format */
	REASON_LATER,    /* not now: quota, overload */
	REASON_KNOWN_ID, /* 0x91: the broker has a message of this id already */
	REASON_FINISHED, /* 0x92: the broker has finished with this id */
	REASON_QOS,      /* 0x9B: not at this QoS */
};

enum reason_verdict reason_verdict(int code);

#endif

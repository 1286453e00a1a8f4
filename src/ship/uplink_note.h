/*
 * What an uplink has learnt about its connection, until it may tell it: a library's callbacks come at moments when the
 * object must not be destroyed, and may say the same end twice.  Each connection is told at most once, and its end
 * exactly once, unless the publisher closes it.
 *
 * On the publisher's thread only.
 */
#ifndef SHIP_UPLINK_NOTE_H
#define SHIP_UPLINK_NOTE_H

#include "ship/uplink.h"

#include <stdbool.h>

#define UPLINK_NOTE_WHAT 200

struct uplink_note {
	bool silent; /* nothing to tell: there is no attempt, or its end was told */
	bool active; /* `connected` was told */
	bool connected, session_present, lost;
	struct uplink_limits limits;
	enum uplink_fault fault;
	char what[UPLINK_NOTE_WHAT];
	char tls[120];     /* why TLS failed, if known */
	long tls_verified; /* see tls_fault.h */
	bool mqtt5, plain; /* how the attempt is made: what an end without a word may be about */
};

/* An attempt begins. */
void uplink_note_begin(struct uplink_note *note, const struct uplink_target *target);
/* The attempt or connection is over for the publisher: nothing more will be told. */
void uplink_note_silence(struct uplink_note *note);

/* CONNACK has come. */
void uplink_note_connected(struct uplink_note *note, bool session_present, const struct uplink_limits *limits);

/* The end.  The first one counts. */
void uplink_note_lost(struct uplink_note *note, enum uplink_fault fault, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The end by an errno, by getaddrinfo's error, by TLS (what was noted of it), by a reason code of MQTT. */
void uplink_note_errno(struct uplink_note *note, int error);
void uplink_note_lookup(struct uplink_note *note, const char *host, int error);
void uplink_note_tls(struct uplink_note *note, const struct uplink_target *target);
void uplink_note_reason(struct uplink_note *note, int code);
/* The end without a reason. */
void uplink_note_closed(struct uplink_note *note);

/*
 * OpenSSL has said a line.  Keeps the last part of the first one, "error:0A000086:SSL routines::certificate verify
 * failed", and what the verification has found by now (ssl: see tls_fault.h; NULL = it is gone).
 */
void uplink_note_tls_text(struct uplink_note *note, const void *ssl, const char *text);

/* Tells what was noted.  True when something was; note may have begun anew meanwhile. */
bool uplink_note_tell(struct uplink_note *note, const struct uplink_events *events);

#endif
